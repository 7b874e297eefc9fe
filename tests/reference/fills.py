"""§6: a fill of some lots at a raw price: its price, fee, margin check, cash, pools and trade row."""

from __future__ import annotations

from account import Book, Point, Position, Spot, State, Target
from grids import against_the_trader, grid_value
from tape import marking
from targets import follow, give_bracket
from terms import Fill, Trade, Update


def reduce_position(
    state: State, instrument: int, lots: int, raw: float, spot: Spot, kind: str, reason: str, record: int | None
) -> None:
    """§6, reduction: cash, pools and one trade row."""
    book = state.books[instrument]
    position = book.position
    assert position is not None
    assert 0 < lots <= abs(position.lots)
    spec = state.specs[instrument]
    long = position.lots > 0
    closing = lots == abs(position.lots)
    take_in(book, spot.point)
    price = price_of(state, instrument, raw, not long, kind)
    qty, contract = grid_value(lots, spec.lot), grid_value(1, spec.contract)
    fee = fee_of(state, price, qty, contract)
    slippage = (abs(price - raw) * qty) * contract
    gross = ((price - position.entry if long else position.entry - price) * qty) * contract
    state.cash = (state.cash + gross) - fee
    held = grid_value(abs(position.lots), spec.lot)
    fee_share = position.fee_pool if closing else position.fee_pool * qty / held
    slippage_share = position.slippage_pool if closing else position.slippage_pool * qty / held
    position.fee_pool -= fee_share
    position.slippage_pool -= slippage_share
    log_fill(state, instrument, not long, lots, price, raw, fee, slippage, kind, reason, record, spot)
    mae, mfe = excursions(position, qty, contract)
    fees = fee_share + fee
    state.trades.append(
        Trade(
            trade_id=0,
            instrument=spec.symbol,
            side="LONG" if long else "SHORT",
            qty=qty,
            entry_seq=position.entry_seq,
            entry_time_ns=position.entry_time_ns,
            entry_price=position.entry,
            exit_seq=spot.seq,
            exit_time_ns=spot.time_ns,
            exit_price=price,
            exit_reason=reason,
            gross_pnl=gross,
            fees=fees,
            funding=0.0,
            swap=0.0,
            net_pnl=gross - fees,
            slippage_cost=slippage_share + slippage,
            mae=mae,
            mfe=mfe,
            bars_held=book.events - position.entry_event,
            path_dependent=position.path_dependent or spot.path_dependent,
        )
    )
    position.lots -= lots if long else -lots
    if closing:
        book.position = None
    follow(book)


def increase_position(
    state: State, instrument: int, lots: int, raw: float, spot: Spot, kind: str, target: Target
) -> str | None:
    """§6, increase: check, then cash, average entry, pools and bracket. lots: signed. Returns why it was rejected."""
    book = state.books[instrument]
    old = book.position
    spec = state.specs[instrument]
    buy = lots > 0
    price = price_of(state, instrument, raw, buy, kind)
    qty, contract = grid_value(abs(lots), spec.lot), grid_value(1, spec.contract)
    fee = fee_of(state, price, qty, contract)
    slippage = (abs(price - raw) * qty) * contract
    new_lots = book.lots + lots
    if old is None:
        entry = price
    else:
        held, holding = grid_value(abs(old.lots), spec.lot), grid_value(abs(new_lots), spec.lot)
        entry = (old.entry * held + price * qty) / holding
    if state.rules.cash_account and not buy:
        return "SHORT_NOT_ALLOWED"
    if margin_is_short(state, instrument, new_lots, entry, price, fee):
        return "INSUFFICIENT_MARGIN"
    state.cash -= fee
    mark = marking(spot.point, lots)
    if old is None:
        state.fired[f"opened_{kind}"] += 1
        old = book.position = Position(
            position_id=state.next_position_id,
            lots=0,
            entry=entry,
            sl=None,
            tp=None,
            bracket_record=None,
            fee_pool=0.0,
            slippage_pool=0.0,
            lowest=mark,
            highest=mark,
            entry_seq=spot.seq,
            entry_time_ns=spot.time_ns,
            entry_event=book.events,
            path_dependent=False,
        )
        state.next_position_id += 1
    else:
        state.fired[f"enlarged_{kind}"] += 1
    old.lots, old.entry = new_lots, entry
    old.fee_pool += fee
    old.slippage_pool += slippage
    old.path_dependent = old.path_dependent or spot.path_dependent
    take_in(book, spot.point)
    give_bracket(old, target)
    follow(book)
    log_fill(state, instrument, buy, abs(lots), price, raw, fee, slippage, kind, "ENTRY", target.record, spot)
    return None


