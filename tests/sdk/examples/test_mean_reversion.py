"""The mean reversion: its scenarios, filters and exits, and the combinations of parameters that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk import Bar, Side, Strategy, errors
from boxgate_sdk._contract import describe
from boxgate_sdk.testing import InProcess, Run, bar, bars

Example = Callable[[str], ModuleType]
Walk = Callable[..., list[Bar]]


def _class(example: Example, name: str = "mean_reversion_zscore") -> type[Strategy]:
    strategy: type[Strategy] = example(name).MeanReversionZscore
    return strategy


def _run(strategy: type[Strategy], params: dict[str, Any], events: list[Bar], **more: Any) -> Run:
    windows = more.pop("windows", 4096)
    return InProcess(strategy, params, **more).run(events, windows=windows)


_REVERSION = {
    "z_len": 10,
    "z_entry": 1.5,
    "z_exit": 0.1,
    "ema_len": 40,
    "htf": "M5",
    "htf_ema_len": 2,
    "atr_len": 3,
    "sl_atr": 90.0,
    "tp_atr": 90.0,
    "hold_bars": 4,
}


def _rise_and_dip(after: list[float]) -> list[Bar]:
    return bars([1.0 + 0.001 * i for i in range(41)] + after)


def test_a_dip_in_a_rising_market_is_bought_and_sold_at_the_mean(example: Example) -> None:
    strategy = _class(example)
    run = _run(strategy, _REVERSION, _rise_and_dip([1.025, 1.0251, 1.05, 1.05]), warmup=40)
    assert [(s.seq, s.side) for s in run.signals] == [(1, Side.BUY), (3, Side.FLAT)]
    assert run.signals[0].meta is not None
    assert run.signals[0].meta["indicators"]["z"] <= -1.5


def test_a_position_is_held_no_longer_than_allowed(example: Example) -> None:
    strategy = _class(example)
    lying = [1.025 - 0.003 * i for i in range(9)]
    run = _run(strategy, _REVERSION, _rise_and_dip(lying), warmup=40)
    entry = run.signals[0]
    exit_ = next(s for s in run.signals if s.side is Side.FLAT)
    # Filled at the next open, so the first bar of the position is the one after the signal.
    assert exit_.seq - entry.seq == 4
    assert exit_.meta is not None
    assert exit_.meta["held_bars"] == 4


def test_the_higher_frame_of_the_run_and_one_made_of_its_bars_are_equal(example: Example, walk: Walk) -> None:
    strategy = _class(example)
    minutes = walk(1500, seed=4)
    fives = [bar(minutes[i + 4].close, open_ns=minutes[i].open_ns, frame="M5") for i in range(0, len(minutes), 5)]
    both = sorted(minutes + fives, key=lambda b: (b.time_ns, b.frame == "M1"))
    params = {**_REVERSION, "ema_len": 30}

    def decisions(events: list[Bar], warmup: int) -> list[tuple[int, Side, float | None]]:
        run = _run(strategy, params, events, warmup=warmup)
        return [(events[s.seq + warmup].time_ns, s.side, s.sl) for s in run.signals]

    made = decisions(minutes, 250)
    assert len(made) >= 20
    assert decisions(both, 300) == made


def test_the_higher_frame_must_be_higher(example: Example) -> None:
    with pytest.raises(errors.Refusal, match="not higher"):
        _run(_class(example), {"htf": "H1"}, bars([1.0], frame="H1"))


@pytest.mark.parametrize("scenario", ["zscore", "bollinger", "band_return", "kalman", "garch"])
def test_each_scenario_trades_both_sides_alone_and_says_so(example: Example, walk: Walk, scenario: str) -> None:
    params = {**_FREE, "scenarios": [scenario]}
    signals = _run(_class(example), params, walk(1500, seed=6), warmup=300).signals
    entries = [s for s in signals if s.side is not Side.FLAT]
    assert {s.side for s in entries} == {Side.BUY, Side.SELL}
    assert {s.meta["why"] for s in entries if s.meta} == {scenario}
    assert {s.meta["why"] for s in signals if s.meta and s.side is Side.FLAT} <= {"reverted", "held too long"}
    for entry in entries:
        assert entry.meta is not None
        z = entry.meta["indicators"]["z"]
        assert z < -0.1 if entry.side is Side.BUY else z > 0.1


_FREE: dict[str, Any] = {
    "z_len": 20,
    "z_entry": 1.2,
    "z_exit": 0.1,
    "bb_len": 20,
    "bb_dev": 1.2,
    "kalman_q": 0.02,
    "local_z_len": 20,
    "garch_min_periods": 30,
    "ema_len": 0,
    "htf": "off",
    "hold_bars": 20,
}


def test_the_first_scenario_of_the_list_that_wants_a_side_opens(example: Example, walk: Walk) -> None:
    def first_of(scenarios: list[str]) -> str:
        signals = _run(_class(example), {**_FREE, "scenarios": scenarios}, walk(600), warmup=200).signals
        assert signals[0].meta is not None
        return str(signals[0].meta["why"])

    # Both see the same distance, so both want the same side at the same bar.
    assert first_of(["bollinger", "zscore"]) == "bollinger"
    assert first_of(["zscore", "bollinger"]) == "zscore"


@pytest.mark.parametrize(("direction", "sides"), [("long", {Side.BUY}), ("short", {Side.SELL})])
def test_only_the_sides_of_the_direction_are_traded(
    example: Example, walk: Walk, direction: str, sides: set[Side]
) -> None:
    signals = _run(_class(example), {**_FREE, "direction": direction}, walk(900), warmup=200).signals
    assert {s.side for s in signals} - {Side.FLAT} == sides


def test_each_filter_takes_entries_away_and_adds_none(example: Example, walk: Walk) -> None:
    def entries(**filters: Any) -> list[Any]:
        params = {**_FREE, "hold_bars": 1, **filters}
        signals = _run(_class(example), params, walk(2600), warmup=1200).signals
        return [s for s in signals if s.side is not Side.FLAT]

    free = entries()
    assert len(free) > 50
    for filters in (
        {"ema_len": 50},
        {"htf": "M5", "htf_ema_len": 3},
        {"htf": "M5", "htf_ema_len": 3, "htf2": "M15", "htf2_ema_len": 2},
        {"target_min_bps": 8.0},
    ):
        assert 5 < len(entries(**filters)) < len(free), filters
    for entry in entries(target_min_bps=8.0):
        values = entry.meta["indicators"]
        assert abs(values["mean"] - _close_of(walk(2600)[1200:], entry.seq)) / values["mean"] * 1e4 > 7.9


def _close_of(tape: list[Bar], seq: int) -> float:
    return tape[seq].close


def test_hours_that_move_unusually_are_left_out(example: Example, walk: Walk) -> None:
    tape = walk(9 * 288, seed=2, frame="M5")
    params = {**_FREE, "hold_bars": 1, "intraday_days": 2, "intraday_len": 5}

    def ratios(low: float, high: float) -> list[float]:
        limits = {"intraday_vol_min": low, "intraday_vol_max": high}
        signals = _run(_class(example), {**params, **limits}, tape, warmup=3 * 288).signals
        return [s.meta["indicators"]["intraday"] for s in signals if s.meta and s.side is not Side.FLAT]

    quiet, wild, all_of_them = ratios(0.0, 1.0), ratios(1.0, 1000.0), ratios(0.0, 1000.0)
    assert min(len(quiet), len(wild)) > 20
    assert max(quiet) <= 1.0 <= min(wild)
    assert min(all_of_them) < 1.0 < max(all_of_them)


def test_an_unknown_filter_value_lets_nothing_pass(example: Example, walk: Walk) -> None:
    # A range of 0 at every bar: what is usual is 0, and no ratio to it is known.
    flat = [bar(b.close, open_ns=b.open_ns, frame="M5") for b in walk(6 * 288, frame="M5")]
    params = {**_FREE, "intraday_days": 2}
    assert _run(_class(example), params, flat, warmup=3 * 288).signals == []


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"scenarios": []}, "scenarios"),
        ({"scenarios": ["garch", "garch"]}, "scenarios"),
        ({"z_exit": 2.0}, "z_exit"),
        ({"bb_dev": 0.2}, "z_exit"),
        ({"garch_alpha": 0.07}, "garch_alpha"),
        ({"garch_alpha": 0.0, "garch_beta": 1.0}, "garch_alpha"),
        ({"kalman_q": 1e-12}, "kalman_q"),
        ({"htf": "H1", "htf2": "H1"}, "htf2"),
        ({"htf": "off", "htf2": "H4"}, "htf2"),
        ({"intraday_vol_min": 2.5}, "intraday_vol_min"),
        ({"qty": 0.0}, "qty"),
    ],
)
def test_values_that_contradict_each_other_are_refused_by_name(
    example: Example, params: dict[str, Any], where: str
) -> None:
    with pytest.raises(errors.ParameterConflict) as caught:
        _run(_class(example), params, [bar(1.0)])
    assert caught.value.where == f"strategy.params.{where}"


def test_every_number_has_bounds_and_the_history_covers_what_is_switched_on(example: Example) -> None:
    described = describe(_class(example), strategy_pb2.DescribeRequest())
    for parameter in described.parameters:
        if parameter.type in (strategy_pb2.PARAMETER_TYPE_INT, strategy_pb2.PARAMETER_TYPE_FLOAT):
            assert parameter.HasField("min"), parameter.name
            assert parameter.HasField("max"), parameter.name

    def history(**params: Any) -> int:
        strategy = _class(example)()
        vars(strategy).update({"ema_len": 0, "atr_len": 1, **params})
        return strategy.history_events()

    assert history(scenarios=("zscore",), z_len=77) == 77
    assert history(scenarios=("bollinger",), bb_len=33) == 33
    assert history(scenarios=("kalman",), local_z_len=100) == 258 + 100
    assert history(scenarios=("garch",)) == 1 + 100 + 115


def test_an_intraday_filter_needs_bars_within_the_day(example: Example) -> None:
    with pytest.raises(errors.Refusal, match="intraday_days"):
        _run(_class(example), {"intraday_days": 3, "htf": "D1"}, bars([1.0], frame="H4"))
