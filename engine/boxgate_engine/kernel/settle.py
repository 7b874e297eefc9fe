"""Settle one moment completely (docs/spec/execution.md, section 5)."""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled, inlined
from boxgate_engine.kernel.fills import exposure, touch, unrealised
from boxgate_engine.kernel.grid import lots_within
from boxgate_engine.kernel.intents import expire_orders, promote_intents
from boxgate_engine.kernel.margin import convert, is_below, liquidation_level
from boxgate_engine.kernel.orders import (
    any_order_in_range,
    fill_market_orders,
    fill_reached_orders,
    reduce_market_orders,
)
from boxgate_engine.kernel.places import any_in_use, execute_places
from boxgate_engine.kernel.records import UPDATE_MARGIN_CALL, Floats, Integers, Quotes, Record, Records, Sim
from boxgate_engine.kernel.stamps import is_due, pay_funding, pay_swap
from boxgate_engine.kernel.targets import cut_queue, expire, promote
from boxgate_engine.kernel.trails import stop_in_force
from boxgate_engine.kernel.updates import write_update
from boxgate_engine.kernel.walk import (
    any_level_in_range,
    exit_by_bracket,
    fill_limit_target,
    follow_range,
    increase_towards_target,
    liquidate,
    liquidation_in_range,
    reached,
    reduce_towards_target,
    settle_inside,
    stand_at,
    touch_range,
)


@compiled
def settle_quietly(
    book: Records, specs: Records, account: Record, curve_ns: Integers, curve: Floats, q: Quotes, first: int, end: int
) -> int:
    """Settle moments from `first` as long as they are quiet and nothing but targets is active; return the next one.

    Most moments are quiet. Passing the whole state, as `settle` needs it, costs more than settling one of them.
    """
    events = q.events
    moment_start = q.moment_start
    delivered = q.delivered
    for m in range(first, end):
        start = moment_start[m]
        stop = moment_start[m + 1]
        if not is_quiet(book, specs, events, start, stop):
            return m
        mark_quietly(book, specs, events, start, stop)
        if delivered[m]:
            curve_ns[account.equity_rows] = events[start].time_ns
            write_equity(book, specs, account, curve, account.equity_rows)
            account.equity_rows += 1
    return end


@inlined
def settle(sim: Sim, q: Quotes, m: int) -> None:
    """Settle moment m of the quotes."""
    book = sim.book
    specs = sim.specs
    events = q.events
    active = is_active(sim)
    first = q.moment_start[m]
    end = q.moment_start[m + 1]
    if is_quiet(book, specs, events, first, end) and (
        not active
        or (
            not any_in_use(sim)
            and are_quiet_orders(sim, events, first, end)
            and is_quiet_account(sim, events, first, end)
        )
    ):
        mark_quietly(book, specs, events, first, end)
        if active and sim.rules[0].orders:
            _follow_quietly(sim, events, first, end)
    else:
        settle_moment(sim, q, m)
    if active:
        settle_account(sim, events[end - 1].time_ns, events[end - 1].seq)


@compiled
def is_active(sim: Sim) -> bool:
    """Return whether anything but targets can act on the account: orders, rates, stamps, liquidations, margin calls."""
    return bool(sim.rules[0].active or sim.rules[0].orders)


@inlined
def settle_moment(sim: Sim, q: Quotes, m: int) -> None:
    """Settle moment m of the quotes but for `settle_account`; afterwards the marks of its instruments are its close."""
    first = q.moment_start[m]
    end = q.moment_start[m + 1]
    orders = sim.rules[0].orders != 0
    if orders:
        expire_orders(sim, q.events[first].time_ns, q.events[first].seq)
    else:
        expire(sim, q.events[first].time_ns, q.events[first].seq)

    instruments = sim.book.shape[0]
    for i in range(instruments):
        sim.executing[i] = -1
    for e in range(first, end):
        if q.events[e].execution:
            i = q.events[e].instrument
            sim.executing[i] = e
            sim.book[i].events += 1
            sim.book[i].allowance = _allowance(sim.rules[0].volume_limit, q.events[e].volume, sim.specs[i])
            if sim.rules[0].places:
                execute_places(sim, q, e)
    stamped = sim.funding.shape[0] + sim.swap.shape[0] > 0
    if stamped:
        _pay_in_the_gap(sim, q)
    settle_opens(sim, q)
    for i in range(instruments):
        if sim.executing[i] >= 0:
            if q.events[sim.executing[i]].closed:
                _stay_closed(sim, q.events[sim.executing[i]], i)
            else:
                settle_inside(sim, q.events[sim.executing[i]], i)
    if stamped:
        _pay_in_the_bar(sim, q)
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _close(sim.book[i], q.events[sim.executing[i]])