def margin_is_short(state: State, instrument: int, lots: int, entry: float, price: float, fee: float) -> bool:
    """§6: with this position as it would be at its fill price, the others at their last marks."""
    profit = margin = 0.0
    for other, book in enumerate(state.books):
        if other == instrument:
            held_lots, held_entry, mark = lots, entry, price
        elif book.position is not None:
            assert book.mark is not None
            held_lots, held_entry, mark = book.lots, book.position.entry, marking(book.mark, book.lots)
        else:
            continue
        spec = state.specs[other]
        qty, contract = grid_value(abs(held_lots), spec.lot), grid_value(1, spec.contract)
        profit += ((mark - held_entry if held_lots > 0 else held_entry - mark) * qty) * contract
        margin += (qty * mark) * contract
    return margin / state.rules.leverage > (state.cash - fee) + profit


def price_of(state: State, instrument: int, raw: float, buy: bool, kind: str) -> float:
    """§6: market and stop fills slip, limits and take profits do not; then the tick grid against the trader."""
    slip = state.rules.slippage_bps / 10000
    slipped = raw
    if kind in ("MARKET", "STOP"):
        slipped = raw * (1 + slip) if buy else raw * (1 - slip)
    return against_the_trader(slipped, state.specs[instrument].tick, buy)


def fee_of(state: State, price: float, qty: float, contract: float) -> float:
    """§6."""
    return ((price * qty) * contract) * state.rules.fees_bps / 10000


def take_in(book: Book, point: Point) -> None:
    """§7: a position keeps the lowest and highest price of its marking side."""
    if book.position is not None:
        price = marking(point, book.position.lots)
        book.position.lowest = min(book.position.lowest, price)
        book.position.highest = max(book.position.highest, price)


def excursions(position: Position, qty: float, contract: float) -> tuple[float, float]:
    """§7: mae <= 0 and mfe >= 0 of a quantity of the position."""
    if position.lots > 0:
        worst, best = position.lowest - position.entry, position.highest - position.entry
    else:
        worst, best = position.entry - position.highest, position.entry - position.lowest
    return min(0.0, (worst * qty) * contract), max(0.0, (best * qty) * contract)


def log_fill(
    state: State,
    instrument: int,
    buy: bool,
    lots: int,
    price: float,
    raw: float,
    fee: float,
    slippage: float,
    kind: str,
    reason: str,
    record: int | None,
    spot: Spot,
) -> None:
    """§6: the row of a fill, and its account update."""
    spec = state.specs[instrument]
    qty, contract = grid_value(lots, spec.lot), grid_value(1, spec.contract)
    taker = kind != "LIMIT"
    bid, ask = spot.point
    fill = Fill(
        seq=spot.seq,
        time_ns=spot.time_ns,
        instrument=spec.symbol,
        side="BUY" if buy else "SELL",
        qty=qty,
        price=price,
        reference_price=raw,
        fee=fee,
        slippage=slippage,
        liquidity="TAKER" if taker else "MAKER",
        reason=reason,
        signal_seq=None if record is None else state.records[record].seq,
        path_dependent=spot.path_dependent,
        lots=lots,
        spread_cost=(((ask - bid) / 2) * qty) * contract if taker else 0.0,
    )
    state.fired[f"fill_{reason}"] += 1
    state.fills.append(fill)
    state.updates.append(
        Update("FILL", instrument, spot.seq, spot.time_ns, fill.side, qty, price, fee, fill_reason=reason)
    )
