"""Intents of a session of orders: acceptance, expiry and promotion (docs/spec/execution.md, 15.2 to 15.4)."""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.intent_records import (
    CANCEL,
    CANCEL_INTENT,
    DONE,
    NO_POSITION,
    ORDER_ENDED,
    ORDER_NOT_WORKING,
    ORDER_QUEUED,
    ORDERS_PER_POSITION_MAX,
    POST_ONLY,
    PROTECT,
    REPLACE,
    STOP,
    STOP_LIMIT,
    STOP_PRICE_SIDE,
    SUBMIT,
    TOO_MANY_ORDERS,
    TOO_MANY_POSITIONS,
    TRAILING_STOP,
)
from boxgate_engine.kernel.orders import (
    begin_to_work,
    cancel,
    expire_order,
    follow_orders,
    reject_order,
    take_off,
    write_rejection,
)
from boxgate_engine.kernel.places import place_for, place_in_use
from boxgate_engine.kernel.records import (
    OPEN,
    QTY_BELOW_MINIMUM,
    REJECTED,
    STOP_LOSS_SIDE,
    TAKE_PROFIT_SIDE,
    Record,
    Sim,
)
from boxgate_engine.kernel.targets import arrival
from boxgate_engine.kernel.trails import give_bracket


@compiled
def accept_intent(sim: Sim, row: int) -> None:
    """Take the intent in `row` of their table: refuse it, or let it wait for an event that it may meet."""
    intent = sim.intents[row]
    i = _book_of(sim, intent)
    intent.outcome = OPEN
    intent.next = -1
    if intent.kind == SUBMIT:
        _enter(sim, row, i)
    if i < 0:
        i = intent.instrument
        reason = TOO_MANY_POSITIONS if intent.kind == SUBMIT else NO_POSITION
    else:
        reason = _rejection(sim, intent, i)
    book = sim.book[i]
    if reason != 0:
        intent.outcome = REJECTED
        intent.reason = reason
        if intent.kind == SUBMIT:
            order = sim.orders[intent.order - 1]
            order.state = ORDER_ENDED
            order.outcome = REJECTED
            order.reason = reason
        write_rejection(sim, i, intent.order, intent.kind, reason, intent.time_ns, intent.seq)
        if intent.kind == PROTECT:
            sim.updates[sim.account[0].updates - 1].name = intent.name
        return
    if intent.kind == SUBMIT:
        book.open_orders += 1
        sim.orders[intent.order - 1].state = ORDER_QUEUED
    intent.due_ns = arrival(book, intent)
    if book.queue_head < 0:
        book.queue_head = row
    else:
        sim.intents[book.queue_tail].next = row
    book.queue_tail = row
    sim.account[0].version += 1


@compiled
def expire_orders(sim: Sim, time_ns: int, seq: int) -> None:
    """End every order whose valid_until_ns lies before `time_ns`."""
    for i in range(sim.book.shape[0]):
        book = sim.book[i]
        number = book.order_head
        while number:
            following = sim.orders[number - 1].next
            if sim.orders[number - 1].valid_until_ns < time_ns:
                expire_order(sim, i, number, time_ns, seq)
            number = following
        row = book.queue_head
        while row >= 0:
            intent = sim.intents[row]
            if intent.kind == SUBMIT:
                order = sim.orders[intent.order - 1]
                if order.state == ORDER_QUEUED and order.valid_until_ns < time_ns:
                    expire_order(sim, i, intent.order, time_ns, seq)
            row = intent.next


@compiled
def promote_intents(sim: Sim, quote: Record, i: int) -> None:
    """Let the intents of book i that may meet an event take effect, oldest first."""
    book = sim.book[i]
    while book.queue_head >= 0 and sim.intents[book.queue_head].due_ns <= quote.open_ns:
        row = book.queue_head
        intent = sim.intents[row]
        book.queue_head = intent.next
        if intent.kind == SUBMIT:
            _begin(sim, intent, quote, i)
        elif intent.kind == REPLACE:
            _replace(sim, intent, quote, i)
        elif intent.kind == CANCEL:
            if sim.orders[intent.order - 1].state == ORDER_ENDED:
                _refuse(sim, intent, ORDER_NOT_WORKING, quote, i)
            else:
                intent.outcome = DONE
                cancel(sim, i, intent.order, CANCEL_INTENT, quote.open_ns, quote.seq)
        elif book.lots == 0:
            _refuse(sim, intent, NO_POSITION, quote, i)
        else:
            intent.outcome = DONE
            give_bracket(
                book, sim.specs[i], intent.sl, intent.tp, intent.risk_trail, row, quote.bid_open, quote.ask_open
            )
        sim.account[0].version += 1
    if book.queue_head < 0:
        book.queue_tail = -1


@compiled
def _book_of(sim: Sim, intent: Record) -> int:
    """Return the index of the book that an intent is about, -1 if there is none."""
    if intent.kind == SUBMIT:
        return place_for(sim, intent.instrument, intent.name)
    if intent.kind == PROTECT:
        return place_in_use(sim, intent.instrument, intent.name)
    return int(sim.orders[intent.order - 1].place)


@compiled
def _enter(sim: Sim, row: int, place: int) -> None:
    """Write the order that an intent submits. place: index of its book, -1 if there is none."""
    intent = sim.intents[row]
    order = sim.orders[intent.order - 1]
    order.number = intent.order
    order.instrument = intent.instrument
    order.name = intent.name
    order.place = place if place >= 0 else intent.instrument
    order.intent = row
    order.side = intent.side
    order.type = intent.type
    order.triggered = 0
    order.filled = 0
    order.average_price = 0.0
    order.level = 0.0
    order.reduce_only = intent.reduce_only
    order.post_only = intent.post_only
    order.oco = intent.oco
    order.sl = intent.sl
    order.tp = intent.tp
    order.risk_trail = intent.risk_trail
    order.next = 0
    order.idle = 0
    order.outcome = OPEN
    order.reason = 0
    _state(order, intent)


