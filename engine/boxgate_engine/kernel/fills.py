"""One fill: its price, its costs, and what it does to position and cash (docs/spec/execution.md, section 6)."""

from __future__ import annotations

import math

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.grid import grid_value, round_down, round_up, ticks_away
from boxgate_engine.kernel.records import (
    ENTRY,
    INSUFFICIENT_MARGIN,
    LIQUIDATION,
    RATE_UNKNOWN,
    SHORT_NOT_ALLOWED,
    SLIP_BPS,
    SLIP_TICKS,
    SLIP_VOLUME_SHARE,
    UPDATE_FILL,
    UPDATE_LIQUIDATION,
    Record,
    Sim,
)
from boxgate_engine.kernel.targets import follow_position
from boxgate_engine.kernel.trails import give_bracket
from boxgate_engine.kernel.updates import write_update


@compiled
def reduce_position(
    sim: Sim,
    i: int,
    lots: int,
    raw: float,
    bid: float,
    ask: float,
    slips: bool,
    reason: int,
    signal: int,
    time_ns: int,
    seq: int,
) -> None:
    """Close `lots` (> 0, at most the position) of instrument i at the raw price and write the trade.

    bid, ask: the current point. slips: market and stop fills pay slippage and the spread and are TAKER.
    """
    book = sim.book[i]
    spec = sim.specs[i]
    account = sim.account[0]
    long = book.lots > 0
    quantity = grid_value(lots, spec.lot_num, spec.lot_den)
    held = grid_value(abs(book.lots), spec.lot_num, spec.lot_den)
    price = _fill_price(sim, i, raw, -1 if long else 1, slips, quantity)
    difference = price - book.entry_price if long else book.entry_price - price
    unit = book.unit
    gross = (difference * quantity) * unit
    fee = _fee(spec, unit, price, quantity, slips)
    if reason == LIQUIDATION:
        fee += ((price * quantity) * unit) * sim.rules[0].liquidation_fee_bps / 10000.0
        account.liquidations += 1
    slippage = (abs(price - raw) * quantity) * unit
    closes = lots == abs(book.lots)
    fee_share = book.fee_pool if closes else book.fee_pool * quantity / held
    slippage_share = book.slippage_pool if closes else book.slippage_pool * quantity / held
    funding_share = book.funding_pool if closes else book.funding_pool * quantity / held
    swap_share = book.swap_pool if closes else book.swap_pool * quantity / held
    touch(book, bid, ask)

    account.cash = (account.cash + gross) - fee
    account.gross_sum += gross
    account.fee_sum += fee
    if slips:
        account.spread_sum += (((ask - bid) / 2.0) * quantity) * unit
    _write_fill(
        sim, i, -1 if long else 1, lots, quantity, price, raw, fee, slippage, slips, reason, signal, time_ns, seq
    )

    trade = sim.trades[account.trades]
    account.trades += 1
    trade.instrument = sim.book[i].instrument
    trade.side = 1 if long else -1
    trade.qty = quantity
    trade.entry_seq = book.entry_seq
    trade.entry_time_ns = book.entry_time_ns
    trade.entry_price = book.entry_price
    trade.exit_seq = seq
    trade.exit_time_ns = time_ns
    trade.exit_price = price
    trade.reason = reason
    trade.gross_pnl = gross
    trade.fees = fee_share + fee
    trade.funding = funding_share
    trade.swap = swap_share
    trade.slippage_cost = slippage_share + slippage
    worst = book.lowest - book.entry_price if long else book.entry_price - book.highest
    best = book.highest - book.entry_price if long else book.entry_price - book.lowest
    trade.mae = min(0.0, (worst * quantity) * unit)
    trade.mfe = max(0.0, (best * quantity) * unit)
    trade.bars_held = book.events - book.entry_event
    trade.path_dependent = book.path_dependent

    if closes:
        book.lots = 0
        book.entry_price = 0.0
        book.fee_pool = 0.0
        book.slippage_pool = 0.0
        book.funding_pool = 0.0
        book.swap_pool = 0.0
        book.margin = 0.0
        book.sl = 0.0
        book.tp = 0.0
        book.trail = 0.0
        book.trail_level = 0.0
        book.bracket_signal = -1
        book.path_dependent = 0
    else:
        book.lots += -lots if long else lots
        book.fee_pool -= fee_share
        book.slippage_pool -= slippage_share
        book.funding_pool -= funding_share
        book.swap_pool -= swap_share
        book.margin -= book.margin * quantity / held
    follow_position(book)