@compiled
def settle_opens(sim: Sim, q: Quotes) -> None:
    """Let what may fill at the opens of the executing events do so, line after line, each in instrument order."""
    instruments = sim.book.shape[0]
    for i in range(instruments):
        if sim.executing[i] >= 0:
            _open(sim, q.events[sim.executing[i]], i)
    for i in range(instruments):
        if is_met(sim, q, i):
            _market_reduction(sim, q.events[sim.executing[i]], i)
    for i in range(instruments):
        if is_met(sim, q, i):
            _gap_bracket(sim, q.events[sim.executing[i]], i)
    if sim.rules[0].liquidates:
        for i in range(instruments):
            if is_met(sim, q, i):
                _gap_liquidation(sim, q.events[sim.executing[i]], i)
    for i in range(instruments):
        if is_met(sim, q, i):
            _gap_limit(sim, q.events[sim.executing[i]], i)
    for i in range(instruments):
        if is_met(sim, q, i):
            _market_increase(sim, q.events[sim.executing[i]], i)


@inlined
def is_met(sim: Sim, q: Quotes, i: int) -> bool:
    """Return whether instrument i has an event in this moment in which it can fill."""
    return bool(sim.executing[i] >= 0 and not q.events[sim.executing[i]].closed)


@compiled
def settle_account(sim: Sim, time_ns: int, seq: int) -> None:
    """Convert by the new marks, liquidate by them, call for margin. time_ns, seq: of the moment's last event."""
    book = sim.book
    specs = sim.specs
    account = sim.account[0]
    rules = sim.rules[0]
    convert(book, specs)
    if rules.maintenance > 0.0 and not rules.isolated:
        while is_below(book, specs, account.cash, rules.maintenance):
            i = _worst(book, specs)
            one = book[i]
            raw = one.mark_bid if one.lots > 0 else one.mark_ask
            liquidate(sim, i, raw, one.mark_bid, one.mark_ask, time_ns, seq)
            cut_queue(sim, i)
    if rules.margin_call > 0.0:
        called = is_below(book, specs, account.cash, rules.margin_call)
        if called and not account.called:
            first = 0
            while book[first].lots == 0:
                first += 1
            write_update(sim, UPDATE_MARGIN_CALL, first, seq, time_ns, 0)
            account.margin_calls += 1
        account.called = called


@compiled
def stays_quiet(sim: Sim) -> bool:
    """Do what `settle_account` does by the new marks if that liquidates and calls nothing, else return False."""
    book = sim.book
    specs = sim.specs
    account = sim.account[0]
    rules = sim.rules[0]
    convert(book, specs)
    if rules.maintenance > 0.0 and not rules.isolated and is_below(book, specs, account.cash, rules.maintenance):
        return False
    if rules.margin_call > 0.0:
        below = is_below(book, specs, account.cash, rules.margin_call)
        if below and account.called == 0:
            return False
        account.called = below
    return True


@inlined
def is_quiet(book: Records, specs: Records, events: Records, first: int, end: int) -> bool:
    """Return whether nothing of the targets and brackets fills, expires or is promoted in a moment.

    first, end: its events.
    """
    time_ns = events[first].time_ns
    for i in range(book.shape[0]):
        one = book[i]
        if one.queue_head >= 0:
            return False
        # A limit that is not reached is quiet until it expires; a market target never is.
        if one.work_live and one.work_lots != one.lots and (one.work_price == 0.0 or one.work_until_ns < time_ns):
            return False
    for e in range(first, end):
        quote = events[e]
        i = quote.instrument
        if quote.execution and not quote.closed and any_level_in_range(book[i], specs[i], quote):
            return False
    return True


