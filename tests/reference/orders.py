"""§5 and §8: the orders of a book, when a price reaches them, and what their filling does to the target."""

from __future__ import annotations

from dataclasses import dataclass

from account import Spot, State
from fills import increase_position, reduce_position
from margin import liquidation_level
from targets import end_by_bracket, end_by_rejection, end_if_reached


@dataclass(frozen=True)
class Order:
    """What can fill inside a bar. below: it is reached when the watched price is <= level, else when it is >=."""

    kind: str
    level: float
    buy: bool
    below: bool


def orders_of(state: State, instrument: int) -> list[Order]:
    """§8: stop loss, liquidation, take profit, limit, in the order in which they win ties."""
    orders: list[Order] = []
    book = state.books[instrument]
    position = book.position
    if position is not None:
        short = position.lots < 0
        if position.sl is not None:
            orders.append(Order("STOP_LOSS", position.sl, buy=short, below=not short))
        level = liquidation_level(state, instrument)
        if level is not None:
            orders.append(Order("LIQUIDATION", level, buy=short, below=not short))
        if position.tp is not None:
            orders.append(Order("TAKE_PROFIT", position.tp, buy=short, below=short))
    if book.working is not None and book.working.price is not None and book.remainder != 0:
        buy = book.remainder > 0
        orders.append(Order("LIMIT", book.working.price, buy=buy, below=buy))
    return orders


def is_reached(order: Order, price: float) -> bool:
    """§5: a touch is enough."""
    return price <= order.level if order.below else price >= order.level


def fill_order(state: State, instrument: int, order: Order, raw: float, spot: Spot) -> None:
    """§8, last paragraph but one: a bracket closes the whole position; a limit reduces, then increases."""
    if order.kind == "LIMIT":
        fill_reducing_part(state, instrument, raw, spot, "LIMIT")
        if state.books[instrument].remainder != 0:
            fill_increasing_part(state, instrument, raw, spot, "LIMIT")
        return
    if order.kind == "LIQUIDATION":
        liquidate(state, instrument, raw, spot)
        return
    book = state.books[instrument]
    assert book.position is not None
    side = book.position.side
    slipping = "STOP" if order.kind == "STOP_LOSS" else "LIMIT"
    reduce_position(state, instrument, abs(book.lots), raw, spot, slipping, order.kind, book.position.bracket_record)
    end_by_bracket(state, book, side)


def liquidate(state: State, instrument: int, raw: float, spot: Spot) -> None:
    """Close the whole position by force; targets end as by a bracket (§4.4)."""
    book = state.books[instrument]
    assert book.position is not None
    side = book.position.side
    reduce_position(state, instrument, abs(book.lots), raw, spot, "LIQUIDATION", "LIQUIDATION", None)
    end_by_bracket(state, book, side)


def fill_reducing_part(state: State, instrument: int, raw: float, spot: Spot, kind: str) -> None:
    """§4.3: what of the remainder leads the position towards 0, and not beyond."""
    book = state.books[instrument]
    if book.working is None or book.remainder == 0 or (book.remainder > 0) == (book.lots > 0):
        return
    lots = min(abs(book.remainder), abs(book.lots))
    if lots > 0:
        state.fired[f"reduction_{kind}_{'whole' if lots == abs(book.lots) else 'part'}"] += 1
        reduce_position(state, instrument, lots, raw, spot, kind, "SIGNAL", book.working.record)
        end_if_reached(state, book)


def fill_increasing_part(state: State, instrument: int, raw: float, spot: Spot, kind: str) -> None:
    """§6: the rest of the remainder, wholly or not at all; a refusal ends the target."""
    book = state.books[instrument]
    assert book.working is not None
    assert book.lots == 0 or (book.lots > 0) == (book.remainder > 0)
    reason = increase_position(state, instrument, book.remainder, raw, spot, kind, book.working)
    if reason is None:
        end_if_reached(state, book)
    else:
        state.fired[f"rejected_at_fill_{reason}"] += 1
        end_by_rejection(state, instrument, reason, spot)
