"""The examples: what they promise in their docstrings, and equal answers however the tape is cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk import Bar, Side, Strategy, errors
from boxgate_sdk._contract import describe
from boxgate_sdk.rolling import RollingDeviation
from boxgate_sdk.testing import InProcess, Run, bar, bars, tick

Example = Callable[[str], ModuleType]
Walk = Callable[..., list[Bar]]

_CLASSES = {
    "sma_cross": "SmaCross",
    "envelope_trend": "EnvelopeTrend",
    "mean_reversion_zscore": "MeanReversionZscore",
    "random_targets": "RandomTargets",
    "pairs": "Pairs",
    "tick_momentum": "TickMomentum",
    "breakout_trailing": "BreakoutTrailing",
    "portfolio_rotation": "PortfolioRotation",
    "order_breakout": "OrderBreakout",
}
_CASES: list[tuple[str, dict[str, Any]]] = [
    ("sma_cross", {"form": "bar"}),
    ("sma_cross", {"form": "vector", "notional": 20_000}),
    ("envelope_trend", {"env_len": 10, "trend_len": 20}),
    ("envelope_trend", {"env_len": 10, "trend_len": 20, "risk_max": 0.001, "daily_loss_max": 0.0001}),
    (
        "mean_reversion_zscore",
        {"z_len": 15, "z_entry": 1.2, "ema_len": 30, "htf": "M15", "htf_ema_len": 4, "hold_bars": 7},
    ),
    (
        "mean_reversion_zscore",
        {
            "scenarios": ["garch", "kalman", "band_return", "bollinger"],
            "z_len": 15,
            "z_entry": 1.2,
            "bb_dev": 1.5,
            "kalman_q": 0.02,
            "local_z_len": 20,
            "garch_min_periods": 30,
            "ema_len": 0,
            "htf": "M5",
            "htf_ema_len": 2,
            "htf2": "M15",
            "htf2_ema_len": 2,
            "target_min_bps": 1.0,
        },
    ),
    ("random_targets", {"rate": 0.1}),
    ("pairs", {"length": 30, "z_entry": 1.5, "hedge": "one", "z_stop": 3.0, "hold_bars": 20, "silent_bars": 2}),
    ("breakout_trailing", {"channel_len": 8, "atr_len": 5, "stop_atr": 1.5, "trail_atr": 2.0}),
]


def _class(example: Example, name: str) -> type[Strategy]:
    strategy: type[Strategy] = getattr(example(name), _CLASSES[name])
    return strategy


def _run(strategy: type[Strategy], params: dict[str, Any], events: list[Bar], **more: Any) -> Run:
    windows = more.pop("windows", 4096)
    return InProcess(strategy, params, **more).run(events, windows=windows)


@pytest.mark.parametrize(("name", "params"), _CASES)
def test_an_example_answers_equally_however_the_tape_of_two_instruments_is_cut(
    example: Example, two_symbols: list[Bar], name: str, params: dict[str, Any]
) -> None:
    strategy = _class(example, name)
    runs = [_run(strategy, params, two_symbols, warmup=500, windows=w) for w in (1, [1, 2, 3, 50], 4096)]
    assert len(runs[0].signals) >= 20
    assert {signal.symbol for signal in runs[0].signals} == {"EURUSD", "GBPUSD"}
    for run in runs[1:]:
        assert run.signals == runs[0].signals
        assert [signal.meta for signal in run.signals] == [signal.meta for signal in runs[0].signals]
        assert run.final_cash == runs[0].final_cash


@pytest.mark.parametrize("name", _CLASSES)
def test_an_example_says_what_it_is_and_each_of_its_parameters(example: Example, name: str) -> None:
    module = example(name)
    described = describe(_class(example, name), strategy_pb2.DescribeRequest())
    assert module.__doc__
    assert (described.name, described.version) == (name, "1.0.0")
    assert described.description
    assert all(parameter.doc for parameter in described.parameters)


@pytest.mark.parametrize("name", sorted({*_CLASSES} - {"sma_cross", "envelope_trend"}))
def test_examples_without_a_vector_form_need_no_numpy(repository: Path, name: str) -> None:
    for module in (repository / "examples" / name).glob("*.py"):
        assert "numpy" not in module.read_text()


def test_averages_must_differ(example: Example) -> None:
    with pytest.raises(errors.ParameterConflict, match="fast"):
        _run(_class(example, "sma_cross"), {"fast": 30, "slow": 30}, [bar(1.0)])


def test_crossing_averages_signal_only_where_the_side_changes(example: Example) -> None:
    closes = [1.0, 2.0, 3.0, 4.0, 5.0, 1.0, 1.0, 1.0, 1.0, 9.0, 9.0]
    run = _run(_class(example, "sma_cross"), {"fast": 1, "slow": 3}, bars(closes))
    assert [(signal.seq, signal.side) for signal in run.signals] == [(2, Side.BUY), (5, Side.SELL), (9, Side.BUY)]


@pytest.mark.parametrize(
    ("params", "requires"),
    [({}, []), ({"risk_max": 0.01}, ["FEEDBACK"]), ({"daily_loss_max": 0.02}, ["FEEDBACK"])],
)
def test_the_envelope_requires_feedback_only_for_its_limits(
    example: Example, params: dict[str, float], requires: list[str]
) -> None:
    values = [
        strategy_pb2.Parameter(name=name, value=strategy_pb2.ParameterValue(float_value=value))
        for name, value in params.items()
    ]
    described = describe(_class(example, "envelope_trend"), strategy_pb2.DescribeRequest(parameters=values))
    assert list(described.requires) == requires
    assert described.series[0].history_events == 400


_ENVELOPE = {"env_len": 4, "env_dev": 1.0, "trend_len": 4, "atr_len": 2, "sl_atr": 2.0, "tp_atr": 4.0}
_BREAKOUT = [1.0, 1.001, 1.0, 1.001, 1.0, 1.01]


def test_a_breakout_opens_a_bracket_of_true_ranges_and_shows_why(example: Example) -> None:
    run = _run(_class(example, "envelope_trend"), _ENVELOPE, bars(_BREAKOUT))
    entry = run.signals[-1]
    assert (entry.seq, entry.side, entry.qty) == (5, Side.BUY, 10_000.0)
    assert entry.meta is not None
    indicators = entry.meta["indicators"]
    assert indicators["lower"] < indicators["mean"] < indicators["upper"] < 1.01
    assert entry.sl == pytest.approx(1.01 - 2.0 * indicators["atr"], abs=1e-5)
    assert entry.tp == pytest.approx(1.01 + 4.0 * indicators["atr"], abs=1e-5)
    assert entry.meta["params"]["env_len"] == 4
    prod = _run(_class(example, "envelope_trend"), _ENVELOPE, bars(_BREAKOUT), mode="prod")
    assert prod.signals == run.signals
    assert all(signal.meta is None for signal in prod.signals)


@pytest.mark.parametrize("params", [{}, {"env_dev": 0.0, "atr_len": 1}, {"notional": 2.0}, {"qty": 0.5}])
def test_the_envelope_over_columns_answers_as_bar_by_bar_however_the_tape_is_cut(
    example: Example, two_symbols: list[Bar], params: dict[str, Any]
) -> None:
    strategy = _class(example, "envelope_trend")
    values = {"env_len": 10, "trend_len": 20, **params}
    of_bars = _run(strategy, values, two_symbols, warmup=500)
    assert all(signal.meta for signal in of_bars.signals)
    for cut in (1, [1, 2, 3, 50], 4096):
        over_columns = _run(strategy, values, two_symbols, warmup=500, mode="prod", windows=cut)
        assert over_columns.signals == of_bars.signals
        assert over_columns.final_cash == of_bars.final_cash


@given(
    ticks=st.lists(st.integers(1, 60), min_size=2, max_size=120),
    n=st.integers(2, 40),
    cut=st.integers(1, 120),
    base=st.sampled_from([0.0, 0.6912, 1.1, 1300.0]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_deviations_over_columns_are_those_of_exact_sums(
    example: Example, ticks: list[int], n: int, cut: int, base: float
) -> None:
    module = example("envelope_trend")
    values = [base + 0.0001 * tick for tick in ticks]
    columns, bar_by_bar, exact = module.ColumnDeviation(n), module.Deviation(n), RollingDeviation(n)
    parts = [columns.push(np.array(values[i : i + cut])) for i in range(0, len(values), cut)]
    found = np.concatenate([np.transpose(part) for part in parts])
    wanted = [exact.push(value) for value in values]
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal([(bar_by_bar.push(value), bar_by_bar.deviation()) for value in values], wanted)


def test_the_risk_of_a_trade_bounds_its_size(example: Example) -> None:
    params = {**_ENVELOPE, "risk_max": 0.0001}
    entry = _run(_class(example, "envelope_trend"), params, bars(_BREAKOUT)).signals[-1]
    assert entry.qty is not None
    assert entry.sl is not None
    assert entry.qty * (1.01 - entry.sl) == pytest.approx(0.0001 * 100_000.0, rel=1e-2)
    tiny = {**_ENVELOPE, "risk_max": 1e-12}
    assert all(s.side is Side.FLAT for s in _run(_class(example, "envelope_trend"), tiny, bars(_BREAKOUT)).signals)


def test_a_lost_day_closes_everything_until_the_next_one(example: Example) -> None:
    fall = [1.009, 1.0085, 1.0083, 1.02, 1.0, 1.03]
    minutes = bars(_BREAKOUT + fall)
    next_day = bars([1.0, 1.001, 1.0, 1.001, 1.0, 1.05], start_ns=minutes[0].open_ns + 86_400_000_000_000)
    params = {**_ENVELOPE, "sl_atr": 90.0, "tp_atr": 90.0, "daily_loss_max": 0.0001}
    strategy = _class(example, "envelope_trend")
    signals = _run(strategy, params, minutes + next_day).signals
    entry = next(s for s in signals if s.side is Side.BUY)
    close = next(s for s in signals if s.seq > entry.seq)
    assert (entry.seq, close.side) == (5, Side.FLAT)
    assert [s.seq for s in signals if close.seq < s.seq < 12] == []
    assert any(s.seq >= 12 and s.side is not Side.FLAT for s in signals)
    free = _run(strategy, {**params, "daily_loss_max": 0.0}, minutes + next_day).signals
    assert any(close.seq < s.seq < 12 for s in free)


def test_random_targets_depend_on_the_seed_and_take_ticks(example: Example) -> None:
    strategy = _class(example, "random_targets")
    ticks = [tick(1.1, 1.1001, time_ns=10**18 + i * 10**9) for i in range(400)]
    first, again, other = (InProcess(strategy, {"rate": 0.2}, seed=seed).run(ticks).signals for seed in (1, 1, 2))
    assert first == again != other
    assert {signal.side for signal in first} == set(Side)
    assert any(signal.price for signal in first)
    assert any(signal.sl and signal.tp for signal in first)
    assert any(signal.valid_until_ns for signal in first)
