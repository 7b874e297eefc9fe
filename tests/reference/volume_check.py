"""Checks of a result of the reference loop that hold for sessions of orders of every kind."""

from __future__ import annotations

from collections import defaultdict

from random_orders import OrderCase
from terms import Result


def volume_is_kept(case: OrderCase, result: Result) -> None:
    """Assert that orders, of whatever position, take no more of an event than the limit; events of one time are one."""
    share = case.rules.volume_limit
    if share is None:
        return
    symbols = [spec.symbol for spec in case.specs]
    allowed: dict[tuple[int, int], float] = defaultdict(float)
    for event in case.events:
        if event.execution:
            assert event.volume is not None
            for time_ns in {event.time_ns, event.open_ns}:
                allowed[event.instrument, time_ns] += event.volume * share
    taken: dict[tuple[int, int], float] = defaultdict(float)
    for fill in result.fills:
        if fill.client_id is not None:
            taken[symbols.index(fill.instrument), fill.time_ns] += fill.qty
    assert all(qty <= allowed[place] * (1 + 1e-12) for place, qty in taken.items())
