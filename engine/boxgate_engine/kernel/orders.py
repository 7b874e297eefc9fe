"""Orders of a session without targets: what they wait for, how they fill and end (docs/spec/execution.md, 15.5).

The orders that work for an instrument form a list by their numbers, in the order in which they began to work.
"""

from __future__ import annotations

import math

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.fills import increase_position, reduce_position
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.intent_records import (
    CANCEL_FOK,
    CANCEL_IOC,
    CANCEL_OCO,
    CANCEL_REDUCE_ONLY,
    CANCELLED,
    EXPIRED,
    FILLED,
    FOK,
    IOC,
    LIMIT,
    MARKET,
    ORDER_ENDED,
    ORDER_WORKING,
    STOP,
    STOP_LIMIT,
    SUBMIT,
    TRAILING_STOP,
    UPDATE_CANCELLATION,
)
from boxgate_engine.kernel.records import REJECTED, TRIAL, UPDATE_EXPIRY, UPDATE_REJECTION, Record, Sim
from boxgate_engine.kernel.records import SIGNAL as BY_SIGNAL
from boxgate_engine.kernel.trails import moved
from boxgate_engine.kernel.updates import write_update


@compiled
def acts_as(order: Record) -> int:
    """Return the type that the order has by now: a triggered stop is a MARKET order, a triggered STOP_LIMIT a LIMIT."""
    if order.triggered:
        return LIMIT if order.type == STOP_LIMIT else MARKET
    return int(order.type)


@compiled
def order_level(order: Record) -> tuple[float, bool]:
    """Return (level, waits for a fall). Without one the level is infinite, so that no price reaches it."""
    kind = acts_as(order)
    buys = order.side > 0
    if kind == LIMIT:
        level = order.price
        falling = buys
    else:
        level = order.level if kind == TRAILING_STOP else order.stop_price
        falling = not buys
        if kind == MARKET:
            level = 0.0
    if level == 0.0:
        level = -math.inf if falling else math.inf
    return level, falling


@compiled
def has_reached(order: Record, bid: float, ask: float) -> bool:
    """Return whether the watched price has reached what the order waits for. A touch is enough."""
    level, falling = order_level(order)
    price = ask if order.side > 0 else bid
    return price <= level if falling else price >= level


@compiled
def waits_as(order: Record, limits: bool) -> bool:
    """Return whether the order is one of the limits, or else one of the stops that are not triggered."""
    kind = acts_as(order)
    return kind == LIMIT if limits else kind not in (LIMIT, MARKET)


@compiled
def first_reached(sim: Sim, i: int, bid: float, ask: float) -> int:
    """Return the number of the order that the current point of a path has reached and that comes first, or 0."""
    book = sim.book[i]
    for limits in (False, True):
        number = book.order_head
        while number:
            order = sim.orders[number - 1]
            if waits_as(order, limits) and order.idle != book.events and has_reached(order, bid, ask):
                return int(number)
            number = order.next
    return 0


@compiled
def next_on_segment(
    sim: Sim, i: int, s: float, s_next: float, bid_from: float, ask_from: float, bid_to: float, ask_to: float
) -> tuple[float, int]:
    """Return (s, number) of the order that a segment of a path reaches next before s_next, number 0 for none."""
    book = sim.book[i]
    found = 0
    for limits in (False, True):
        number = book.order_head
        while number:
            order = sim.orders[number - 1]
            if waits_as(order, limits) and order.idle != book.events and has_reached(order, bid_to, ask_to):
                level, _ = order_level(order)
                start = ask_from if order.side > 0 else bid_from
                end = ask_to if order.side > 0 else bid_to
                at = max((level - start) / (end - start), s)
                if at < s_next:
                    s_next = at
                    found = number
            number = order.next
    return s_next, found


@compiled
def any_order_in_range(sim: Sim, i: int, quote: Record) -> bool:
    """Return whether any order of the instrument may fill or change in the event; if not, only trails follow."""
    number = sim.book[i].order_head
    while number:
        order = sim.orders[number - 1]
        kind = acts_as(order)
        if kind == MARKET:
            return True
        level, falling = order_level(order)
        buys = order.side > 0
        if kind == TRAILING_STOP:
            level = moved(order.level, quote.ask_low if buys else quote.bid_high, order.trail, not buys, sim.specs[i])
            if level == 0.0:
                level = math.inf if buys else -math.inf
        if falling:
            if (quote.ask_low if buys else quote.bid_low) <= level:
                return True
        elif (quote.ask_high if buys else quote.bid_high) >= level:
            return True
        number = order.next
    return False


