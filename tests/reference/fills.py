"""§6: a fill of some lots at a raw price: its price, fee, margin check, cash, pools and trade row."""

from __future__ import annotations

import math
from fractions import Fraction

from account import Book, Bracket, Point, Position, Spot, State
from grids import against_the_trader, grid_value
from rates import unit_value
from tape import marking
from targets import follow
from terms import Fill, Trade, Update
from trails import give_bracket


def reduce_position(
    state: State, number: int, lots: int, raw: float, spot: Spot, kind: str, reason: str, record: int | None
) -> None:
    """§6, reduction: cash, pools and one trade row."""
    book = state.books[number]
    instrument, position = book.instrument, book.position
    assert position is not None
    assert 0 < lots <= abs(position.lots)
    spec = state.specs[instrument]
    long = position.lots > 0
    closing = lots == abs(position.lots)
    take_in(book, spot.point)
    qty, value = grid_value(lots, spec.lot), unit_value(state, instrument)
    price = price_of(state, instrument, raw, qty, not long, kind)
    fee = fee_of(state, instrument, price, qty, kind)
    slippage = (abs(price - raw) * qty) * value
    gross = ((price - position.entry if long else position.entry - price) * qty) * value
    state.cash = (state.cash + gross) - fee
    held = grid_value(abs(position.lots), spec.lot)
    fee_share, position.fee_pool = shared(position.fee_pool, qty, held, closing)
    slippage_share, position.slippage_pool = shared(position.slippage_pool, qty, held, closing)
    funding, position.funding_pool = shared(position.funding_pool, qty, held, closing)
    swap, position.swap_pool = shared(position.swap_pool, qty, held, closing)
    _, position.margin = shared(position.margin, qty, held, closing)
    log_fill(state, number, not long, lots, price, raw, fee, slippage, kind, reason, record, spot)
    mae, mfe = excursions(position, qty, value)
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
            funding=funding,
            swap=swap,
            net_pnl=((gross - fees) + funding) + swap,
            slippage_cost=slippage_share + slippage,
            mae=mae,
            mfe=mfe,
            bars_held=state.markets[instrument].events - position.entry_event,
            path_dependent=position.path_dependent or spot.path_dependent,
        )
    )
    state.trade_positions.append(position.position_id)
    position.lots -= lots if long else -lots
    if closing:
        book.position = None
    follow(book)


def increase_position(
    state: State, number: int, lots: int, raw: float, spot: Spot, kind: str, bracket: Bracket
) -> str | None:
    """§6, increase: check, then cash, average entry, pools and bracket. lots: signed. Returns why it was rejected."""
    book = state.books[number]
    instrument, old = book.instrument, book.position
    spec = state.specs[instrument]
    buy = lots > 0
    qty, value = grid_value(abs(lots), spec.lot), unit_value(state, instrument)
    price = price_of(state, instrument, raw, qty, buy, kind)
    fee = fee_of(state, instrument, price, qty, kind)
    slippage = (abs(price - raw) * qty) * value
    new_lots = book.lots + lots
    if old is None:
        entry = price
    else:
        held, holding = grid_value(abs(old.lots), spec.lot), grid_value(abs(new_lots), spec.lot)
        entry = (old.entry * held + price * qty) / holding
    if state.rules.cash_account and not buy:
        return "SHORT_NOT_ALLOWED"
    if state.markets[instrument].rate == 0.0:
        return "RATE_UNKNOWN"
    margin = (old.margin if old else 0.0) + ((price * qty) * value) / state.rules.leverage_of(instrument)
    if state.rules.margin_mode == "isolated":
        short = isolated_margin_is_short(state, number, margin, fee)
    else:
        short = margin_is_short(state, number, new_lots, entry, price, fee)
    if short:
        state.fired["margin_refused_beside_opposite"] += stands_beside(state, number, not buy)
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
            entry_event=state.markets[instrument].events,
            path_dependent=False,
        )
        state.next_position_id += 1
        note_opening(state, number, buy)
    else:
        state.fired[f"enlarged_{kind}"] += 1
    old.lots, old.entry = new_lots, entry
    old.fee_pool += fee
    old.slippage_pool += slippage
    old.margin = margin
    old.path_dependent = old.path_dependent or spot.path_dependent
    take_in(book, spot.point)
    give_bracket(state, number, bracket, spot.point)
    follow(book)
    log_fill(state, number, buy, abs(lots), price, raw, fee, slippage, kind, "ENTRY", bracket.record, spot)
    return None


def note_opening(state: State, number: int, buy: bool) -> None:
    """Count what stands beside a new position."""
    named = state.books[number].place > 0
    state.fired[f"named_opened_{state.rules.margin_mode}"] += named
    state.fired["opened_beside_same_side"] += stands_beside(state, number, buy)
    state.fired["opened_beside_opposite"] += stands_beside(state, number, not buy)


def stands_beside(state: State, number: int, long: bool) -> bool:
    """Another position of the instrument is on this side."""
    return any(
        other != number and book.instrument == state.books[number].instrument and book.lots * (1 if long else -1) > 0
        for other, book in enumerate(state.books)
    )


