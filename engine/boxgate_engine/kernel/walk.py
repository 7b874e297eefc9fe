"""Inside a bar: all orders of one instrument meet one path of prices (docs/spec/execution.md, section 8)."""

from __future__ import annotations

import math

from boxgate_engine.kernel.compilation import compiled, inlined
from boxgate_engine.kernel.fills import increase_position, reduce_position, touch, unrealised
from boxgate_engine.kernel.margin import liquidation_level
from boxgate_engine.kernel.orders import (
    any_order_in_range,
    end_reduce_only,
    first_reached,
    follow_orders,
    keep_orders,
    meet,
    next_on_segment,
    order_level,
    restore_orders,
)
from boxgate_engine.kernel.records import (
    ENTRY,
    LIQUIDATION,
    PATH_ADAPTIVE,
    PATH_OHLC,
    PATH_OPTIMISTIC,
    PATH_PESSIMISTIC,
    STOP_LOSS,
    TAKE_PROFIT,
    WALK,
    Record,
    Sim,
)
from boxgate_engine.kernel.records import SIGNAL as BY_SIGNAL
from boxgate_engine.kernel.targets import (
    cut_queue,
    end_by_bracket,
    end_by_rejection,
    remainder,
    settle_target,
)
from boxgate_engine.kernel.trails import follow_trail, moved, stop_in_force

_NOTHING = 0
_STOP = 1
_LIQUIDATION = 2
_TARGET = 3
_LIMIT = 4


@compiled
def settle_inside(sim: Sim, quote: Record, i: int) -> None:
    """Settle instrument i inside the bar `quote` under the path assumption of the run."""
    book = sim.book[i]
    if (
        not any_level_in_range(book, sim.specs[i], quote)
        and not liquidation_in_range(book, quote, liquidation_level(sim, i))
        and not (book.order_head and any_order_in_range(sim, i, quote))
    ):
        touch_range(book, sim.specs[i], quote)
        if book.order_head:
            follow_range(sim, i, quote)
        return
    if quote.tick:
        _walk(sim, quote, i, True)
        cut_queue(sim, i)
        return
    account = sim.account[0]
    sim.kept_book[WALK] = sim.book[i]
    sim.kept_account[WALK] = account
    own = sim.book[i].instrument
    allowance = sim.book[own].allowance
    orders = keep_orders(sim, i) if sim.rules[0].orders else 0
    signal = -1 if sim.rules[0].orders else sim.book[i].work_signal
    outcome = sim.signals[signal].outcome if signal >= 0 else 0
    reason = sim.signals[signal].reason if signal >= 0 else 0
    first_fill = account.fills
    first_trade = account.trades

    low_first = _walk_value(sim, quote, i, False)
    low_fills = account.fills - first_fill
    for k in range(low_fills):
        sim.scratch[k] = sim.fills[first_fill + k]
    sim.book[i] = sim.kept_book[WALK]
    sim.book[own].allowance = allowance
    sim.account[0] = sim.kept_account[WALK]
    restore_orders(sim, orders)
    if signal >= 0:
        sim.signals[signal].outcome = outcome
        sim.signals[signal].reason = reason
    high_first = _walk_value(sim, quote, i, True)
    path_dependent = _fills_differ(sim, first_fill, low_fills)

    if not _high_first(sim, quote, high_first, low_first):
        sim.book[i] = sim.kept_book[WALK]
        sim.book[own].allowance = allowance
        sim.account[0] = sim.kept_account[WALK]
        restore_orders(sim, orders)
        if signal >= 0:
            sim.signals[signal].outcome = outcome
            sim.signals[signal].reason = reason
        _walk(sim, quote, i, False)
    cut_queue(sim, i)
    if path_dependent:
        account.path_dependent_bars += 1
        entered = False
        for row in range(first_fill, account.fills):
            sim.fills[row].path_dependent = 1
            entered = entered or sim.fills[row].reason == ENTRY
        for row in range(first_trade, account.trades):
            sim.trades[row].path_dependent = 1
        if entered and sim.book[i].lots != 0:
            sim.book[i].path_dependent = 1


