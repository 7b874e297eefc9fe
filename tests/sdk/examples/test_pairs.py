"""The pair: its spread against NumPy, and what it does when a leg is late, silent or runs away."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import isnan
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from boxgate_sdk import Bar, Side, errors
from boxgate_sdk.testing import InProcess, Run, bar

Example = Callable[[str], ModuleType]

MINUTE_NS = 60_000_000_000
START_NS = 1_704_067_200_000_000_000
PARAMS = {"length": 10, "hedge": "one", "z_entry": 2.0, "z_exit": 0.5, "z_stop": 20.0, "hold_bars": 6, "silent_bars": 2}
CALM = [1.0 + 0.0001 * (i % 2) for i in range(20)]


def run(example: Example, events: list[Bar], **params: Any) -> Run:
    return InProcess(example("pairs").Pairs, {**PARAMS, **params}, instruments=["EURUSD", "GBPUSD"]).run(events)


def tape(firsts: list[float | None], seconds: list[float | None] | None = None) -> list[Bar]:
    """Return minutes of both, the second flat at 1 unless told otherwise; None is a bar that is missing."""
    events = []
    for i, (first, second) in enumerate(zip(firsts, seconds or [1.0] * len(firsts), strict=True)):
        for symbol, close in (("EURUSD", first), ("GBPUSD", second)):
            if close is not None:
                events.append(bar(close, open_ns=START_NS + i * MINUTE_NS, symbol=symbol))
    return events


def told(done: Run) -> list[tuple[int, str, Side]]:
    return [(signal.seq, signal.symbol, signal.side) for signal in done.signals]


@pytest.mark.parametrize("regression", [True, False])
@pytest.mark.parametrize("n", [3, 20, 57])
def test_hedge_ratio_and_distance_are_those_of_a_line_fitted_by_numpy(
    example: Example, n: int, regression: bool
) -> None:
    generator = random.Random(5)
    second = [4.0]
    for _ in range(300):
        second.append(second[-1] + generator.gauss(0.0, 1e-3))
    first = [0.7 * value + generator.gauss(0.0, 2e-4) for value in second]
    spread = example("pairs").Spread(n, regression=regression)
    for i, pair in enumerate(zip(first, second, strict=True)):
        hedge, z = spread.push(*pair)
        if i < n - 1:
            assert isnan(hedge)
            assert isnan(z)
            continue
        a, b = np.array(first[i - n + 1 : i + 1]), np.array(second[i - n + 1 : i + 1])
        slope = np.polyfit(b - b.mean(), a - a.mean(), 1)[0] if regression else 1.0
        rest = (a - a.mean()) - slope * (b - b.mean())
        assert hedge == pytest.approx(slope, rel=1e-9)
        assert z == pytest.approx(rest[-1] / rest.std(), rel=1e-7, abs=1e-9)


def test_a_spread_without_any_movement_says_nothing(example: Example) -> None:
    spread = example("pairs").Spread(3, regression=True)
    assert all(isnan(value) for _ in range(5) for value in spread.push(1.0, 2.0))


def test_both_legs_are_opened_and_closed_in_one_moment(example: Example) -> None:
    done = run(example, tape([*CALM, 1.0007, 1.0007, 1.0, 1.0]))
    # Event 41 is the second bar of minute 20, 45 that of minute 22.
    assert told(done) == [
        (41, "EURUSD", Side.SELL),
        (41, "GBPUSD", Side.BUY),
        (45, "EURUSD", Side.FLAT),
        (45, "GBPUSD", Side.FLAT),
    ]


def test_the_second_leg_is_as_large_as_the_hedge_ratio_says(example: Example) -> None:
    generator = random.Random(3)
    seconds = [round(1.5 + 0.01 * generator.random(), 5) for _ in range(41)]
    firsts = [round(second**0.5 + generator.gauss(0.0, 1e-5), 5) for second in seconds]
    firsts[-1] = round(firsts[-1] + 2e-4, 5)
    done = run(example, tape([*firsts], [*seconds]), length=40, hedge="regression", z_stop=20.0, notional=30_000.0)
    first, second = done.signals[-2:]
    assert (first.side, second.side) == (Side.SELL, Side.BUY)
    assert first.qty is not None
    assert second.qty is not None
    assert first.qty * firsts[-1] == pytest.approx(30_000.0, abs=0.02)
    assert second.qty * seconds[-1] == pytest.approx(15_000.0, rel=0.02)


def test_a_bar_that_one_leg_lacks_is_left_out(example: Example) -> None:
    whole = run(example, tape([*CALM, 1.0007, 1.0]))
    gaps = tape([*CALM[:9], None, 5.0, *CALM[9:], 1.0007, 1.0], [*[1.0] * 9, 1.0, None, *[1.0] * 13])
    assert [(s.symbol, s.side, s.qty) for s in run(example, gaps).signals] == [
        (s.symbol, s.side, s.qty) for s in whole.signals
    ]
    assert whole.signals


def test_a_leg_that_stays_silent_closes_both_once(example: Example) -> None:
    done = run(example, tape([*CALM, 1.0007, 1.0007, 1.0007, 1.0007, 1.0007], [*[1.0] * 21, None, None, None, None]))
    assert told(done)[2:] == [(44, "EURUSD", Side.FLAT), (44, "GBPUSD", Side.FLAT)]


def test_a_position_is_given_up_after_its_time_and_not_opened_again_before_the_spread_was_back(
    example: Example,
) -> None:
    drift = [1.0007 + 0.0004 * i for i in range(12)]
    done = run(example, tape([*CALM, *drift]), z_exit=0.1)
    flat = next(s for s in done.signals if s.side is Side.FLAT)
    assert flat.seq == 41 + 2 * PARAMS["hold_bars"]  # type: ignore[operator]
    assert not [s for s in done.signals if s.seq > flat.seq]


def test_a_spread_that_runs_away_is_given_up(example: Example) -> None:
    done = run(example, tape([*CALM, 1.00025, 1.02, 1.02]), length=20, z_stop=4.0, z_entry=2.0)
    assert told(done)[:4] == [
        (41, "EURUSD", Side.SELL),
        (41, "GBPUSD", Side.BUY),
        (43, "EURUSD", Side.FLAT),
        (43, "GBPUSD", Side.FLAT),
    ]


def test_less_than_a_lot_of_one_leg_opens_none(example: Example) -> None:
    assert run(example, tape([*CALM, 1.0007]), notional=0.001).signals == []
    assert run(example, tape([*CALM, 1.0007]), hedge_max=0.5).signals == []


def test_a_pair_is_two_instruments_and_its_distances_have_an_order(example: Example) -> None:
    with pytest.raises(errors.Refusal, match="two instruments"):
        InProcess(example("pairs").Pairs).run([bar(1.0)])
    for wrong in ({"z_exit": 2.0}, {"z_stop": 1.9}):
        with pytest.raises(errors.ParameterConflict, match="z_entry"):
            run(example, tape(CALM), **wrong)  # type: ignore[arg-type]