@compiled
def are_quiet_orders(sim: Sim, events: Records, first: int, end: int) -> bool:
    """Return whether in a moment no order expires, fills or is triggered."""
    if not sim.rules[0].orders:
        return True
    for i in range(sim.book.shape[0]):
        number = sim.book[i].order_head
        while number:
            if sim.orders[number - 1].valid_until_ns < events[first].time_ns:
                return False
            number = sim.orders[number - 1].next
    for e in range(first, end):
        quote = events[e]
        if quote.execution and not quote.closed and any_order_in_range(sim, quote.instrument, quote):
            return False
    return True


@compiled
def is_quiet_account(sim: Sim, events: Records, first: int, end: int) -> bool:
    """Return whether in a moment that is quiet otherwise nothing is paid at a stamp and no open or path liquidates.

    Uses up the stamps that find no position.
    """
    stamped = sim.funding.shape[0] + sim.swap.shape[0] > 0
    liquidates = sim.rules[0].liquidates
    for e in range(first, end):
        quote = events[e]
        if stamped and quote.execution:
            one = sim.book[quote.instrument]
            if one.lots != 0 and is_due(one, sim.specs[quote.instrument], sim.funding, sim.swap, quote.time_ns):
                return False
    if liquidates:
        # The levels are those of the moment's opens. A moment that is not quiet after all sets the same marks.
        for e in range(first, end):
            quote = events[e]
            if quote.execution:
                sim.book[quote.instrument].mark_bid = quote.bid_open
                sim.book[quote.instrument].mark_ask = quote.ask_open
        for e in range(first, end):
            quote = events[e]
            if quote.execution and not quote.closed:
                level = liquidation_level(sim, quote.instrument)
                if liquidation_in_range(sim.book[quote.instrument], quote, level):
                    return False
    if stamped:
        for e in range(first, end):
            quote = events[e]
            if quote.execution and sim.book[quote.instrument].lots == 0:
                pay_funding(sim, quote.instrument, quote.time_ns, 0.0, 0.0, quote.seq)
                pay_swap(sim, quote.instrument, quote.time_ns, 0.0, 0.0, quote.seq)
    return True


@inlined
def mark_quietly(book: Records, specs: Records, events: Records, first: int, end: int) -> None:
    """Settle a quiet moment: only marks and excursions move."""
    for e in range(first, end):
        quote = events[e]
        if quote.execution:
            one = book[quote.instrument]
            one.events += 1
            touch(one, quote.bid_open, quote.ask_open)
            touch_range(one, specs[quote.instrument], quote)
            _close(one, quote)


@compiled
def _follow_quietly(sim: Sim, events: Records, first: int, end: int) -> None:
    for e in range(first, end):
        if events[e].execution:
            i = events[e].instrument
            follow_range(sim, i, events[e])
            sim.book[i].allowance = _allowance(sim.rules[0].volume_limit, events[e].volume, sim.specs[i])


@compiled
def _stay_closed(sim: Sim, quote: Record, i: int) -> None:
    """Let excursions and trails follow an event in which nothing fills."""
    touch_range(sim.book[i], sim.specs[i], quote)
    follow_range(sim, i, quote)


@compiled
def _allowance(limit: float, volume: float, spec: Record) -> int:
    """Return how many lots the fills of an event may take, -1 for any number."""
    return lots_within(volume * limit, spec.lot_num, spec.lot_den) if limit > 0.0 else -1


@inlined
def write_equity(book: Records, specs: Records, account: Record, curve: Floats, row: int) -> None:
    """Write what a row of the equity curve has besides its time, at the last marks."""
    profit = 0.0
    gross = 0.0
    net = 0.0
    margin = 0.0
    for i in range(book.shape[0]):
        one = book[i]
        if one.lots != 0:
            profit += unrealised(one, specs[i])
            notional = exposure(one, specs[i])
            gross += notional
            margin += notional / specs[i].leverage
            net += notional if one.lots > 0 else -notional
    curve[0, row] = account.cash + profit
    curve[1, row] = account.cash
    curve[2, row] = profit
    curve[3, row] = margin
    curve[4, row] = gross
    curve[5, row] = net


@inlined
def _open(sim: Sim, quote: Record, i: int) -> None:
    book = sim.book[i]
    if book.queue_head >= 0 and not quote.closed:
        if sim.rules[0].orders:
            promote_intents(sim, quote, i)
        else:
            promote(sim, i, quote.open_ns, quote.bid_open, quote.ask_open)
    book.mark_bid = quote.bid_open
    book.mark_ask = quote.ask_open
    book.volume = quote.volume
    touch(book, quote.bid_open, quote.ask_open)
    stand_at(sim, i, quote.bid_open, quote.ask_open)