@compiled
def increase_position(
    sim: Sim, i: int, lots: int, raw: float, bid: float, ask: float, slips: bool, signal: int, time_ns: int, seq: int
) -> int:
    """Open or enlarge instrument i's position by signed `lots` at the raw price, wholly or not at all.

    The position must be flat or of the same side. The bracket becomes the working target's. Returns 0, or the reason
    of the rejection.
    """
    book = sim.book[i]
    spec = sim.specs[i]
    account = sim.account[0]
    side = 1 if lots > 0 else -1
    if side < 0 and sim.rules[0].cash_account:
        return SHORT_NOT_ALLOWED
    unit = book.unit
    if unit == 0.0:
        return RATE_UNKNOWN
    quantity = grid_value(abs(lots), spec.lot_num, spec.lot_den)
    price = _fill_price(sim, i, raw, side, slips, quantity)
    fee = _fee(spec, unit, price, quantity, slips)
    slippage = (abs(price - raw) * quantity) * unit
    held_after = grid_value(abs(book.lots + lots), spec.lot_num, spec.lot_den)
    entry_price = price
    if book.lots != 0:
        held = grid_value(abs(book.lots), spec.lot_num, spec.lot_den)
        entry_price = (book.entry_price * held + price * quantity) / held_after
    margin = book.margin + ((price * quantity) * unit) / spec.leverage
    if sim.rules[0].isolated:
        if not _cash_allows(sim, i, margin, fee):
            return INSUFFICIENT_MARGIN
    elif not _margin_allows(sim, i, side, held_after, entry_price, price, fee):
        return INSUFFICIENT_MARGIN

    account.cash = account.cash - fee
    account.fee_sum += fee
    if slips:
        account.spread_sum += (((ask - bid) / 2.0) * quantity) * unit
    if book.lots == 0:
        book.position_id = account.next_position_id
        account.next_position_id += 1
        book.entry_seq = seq
        book.entry_time_ns = time_ns
        book.entry_event = book.events
        book.path_dependent = 0
        book.lowest = bid if side > 0 else ask
        book.highest = book.lowest
    book.lots += lots
    book.entry_price = entry_price
    book.fee_pool += fee
    book.slippage_pool += slippage
    book.margin = margin
    give_bracket(book, spec, book.work_sl, book.work_tp, book.work_trail, book.work_signal, bid, ask)
    follow_position(book)
    touch(book, bid, ask)
    _write_fill(sim, i, side, abs(lots), quantity, price, raw, fee, slippage, slips, ENTRY, signal, time_ns, seq)
    return 0


@compiled
def touch(book: Record, bid: float, ask: float) -> None:
    """Take the current point into the excursion of the position."""
    if book.lots == 0:
        return
    price = bid if book.lots > 0 else ask
    book.lowest = min(book.lowest, price)
    book.highest = max(book.highest, price)


@compiled
def unrealised(book: Record, spec: Record) -> float:
    """Return the position's unrealised profit at its last mark, account currency."""
    if book.lots == 0:
        return 0.0
    quantity = grid_value(abs(book.lots), spec.lot_num, spec.lot_den)
    if book.lots > 0:
        return ((book.mark_bid - book.entry_price) * quantity) * book.unit
    return ((book.entry_price - book.mark_ask) * quantity) * book.unit


@compiled
def exposure(book: Record, spec: Record) -> float:
    """Return the notional of the position at its last mark, account currency, >= 0."""
    if book.lots == 0:
        return 0.0
    quantity = grid_value(abs(book.lots), spec.lot_num, spec.lot_den)
    return (quantity * (book.mark_bid if book.lots > 0 else book.mark_ask)) * book.unit


