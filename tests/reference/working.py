"""§15.3 to §15.5: how working orders expire, begin, are replaced, are met by a price, fill and end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from account import Book, Bracket, Point, QueuedIntent, Spot, State, WorkingOrder
from fills import increase_position, reduce_position
from grids import grid_value
from hours import arrival
from tape import Moment, watched
from terms import Event, Intent, Update
from trails import follow_trails, give_bracket
from volume import cut, take_lots

STOPS = ("STOP", "TRAILING_STOP", "STOP_LIMIT")


# ---------------------------------------------------------------------------------------------------------------------
# Expiry and promotion


def expire_orders(state: State, number: int, moment: Moment) -> None:
    """§15.3: working orders in their order, then queued ones."""
    book = state.books[number]
    for order in list(book.orders):
        if is_over(order.valid_until_ns, moment.time_ns):
            state.fired[f"expired_working_{order.tif}"] += 1
            book.orders.remove(order)
            tell_expiry(state, order.record, moment.first_seq, moment.time_ns)
    for queued in list(book.intents):
        intent = state.intents[queued.record].intent
        if intent.kind == "SUBMIT" and is_over(intent.valid_until_ns, moment.time_ns):
            state.fired["expired_queued"] += 1
            book.intents.remove(queued)
            tell_expiry(state, queued.record, moment.first_seq, moment.time_ns)


def is_over(valid_until_ns: int | None, time_ns: int) -> bool:
    return valid_until_ns is not None and valid_until_ns < time_ns


def tell_expiry(state: State, record: int, seq: int, time_ns: int) -> None:
    state.intent_outcomes[record] = "EXPIRED"
    intent = state.intents[record].intent
    state.fired["expired_named"] += intent.position != ""
    state.updates.append(
        Update("EXPIRY", intent.instrument, seq, time_ns, client_id=intent.client_id, position=intent.position)
    )


def enqueue(state: State, number: int, record: int, moment: Moment) -> None:
    """§15.2.5: to the end of the queue of its position."""
    state.books[number].intents.append(QueuedIntent(arrival(state, number, moment), record))


def promote_intents(state: State, number: int, event: Event, point: Point, seq: int) -> None:
    """§15.4: intents that may meet this event leave the queue, oldest first."""
    book = state.books[number]
    spot = Spot(point, event.open_ns, seq)
    while book.intents and book.intents[0].time_ns <= event.open_ns:
        record = book.intents.pop(0).record
        intent = state.intents[record].intent
        state.fired[f"promoted_{intent.kind}"] += 1
        state.fired[f"promoted_named_{intent.kind}"] += book.place > 0
        if intent.kind == "SUBMIT":
            begin_order(state, number, record, event, spot)
        elif intent.kind == "REPLACE":
            replace_order(state, number, record, event, spot)
        elif intent.kind == "CANCEL":
            cancel_order(state, number, record, spot)
        else:
            protect(state, number, record, spot)
    state.fired["intent_deferred"] += bool(book.intents)


def begin_order(state: State, number: int, record: int, event: Event, spot: Spot) -> None:
    """A SUBMIT: the order works, at the end of the list."""
    intent, lots = state.intents[record].intent, state.intents[record].lots
    book = state.books[number]
    if is_over(intent.valid_until_ns, event.time_ns):
        state.fired["expired_at_promotion_SUBMIT"] += 1
        tell_expiry(state, record, spot.seq, spot.time_ns)
        return
    order = WorkingOrder(
        record=record,
        client_id=intent.client_id,
        buy=intent.side == "BUY",
        type=intent.type,
        lots=lots,
        price=intent.price,
        stop_price=intent.stop_price,
        trail=intent.trail,
        tif=intent.tif,
        valid_until_ns=intent.valid_until_ns,
        reduce_only=intent.reduce_only,
        post_only=intent.post_only,
        oco=intent.oco,
        bracket=Bracket(intent.sl, intent.tp, intent.risk_trail, record),
    )
    if crosses(order, spot.point):
        state.fired["post_only_rejected_at_promotion"] += 1
        reject_intent(state, record, "POST_ONLY", spot.seq, spot.time_ns)
        return
    book.orders.append(order)
    follow_trails(state, number, spot.point)


def replace_order(state: State, number: int, record: int, event: Event, spot: Spot) -> None:
    """A REPLACE: the order works at the end with the new values; refused, it stays where and what it was."""
    intent, lots = state.intents[record].intent, state.intents[record].lots
    book = state.books[number]
    old = find(book, intent.client_id)
    if old is None:
        state.fired["REPLACE_too_late"] += 1
        reject_intent(state, record, "ORDER_NOT_WORKING", spot.seq, spot.time_ns)
        return
    new = replace(
        old,
        lots=lots,
        price=intent.price,
        stop_price=intent.stop_price,
        trail=intent.trail,
        level=old.level if intent.trail == old.trail else None,
        tif=intent.tif,
        valid_until_ns=intent.valid_until_ns,
    )
    if lots <= old.filled:
        state.fired["REPLACE_below_filled_at_promotion"] += 1
        reject_intent(state, record, "QTY_BELOW_MINIMUM", spot.seq, spot.time_ns)
        return
    if crosses(new, spot.point):
        state.fired["post_only_REPLACE_rejected_at_promotion"] += 1
        reject_intent(state, record, "POST_ONLY", spot.seq, spot.time_ns)
        return
    if old.type == "TRAILING_STOP":
        state.fired["REPLACE_trail_kept" if intent.trail == old.trail else "REPLACE_trail_anew"] += 1
    state.fired["REPLACE_of_partly_filled"] += old.filled > 0
    state.fired["REPLACE_of_triggered"] += old.triggered
    book.orders.remove(old)
    state.intent_outcomes[record] = "DONE"
    if is_over(new.valid_until_ns, event.time_ns):
        state.fired["expired_at_promotion_REPLACE"] += 1
        tell_expiry(state, old.record, spot.seq, spot.time_ns)
        return
    book.orders.append(new)
    follow_trails(state, number, spot.point)


def cancel_order(state: State, number: int, record: int, spot: Spot) -> None:
    """A CANCEL."""
    intent = state.intents[record].intent
    order = find(state.books[number], intent.client_id)
    if order is None:
        state.fired["CANCEL_too_late"] += 1
        reject_intent(state, record, "ORDER_NOT_WORKING", spot.seq, spot.time_ns)
        return
    state.intent_outcomes[record] = "DONE"
    end_cancelled(state, number, order, "INTENT", spot)


def protect(state: State, number: int, record: int, spot: Spot) -> None:
    """A PROTECT: the position gets the bracket."""
    intent = state.intents[record].intent
    if state.books[number].position is None:
        state.fired["PROTECT_too_late"] += 1
        reject_intent(state, record, "NO_POSITION", spot.seq, spot.time_ns)
        return
    give_bracket(state, number, Bracket(intent.sl, intent.tp, intent.risk_trail, record), spot.point)
    state.intent_outcomes[record] = "DONE"


def crosses(order: WorkingOrder, point: Point) -> bool:
    """A post_only order whose price this point has reached."""
    if not order.post_only:
        return False
    assert order.price is not None
    price = watched(point, order.buy)
    return price <= order.price if order.buy else price >= order.price


# ---------------------------------------------------------------------------------------------------------------------
# The opens, §15.5 a, c, d and the end of orders that meet one open only


def reduce_market_orders(state: State, number: int, spot: Spot) -> None:
    """Line a: reducing parts of MARKET orders, each against the position that the one before left."""
    for order in each(state, number):
        if order.acts_as == "MARKET" and order.tif != "FOK" and reducing_lots(state.books[number], order) > 0:
            state.fired["line_a"] += 1
            fill_working(state, number, order, watched(spot.point, order.buy), spot, "MARKET", only_reduce=True)


def fill_reached_orders(state: State, number: int, spot: Spot) -> None:
    """Line c: stops, then limits, those among them that the stops triggered included."""
    for order in each(state, number):
        if order.acts_as in STOPS and has_reached(order, spot.point):
            state.fired[f"gap_order_{order.type}"] += 1
            meet(state, number, order.client_id, watched(spot.point, order.buy), spot)
    for order in each(state, number):
        if order.acts_as == "LIMIT" and has_reached(order, spot.point):
            state.fired["gap_order_LIMIT"] += 1
            meet(state, number, order.client_id, watched(spot.point, order.buy), spot)


def fill_market_orders(state: State, number: int, spot: Spot) -> None:
    """Line d: what is left of MARKET orders."""
    for order in each(state, number):
        if order.acts_as == "MARKET":
            state.fired["line_d_after_part"] += order.filled > 0
            raw = watched(spot.point, order.buy)
            if order.tif == "FOK":
                fill_or_kill(state, number, order, raw, spot, "MARKET")
            else:
                fill_working(state, number, order, raw, spot, "MARKET")


def end_immediate_orders(state: State, number: int, spot: Spot) -> None:
    """After d: what meets one open only ends there."""
    for order in each(state, number):
        if order.tif in ("IOC", "FOK"):
            state.fired["IOC_after_part"] += order.filled > 0
            end_cancelled(state, number, order, order.tif, spot)
        assert order.acts_as != "MARKET" or order.tif in ("IOC", "FOK") or state.rules.volume_limit is not None


def each(state: State, number: int) -> Iterator[WorkingOrder]:
    """Yield the orders of the list as it is now; not those that end before it is their turn."""
    book = state.books[number]
    for order in list(book.orders):
        if find(book, order.client_id) is order:
            yield order


# ---------------------------------------------------------------------------------------------------------------------
# Inside the bar


def candidates(book: Book) -> list[tuple[WorkingOrder, float, bool]]:
    """§15.5: orders that can be met, their level and whether it is reached from above; stops first, then limits."""
    found = [(order, level_of(order)) for order in book.orders if order.acts_as in STOPS]
    found += [(order, order.price) for order in book.orders if order.acts_as == "LIMIT" and not order.idle]
    return [(order, level, is_below(order)) for order, level in found if level is not None]


def level_of(order: WorkingOrder) -> float | None:
    """What the watched price is held against; None for a trailing stop without a level."""
    if order.acts_as == "LIMIT":
        return order.price
    return order.level if order.acts_as == "TRAILING_STOP" else order.stop_price


def is_below(order: WorkingOrder) -> bool:
    """Reached when the watched price is <= the level: a limit buy or a stop sell."""
    return order.buy == (order.acts_as == "LIMIT")


def has_reached(order: WorkingOrder, point: Point) -> bool:
    """A touch is enough."""
    level = level_of(order)
    price = watched(point, order.buy)
    return level is not None and (price <= level if is_below(order) else price >= level)


def meet(state: State, number: int, client_id: str, raw: float, spot: Spot) -> None:
    """A price has reached the order: a STOP_LIMIT is a LIMIT from now on, all others fill at raw.

    A stop that the volume does not fill wholly goes on as a MARKET order. A limit that got nothing is idle.
    """
    order = find(state.books[number], client_id)
    assert order is not None
    if order.acts_as == "STOP_LIMIT":
        state.fired["stop_limit_triggered"] += 1
        order.triggered = True
    elif order.acts_as in STOPS:
        state.fired[f"met_{order.type}"] += 1
        order.triggered = True
        fill_working(state, number, order, raw, spot, "STOP")
        state.fired["stop_goes_on_as_market"] += find(state.books[number], client_id) is order
    elif order.tif == "FOK":
        fill_or_kill(state, number, order, raw, spot, "LIMIT")
    else:
        filled = order.filled
        fill_working(state, number, order, raw, spot, "LIMIT")
        order.idle = order.filled == filled


# ---------------------------------------------------------------------------------------------------------------------
# Filling


def fill_working(
    state: State, number: int, order: WorkingOrder, raw: float, spot: Spot, kind: str, only_reduce: bool = False
) -> None:
    """§15.5: the part that reduces the position, then the part that increases it, as far as the volume goes."""
    book = state.books[number]
    wanted = reducing_lots(book, order)
    if order.reduce_only and wanted == 0:
        state.fired["reduce_only_nothing"] += 1
        end_cancelled(state, number, order, "REDUCE_ONLY", spot)
        return
    lots = cut(state, number, wanted)
    if lots > 0:
        take_lots(state, number, lots)
        state.fired[f"order_reduction_{order.type}"] += 1
        reduce_position(state, number, lots, raw, spot, kind, "SIGNAL", order.record)
        note_fill(state, number, order, lots, spot)
    if lots < wanted or order.open_lots == 0:
        return
    if order.reduce_only:
        state.fired["reduce_only_more_than_position"] += 1
        end_cancelled(state, number, order, "REDUCE_ONLY", spot)
        return
    if only_reduce:
        return
    lots = cut(state, number, order.open_lots)
    if lots == 0:
        return
    signed = lots if order.buy else -lots
    reason = increase_position(state, number, signed, raw, spot, kind, order.bracket)
    if reason is not None:
        state.fired[f"order_refused_{reason}"] += 1
        state.fired["order_refused_after_reduction"] += wanted > 0
        book.orders.remove(order)
        reject_intent(state, order.record, reason, spot.seq, spot.time_ns)
        return
    take_lots(state, number, lots)
    state.fired[f"order_increase_{order.type}"] += 1
    state.fired["order_reversal"] += wanted > 0
    state.fired["order_reversal_named"] += wanted > 0 and book.place > 0
    note_fill(state, number, order, lots, spot)


def fill_or_kill(state: State, number: int, order: WorkingOrder, raw: float, spot: Spot, kind: str) -> None:
    """§15.5: only if all open lots can fill. It is tried on a copy of everything."""
    trial = state.copy(number)
    same = find(trial.books[number], order.client_id)
    assert same is not None
    fill_working(trial, number, same, raw, spot, kind)
    if trial.intent_outcomes[order.record] == "FILLED":
        state.fired["FOK_filled"] += 1
        fill_working(state, number, order, raw, spot, kind)
    else:
        state.fired["FOK_killed"] += 1
        end_cancelled(state, number, order, "FOK", spot)


def reducing_lots(book: Book, order: WorkingOrder) -> int:
    """How many of its open lots lead the position towards 0."""
    if book.lots == 0 or (book.lots > 0) == order.buy:
        return 0
    return min(order.open_lots, abs(book.lots))


def note_fill(state: State, number: int, order: WorkingOrder, lots: int, spot: Spot) -> None:
    """These lots were filled: the order may be at its end, and others of its oco name are."""
    book = state.books[number]
    order.filled += lots
    state.filled[order.record] = order.filled
    if order.open_lots == 0:
        book.orders.remove(order)
        state.intent_outcomes[order.record] = "FILLED"
    if not order.oco:
        return
    state.fired["oco_of_another_position_stays"] += any(
        other.oco == order.oco for each in state.books if each is not book for other in each.orders
    )
    for other in list(book.orders):
        if other.oco == order.oco and other.client_id != order.client_id:
            state.fired["oco_working"] += 1
            end_cancelled(state, number, other, "OCO", spot)
    for queued in list(book.intents):
        intent = state.intents[queued.record].intent
        if intent.kind == "SUBMIT" and intent.oco == order.oco:
            state.fired["oco_queued"] += 1
            book.intents.remove(queued)
            tell_cancelled(state, intent, queued.record, "OCO", spot)


# ---------------------------------------------------------------------------------------------------------------------
# Ends


def end_reduce_only(state: State, number: int, spot: Spot) -> None:
    """§15.5: a bracket or a liquidation closed the position."""
    for order in each(state, number):
        if order.reduce_only:
            state.fired["reduce_only_after_forced_close"] += 1
            end_cancelled(state, number, order, "REDUCE_ONLY", spot)


def end_cancelled(state: State, number: int, order: WorkingOrder, reason: str, spot: Spot) -> None:
    """The order ends without a fill of what is left."""
    state.books[number].orders.remove(order)
    tell_cancelled(state, state.intents[order.record].intent, order.record, reason, spot)


def tell_cancelled(state: State, intent: Intent, record: int, reason: str, spot: Spot) -> None:
    state.fired[f"cancelled_{reason}"] += 1
    state.fired[f"cancelled_{reason}_named"] += intent.position != ""
    state.intent_outcomes[record] = "CANCELLED"
    state.intent_reasons[record] = reason
    state.updates.append(
        Update(
            "CANCELLATION",
            intent.instrument,
            spot.seq,
            spot.time_ns,
            client_id=intent.client_id,
            cancel_reason=reason,
            position=intent.position,
        )
    )


def reject_intent(state: State, record: int, reason: str, seq: int, time_ns: int) -> None:
    """Give the intent its outcome and tell the account."""
    intent = state.intents[record].intent
    state.intent_outcomes[record] = "REJECTED"
    state.intent_reasons[record] = reason
    client_id = None if intent.kind == "PROTECT" else intent.client_id
    state.updates.append(
        Update(
            "REJECTION",
            intent.instrument,
            seq,
            time_ns,
            reject_reason=reason,
            client_id=client_id,
            intent_kind=intent.kind,
            position=intent.position,
        )
    )


def find(book: Book, client_id: str) -> WorkingOrder | None:
    """Return the working order of this name."""
    return next((order for order in book.orders if order.client_id == client_id), None)


def quantity(state: State, record: int) -> float:
    """Return what was filled of an order, in base units."""
    lot = state.specs[state.intents[record].intent.instrument].lot
    return grid_value(state.filled[record], lot)
