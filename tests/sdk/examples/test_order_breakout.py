"""The breakout by orders: its edges against a plain loop, and equal answers in every cut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

from boxgate_sdk import Bar, IntentKind, OrderType, Side
from boxgate_sdk.testing import InProcess, Run, bars

Example = Callable[[str], ModuleType]
Walk = Callable[..., list[Bar]]

PARAMS = {"channel_len": 4, "atr_len": 2, "trail_atr": 3.0, "risk": 0.001}
FLAT = [1.0, 1.001, 1.0, 1.001, 1.0, 1.001]
TICK = 0.00001


def run(example: Example, events: list[Bar], *, windows: Any = 4096, **params: Any) -> Run:
    return InProcess(example("order_breakout").OrderBreakout, {**PARAMS, **params}).run(events, windows=windows)


def test_two_stops_of_one_group_wait_beyond_the_highest_high_and_the_lowest_low(example: Example) -> None:
    events = bars(FLAT)
    pair = [intent for _, intent in run(example, events).intents[:2]]
    assert [(i.kind, i.type, i.side) for i in pair] == [
        (IntentKind.SUBMIT, OrderType.STOP, Side.BUY),
        (IntentKind.SUBMIT, OrderType.STOP, Side.SELL),
    ]
    at = run(example, events).intents[0][0]
    seen = events[max(0, at - 3) : at + 1]
    assert pair[0].stop_price == pytest.approx(max(bar.high for bar in seen) + TICK, abs=1e-9)
    assert pair[1].stop_price == pytest.approx(min(bar.low for bar in seen) - TICK, abs=1e-9)
    assert pair[0].oco == pair[1].oco != ""


def test_the_size_is_that_of_the_risk_at_the_distance_of_the_stop(example: Example) -> None:
    entry = run(example, bars(FLAT)).intents[0][1]
    assert entry.qty is not None
    assert entry.risk_trail is not None
    assert entry.qty * entry.risk_trail == pytest.approx(0.001 * 100_000.0, rel=1e-2)
    assert run(example, bars(FLAT), weight_max=0.001).intents[0][1].qty == pytest.approx(100.0, rel=1e-2)


def test_the_edges_move_with_each_bar_and_never_while_something_is_held(example: Example, walk: Walk) -> None:
    events = walk(600, seed=5)
    done = run(example, events)
    moved = [(seq, i) for seq, i in done.intents if i.kind is IntentKind.REPLACE]
    assert len(moved) >= 15
    sides = {intent.client_id: intent.side for _, intent in done.intents if intent.kind is IntentKind.SUBMIT}
    for seq, intent in moved:
        seen = events[seq - 3 : seq + 1]
        high, low = max(bar.high for bar in seen) + TICK, min(bar.low for bar in seen) - TICK
        assert intent.stop_price == pytest.approx(high if sides[intent.client_id] is Side.BUY else low, abs=1e-9)
    fills = [update for update in done.updates if update.kind == "FILL"]
    entries = [update for update in fills if update.fill_reason == "ENTRY"]
    assert len(entries) >= 10
    # An entry, then what closes it: never two entries behind each other.
    assert all(one.fill_reason != other.fill_reason for one, other in pairwise(fills))


def test_it_answers_equally_however_the_tape_of_two_instruments_is_cut(
    example: Example, two_symbols: list[Bar]
) -> None:
    runs = [run(example, two_symbols, windows=windows) for windows in (1, [1, 2, 3, 50], 4096)]
    assert len(runs[0].intents) > 50
    assert {intent.instrument for _, intent in runs[0].intents} == {"EURUSD", "GBPUSD"}
    for other in runs[1:]:
        assert other.intents == runs[0].intents
        assert other.final_cash == runs[0].final_cash
