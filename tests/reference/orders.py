"""§5 and §8: the orders of a book, when a price reaches them, and what their filling does to the target."""

from __future__ import annotations

from dataclasses import dataclass

from account import Spot, State
from fills import increase_position, reduce_position
from margin import liquidation_level
from targets import end_by_bracket, end_by_rejection, end_if_reached
from trails import stop_in_force
from volume import cut, take_lots
from working import candidates, end_reduce_only, meet


@dataclass(frozen=True)
class Order:
    """What can fill inside a bar. below: it is reached when the watched price is <= level, else when it is >=.

    client_id: of a working order of an ORDERS session, None for all else.
    """

    kind: str
    level: float
    buy: bool
    below: bool
    client_id: str | None = None


def orders_of(state: State, number: int) -> list[Order]:
    """§8: stop loss, liquidation, take profit, limit or orders, in the order in which they win ties."""
    orders: list[Order] = []
    book = state.books[number]
    position = book.position
    if position is not None:
        short = position.lots < 0
        stop = stop_in_force(position)
        if stop is not None:
            orders.append(Order("STOP_LOSS", stop, buy=short, below=not short))
        level = liquidation_level(state, number)
        if level is not None:
            orders.append(Order("LIQUIDATION", level, buy=short, below=not short))
        if position.tp is not None:
            orders.append(Order("TAKE_PROFIT", position.tp, buy=short, below=short))
    for working, level, below in candidates(book):
        orders.append(Order(working.acts_as, level, working.buy, below, working.client_id))
    if book.working is not None and book.working.price is not None and book.remainder != 0 and not book.idle:
        buy = book.remainder > 0
        orders.append(Order("LIMIT", book.working.price, buy=buy, below=buy))
    return orders


def is_reached(order: Order, price: float) -> bool:
    """§5: a touch is enough."""
    return price <= order.level if order.below else price >= order.level


def fill_order(state: State, number: int, order: Order, raw: float, spot: Spot) -> None:
    """§8, last paragraph but one: a bracket closes the whole position; a limit reduces, then increases."""
    if order.client_id is not None:
        meet(state, number, order.client_id, raw, spot)
        return
    if order.kind == "LIMIT":
        fill_reducing_part(state, number, raw, spot, "LIMIT")
        if state.books[number].remainder != 0:
            fill_increasing_part(state, number, raw, spot, "LIMIT")
        return
    if order.kind == "LIQUIDATION":
        liquidate(state, number, raw, spot)
        return
    book = state.books[number]
    assert book.position is not None
    side = book.position.side
    state.fired["stopped_by_trail"] += order.kind == "STOP_LOSS" and order.level == book.position.trail_level
    slipping = "STOP" if order.kind == "STOP_LOSS" else "LIMIT"
    reduce_position(state, number, abs(book.lots), raw, spot, slipping, order.kind, book.position.bracket_record)
    end_by_force(state, number, side, spot)


def liquidate(state: State, number: int, raw: float, spot: Spot) -> None:
    """Close the whole position by force; targets end as by a bracket (§4.4)."""
    book = state.books[number]
    assert book.position is not None
    side = book.position.side
    reduce_position(state, number, abs(book.lots), raw, spot, "LIQUIDATION", "LIQUIDATION", None)
    end_by_force(state, number, side, spot)


def end_by_force(state: State, number: int, side: str, spot: Spot) -> None:
    """A bracket or a liquidation closed the position: targets end (§4.4), of orders only some (§15.5)."""
    if state.rules.orders:
        end_reduce_only(state, number, spot)
    else:
        end_by_bracket(state, state.books[number], side)


def fill_reducing_part(state: State, number: int, raw: float, spot: Spot, kind: str) -> None:
    """§4.3: what of the remainder leads the position towards 0, and not beyond."""
    book = state.books[number]
    if book.working is None or book.remainder == 0 or (book.remainder > 0) == (book.lots > 0):
        return
    lots = cut(state, number, min(abs(book.remainder), abs(book.lots)))
    if lots > 0:
        take_lots(state, number, lots)
        state.fired[f"reduction_{kind}_{'whole' if lots == abs(book.lots) else 'part'}"] += 1
        reduce_position(state, number, lots, raw, spot, kind, "SIGNAL", book.working.record)
        end_if_reached(state, book)


def fill_increasing_part(state: State, number: int, raw: float, spot: Spot, kind: str) -> None:
    """§6: the rest of the remainder, wholly or not at all; a refusal ends the target."""
    book = state.books[number]
    assert book.working is not None
    lots = cut(state, number, abs(book.remainder))
    if lots == 0:
        book.idle = True
        return
    assert book.lots == 0 or (book.lots > 0) == (book.remainder > 0)
    reason = increase_position(
        state, number, lots if book.remainder > 0 else -lots, raw, spot, kind, book.working.bracket
    )
    if reason is None:
        take_lots(state, number, lots)
        end_if_reached(state, book)
    else:
        state.fired[f"rejected_at_fill_{reason}"] += 1
        end_by_rejection(state, number, reason, spot)
