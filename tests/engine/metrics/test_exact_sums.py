"""Sums, marks and falls of long curves against plain Python."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.metrics.arrays import ExactSum, exact_sum
from boxgate_engine.metrics.drawdowns import deepest_drawdowns, drawdown_figures, drawdowns
from boxgate_engine.metrics.exposure import exposure_figures
from boxgate_engine.metrics.returns import daily_marks, last_of_each
from boxgate_engine.metrics.trades import trade_figures
from boxgate_engine.tables import SCHEMAS, Tables, build_table, empty_table

_DAY = 86_400 * 10**9


def _generator(key: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=key))


def _hard(random: np.random.Generator, count: int, kind: int) -> np.ndarray:
    """Numbers that ordinary summation gets wrong."""
    numbers = random.standard_normal(count) * 2.0 ** random.integers(-60, 60, count)
    if kind == 1:  # all cancels but for what is far smaller
        half = random.standard_normal(count // 2) * 1e15
        numbers = np.concatenate([half, -half, random.standard_normal(count - 2 * (count // 2)) * 1e-9])
        random.shuffle(numbers)
    if kind == 2:  # the smallest and very large ones
        numbers *= 2.0 ** random.choice([-1000.0, 0.0, 800.0], count)
    if kind == 3:  # the sum lies half way between two doubles, but for the last digit
        numbers = np.concatenate([np.ones(count - 2), [2.0**53, random.choice([-1, 1]) * 2.0**-60]])
    if kind == 4:
        numbers = np.repeat(numbers[:1], count)
    return numbers


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("count", [2, 255, 257, 1000, (1 << 15) - 1, 1 << 15, (1 << 15) + 1, 100_003])
def test_long_sums_are_rounded_once_as_fsum_rounds_them(count: int, kind: int) -> None:
    for key in range(4):
        numbers = _hard(_generator(key), count, kind)
        assert exact_sum(numbers) == math.fsum(numbers.tolist())
        assert exact_sum(numbers[::-2]) == math.fsum(numbers[::-2].tolist())


@settings(deadline=None)
@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=40), st.integers(0, 2**32))
def test_any_numbers_in_any_pieces_add_to_what_fsum_gives(values: list[float], key: int) -> None:
    random = _generator(key)
    numbers = random.choice(np.array(values), 3000)
    summed = ExactSum()
    for piece in np.split(numbers, np.sort(random.integers(0, 3000, 3))):
        summed.add(piece)
    assert summed.value() == math.fsum(numbers.tolist())


def test_what_is_not_finite_stays_so() -> None:
    for value in (math.inf, -math.inf):
        assert exact_sum(np.append(np.ones(1000), value)) == value
    assert math.isnan(exact_sum(np.append(np.ones(1000), math.nan)))
    assert exact_sum(np.zeros(0)) == 0.0


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=300),
    st.sampled_from([_DAY, 3_600 * 10**9]),
    st.integers(1, 400),
)
def test_the_last_of_each_span_is_that_of_a_plain_loop(steps: list[int], span_ns: int, scale: int) -> None:
    times = (np.cumsum(steps) * scale * 60 * 10**9).tolist()
    last = {time // span_ns: k for k, time in enumerate(times)}
    assert last_of_each(np.array(times), span_ns).tolist() == list(last.values())
    marks = daily_marks(np.array(times), np.arange(float(len(times))))
    days = {time // _DAY: float(k) for k, time in enumerate(times)}
    assert dict(zip(marks.days.tolist(), marks.marks.tolist(), strict=True)) == days


def _plain_falls(equity: list[float]) -> list[tuple[int, int, int, float]]:
    """(last mark at the peak, first lowest mark, first mark at the peak again or the last of all, depth)."""
    found, peak, start = [], equity[0], 0
    inside: list[int] = []
    for k, value in enumerate(equity):
        if value >= peak:
            if inside:
                found.append((start, inside, k))
            peak, start, inside = value, k, []
        else:
            inside.append(k)
    if inside:
        found.append((start, inside, len(equity) - 1))

    def depth(start: int, k: int) -> float:
        return min(max(1.0 - equity[k] / equity[start], 0.0), 1.0)

    return [
        (start, min(marks, key=lambda k: (-depth(start, k), k)), end, max(depth(start, k) for k in marks))
        for start, marks, end in found
    ]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(-3, 3), min_size=0, max_size=80), st.sampled_from([1.0, 0.1, 1e-15]))
def test_falls_are_those_of_a_plain_loop(moves: list[int], scale: float) -> None:
    equity = 10.0 + np.concatenate([[0.0], np.cumsum(np.array(moves, np.float64)) * scale])
    times = np.arange(len(equity)) * _DAY + 7
    expected = _plain_falls(equity.tolist())
    # What the division rounds to no fall at all has its lowest mark anywhere in it; the first mark is the peak itself.
    found = drawdowns(times, equity)
    assert [(one.from_ns, one.to_ns, one.depth) for one in found] == [
        (times[start], times[end], depth) for start, _, end, depth in expected
    ]
    assert [one.deepest_ns for one in found if one.depth] == [times[low] for _, low, _, depth in expected if depth]
    figures, money = drawdown_figures(times, equity, equity)
    lengths = [int(times[end] - times[start]) for start, _, end, _ in expected]
    assert figures["drawdowns"] == len(expected)
    assert figures["max_drawdown"] == max((depth for *_, depth in expected), default=0.0)
    assert figures["max_drawdown_length_ns"] == max(lengths, default=0)
    if expected:
        assert figures["average_drawdown"] == math.fsum(depth for *_, depth in expected) / len(expected)
        assert figures["average_drawdown_length_ns"] == (2 * sum(lengths) + len(lengths)) // (2 * len(lengths))
    assert money == max(max(equity[: k + 1]) - value for k, value in enumerate(equity.tolist()))
    count, deepest = deepest_drawdowns(times, equity, 3)
    assert count == len(expected)
    assert deepest == sorted(found, key=lambda one: (-one.depth, one.from_ns))[:3]


def test_exposure_of_a_long_curve_is_that_of_one_sum_over_all_marks() -> None:
    random = _generator(1)
    count = 70_001
    times = np.cumsum(random.integers(1, 10**12, count))
    zeros = np.zeros(count)
    equity = 1000.0 + random.random(count)
    gross = np.where(random.random(count) < 0.4, 0.0, random.random(count) * 3000)
    net = gross * random.choice([-1.0, 1.0], count)
    columns: dict[str, Any] = dict.fromkeys(SCHEMAS["equity"].names, zeros)
    columns |= {"time": times, "equity": equity, "exposure_gross": gross, "exposure_net": net}
    figures = exposure_figures(build_table("equity", columns), empty_table("fills"), random.random(600))
    steps, span = np.diff(times), int(times[-1] - times[0])
    assert figures["time_fraction"] == int(steps[gross[:-1] > 0].sum()) / span
    for name, values in (("gross", gross), ("net", net)):
        assert figures[f"{name}_mean"] == math.fsum(((values / equity)[:-1] * steps).tolist()) / span
    assert figures["gross_max"] == float((gross / equity).max())


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from([-2.0, 0.0, 1.5]), min_size=1, max_size=60))
def test_streaks_are_those_of_a_plain_loop(results: list[float]) -> None:
    names = SCHEMAS["trades"].names
    base = {"side": "LONG", "instrument": "A", "exit_reason": "SIGNAL", "path_dependent": False}
    columns: dict[str, Any] = {name: [base.get(name, 0)] * len(results) for name in names}
    columns["net_pnl"] = results
    columns["side"] = ["SHORT" if value else "LONG" for value in results]
    figures = trade_figures(build_table("trades", columns))
    for name, test in (("wins", lambda value: value > 0), ("losses", lambda value: value < 0)):
        runs = [len(list(run)) for hit, run in itertools.groupby(map(test, results)) if hit]
        assert figures[f"{name}_in_a_row"] == max(runs, default=0)
    assert figures["long_count"] == results.count(0.0)


def test_recovery_is_the_profit_over_the_deepest_fall_in_money() -> None:
    columns: dict[str, Any] = dict.fromkeys(SCHEMAS["equity"].names, np.zeros(5))
    columns |= {"time": np.arange(5) * _DAY, "equity": np.array([100.0, 160.0, 120.0, 90.0, 150.0])}
    tables = Tables(
        **{name: empty_table(name) for name in ("signals", "fills", "trades")}, equity=build_table("equity", columns)
    )
    metrics = compute_metrics(tables, currency="USD", initial_cash=100.0, all_weekend=True, counts=Counts())
    assert metrics["ratio"]["recovery_factor"] == 50.0 / 70.0
