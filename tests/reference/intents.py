"""§15.2: which intents can never be right, which are rejected, and which wait for a bar."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from account import Book, IntentRecord, Point, State
from grids import grid_value, lots_of, nearest_tick
from hours import day_end, is_open
from places import find_place, forget_free_places, is_full, take_place
from tape import Moment, watched
from terms import Intent, ReferenceError
from working import enqueue, find, reject_intent

MOST_ORDERS = 64
"""Orders of one position that work or wait."""

NEEDED = {
    "MARKET": (),
    "LIMIT": ("price",),
    "STOP": ("stop_price",),
    "STOP_LIMIT": ("price", "stop_price"),
    "TRAILING_STOP": ("trail",),
}
"""Prices that an order of a type has; it may not have the others."""

ONLY_OF_SUBMIT = ("side", "type", "reduce_only", "post_only", "oco")
RISK = ("sl", "tp", "risk_trail")
TERMS = ("qty", "price", "stop_price", "trail", "valid_until_ns")

NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def accept_intents(state: State, moment: Moment, intents: Sequence[Intent]) -> None:
    """§15.2: errors are looked for in the order of the answer; then by instrument, event, place. All of them count."""
    forget_free_places(state)
    delivered = [seq for seq in moment.seqs if seq is not None]
    for intent in intents:
        check_scope(state, intent, len(delivered))
    first = len(state.intents)
    for stated in sorted(intents, key=lambda i: i.event_index_in_moment):
        check_intent(state, stated)
        intent = of_its_order(state, stated)
        if intent.kind == "SUBMIT":
            state.submitted[intent.client_id] = len(state.intents)
        state.intents.append(on_the_grid(state, intent, delivered[intent.event_index_in_moment], moment.time_ns))
        state.intent_outcomes.append(None)
        state.intent_reasons.append(None)
        state.filled.append(0)
    for record in sorted(range(first, len(state.intents)), key=lambda i: state.intents[i].intent.instrument):
        intent = state.intents[record].intent
        reason = rejection_of(state, record)
        if reason is None:
            state.fired[f"accepted_{intent.kind}_{intent.type}".rstrip("_")] += 1
            enqueue(state, take_place(state, intent), record, moment)
        else:
            state.fired[f"rejected_{intent.kind}_{reason}"] += 1
            reject_intent(state, record, reason, state.intents[record].seq, moment.time_ns)


def of_its_order(state: State, intent: Intent) -> Intent:
    """REPLACE and CANCEL are of the instrument and the position of their order, whatever instrument they say."""
    if intent.kind not in ("REPLACE", "CANCEL"):
        return intent
    order = state.intents[state.submitted[intent.client_id]].intent
    return replace(intent, instrument=order.instrument, position=order.position)


# ---------------------------------------------------------------------------------------------------------------------
# Errors


def check_scope(state: State, intent: Intent, events: int) -> None:
    """What is no intent of this session at all."""
    if not isinstance(intent, Intent):
        raise ReferenceError("SIGNAL_MIXED", f"{intent}")
    if intent.kind not in ("SUBMIT", "REPLACE", "CANCEL", "PROTECT"):
        raise ReferenceError("SIGNAL_ENUM", f"intent {intent.kind!r}")
    if intent.kind in ("SUBMIT", "PROTECT") and not 0 <= intent.instrument < len(state.specs):
        raise ReferenceError("PROTO_SCOPE", f"instrument {intent.instrument}")
    if not 0 <= intent.event_index_in_moment < events:
        raise ReferenceError("PROTO_SCOPE", f"event index {intent.event_index_in_moment}")


def check_intent(state: State, intent: Intent) -> None:
    """§15.2.1: what can never be right ends the run."""
    if intent.tif not in ("GTC", "DAY", "GTD", "IOC", "FOK"):
        raise ReferenceError("SIGNAL_ENUM", f"tif {intent.tif!r}")
    if intent.kind == "SUBMIT" and (intent.side not in ("BUY", "SELL") or intent.type not in NEEDED):
        raise ReferenceError("SIGNAL_ENUM", f"side {intent.side!r} type {intent.type!r}")
    numbers = [
        value for name in ("qty", "price", "stop_price", "trail", *RISK) if (value := getattr(intent, name)) is not None
    ]
    if not all(math.isfinite(value) for value in numbers):
        raise ReferenceError("SIGNAL_NOT_FINITE", f"{intent}")
    check_id(state, intent)
    check_fields(state, intent)
    if any(value <= 0 for value in numbers):
        raise ReferenceError("SIGNAL_RANGE", f"{intent}")
    if intent.kind == "SUBMIT" and intent.sl is not None and intent.tp is not None:
        in_order = intent.sl < intent.tp if intent.side == "BUY" else intent.sl > intent.tp
        if not in_order:
            raise ReferenceError("SIGNAL_RISK_SIDE", f"{intent.side} sl {intent.sl} tp {intent.tp}")


def check_id(state: State, intent: Intent) -> None:
    """A new name for SUBMIT, that of an order before for REPLACE and CANCEL, none for PROTECT; so oco and position."""
    known = intent.client_id in state.submitted
    good = {"SUBMIT": not known and NAME.fullmatch(intent.client_id) is not None, "PROTECT": True}
    names = [name for name in (intent.oco, intent.position) if name]
    if not good.get(intent.kind, known) or not all(NAME.fullmatch(name) for name in names):
        raise ReferenceError("ORDER_ID", f"{intent.kind} {intent.client_id!r} {names}")


def check_fields(state: State, intent: Intent) -> None:
    """The table of §15.1: needed fields are there, others are not."""
    order = intent if intent.kind == "SUBMIT" else None
    if intent.kind == "REPLACE":
        order = state.intents[state.submitted[intent.client_id]].intent
    needed: set[str] = set()
    allowed: set[str] = set()
    if order is not None:
        needed |= {"qty", *NEEDED[order.type]} | ({"valid_until_ns"} if intent.tif == "GTD" else set())
        immediate = intent.tif in ("IOC", "FOK")
        if immediate and (order.type not in ("MARKET", "LIMIT") or order.post_only or order.oco):
            raise ReferenceError("ORDER_FIELDS", f"{intent.client_id}: {intent.tif}")
        if order.post_only and order.type != "LIMIT":
            raise ReferenceError("ORDER_FIELDS", f"{intent.client_id}: post_only")
    elif intent.tif != "GTC":
        raise ReferenceError("ORDER_FIELDS", f"{intent.kind}: tif")
    if intent.kind == "SUBMIT":
        allowed |= {*ONLY_OF_SUBMIT, *RISK, "position"}
    if intent.kind == "PROTECT":
        allowed |= {*RISK, "position"}
        if intent.client_id:
            raise ReferenceError("ORDER_FIELDS", "PROTECT: client_id")
    for name in needed:
        if getattr(intent, name) is None:
            raise ReferenceError("ORDER_FIELDS", f"{intent.kind} {intent.client_id}: needs {name}")
    for name in {*TERMS, *ONLY_OF_SUBMIT, *RISK, "position"} - needed - allowed:
        if getattr(intent, name) not in (None, "", False):
            raise ReferenceError("ORDER_FIELDS", f"{intent.kind} {intent.client_id}: may not have {name}")


# ---------------------------------------------------------------------------------------------------------------------
# The grid and the end of the day


def on_the_grid(state: State, intent: Intent, seq: int, time_ns: int) -> IntentRecord:
    """§15.2.2 and 3; `rounded` if at least one value changed."""
    spec = state.specs[intent.instrument]
    lots = 0 if intent.qty is None else lots_of(intent.qty, spec.lot)

    def price(value: float | None) -> float | None:
        return None if value is None else nearest_tick(value, spec.tick)

    gridded = replace(
        intent,
        qty=None if intent.qty is None else grid_value(lots, spec.lot),
        price=price(intent.price),
        stop_price=price(intent.stop_price),
        trail=price(intent.trail),
        sl=price(intent.sl),
        tp=price(intent.tp),
        risk_trail=price(intent.risk_trail),
    )
    rounded = gridded != intent
    if intent.tif == "DAY":
        gridded = replace(gridded, valid_until_ns=day_end(state, intent.instrument, time_ns))
    return IntentRecord(seq, time_ns, gridded, lots, rounded)


# ---------------------------------------------------------------------------------------------------------------------
# Rejections


def rejection_of(state: State, record: int) -> str | None:
    """§15.2.4: the first reason that holds."""
    kind = state.intents[record].intent.kind
    if kind == "SUBMIT":
        return rejection_of_submit(state, record)
    if kind == "REPLACE":
        return rejection_of_replace(state, record)
    if kind == "CANCEL":
        order = state.submitted[state.intents[record].intent.client_id]
        return "ORDER_NOT_WORKING" if state.intent_outcomes[order] is not None else None
    return rejection_of_protect(state, record)


def rejection_of_submit(state: State, record: int) -> str | None:
    intent, time_ns = state.intents[record].intent, state.intents[record].time_ns
    mark = state.markets[intent.instrument].mark
    buy = intent.side == "BUY"
    number = find_place(state, intent)
    if number is None and is_full(state, intent.instrument):
        return "TOO_MANY_POSITIONS"
    if state.intents[record].lots == 0:
        return "QTY_BELOW_MINIMUM"
    if intent.tif not in ("GTC", "GTD") and not is_open(state, intent.instrument, time_ns):
        return "MARKET_CLOSED"
    if stop_is_passed(intent.stop_price, buy, mark):
        return "STOP_PRICE_SIDE"
    if intent.post_only and limit_is_passed(intent.price, buy, mark):
        return "POST_ONLY"
    reference = intent.price if intent.price is not None else intent.stop_price
    if reference is None and mark is not None:
        reference = mark[0] if buy else mark[1]
    reason = wrong_side(intent, reference, buy)
    if reason is not None:
        return reason
    if number is None or count_of_orders(state, state.books[number]) < MOST_ORDERS:
        return None
    state.fired["too_many_orders_of_a_name"] += state.books[number].place > 0
    return "TOO_MANY_ORDERS"


def rejection_of_replace(state: State, record: int) -> str | None:
    intent = state.intents[record].intent
    mark = state.markets[intent.instrument].mark
    order = state.submitted[intent.client_id]
    submitted = state.intents[order].intent
    buy = submitted.side == "BUY"
    if state.intent_outcomes[order] is not None:
        return "ORDER_NOT_WORKING"
    number = find_place(state, intent)
    assert number is not None
    working = find(state.books[number], intent.client_id)
    if state.intents[record].lots <= state.filled[order]:
        return "QTY_BELOW_MINIMUM"
    if not (working is not None and working.triggered) and stop_is_passed(intent.stop_price, buy, mark):
        return "STOP_PRICE_SIDE"
    if submitted.post_only and limit_is_passed(intent.price, buy, mark):
        return "POST_ONLY"
    return None


def rejection_of_protect(state: State, record: int) -> str | None:
    intent = state.intents[record].intent
    number = find_place(state, intent)
    if number is None:
        state.fired["PROTECT_of_unknown_name"] += 1
        return "NO_POSITION"
    book, mark = state.books[number], state.markets[intent.instrument].mark
    if book.position is None:
        return "NO_POSITION"
    assert mark is not None
    buy = book.lots > 0
    return wrong_side(intent, mark[0] if buy else mark[1], buy)


def stop_is_passed(stop_price: float | None, buy: bool, mark: Point | None) -> bool:
    """The last mark has reached the stop price."""
    if stop_price is None or mark is None:
        return False
    return watched(mark, buy) >= stop_price if buy else watched(mark, buy) <= stop_price


def limit_is_passed(price: float | None, buy: bool, mark: Point | None) -> bool:
    """The last mark has reached the limit price."""
    if price is None or mark is None:
        return False
    return watched(mark, buy) <= price if buy else watched(mark, buy) >= price


def wrong_side(intent: Intent, reference: float | None, buy: bool) -> str | None:
    """§4.1.5 of the page: stop loss and take profit about the reference."""
    if reference is None:
        return None
    if intent.sl is not None and (intent.sl >= reference if buy else intent.sl <= reference):
        return "STOP_LOSS_SIDE"
    if intent.tp is not None and (intent.tp <= reference if buy else intent.tp >= reference):
        return "TAKE_PROFIT_SIDE"
    return None


def count_of_orders(state: State, book: Book) -> int:
    """Orders that work or wait."""
    waiting = sum(state.intents[queued.record].intent.kind == "SUBMIT" for queued in book.intents)
    return len(book.orders) + waiting