def margin_is_short(state: State, number: int, lots: int, entry: float, price: float, fee: float) -> bool:
    """§6: with this position as it would be at its fill price, the others at their last marks."""
    profit = margin = 0.0
    for other, book in enumerate(state.books):
        if other == number:
            held_lots, held_entry, mark = lots, entry, price
        elif book.position is not None:
            point = state.market_of(other).mark
            assert point is not None
            held_lots, held_entry, mark = book.lots, book.position.entry, marking(point, book.lots)
        else:
            continue
        qty, value = grid_value(abs(held_lots), state.spec_of(other).lot), unit_value(state, book.instrument)
        profit += ((mark - held_entry if held_lots > 0 else held_entry - mark) * qty) * value
        margin += ((qty * mark) * value) / state.rules.leverage_of(book.instrument)
    return margin > (state.cash - fee) + profit


def isolated_margin_is_short(state: State, number: int, margin: float, fee: float) -> bool:
    """Isolated: the margins set aside, this one as it would be, need the cash."""
    total = 0.0
    for other, book in enumerate(state.books):
        if other == number:
            total += margin
        elif book.position is not None:
            total += book.position.margin
    return not (state.cash - fee) >= total


def shared(pool: float, qty: float, held: float, closing: bool) -> tuple[float, float]:
    """§6: the share of a reduction, and what remains in the pool."""
    share = pool if closing else pool * qty / held
    return share, 0.0 if closing else pool - share


def price_of(state: State, instrument: int, raw: float, qty: float, buy: bool, kind: str) -> float:
    """§6: all but limits and take profits slip, then the tick grid; whole ticks are counted on it."""
    tick = state.specs[instrument].tick
    model = state.rules.slippage_of(instrument)
    if kind != "LIMIT" and model.model == "ticks":
        state.fired["slipped_ticks"] += 1
        start = against_the_trader(raw, tick, buy)
        n = round(Fraction(start) * tick[1] / tick[0]) + (int(model.value) if buy else -int(model.value))
        return grid_value(max(n, 1), tick)
    slipped = raw if kind == "LIMIT" else slipped_price(state, instrument, raw, qty, buy)
    return against_the_trader(slipped, tick, buy)


def slipped_price(state: State, instrument: int, raw: float, qty: float, buy: bool) -> float:
    """The models that are shares of the price; the volume is that of the instrument's last execution event."""
    model = state.rules.slippage_of(instrument)
    state.fired[f"slipped_{model.model}"] += 1
    if model.model == "bps":
        slip = model.value / 10000
    else:
        volume = state.markets[instrument].volume
        assert volume is not None
        state.fired["slipped_on_no_volume"] += volume == 0
        x = 1.0 if volume == 0 or qty > volume else qty / volume
        slip = model.value * (math.sqrt(x) if model.model == "impact" else x)
    return raw * (1 + slip) if buy else raw * (1 - slip)


def fee_of(state: State, instrument: int, price: float, qty: float, kind: str) -> float:
    """The tariff; a minimum of 0 is none, so that a rebate remains one. A liquidation pays its fee on top."""
    tariff = state.rules.fees_of(instrument)
    notional = (price * qty) * unit_value(state, instrument)
    part = notional * (tariff.maker_bps if kind == "LIMIT" else tariff.taker_bps) / 10000
    fee = (part + tariff.per_lot * (qty / tariff.lot_qty)) + tariff.per_fill
    if tariff.minimum > 0:
        state.fired["fee_minimum"] += fee < tariff.minimum
        fee = max(tariff.minimum, fee)
    state.fired["fee_rebate"] += fee < 0
    if kind == "LIQUIDATION":
        fee += notional * state.rules.liquidation_fee_bps / 10000
    return fee


def take_in(book: Book, point: Point) -> None:
    """§7: a position keeps the lowest and highest price of its marking side."""
    if book.position is not None:
        price = marking(point, book.position.lots)
        book.position.lowest = min(book.position.lowest, price)
        book.position.highest = max(book.position.highest, price)


def excursions(position: Position, qty: float, value: float) -> tuple[float, float]:
    """§7: mae <= 0 and mfe >= 0 of a quantity of the position."""
    if position.lots > 0:
        worst, best = position.lowest - position.entry, position.highest - position.entry
    else:
        worst, best = position.entry - position.highest, position.entry - position.lowest
    return min(0.0, (worst * qty) * value), max(0.0, (best * qty) * value)


def log_fill(
    state: State,
    number: int,
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
    book, spec = state.books[number], state.spec_of(number)
    assert book.position is not None
    qty, value = grid_value(lots, spec.lot), unit_value(state, book.instrument)
    taker = kind != "LIMIT"
    bid, ask = spot.point
    client_id = None
    if state.rules.orders and reason in ("ENTRY", "SIGNAL"):
        assert record is not None
        client_id = state.intents[record].intent.client_id
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
        signal_seq=None if record is None else seq_of(state, record),
        path_dependent=spot.path_dependent,
        lots=lots,
        spread_cost=(((ask - bid) / 2) * qty) * value if taker else 0.0,
        client_id=client_id,
        position_id=book.position.position_id,
        position=book.name,
    )
    state.fired[f"fill_{reason}"] += 1
    state.fired[f"fill_{reason}_named"] += book.place > 0
    update = "LIQUIDATION" if reason == "LIQUIDATION" else "FILL"
    state.fills.append(fill)
    state.updates.append(
        Update(
            update,
            book.instrument,
            spot.seq,
            spot.time_ns,
            fill.side,
            qty,
            price,
            fee,
            fill_reason=reason,
            client_id=client_id,
            position=book.name,
        )
    )


def seq_of(state: State, record: int) -> int:
    """Return the event that the signal or intent answered."""
    return state.intents[record].seq if state.rules.orders else state.records[record].seq