@compiled
def _margin_allows(
    sim: Sim, i: int, side: int, held_after: float, entry_price: float, price: float, fee: float
) -> bool:
    profit = 0.0
    margin = 0.0
    for j in range(sim.book.shape[0]):
        if j == i:
            unit = sim.book[i].unit
            difference = price - entry_price if side > 0 else entry_price - price
            profit += (difference * held_after) * unit
            margin += ((held_after * price) * unit) / sim.specs[i].leverage
        elif sim.book[j].lots != 0:
            profit += unrealised(sim.book[j], sim.specs[j])
            margin += exposure(sim.book[j], sim.specs[j]) / sim.specs[j].leverage
    return margin <= (sim.account[0].cash - fee) + profit


@compiled
def _cash_allows(sim: Sim, i: int, margin: float, fee: float) -> bool:
    """Return whether the cash covers all margins that are set aside, with instrument i's as it would be."""
    total = 0.0
    for j in range(sim.book.shape[0]):
        if j == i:
            total += margin
        elif sim.book[j].lots != 0:
            total += sim.book[j].margin
    return sim.account[0].cash - fee >= total


@compiled
def _fee(spec: Record, unit: float, price: float, quantity: float, slips: bool) -> float:
    """Return the fee of a fill, account currency; below 0 for a rebate. slips: the fill is TAKER."""
    share = ((price * quantity) * unit) * (spec.taker_bps if slips else spec.maker_bps) / 10000.0
    return max(spec.fee_min, (share + spec.per_lot * (quantity / spec.lot_qty)) + spec.per_fill)


@compiled
def _slipped(spec: Record, raw: float, direction: int, quantity: float, volume: float) -> float:
    """Return the raw price after slippage against the trader, before the grid."""
    if spec.slip_model == SLIP_BPS:
        part = spec.slip_value / 10000.0
    else:
        share = 1.0 if volume <= 0.0 or quantity > volume else quantity / volume
        part = spec.slip_value * (share if spec.slip_model == SLIP_VOLUME_SHARE else math.sqrt(share))
    return raw * (1.0 + part) if direction > 0 else raw * (1.0 - part)


@compiled
def _fill_price(sim: Sim, i: int, raw: float, direction: int, slips: bool, quantity: float) -> float:
    spec = sim.specs[i]
    ticks = 0
    price = raw
    if slips:
        # Whole ticks are counted on the grid: adding their distance to a price rounds twice and may cost one more.
        if spec.slip_model == SLIP_TICKS:
            ticks = int(spec.slip_value)
        else:
            price = _slipped(spec, raw, direction, quantity, sim.book[i].volume)
    if direction > 0:
        return ticks_away(round_up(price, spec.tick_num, spec.tick_den), ticks, spec.tick_num, spec.tick_den)
    return ticks_away(round_down(price, spec.tick_num, spec.tick_den), -ticks, spec.tick_num, spec.tick_den)


@compiled
def _write_fill(
    sim: Sim,
    i: int,
    direction: int,
    lots: int,
    quantity: float,
    price: float,
    raw: float,
    fee: float,
    slippage: float,
    slips: bool,
    reason: int,
    signal: int,
    time_ns: int,
    seq: int,
) -> None:
    account = sim.account[0]
    row = account.fills
    fill = sim.fills[row]
    fill.seq = seq
    fill.time_ns = time_ns
    fill.instrument = sim.book[i].instrument
    fill.direction = direction
    fill.lots = lots
    fill.qty = quantity
    fill.price = price
    fill.unit = sim.book[i].unit
    fill.reference_price = raw
    fill.fee = fee
    fill.slippage = slippage
    fill.maker = 0 if slips else 1
    fill.reason = reason
    fill.signal = signal
    fill.order = 0
    fill.path_dependent = 0
    account.fills = row + 1
    write_update(sim, UPDATE_LIQUIDATION if reason == LIQUIDATION else UPDATE_FILL, i, seq, time_ns, 0)
    sim.updates[account.updates - 1].fill = row
