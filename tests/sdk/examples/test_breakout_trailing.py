"""The breakout: its entries against a plain loop, and a stop that follows and never goes back."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from boxgate_sdk import Bar, Side
from boxgate_sdk.testing import InProcess, Run, bar, bars

Example = Callable[[str], ModuleType]
Walk = Callable[..., list[Bar]]

PARAMS = {"channel_len": 4, "atr_len": 2, "stop_atr": 2.0, "trail_atr": 2.0, "capital": 100_000.0, "risk": 0.001}
FLAT = [1.0, 1.001, 1.0, 1.001, 1.0, 1.001]


def run(example: Example, events: list[Bar], **params: Any) -> Run:
    return InProcess(example("breakout_trailing").BreakoutTrailing, {**PARAMS, **params}).run(events)


def test_a_close_above_the_bars_before_is_bought_at_the_size_of_its_risk(example: Example) -> None:
    entry = run(example, bars([*FLAT, 1.003])).signals[0]
    assert (entry.seq, entry.side, entry.adjust_only) == (6, Side.BUY, False)
    assert entry.qty is not None
    assert entry.sl is not None
    assert entry.qty * (1.003 - entry.sl) == pytest.approx(100.0, rel=2e-3)


def test_a_size_is_bounded_by_the_capital_and_less_than_a_lot_is_none(example: Example) -> None:
    bounded = run(example, bars([*FLAT, 1.003]), weight_max=0.1).signals[0]
    assert bounded.qty == pytest.approx(10_000.0 / 1.003, abs=0.01)
    assert run(example, bars([*FLAT, 1.003]), capital=0.01, risk=0.00001).signals == []


def test_the_stop_follows_the_best_close_without_feedback(example: Example) -> None:
    rise = [round(1.003 + 0.002 * i, 5) for i in range(8)]
    done = run(example, bars([*FLAT, *rise, 1.0165, 1.0160]))
    entry, *trail = done.signals
    assert not entry.adjust_only
    assert trail
    assert all(s.adjust_only and s.side is Side.BUY and s.qty == entry.qty for s in trail)
    stops = [s.sl for s in done.signals]
    assert stops == sorted(set(stops))  # type: ignore[type-var]


def test_a_turn_is_one_target_and_not_an_adjustment(example: Example) -> None:
    done = run(example, bars([*FLAT, 1.003, 1.0, 0.99]), stop_atr=50.0, trail_atr=50.0, weight_max=0.01)
    entries = [s for s in done.signals if not s.adjust_only]
    assert [s.side for s in entries] == [Side.BUY, Side.SELL]


def test_a_stop_that_was_touched_is_not_moved_any_more_and_a_new_breakout_enters_again(example: Example) -> None:
    down = bar(1.0029, open=1.003, low=0.9, open_ns=bars([1.0] * 8)[7].open_ns)
    minutes = bars([*FLAT, 1.003])
    after = bars([1.0029, 1.004], start_ns=down.time_ns)
    done = run(example, [*minutes, down, *after], weight_max=0.01)
    assert [(s.side, s.adjust_only) for s in done.signals if s.seq <= 8] == [(Side.BUY, False)]
    again = run(example, [*minutes, down, *bars([1.0029, 1.0029, 1.0029, 1.0029, 1.02], start_ns=down.time_ns)])
    assert [(s.side, s.adjust_only) for s in again.signals] == [(Side.BUY, False), (Side.BUY, False)]


def test_the_stop_of_a_short_is_touched_by_the_ask(example: Example) -> None:
    def fall(spread: float) -> list[Side]:
        closes = [*FLAT, 0.998, 0.9981, 0.997]
        made = [
            bar(close, open=close, ask_spread=spread, open_ns=bars([1.0])[0].open_ns + i * 60_000_000_000)
            for i, close in enumerate(closes)
        ]
        return [s.side for s in run(example, made, channel_len=2).signals if not s.adjust_only]

    assert fall(0.00001).count(Side.SELL) == 1
    assert fall(0.02).count(Side.SELL) > 1


def test_entries_and_stops_of_a_walk_are_those_of_a_plain_loop(example: Example, walk: Walk) -> None:
    minutes = walk(800, seed=9)
    expected: list[tuple[int, Side, bool, float | None]] = []
    ranges: list[float] = []
    average = float("nan")
    side, stop, best = 0, 0.0, 0.0
    for i, now in enumerate(minutes):
        if i:
            close = minutes[i - 1].close
            ranges.append(max(now.high, close) - min(now.low, close))
            average = sum(ranges) / 2 if len(ranges) <= 2 else (average + ranges[-1]) / 2
        if len(ranges) < 2:
            continue
        if side and (now.low <= stop if side > 0 else now.high >= stop):
            side = 0
        before = minutes[i - 4 : i] if i >= 4 else []
        out = 0
        if before:
            out = (now.close > max(b.high for b in before)) - (now.close < min(b.low for b in before))
        if out and out != side:
            side, best, stop = out, now.close, now.close - out * 2 * average
            expected.append((i, Side.BUY if side > 0 else Side.SELL, False, round(stop, 5)))
        elif side:
            best = max(best, now.close) if side > 0 else min(best, now.close)
            moved = round(best - side * 2 * average, 5)
            if (moved - stop) * side > 0:
                if (now.close - moved) * side > 0:
                    stop = moved
                    expected.append((i, Side.BUY if side > 0 else Side.SELL, True, moved))
                else:
                    side = 0
                    expected.append((i, Side.FLAT, False, None))
    done = run(example, minutes)
    assert len([row for row in expected if not row[2]]) > 50
    assert [(s.seq, s.side, s.adjust_only) for s in done.signals] == [row[:3] for row in expected]
    for signal, row in zip(done.signals, expected, strict=True):
        assert (signal.sl is None) == (row[3] is None)
        assert signal.sl is None or signal.sl == pytest.approx(row[3], abs=1.1e-5)
