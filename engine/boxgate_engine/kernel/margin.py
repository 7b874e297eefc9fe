"""Conversion, and when an account cannot bear its positions (docs/spec/execution.md, sections 9 and 10)."""

from __future__ import annotations

import math

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.fills import exposure, unrealised
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.records import Record, Records, Sim


@compiled
def convert(book: Records, specs: Records) -> None:
    """Take the unit value of every instrument of another currency from the last marks; 0.0 while a mark is missing."""
    for i in range(book.shape[0]):
        spec = specs[i]
        if spec.rate_first >= 0:
            rate = _leg(book[spec.rate_first], spec.rate_first_inverse != 0)
            if spec.rate_second >= 0:
                rate = rate * _leg(book[spec.rate_second], spec.rate_second_inverse != 0)
            book[i].unit = spec.contract * rate


@compiled
def liquidation_level(sim: Sim, i: int) -> float:
    """Return the price of the marking side at which instrument i's position is liquidated.

    Without one it is infinite, on the side that no price reaches. Cross: the other positions count at their last marks.
    """
    book = sim.book[i]
    rules = sim.rules[0]
    long = book.lots > 0
    if book.lots == 0 or not rules.liquidates:
        return -math.inf if long else math.inf
    spec = sim.specs[i]
    quantity_value = grid_value(abs(book.lots), spec.lot_num, spec.lot_den) * book.unit
    share = rules.maintenance / spec.leverage
    cost = book.entry_price * quantity_value
    if rules.isolated:
        if long:
            level = (cost - book.margin) / (quantity_value * (1.0 - share))
        else:
            level = (cost + book.margin) / (quantity_value * (1.0 + share))
    else:
        profit = 0.0
        margin = 0.0
        for j in range(sim.book.shape[0]):
            if j != i and sim.book[j].lots != 0:
                profit += unrealised(sim.book[j], sim.specs[j])
                margin += exposure(sim.book[j], sim.specs[j]) / sim.specs[j].leverage
        worth = sim.account[0].cash + profit
        if long:
            level = ((cost - worth) + rules.maintenance * margin) / (quantity_value * (1.0 - share))
        else:
            level = ((cost + worth) - rules.maintenance * margin) / (quantity_value * (1.0 + share))
    return -math.inf if long and level <= 0.0 else level


@compiled
def is_below(book: Records, specs: Records, cash: float, share: float) -> bool:
    """Return whether a position is open and the equity is less than this share of the margin, at the last marks."""
    profit = 0.0
    margin = 0.0
    holds = False
    for i in range(book.shape[0]):
        if book[i].lots != 0:
            holds = True
            profit += unrealised(book[i], specs[i])
            margin += exposure(book[i], specs[i]) / specs[i].leverage
    return holds and cash + profit < share * margin


@compiled
def _leg(book: Record, inverse: bool) -> float:
    if book.mark_bid == 0.0:
        return 0.0
    mid = (book.mark_bid + book.mark_ask) / 2.0
    return 1.0 / mid if inverse else mid
