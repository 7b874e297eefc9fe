"""§14: the level of a trailing stop, which follows the price as far as it goes in the trader's favour."""

from __future__ import annotations

from account import Bracket, Point, Position, State
from grids import grid_value
from tape import marking, watched
from terms import Ratio


def follow_trails(state: State, number: int, point: Point) -> None:
    """The path stands at this point: the position's level and those of trailing stop orders follow."""
    book, tick = state.books[number], state.spec_of(number).tick
    if book.position is not None:
        state.fired["trail_of_position_moved"] += follow_position(book.position, tick, point)
    for order in book.orders:
        if order.acts_as == "TRAILING_STOP":
            assert order.trail is not None
            level = moved(order.level, watched(point, order.buy), order.trail, tick, rising=not order.buy)
            state.fired["trail_of_order_moved"] += None not in (order.level, level) and level != order.level
            order.level = level


def give_bracket(state: State, number: int, bracket: Bracket, point: Point) -> None:
    """§4.3, §4.4: the bracket of the position becomes this one; absent parts are removed. An equal trail goes on."""
    position = state.books[number].position
    assert position is not None
    position.sl, position.tp, position.bracket_record = bracket.sl, bracket.tp, bracket.record
    if position.trail is not None and bracket.trail is not None:
        state.fired["trail_kept" if position.trail == bracket.trail else "trail_begun_anew"] += 1
    if position.trail != bracket.trail:
        position.trail, position.trail_level = bracket.trail, None
    follow_position(position, state.spec_of(number).tick, point)


def follow_position(position: Position, tick: Ratio, point: Point) -> bool:
    """Move the level of a position; return whether it had one that moved."""
    if position.trail is None:
        return False
    old = position.trail_level
    price = marking(point, position.lots)
    position.trail_level = moved(old, price, position.trail, tick, rising=position.lots > 0)
    return old is not None and position.trail_level != old


def moved(level: float | None, price: float, trail: float, tick: Ratio, rising: bool) -> float | None:
    """Return the level after this price. rising: it stands below the price and only rises; else the mirror."""
    target = price - trail if rising else price + trail
    n = round(target * float(tick[1]) / float(tick[0]))
    if n <= 0:
        return level
    candidate = grid_value(n, tick)
    if level is None:
        return candidate
    return max(level, candidate) if rising else min(level, candidate)


def stop_in_force(position: Position) -> float | None:
    """The higher (long) or lower (short) of stop loss and trail level."""
    levels = [level for level in (position.sl, position.trail_level) if level is not None]
    if not levels:
        return None
    return max(levels) if position.lots > 0 else min(levels)
