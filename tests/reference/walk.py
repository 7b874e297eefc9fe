"""§8: one path of prices inside a bar, and which of the two paths is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from account import Point, Spot, State
from fills import take_in
from hours import is_open
from marks import unrealised
from orders import Order, fill_order, is_reached, orders_of
from tape import marking, quotes_of, watched
from terms import Event
from trails import follow_trails


def settle_inside(state: State, number: int, event: Event, seq: int) -> State:
    """§5.2 and the table of §8: walk both paths from the same state and keep the one that execution.path names.

    Each position walks and chooses by itself (§20). While the market is closed the path is walked, but nothing on it
    fills: all points count, in any order.
    """
    if not is_open(state, event.instrument, event.open_ns):
        state.fired["event_while_closed"] += 1
        for point in quotes_of(state, event):
            stand_at(state, number, point)
        return state
    book = state.books[number]
    if book.position is None and book.working is None and not book.orders:
        return state
    up = walk(state.copy(number), number, event, seq, "ohlc")
    down = walk(state.copy(number), number, event, seq, "olhc")
    count = len(state.fills)
    path_dependent = fills_made(up, count) != fills_made(down, count)
    path = chosen_path(state, number, event, up, down)
    if not path_dependent:
        return up if path == "ohlc" else down
    state.fired[f"path_dependent_{state.rules.path}_{path}"] += 1
    state.fired["named_path_dependent"] += book.place > 0
    state.path_dependent_bars += 1
    return walk(state, number, event, seq, path, path_dependent=True)


def chosen_path(state: State, number: int, event: Event, up: State, down: State) -> str:
    """§8, the table."""
    rule = state.rules.path
    if rule in ("ohlc", "olhc"):
        return rule
    if rule == "adaptive":
        opened, high, low, _ = event.bid
        return "ohlc" if (high - opened) < (opened - low) else "olhc"
    value_up = value_at_close(up, number, event)
    value_down = value_at_close(down, number, event)
    if value_up == value_down:
        return "olhc"
    if rule == "pessimistic":
        return "ohlc" if value_up < value_down else "olhc"
    assert rule == "optimistic"
    return "ohlc" if value_up > value_down else "olhc"


def fills_made(state: State, count: int) -> list[tuple[str, int, float, str]]:
    """§8: what two walks are compared by: side, lots, price and reason."""
    return [(fill.side, fill.lots, fill.price, fill.reason) for fill in state.fills[count:]]


def value_at_close(state: State, number: int, event: Event) -> float:
    """§8: cash + u of this position at its close."""
    close = quotes_of(state, event)[3]
    return state.cash + unrealised(state, number, marking(close, state.books[number].lots))


def walk(state: State, number: int, event: Event, seq: int, path: str, path_dependent: bool = False) -> State:
    """§8: lead the current point along the path and fill what it meets. Changes and returns state."""
    opened, high, low, close = quotes_of(state, event)
    points = [opened, high, low, close] if path == "ohlc" else [opened, low, high, close]
    spot = Spot(points[0], event.open_ns, seq, path_dependent)
    place = "open"
    for start, end in pairwise(points):
        s = 0.0
        while True:
            stand_at(state, number, spot.point)
            reached = [o for o in orders_of(state, number) if is_reached(o, watched(spot.point, o.buy))]
            if reached:
                state.fired["tie_at_point"] += len(reached) > 1
                state.fired[f"inside_at_{place}_{reached[0].kind}"] += 1
                fill_order(state, number, reached[0], watched(spot.point, reached[0].buy), spot)
                continue
            touches = touches_of(orders_of(state, number), spot.point, start, end)
            if not touches:
                break
            touched, order = min(((max(s_touch, s), o) for s_touch, o in touches), key=lambda touch: touch[0])
            state.fired["touch_not_before_current_point"] += any(s_touch < s for s_touch, _ in touches)
            state.fired["tie_on_segment"] += sum(max(s_touch, s) == touched for s_touch, _ in touches) > 1
            state.fired[f"inside_touch_{order.kind}"] += 1
            s, place = touched, "point"
            spot = replace(spot, point=point_at(start, end, s, order), time_ns=event.time_ns)
            stand_at(state, number, spot.point)
            fill_order(state, number, order, order.level, spot)
        spot, place = replace(spot, point=end, time_ns=event.time_ns), "point"
    stand_at(state, number, spot.point)
    return state


def stand_at(state: State, number: int, point: Point) -> None:
    """The path stands at a point: excursions (§7) and trailing levels (§14) take it in."""
    take_in(state.books[number], point)
    follow_trails(state, number, point)


def touches_of(orders: Sequence[Order], point: Point, start: Point, end: Point) -> list[tuple[float, Order]]:
    """§8 step 2: s of each order whose level lies ahead on this segment, in the order in which they win ties."""
    touches: list[tuple[float, Order]] = []
    for order in orders:
        p0, p1 = watched(start, order.buy), watched(end, order.buy)
        if not is_reached(order, watched(point, order.buy)) and is_reached(order, p1):
            touches.append(((order.level - p0) / (p1 - p0), order))
    return touches


def point_at(start: Point, end: Point, s: float, order: Order) -> Point:
    """§8: both sides at parameter s, the side that the order watches exactly at its level."""
    bid = start[0] + (end[0] - start[0]) * s
    ask = start[1] + (end[1] - start[1]) * s
    return (bid, order.level) if order.buy else (order.level, ask)