@compiled
def _state(order: Record, intent: Record) -> None:
    """Give an order what a SUBMIT or a REPLACE states."""
    order.lots = intent.lots
    order.price = intent.price
    order.stop_price = intent.stop_price
    order.trail = intent.trail
    order.tif = intent.tif
    order.valid_until_ns = intent.valid_until_ns


@compiled
def _begin(sim: Sim, intent: Record, quote: Record, i: int) -> None:
    number = intent.order
    order = sim.orders[number - 1]
    if order.state == ORDER_ENDED:
        return
    if order.valid_until_ns < quote.time_ns:
        expire_order(sim, i, number, quote.open_ns, quote.seq)
    elif _crosses(order.post_only, order.side, intent.price, quote.bid_open, quote.ask_open):
        reject_order(sim, i, number, POST_ONLY, quote.open_ns, quote.seq)
    else:
        begin_to_work(sim, i, number)
        follow_orders(sim, i, quote.bid_open, quote.ask_open)


@compiled
def _replace(sim: Sim, intent: Record, quote: Record, i: int) -> None:
    number = intent.order
    order = sim.orders[number - 1]
    if order.state == ORDER_ENDED:
        _refuse(sim, intent, ORDER_NOT_WORKING, quote, i)
    elif intent.lots <= order.filled:
        _refuse(sim, intent, QTY_BELOW_MINIMUM, quote, i)
    elif _crosses(order.post_only, order.side, intent.price, quote.bid_open, quote.ask_open):
        _refuse(sim, intent, POST_ONLY, quote, i)
    else:
        intent.outcome = DONE
        if order.type == TRAILING_STOP and intent.trail != order.trail:
            order.level = 0.0
        take_off(sim, i, number)
        begin_to_work(sim, i, number)
        _state(order, intent)
        if order.valid_until_ns < quote.time_ns:
            expire_order(sim, i, number, quote.open_ns, quote.seq)
        else:
            follow_orders(sim, i, quote.bid_open, quote.ask_open)


@compiled
def _refuse(sim: Sim, intent: Record, reason: int, quote: Record, i: int) -> None:
    """An accepted intent can no longer take effect."""
    intent.outcome = REJECTED
    intent.reason = reason
    write_rejection(sim, i, intent.order, intent.kind, reason, quote.open_ns, quote.seq)


@compiled
def _rejection(sim: Sim, intent: Record, i: int) -> int:
    """Return the first reason to refuse an intent about book i when it is made, or 0."""
    book = sim.book[i]
    if intent.kind == SUBMIT:
        return _rejection_of_submit(book, intent)
    if intent.kind == REPLACE:
        order = sim.orders[intent.order - 1]
        if order.state == ORDER_ENDED:
            return ORDER_NOT_WORKING
        if intent.lots <= order.filled:
            return QTY_BELOW_MINIMUM
        if not order.triggered and _has_passed(book, intent.type, order.side, intent.stop_price):
            return STOP_PRICE_SIDE
        return POST_ONLY if _crosses(order.post_only, order.side, intent.price, book.mark_bid, book.mark_ask) else 0
    if intent.kind == CANCEL:
        return ORDER_NOT_WORKING if sim.orders[intent.order - 1].state == ORDER_ENDED else 0
    if book.lots == 0:
        return NO_POSITION
    side = 1 if book.lots > 0 else -1
    return _risk_rejection(intent.sl, intent.tp, side, book.mark_bid if side > 0 else book.mark_ask)


@compiled
def _rejection_of_submit(book: Record, intent: Record) -> int:
    if intent.lots == 0:
        return QTY_BELOW_MINIMUM
    if intent.reason != 0:
        return int(intent.reason)
    if _has_passed(book, intent.type, intent.side, intent.stop_price):
        return STOP_PRICE_SIDE
    if _crosses(intent.post_only, intent.side, intent.price, book.mark_bid, book.mark_ask):
        return POST_ONLY
    reference = intent.price
    if reference == 0.0:
        reference = intent.stop_price
    if reference == 0.0:
        reference = book.mark_bid if intent.side > 0 else book.mark_ask
    reason = _risk_rejection(intent.sl, intent.tp, intent.side, reference)
    if reason != 0:
        return reason
    return TOO_MANY_ORDERS if book.open_orders >= ORDERS_PER_POSITION_MAX else 0


@compiled
def _has_passed(book: Record, kind: int, side: int, stop_price: float) -> bool:
    """Return whether the last mark has reached the price of a stop order already."""
    if kind not in (STOP, STOP_LIMIT) or book.mark_bid == 0.0:
        return False
    return bool(book.mark_ask >= stop_price) if side > 0 else bool(book.mark_bid <= stop_price)


@compiled
def _crosses(post_only: int, side: int, price: float, bid: float, ask: float) -> bool:
    """Return whether an order that must not take would take at this bid and ask."""
    if not post_only or bid == 0.0:
        return False
    return ask <= price if side > 0 else bid >= price


@compiled
def _risk_rejection(sl: float, tp: float, side: int, reference: float) -> int:
    if reference == 0.0:
        return 0
    if sl > 0.0 and (sl - reference) * side >= 0.0:
        return STOP_LOSS_SIDE
    if tp > 0.0 and (tp - reference) * side <= 0.0:
        return TAKE_PROFIT_SIDE
    return 0