@inlined
def _market_reduction(sim: Sim, quote: Record, i: int) -> None:
    book = sim.book[i]
    if book.order_head:
        reduce_market_orders(sim, i, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)
    elif book.work_live and book.work_price == 0.0 and book.work_lots != book.lots:
        raw = quote.bid_open if book.lots > 0 else quote.ask_open
        reduce_towards_target(sim, i, raw, quote.bid_open, quote.ask_open, True, quote.open_ns, quote.seq)


@inlined
def _gap_bracket(sim: Sim, quote: Record, i: int) -> None:
    book = sim.book[i]
    if book.lots == 0:
        return
    long = book.lots > 0
    raw = quote.bid_open if long else quote.ask_open
    level = stop_in_force(book)
    stop = level > 0.0 and reached(level, long, raw)
    if stop or (book.tp > 0.0 and reached(book.tp, not long, raw)):
        exit_by_bracket(sim, i, stop, raw, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)
        cut_queue(sim, i)


@inlined
def _gap_liquidation(sim: Sim, quote: Record, i: int) -> None:
    book = sim.book[i]
    if book.lots == 0:
        return
    long = book.lots > 0
    raw = quote.bid_open if long else quote.ask_open
    if reached(liquidation_level(sim, i), long, raw):
        liquidate(sim, i, raw, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)
        cut_queue(sim, i)


@inlined
def _gap_limit(sim: Sim, quote: Record, i: int) -> None:
    book = sim.book[i]
    if book.order_head:
        fill_reached_orders(sim, i, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)
        return
    if not book.work_live or book.work_price == 0.0 or book.work_lots == book.lots:
        return
    buys = book.work_lots > book.lots
    raw = quote.ask_open if buys else quote.bid_open
    if reached(book.work_price, buys, raw):
        fill_limit_target(sim, i, raw, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)


@inlined
def _market_increase(sim: Sim, quote: Record, i: int) -> None:
    book = sim.book[i]
    if book.order_head:
        fill_market_orders(sim, i, quote.bid_open, quote.ask_open, quote.open_ns, quote.seq)
    elif book.work_live and book.work_price == 0.0 and book.work_lots != book.lots:
        raw = quote.ask_open if book.work_lots > book.lots else quote.bid_open
        increase_towards_target(sim, i, raw, quote.bid_open, quote.ask_open, True, quote.open_ns, quote.seq)


@inlined
def _pay_in_the_gap(sim: Sim, q: Quotes) -> None:
    for i in range(sim.book.shape[0]):
        if sim.executing[i] >= 0:
            quote = q.events[sim.executing[i]]
            pay_funding(sim, i, quote.open_ns, sim.book[i].mark_bid, sim.book[i].mark_ask, quote.seq)
    for i in range(sim.book.shape[0]):
        if sim.executing[i] >= 0:
            quote = q.events[sim.executing[i]]
            pay_swap(sim, i, quote.open_ns, sim.book[i].mark_bid, sim.book[i].mark_ask, quote.seq)


@inlined
def _pay_in_the_bar(sim: Sim, q: Quotes) -> None:
    for i in range(sim.book.shape[0]):
        if sim.executing[i] >= 0:
            quote = q.events[sim.executing[i]]
            pay_funding(sim, i, quote.time_ns, quote.bid_close, quote.ask_close, quote.seq)
    for i in range(sim.book.shape[0]):
        if sim.executing[i] >= 0:
            quote = q.events[sim.executing[i]]
            pay_swap(sim, i, quote.time_ns, quote.bid_close, quote.ask_close, quote.seq)


@compiled
def _worst(book: Records, specs: Records) -> int:
    """Return the instrument of the open position with the lowest unrealised profit, the first among equals."""
    worst = -1
    lowest = 0.0
    for i in range(book.shape[0]):
        if book[i].lots != 0:
            profit = unrealised(book[i], specs[i])
            if worst < 0 or profit < lowest:
                worst = i
                lowest = profit
    return worst


@compiled
def _close(book: Record, quote: Record) -> None:
    book.mark_bid = quote.bid_close
    book.mark_ask = quote.ask_close
    book.volume = quote.volume