@compiled
def exit_by_bracket(sim: Sim, i: int, stop: bool, raw: float, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """Close instrument i's whole position by its stop loss or take profit."""
    book = sim.book[i]
    side = 1 if book.lots > 0 else -1
    reason = STOP_LOSS if stop else TAKE_PROFIT
    reduce_position(sim, i, abs(book.lots), raw, bid, ask, stop, reason, book.bracket_signal, time_ns, seq)
    end_by_bracket(sim, i, side)
    if book.order_head:
        end_reduce_only(sim, i, time_ns, seq)


@compiled
def liquidate(sim: Sim, i: int, raw: float, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """Close instrument i's whole position by force."""
    book = sim.book[i]
    side = 1 if book.lots > 0 else -1
    reduce_position(sim, i, abs(book.lots), raw, bid, ask, True, LIQUIDATION, -1, time_ns, seq)
    end_by_bracket(sim, i, side)
    if book.order_head:
        end_reduce_only(sim, i, time_ns, seq)


@compiled
def reduce_towards_target(
    sim: Sim, i: int, raw: float, bid: float, ask: float, slips: bool, time_ns: int, seq: int
) -> None:
    """Execute the part of the working target that makes the position smaller."""
    book = sim.book[i]
    rest = remainder(book)
    if rest == 0 or book.lots == 0 or (rest > 0) == (book.lots > 0):
        return
    lots = _allowed(book, min(abs(rest), abs(book.lots)))
    if lots > 0:
        reduce_position(sim, i, lots, raw, bid, ask, slips, BY_SIGNAL, book.work_signal, time_ns, seq)
        _take_allowance(book, lots)
        settle_target(sim, i)


@compiled
def increase_towards_target(
    sim: Sim, i: int, raw: float, bid: float, ask: float, slips: bool, time_ns: int, seq: int
) -> None:
    """Execute the part of the working target that opens or enlarges the position, or reject it."""
    book = sim.book[i]
    rest = remainder(book)
    if rest == 0 or rest * book.lots < 0:
        return
    lots = _allowed(book, abs(rest))
    if lots == 0:
        return
    reason = increase_position(
        sim, i, lots if rest > 0 else -lots, raw, bid, ask, slips, book.work_signal, time_ns, seq
    )
    if reason != 0:
        end_by_rejection(sim, i, reason, time_ns, seq)
    else:
        _take_allowance(book, lots)
        settle_target(sim, i)


@compiled
def fill_limit_target(sim: Sim, i: int, raw: float, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """Execute a limit target, its reducing part first. What the volume limit leaves open waits for the next event."""
    reduce_towards_target(sim, i, raw, bid, ask, False, time_ns, seq)
    increase_towards_target(sim, i, raw, bid, ask, False, time_ns, seq)
    if remainder(sim.book[i]) != 0:
        sim.book[i].work_idle = sim.book[i].events


@compiled
def _allowed(book: Record, lots: int) -> int:
    """Return how many of these lots the volume limit leaves."""
    return int(lots if book.allowance < 0 else min(lots, book.allowance))


@compiled
def _take_allowance(book: Record, lots: int) -> None:
    if book.allowance >= 0:
        book.allowance -= lots


@compiled
def reached(level: float, falling: bool, price: float) -> bool:
    """Return whether `price` has reached `level`, which waits for a fall or a rise. A touch is enough."""
    return price <= level if falling else price >= level


@inlined
def _walk_value(sim: Sim, quote: Record, i: int, high_first: bool) -> float:
    _walk(sim, quote, i, high_first)
    book = sim.book[i]
    mark_bid = book.mark_bid
    mark_ask = book.mark_ask
    book.mark_bid = quote.bid_close
    book.mark_ask = quote.ask_close
    value = sim.account[0].cash + unrealised(book, sim.specs[i])
    book.mark_bid = mark_bid
    book.mark_ask = mark_ask
    return value


@compiled
def _high_first(sim: Sim, quote: Record, high_first: float, low_first: float) -> bool:
    path = sim.rules[0].path
    if path == PATH_PESSIMISTIC:
        return high_first < low_first
    if path == PATH_OPTIMISTIC:
        return high_first > low_first
    if path == PATH_ADAPTIVE:
        return quote.bid_high - quote.bid_open < quote.bid_open - quote.bid_low
    return path == PATH_OHLC


@compiled
def _fills_differ(sim: Sim, first_fill: int, low_fills: int) -> bool:
    if sim.account[0].fills - first_fill != low_fills:
        return True
    for k in range(low_fills):
        a = sim.scratch[k]
        b = sim.fills[first_fill + k]
        if a.direction != b.direction or a.lots != b.lots or a.price != b.price or a.reason != b.reason:
            return True
    return False


@compiled
def touch_range(book: Record, spec: Record, quote: Record) -> None:
    """Take the whole bar into the excursion and the trail of a position that is open throughout."""
    touch(book, quote.bid_low, quote.ask_low)
    touch(book, quote.bid_high, quote.ask_high)
    if book.trail > 0.0:
        follow_trail(book, spec, quote.bid_high, quote.ask_low)


@compiled
def follow_range(sim: Sim, i: int, quote: Record) -> None:
    """Let the levels of trailing stop orders follow a whole bar that does not reach them."""
    follow_orders(sim, i, quote.bid_high, quote.ask_low)


@compiled
def any_level_in_range(book: Record, spec: Record, quote: Record) -> bool:
    """Return whether the bar reaches the level of a bracket or limit; if not, no path of it can fill them.

    A trail level counts as the highest (lowest) that it can become within the bar.
    """
    if book.trail > 0.0 and book.lots != 0:
        long = book.lots > 0
        level = moved(book.trail_level, quote.bid_high if long else quote.ask_low, book.trail, long, spec)
        if level > 0.0 and (quote.bid_low <= level if long else quote.ask_high >= level):
            return True
    if book.lots > 0:
        if book.sl > 0.0 and quote.bid_low <= book.sl:
            return True
        if book.tp > 0.0 and quote.bid_high >= book.tp:
            return True
    elif book.lots < 0:
        if book.sl > 0.0 and quote.ask_high >= book.sl:
            return True
        if book.tp > 0.0 and quote.ask_low <= book.tp:
            return True
    rest = remainder(book)
    if rest > 0:
        return quote.ask_low <= book.work_price
    if rest < 0:
        return quote.bid_high >= book.work_price
    return False


@compiled
def liquidation_in_range(book: Record, quote: Record, level: float) -> bool:
    """Return whether the bar reaches the position's liquidation level; an infinite one is never reached."""
    if book.lots > 0:
        return quote.bid_low <= level
    return book.lots < 0 and quote.ask_high >= level


@compiled
def _walk(sim: Sim, quote: Record, i: int, high_first: bool) -> None:
    book = sim.book[i]
    seq = quote.seq
    last = 0 if quote.tick else 3
    k = 0
    s = 0.0
    bid = quote.bid_open
    ask = quote.ask_open
    forced = liquidation_level(sim, i)
    stand_at(sim, i, bid, ask)
    while True:
        time_ns = quote.open_ns if k == 0 and s == 0.0 else quote.time_ns

        # 1. What the current point has reached fills there.
        kind = _NOTHING
        for candidate in (_STOP, _LIQUIDATION, _TARGET, _LIMIT):
            level, falling, on_ask = _order(book, candidate, forced)
            if reached(level, falling, ask if on_ask else bid):
                kind = candidate
                break
        number = first_reached(sim, i, bid, ask) if kind == _NOTHING and book.order_head else 0
        if number:
            meet(sim, i, number, ask if sim.orders[number - 1].side > 0 else bid, bid, ask, time_ns, seq)
        elif kind != _NOTHING:
            level, falling, on_ask = _order(book, kind, forced)
            _fire(sim, i, kind, ask if on_ask else bid, bid, ask, time_ns, seq)
        if number or kind != _NOTHING:
            stand_at(sim, i, bid, ask)
            forced = liquidation_level(sim, i)
            continue
        if k == last:
            return

        # 2. The next level on this segment.
        bid_from, ask_from = _point(quote, k, high_first)
        bid_to, ask_to = _point(quote, k + 1, high_first)
        s_next = 2.0
        for candidate in (_STOP, _LIQUIDATION, _TARGET, _LIMIT):
            level, falling, on_ask = _order(book, candidate, forced)
            start = ask_from if on_ask else bid_from
            end = ask_to if on_ask else bid_to
            if reached(level, falling, end):
                at = max((level - start) / (end - start), s)
                if at < s_next:
                    s_next = at
                    kind = candidate
        number = 0
        if book.order_head:
            s_next, number = next_on_segment(sim, i, s, s_next, bid_from, ask_from, bid_to, ask_to)
        if number or kind != _NOTHING:
            if number:
                level, _ = order_level(sim.orders[number - 1])
                on_ask = sim.orders[number - 1].side > 0
            else:
                level, _, on_ask = _order(book, kind, forced)
            s = s_next
            bid = bid_from + (bid_to - bid_from) * s
            ask = ask_from + (ask_to - ask_from) * s
            if on_ask:
                ask = level
            else:
                bid = level
            stand_at(sim, i, bid, ask)
            if number:
                meet(sim, i, number, level, bid, ask, quote.time_ns, seq)
            else:
                _fire(sim, i, kind, level, bid, ask, quote.time_ns, seq)
            stand_at(sim, i, bid, ask)
            forced = liquidation_level(sim, i)
            continue

        # 3. Nothing: on to the next point.
        k += 1
        s = 0.0
        bid = bid_to
        ask = ask_to
        if book.lots != 0:
            touch(sim.book[i], bid, ask)
        stand_at(sim, i, bid, ask)


@compiled
def stand_at(sim: Sim, i: int, bid: float, ask: float) -> None:
    """The path stands at this point: trails follow."""
    follow_trail(sim.book[i], sim.specs[i], bid, ask)
    if sim.book[i].order_head:
        follow_orders(sim, i, bid, ask)


@inlined
def _fire(sim: Sim, i: int, kind: int, raw: float, bid: float, ask: float, time_ns: int, seq: int) -> None:
    if kind == _LIMIT:
        fill_limit_target(sim, i, raw, bid, ask, time_ns, seq)
    elif kind == _LIQUIDATION:
        liquidate(sim, i, raw, bid, ask, time_ns, seq)
    else:
        exit_by_bracket(sim, i, kind == _STOP, raw, bid, ask, time_ns, seq)


@compiled
def _order(book: Record, kind: int, forced: float) -> tuple[float, bool, bool]:
    """Return (level, waits for a fall, watches the ask) of one of the four possible orders.

    forced: the liquidation level. Without the order the level is infinite, so that no price reaches it.
    """
    if kind == _LIMIT:
        rest = remainder(book)
        level = book.work_price
        exists = rest != 0 and level > 0.0 and book.work_idle != book.events
        falling = on_ask = rest > 0
    else:
        long = book.lots > 0
        falling = long == (kind != _TARGET)
        on_ask = not long
        if kind == _LIQUIDATION:
            exists = book.lots != 0
            level = forced
        else:
            level = stop_in_force(book) if kind == _STOP else book.tp
            exists = book.lots != 0 and level > 0.0
    if not exists:
        level = -math.inf if falling else math.inf
    return level, falling, on_ask


@compiled
def _point(quote: Record, k: int, high_first: bool) -> tuple[float, float]:
    if k == 0:
        return quote.bid_open, quote.ask_open
    if k == 3:
        return quote.bid_close, quote.ask_close
    if (k == 1) == high_first:
        return quote.bid_high, quote.ask_high
    return quote.bid_low, quote.ask_low
