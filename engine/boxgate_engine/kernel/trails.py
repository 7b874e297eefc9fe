"""Trailing stops: levels follow the price as far as it goes the trader's way (docs/spec/execution.md, 14)."""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.grid import grid_value, nearest_tick
from boxgate_engine.kernel.records import Record


@compiled
def moved(level: float, price: float, trail: float, rising: bool, spec: Record) -> float:
    """Return the level after this price, 0.0 while there is none. rising: it stands below the price and only rises."""
    n = nearest_tick(price - trail if rising else price + trail, spec.tick_num, spec.tick_den)
    if n <= 0:
        return level
    candidate = grid_value(n, spec.tick_num, spec.tick_den)
    if level == 0.0:
        return candidate
    return max(level, candidate) if rising else min(level, candidate)


@compiled
def follow_trail(book: Record, spec: Record, bid: float, ask: float) -> None:
    """The path stands at this point: the level of the position follows."""
    if book.trail > 0.0 and book.lots != 0:
        long = book.lots > 0
        book.trail_level = moved(book.trail_level, bid if long else ask, book.trail, long, spec)


@compiled
def stop_in_force(book: Record) -> float:
    """Return the nearer of stop loss and trail level, 0.0 for none."""
    level = book.trail_level if book.trail > 0.0 else 0.0
    if level == 0.0:
        return float(book.sl)
    if book.sl == 0.0:
        return float(level)
    return float(max(book.sl, level) if book.lots > 0 else min(book.sl, level))


@compiled
def give_bracket(
    book: Record, spec: Record, sl: float, tp: float, trail: float, row: int, bid: float, ask: float
) -> None:
    """Make this the bracket of the position; an equal trail goes on from its level, another one begins here.

    row: of the signal or intent that gave it. bid, ask: the current point.
    """
    book.sl = sl
    book.tp = tp
    book.bracket_signal = row
    if book.trail != trail:
        book.trail = trail
        book.trail_level = 0.0
    follow_trail(book, spec, bid, ask)