@compiled
def follow_orders(sim: Sim, i: int, bid: float, ask: float) -> None:
    """The path stands at this point: the levels of trailing stop orders follow."""
    number = sim.book[i].order_head
    while number:
        order = sim.orders[number - 1]
        if order.type == TRAILING_STOP and not order.triggered:
            buys = order.side > 0
            order.level = moved(order.level, ask if buys else bid, order.trail, not buys, sim.specs[i])
        number = order.next


@compiled
def reduce_market_orders(sim: Sim, i: int, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """Line a of the opens: what MARKET orders reduce, each of what the one before left."""
    for k in range(_list_working(sim, i)):
        number = sim.order_numbers[k]
        order = sim.orders[number - 1]
        works = order.state == ORDER_WORKING and acts_as(order) == MARKET and order.tif != FOK
        if works and reducible(sim.book[i], order) > 0:
            _reduce(sim, i, number, ask if order.side > 0 else bid, bid, ask, True, time_ns, seq)


@compiled
def fill_reached_orders(sim: Sim, i: int, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """Line c of the opens: stops that the open has reached, then limits, each kind in the order of the list."""
    for limits in (False, True):
        for k in range(_list_working(sim, i)):
            number = sim.order_numbers[k]
            order = sim.orders[number - 1]
            if order.state == ORDER_WORKING and waits_as(order, limits) and has_reached(order, bid, ask):
                meet(sim, i, number, ask if order.side > 0 else bid, bid, ask, time_ns, seq)


@compiled
def fill_market_orders(sim: Sim, i: int, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """Line d of the opens: what is left of MARKET orders; then those end that meet one open only."""
    for k in range(_list_working(sim, i)):
        number = sim.order_numbers[k]
        order = sim.orders[number - 1]
        if order.state == ORDER_WORKING and acts_as(order) == MARKET:
            meet(sim, i, number, ask if order.side > 0 else bid, bid, ask, time_ns, seq)
    for k in range(_list_working(sim, i)):
        number = sim.order_numbers[k]
        order = sim.orders[number - 1]
        if order.tif == IOC:
            cancel(sim, i, number, CANCEL_IOC, time_ns, seq)
        elif order.tif == FOK:
            cancel(sim, i, number, CANCEL_FOK, time_ns, seq)


@compiled
def meet(sim: Sim, i: int, number: int, raw: float, bid: float, ask: float, time_ns: int, seq: int) -> None:
    """An order is reached at the raw price: it fills, is triggered, or ends."""
    order = sim.orders[number - 1]
    kind = acts_as(order)
    if kind == STOP_LIMIT:
        order.triggered = 1
        return
    if order.tif == FOK:
        _fill_or_kill(sim, i, number, raw, bid, ask, kind != LIMIT, time_ns, seq)
        return
    _fill(sim, i, number, raw, bid, ask, kind != LIMIT, time_ns, seq)
    if order.state == ORDER_WORKING:
        if kind in (STOP, TRAILING_STOP):
            order.triggered = 1
        else:
            order.idle = sim.book[i].events


@compiled
def reducible(book: Record, order: Record) -> int:
    """Return how many lots of the position the open lots of the order would close."""
    if book.lots * order.side >= 0:
        return 0
    return int(min(order.lots - order.filled, abs(book.lots)))


@compiled
def end_reduce_only(sim: Sim, i: int, time_ns: int, seq: int) -> None:
    """A bracket or a liquidation closed the position: orders that can only reduce it end."""
    for k in range(_list_working(sim, i)):
        number = sim.order_numbers[k]
        if sim.orders[number - 1].reduce_only:
            cancel(sim, i, number, CANCEL_REDUCE_ONLY, time_ns, seq)


@compiled
def cancel(sim: Sim, i: int, number: int, reason: int, time_ns: int, seq: int) -> None:
    """End an order before it is filled."""
    end_order(sim, i, number, CANCELLED, reason)
    write_update(sim, UPDATE_CANCELLATION, i, seq, time_ns, reason)
    sim.updates[sim.account[0].updates - 1].order = number


@compiled
def expire_order(sim: Sim, i: int, number: int, time_ns: int, seq: int) -> None:
    """End an order that has passed its time."""
    end_order(sim, i, number, EXPIRED, 0)
    write_update(sim, UPDATE_EXPIRY, i, seq, time_ns, 0)
    sim.updates[sim.account[0].updates - 1].order = number


@compiled
def reject_order(sim: Sim, i: int, number: int, reason: int, time_ns: int, seq: int) -> None:
    """End an order that was refused."""
    end_order(sim, i, number, REJECTED, reason)
    write_rejection(sim, i, number, SUBMIT, reason, time_ns, seq)


@compiled
def write_rejection(sim: Sim, i: int, number: int, kind: int, reason: int, time_ns: int, seq: int) -> None:
    """Write the account update of a refused intent of this kind."""
    write_update(sim, UPDATE_REJECTION, i, seq, time_ns, reason)
    update = sim.updates[sim.account[0].updates - 1]
    update.order = number
    update.intent_kind = kind
    if number:
        update.name = sim.orders[number - 1].name


@compiled
def begin_to_work(sim: Sim, i: int, number: int) -> None:
    """Put an order at the end of its instrument's list."""
    book = sim.book[i]
    order = sim.orders[number - 1]
    order.state = ORDER_WORKING
    order.next = 0
    if book.order_head == 0:
        book.order_head = number
    else:
        sim.orders[book.order_tail - 1].next = number
    book.order_tail = number


@compiled
def take_off(sim: Sim, i: int, number: int) -> None:
    """Take a working order off its instrument's list."""
    book = sim.book[i]
    order = sim.orders[number - 1]
    before = 0
    at = book.order_head
    while at != number:
        before = at
        at = sim.orders[at - 1].next
    if before == 0:
        book.order_head = order.next
    else:
        sim.orders[before - 1].next = order.next
    if book.order_tail == number:
        book.order_tail = before
    order.next = 0


@compiled
def end_order(sim: Sim, i: int, number: int, outcome: int, reason: int) -> None:
    """Let an order that works or waits be over."""
    order = sim.orders[number - 1]
    if order.state == ORDER_WORKING:
        take_off(sim, i, number)
    order.state = ORDER_ENDED
    order.outcome = outcome
    order.reason = reason
    sim.book[i].open_orders -= 1


@compiled
def keep_orders(sim: Sim, i: int) -> int:
    """Copy the instrument's open orders aside, so that a walk can be undone. Returns how many there are."""
    count = 0
    number = sim.book[i].order_head
    while number:
        sim.order_copies[count] = sim.orders[number - 1]
        count += 1
        number = sim.orders[number - 1].next
    row = sim.book[i].queue_head
    while row >= 0:
        intent = sim.intents[row]
        if intent.kind == SUBMIT:
            sim.order_copies[count] = sim.orders[intent.order - 1]
            count += 1
        row = intent.next
    return count


@compiled
def restore_orders(sim: Sim, count: int) -> None:
    """Make the orders that were copied aside what they were."""
    for k in range(count):
        sim.orders[sim.order_copies[k].number - 1] = sim.order_copies[k]


@compiled
def _fill(
    sim: Sim, i: int, number: int, raw: float, bid: float, ask: float, slips: bool, time_ns: int, seq: int
) -> None:
    """Fill what of the order can fill: the reducing part, then the increasing one."""
    order = sim.orders[number - 1]
    book = sim.book[i]
    if order.reduce_only and reducible(book, order) == 0:
        cancel(sim, i, number, CANCEL_REDUCE_ONLY, time_ns, seq)
        return
    if reducible(book, order) > 0:
        _reduce(sim, i, number, raw, bid, ask, slips, time_ns, seq)
    if order.state != ORDER_WORKING or order.reduce_only or book.lots * order.side < 0:
        return
    lots = _allowed(sim, i, order.lots - order.filled)
    if lots == 0:
        return
    reason = _increase(sim, i, number, lots, raw, bid, ask, slips, time_ns, seq)
    if reason != 0:
        reject_order(sim, i, number, reason, time_ns, seq)


@compiled
def _fill_or_kill(
    sim: Sim, i: int, number: int, raw: float, bid: float, ask: float, slips: bool, time_ns: int, seq: int
) -> None:
    order = sim.orders[number - 1]
    book = sim.book[i]
    lots = order.lots - order.filled
    reduces = reducible(book, order)
    possible = _allowed(sim, i, lots) == lots and not (order.reduce_only and reduces < lots)
    if possible:
        sim.kept_book[TRIAL] = book
        sim.kept_account[TRIAL] = sim.account[0]
        sim.kept_order[0] = order
        if reduces > 0:
            reduce_position(sim, i, reduces, raw, bid, ask, slips, BY_SIGNAL, order.intent, time_ns, seq)
        if lots > reduces:
            _give_bracket_of(book, order)
            reason = increase_position(
                sim, i, (lots - reduces) * order.side, raw, bid, ask, slips, order.intent, time_ns, seq
            )
            possible = reason == 0
        sim.book[i] = sim.kept_book[TRIAL]
        sim.account[0] = sim.kept_account[TRIAL]
        sim.orders[number - 1] = sim.kept_order[0]
    if possible:
        _fill(sim, i, number, raw, bid, ask, slips, time_ns, seq)
    else:
        cancel(sim, i, number, CANCEL_FOK, time_ns, seq)


@compiled
def _reduce(
    sim: Sim, i: int, number: int, raw: float, bid: float, ask: float, slips: bool, time_ns: int, seq: int
) -> None:
    """Fill what the order closes of the position; one that can do nothing more then ends."""
    order = sim.orders[number - 1]
    book = sim.book[i]
    whole = reducible(book, order)
    lots = _allowed(sim, i, whole)
    if lots == 0:
        return
    reduce_position(sim, i, lots, raw, bid, ask, slips, BY_SIGNAL, order.intent, time_ns, seq)
    _note_fill(sim, i, number, lots, time_ns, seq)
    if order.state == ORDER_WORKING and order.reduce_only and lots == whole:
        cancel(sim, i, number, CANCEL_REDUCE_ONLY, time_ns, seq)


@compiled
def _increase(
    sim: Sim, i: int, number: int, lots: int, raw: float, bid: float, ask: float, slips: bool, time_ns: int, seq: int
) -> int:
    order = sim.orders[number - 1]
    _give_bracket_of(sim.book[i], order)
    reason = increase_position(sim, i, lots * order.side, raw, bid, ask, slips, order.intent, time_ns, seq)
    if reason == 0:
        _note_fill(sim, i, number, lots, time_ns, seq)
    return reason


@compiled
def _give_bracket_of(book: Record, order: Record) -> None:
    """Make the order's bracket the one that an increase gives the position."""
    book.work_sl = order.sl
    book.work_tp = order.tp
    book.work_trail = order.risk_trail
    book.work_signal = order.intent


@compiled
def _note_fill(sim: Sim, i: int, number: int, lots: int, time_ns: int, seq: int) -> None:
    """Count the last fill to its order, and end its group."""
    account = sim.account[0]
    order = sim.orders[number - 1]
    spec = sim.specs[i]
    fill = sim.fills[account.fills - 1]
    fill.order = number
    sim.updates[account.updates - 1].order = number
    before = grid_value(order.filled, spec.lot_num, spec.lot_den)
    after = grid_value(order.filled + lots, spec.lot_num, spec.lot_den)
    order.average_price = (order.average_price * before + fill.price * fill.qty) / after
    order.filled += lots
    own = sim.book[sim.book[i].instrument]
    if own.allowance >= 0:
        own.allowance -= lots
    if order.filled == order.lots:
        end_order(sim, i, number, FILLED, 0)
    if order.oco:
        _end_group(sim, i, number, order.oco, time_ns, seq)


@compiled
def _end_group(sim: Sim, i: int, number: int, group: int, time_ns: int, seq: int) -> None:
    other = sim.book[i].order_head
    while other:
        following = sim.orders[other - 1].next
        if other != number and sim.orders[other - 1].oco == group:
            cancel(sim, i, other, CANCEL_OCO, time_ns, seq)
        other = following
    row = sim.book[i].queue_head
    while row >= 0:
        intent = sim.intents[row]
        if intent.kind == SUBMIT and intent.oco == group and sim.orders[intent.order - 1].state != ORDER_ENDED:
            cancel(sim, i, intent.order, CANCEL_OCO, time_ns, seq)
        row = intent.next


@compiled
def _allowed(sim: Sim, i: int, lots: int) -> int:
    """Return how many of these lots the volume limit leaves, which is that of the instrument."""
    allowance = sim.book[sim.book[i].instrument].allowance
    return int(lots if allowance < 0 else min(lots, allowance))


@compiled
def _list_working(sim: Sim, i: int) -> int:
    """Write the numbers of the instrument's working orders to order_numbers, return how many there are."""
    count = 0
    number = sim.book[i].order_head
    while number:
        sim.order_numbers[count] = number
        count += 1
        number = sim.orders[number - 1].next
    return count
