"""A run in the making: the kernel's state, the room for its outputs, and what others may see of it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from boxgate_engine.instruments import Instrument
from boxgate_engine.intent_intake import RAW_INTENT, OrderNames, RawIntents, take_intents
from boxgate_engine.kernel import loop
from boxgate_engine.kernel.intent_records import (
    INTENT_ROW,
    MARKET,
    NAMED_POSITIONS_MAX,
    ORDER_ENDED,
    ORDER_QUEUED,
    ORDER_ROW,
    ORDER_WORKING,
    ORDERS_PER_POSITION_MAX,
    SUBMIT,
    TRAILING_STOP,
    WORKING,
)
from boxgate_engine.kernel.records import (
    ACCOUNT,
    BOOK,
    CURVE,
    FILL_ROW,
    FILLS_PER_INSTRUMENT_MAX,
    NO_EXPIRY,
    OPEN,
    QUOTE,
    RESTING,
    SIGNAL_ROW,
    TRADE_ROW,
    UNEXECUTED,
    UPDATE_ROW,
    Integers,
    Marks,
    Quotes,
    Records,
    Sim,
)
from boxgate_engine.kernel.state import state_of
from boxgate_engine.quotes import fill_quotes
from boxgate_engine.randomness import uniform
from boxgate_engine.rules import AccountRules, account_specs, rules_record, stamp_records
from boxgate_engine.signal_intake import BUY, FLAT, RAW_SIGNAL, take_signals

_NO_SIGNALS: Final = np.zeros(0, SIGNAL_ROW)
_NO_INTENTS: Final = np.zeros(0, INTENT_ROW)
_NO_MARKS: Final = Marks.for_chunk(0, 0)


class Simulation:
    """Steps the kernel over chunks of the tape.

    All methods take a chunk's quotes and ranges of its moments; the caller keeps the ranges consecutive.
    """

    def __init__(
        self,
        instruments: Sequence[Instrument],
        rules: AccountRules,
        *,
        start_ns: int,
        moments: int = 0,
        orders: bool = False,
        hedging: bool = False,
    ) -> None:
        """Open the account; the first row of the equity curve is the start.

        moments: how many the tape has, if known: room for so many rows of the equity curve. orders: intents come
        instead of signals. hedging: these may name positions.
        """
        count = len(instruments)
        places = NAMED_POSITIONS_MAX if hedging else 0
        owner = np.concatenate([np.arange(count), np.repeat(np.arange(count), places)])
        book = np.zeros(len(owner), BOOK)
        book["instrument"] = owner
        for field in ("queue_head", "queue_tail", "work_signal", "stand_signal", "bracket_signal"):
            book[field] = -1
        book["stand_until_ns"] = NO_EXPIRY
        book["allowance"] = -1
        account = np.zeros(1, ACCOUNT)
        account["cash"] = rules.cash
        account["next_position_id"] = 1
        specs = account_specs(instruments, rules)[owner]
        book["unit"] = np.where(specs["rate_first"] < 0, specs["contract"], 0.0)
        funding, funding_end = stamp_records(rules.funding, count, start_ns)
        swap, swap_end = stamp_records(rules.swap_stamps if rules.swap else (), count, start_ns)
        for name, end in (("funding", funding_end), ("swap", swap_end)):
            specs[f"{name}_end"] = end[owner]
            book[f"next_{name}"] = np.concatenate([[0], end[:-1]])[owner]
        self.instruments = tuple(instruments)
        self.initial_cash = rules.cash
        self.rounded = 0
        self.orders = orders
        self._latency = rules.latency
        room = max(moments + 2, 1024)
        self._sim = Sim(
            book,
            specs,
            account,
            rules_record(rules, stamped=bool(len(funding) + len(swap)), orders=orders, places=places),
            np.zeros(0, SIGNAL_ROW),
            np.zeros(0, FILL_ROW),
            np.zeros(0, TRADE_ROW),
            np.zeros(0, UPDATE_ROW),
            np.empty(room, np.int64),
            np.empty((len(CURVE), room)),
            np.zeros(len(owner), np.int64),
            np.zeros(_fills_max(orders), FILL_ROW),
            funding,
            swap,
            np.zeros(0, INTENT_ROW),
            np.zeros(0, ORDER_ROW),
            np.zeros(ORDERS_PER_POSITION_MAX, ORDER_ROW),
            np.zeros(2, BOOK),
            np.zeros(2, ACCOUNT),
            np.zeros(1, ORDER_ROW),
            np.zeros(ORDERS_PER_POSITION_MAX, np.int64),
        )
        self._held: Sim | None = None
        self._planned: tuple[Sim, Sim, Sim] | None = None
        self._moments_left = self._signals_left = 0
        self._sim.curve_ns[0] = start_ns
        self._sim.curve[:, 0] = [rules.cash if name in {"equity", "cash"} else 0.0 for name in CURVE]
        account["equity_rows"] = 1

    @property
    def sim(self) -> Sim:
        """The kernel's state; read only for callers."""
        return self._sim

    @property
    def state(self) -> Sim:
        """The kernel's state as its compiled functions take it, made anew after an array was exchanged; read only."""
        if self._held is None:
            self._held = state_of(self._sim)
        return self._held

    @property
    def curve(self) -> dict[str, Any]:
        """The equity curve so far: views of its columns by name, `time_ns` first, each of shape (rows,)."""
        rows = int(self._sim.account["equity_rows"][0])
        values = {name: self._sim.curve[k, :rows] for k, name in enumerate(CURVE)}
        return {"time_ns": self._sim.curve_ns[:rows], **values}

    @property
    def specs(self) -> Records:
        """SPEC records of the instruments."""
        return self._sim.specs[: len(self.instruments)]

    @property
    def hedging(self) -> bool:
        """Whether positions may have names."""
        return self.positions > len(self.instruments)

    @property
    def positions(self) -> int:
        """Number of positions that may be open at a time."""
        return len(self._sim.book)

    @property
    def delays(self) -> bool:
        """Whether decisions are on their way for a time."""
        return bool(self._latency.fixed_ns or self._latency.jitter_ns)

    def advance(self, quotes: Quotes, incoming: Records, first: int, end: int, *, settled: int = 0) -> None:
        """Settle moments [first, end) and apply the signals or intents that answer them; see kernel.loop.step.

        incoming: SIGNAL_ROW records, in a session of orders INTENT_ROW.
        """
        late = self._late(incoming, quotes)
        if not self.hedging:
            self._advance(quotes, late, first, end, settled)
            return
        # Named positions need room for many fills in each moment, so long ranges are settled part by part.
        moment = np.searchsorted(quotes.moment_start, incoming["event"], side="right") - 1
        for start in range(first, end, _MOMENTS_WITH_PLACES):
            stop = min(start + _MOMENTS_WITH_PLACES, end)
            part = late[(moment >= start) & (moment < stop)]
            self._advance(quotes, part, start, stop, max(first + settled - start, 0))

    def _advance(self, quotes: Quotes, incoming: Records, first: int, end: int, settled: int) -> None:
        self._make_room(end - first, len(incoming))
        signals, intents = (_NO_SIGNALS, incoming) if self.orders else (incoming, _NO_INTENTS)
        loop.step(self.state, quotes, signals, intents, first, end, settled, _NO_MARKS, loop.ADVANCE)

    def apply_now(self, quotes: Quotes, incoming: Records, moment: int) -> None:
        """Accept intents of a moment that is settled; on a tick they meet it at once, on bars they wait as always."""
        self._make_room(1, len(incoming))
        intents = self._late(incoming, quotes)
        loop.step(self.state, quotes, _NO_SIGNALS, intents, moment, moment + 1, 0, _NO_MARKS, loop.MEET_NOW)

    def open_orders(self) -> Records:
        """Return the ORDER_ROW records of the orders that work or wait, by instrument and place in its list."""
        rows = self._open_order_rows()
        return self._sim.orders[rows]

    def trailing_orders(self) -> Integers:
        """Return the numbers of the TRAILING_STOP orders that work, as `open_orders` lists them."""
        orders = self.open_orders()
        numbers: Integers = orders["number"][(orders["type"] == TRAILING_STOP) & (orders["state"] == ORDER_WORKING)]
        return numbers

    def _late(self, incoming: Records, quotes: Quotes) -> Records:
        """Return the decisions with the time that they are on their way."""
        latency = self._latency
        if not len(incoming) or not self.delays:
            return incoming
        late = incoming.copy()
        late["delay_ns"] = latency.fixed_ns
        if latency.jitter_ns:
            seq = _last_seq_of_moment(quotes, incoming["event"])
            u = uniform(latency.seed, seq, incoming["instrument"], np.ones(len(incoming), np.int64))
            late["delay_ns"] += np.floor(latency.jitter_ns * u).astype(np.int64)
        return late

    def _open_order_rows(self) -> list[int]:
        rows = []
        orders, intents = self._sim.orders, self._sim.intents
        for book in self._sim.book:
            number = int(book["order_head"])
            while number:
                rows.append(number - 1)
                number = int(orders[number - 1]["next"])
            row = int(book["queue_head"])
            while row >= 0:
                order = int(intents[row]["order"]) - 1
                if intents[row]["kind"] == SUBMIT and orders[order]["state"] == ORDER_QUEUED:
                    rows.append(order)
                row = int(intents[row]["next"])
        return rows

    def plan(self, quotes: Quotes, first: int, end: int, marks: Marks) -> int:
        """Return how far a window may reach that begins with moment first - 1, which has been settled.

        The state does not change. Fills the marks of moments [first - 1, result), for the orders that they follow too.
        """
        reach = int(loop.plan_quietly(self.state, self._room_to_plan(0)[1], quotes, first, end, marks))
        if reach >= 0:
            return reach
        # Planning stops at the first change, so one moment's room is enough for the outputs of the copy; of the
        # signal table only what works or waits can change, so those rows are kept instead of the whole table.
        table = raw(self._sim.intents if self.orders else self._sim.signals)
        orders = raw(self._sim.orders)
        rows = self._rows_at_work()
        order_rows = self._open_order_rows() if self.orders else []
        kept = table[rows] if rows else None
        kept_orders = orders[order_rows] if order_rows else None
        state = self._copied(2 * len(rows) + len(order_rows) + self._stamps_left() + 1)
        reach = loop.step(state, quotes, _NO_SIGNALS, _NO_INTENTS, first, end, 0, marks, loop.PLAN)
        if kept is not None:
            table[rows] = kept
        if kept_orders is not None:
            orders[order_rows] = kept_orders
        return int(reach)

    def _copied(self, updates: int) -> Sim:
        """Return what the kernel takes to plan on: book and account are copies, the outputs have room for one moment.

        updates: room for those that are no fills. The copy is written over by the next call.
        """
        copy, state = self._room_to_plan(updates)
        raw(copy.book)[:] = raw(self._sim.book)
        raw(copy.account)[:] = raw(self._sim.account)
        record = copy.account[0]
        record["fills"] = record["trades"] = record["updates"] = 0
        return state

    def _room_to_plan(self, updates: int) -> tuple[Sim, Sim]:
        """Return room for a copy of book and account and for the outputs of one moment, and what the kernel takes."""
        room = _fills_max(self.orders) * self.positions
        planned = self._planned
        if planned is None or planned[0] is not self._sim or len(planned[1].updates) < room + updates:
            copy = self._sim._replace(
                book=np.empty_like(self._sim.book),
                account=np.empty_like(self._sim.account),
                fills=np.empty(room, FILL_ROW),
                trades=np.empty(room, TRADE_ROW),
                updates=np.empty(room + 2 * updates, UPDATE_ROW),
            )
            planned = self._planned = (self._sim, copy, state_of(copy))
        return planned[1:]

    def _rows_at_work(self) -> list[int]:
        rows = []
        table = self._sim.intents if self.orders else self._sim.signals
        for book in self._sim.book:
            if book["work_signal"] >= 0 and not self.orders:
                rows.append(int(book["work_signal"]))
            row = int(book["queue_head"])
            while row >= 0:
                rows.append(row)
                row = int(table[row]["next"])
        return rows

    def _stamps_left(self) -> int:
        if not len(self._sim.funding) and not len(self._sim.swap):
            return 0
        book, specs = self._sim.book, self._sim.specs
        funding = specs["funding_end"] - book["next_funding"]
        return int((funding + specs["swap_end"] - book["next_swap"]).sum())

    def decide_outcomes(self) -> None:
        """Decide the outcomes that the end of the tape leaves open."""
        if self.orders:
            self._decide_intents()
            return
        signals = self._sim.signals[: int(self._sim.account["signals"][0])]
        for book in self._sim.book:
            row = int(book["work_signal"])
            if book["work_live"] and book["work_lots"] != book["lots"] and signals[row]["outcome"] == OPEN:
                signals["outcome"][row] = RESTING
        signals["outcome"][signals["outcome"] == OPEN] = UNEXECUTED

    def _decide_intents(self) -> None:
        intents = self._sim.intents[: int(self._sim.account["intents"][0])]
        submitted = intents["kind"] == SUBMIT
        order = self._sim.orders[intents["order"][submitted] - 1]
        outcome = np.where(order["state"] == ORDER_ENDED, order["outcome"], UNEXECUTED)
        intents["outcome"][submitted] = np.where(order["state"] == ORDER_WORKING, WORKING, outcome)
        intents["reason"][submitted] = order["reason"]
        intents["filled"][submitted] = order["filled"]
        intents["average_price"][submitted] = order["average_price"]
        intents["outcome"][intents["outcome"] == OPEN] = UNEXECUTED

    def close_all(self, seq: int) -> None:
        """Close what is open at its last mark, with costs. What works at that time rests, whatever is closed.

        seq: of the last event.
        """
        self.decide_outcomes()
        self._make_room(1, 0)
        loop.close_all(self.state, seq)

    def _make_room(self, moments: int, signals: int) -> None:
        """Make room for what some moments and the signals that answer them can write."""
        if moments > self._moments_left or signals > self._signals_left:
            ahead = _FILLS_AHEAD // (_fills_max(self.orders) * self.positions)
            self._moments_left, self._signals_left = max(moments, ahead), max(signals, _SIGNALS_AHEAD)
            self._lengthen(self._room_of_outputs(self._moments_left, self._signals_left))
        self._moments_left -= moments
        self._signals_left -= signals
        rows = int(self._sim.account["equity_rows"][0])
        if rows + moments + 1 > len(self._sim.curve_ns):
            self._lengthen({"curve_ns": (rows, moments + 1), "curve": (rows, moments + 1)})

    def _room_of_outputs(self, moments: int, signals: int) -> dict[str, tuple[int, int]]:
        """Return of each output how many rows are in use, and how many more may be written."""
        account = self._sim.account[0]
        fills = _fills_max(self.orders) * self.positions * moments
        intents = signals if self.orders else 0
        decisions = signals + int(account["signals"]) + int(account["intents"])
        return {
            "signals": (int(account["signals"]), signals - intents),
            "intents": (int(account["intents"]), intents),
            "orders": (int(account["intents"]), intents),
            "fills": (int(account["fills"]), fills),
            "trades": (int(account["trades"]), fills),
            # A decision can cause a few updates that are no fills, at its acceptance or later; a moment a margin call.
            "updates": (
                int(account["updates"]),
                fills + 3 * decisions + self._stamps_left() + moments,
            ),
        }

    def _lengthen(self, needed: dict[str, tuple[int, int]]) -> None:
        """Exchange the outputs that are too short. needed: rows in use, and rows that come."""
        grown = {}
        for name, (used, more) in needed.items():
            array = getattr(self._sim, name)
            length = array.shape[-1]
            if used + more > length:
                # Memory that is never written is never resident, so generous room costs nothing.
                larger = np.empty((*array.shape[:-1], max(2 * length, used + more)), array.dtype)
                if array.dtype.names is None:
                    larger[..., :used] = array[..., :used]
                else:
                    raw(larger)[:used] = raw(array)[:used]
                grown[name] = larger
        if grown:
            self._sim = self._sim._replace(**grown)
            self._held = None


_FILLS_AHEAD: Final = 8192
"""Fills that room is made for at a time, in as many moments as may have them."""
_SIGNALS_AHEAD: Final = 1024
"""Signals or intents that room is made for at a time."""
_MOMENTS_WITH_PLACES: Final = 64
"""Moments that are settled at a time where positions have names."""


def raw(records: Records) -> Records:
    """Return a view of the records without their fields: NumPy copies these one by one, and bytes at once."""
    return records.view(f"V{records.itemsize}")


def _fills_max(orders: bool) -> int:
    """Return how many fills one instrument can make in one moment."""
    return FILLS_PER_INSTRUMENT_MAX + (4 * ORDERS_PER_POSITION_MAX if orders else 0)


def _last_seq_of_moment(quotes: Quotes, event: Integers) -> Integers:
    """Return the number of the last event of the moment of each event."""
    moment = np.searchsorted(quotes.moment_start, event, side="right")
    last: Integers = quotes.events["seq"][quotes.moment_start[moment] - 1]
    return last


def compile_kernel() -> None:
    """Compile every kernel function that a run calls, by stepping over one bar; kept for later processes."""
    instrument = Instrument(
        symbol="X", asset_class="forex", quote_currency="X", tick_size=Fraction(1), lot_size=Fraction(1)
    )
    events = np.zeros(1, QUOTE)
    price = np.ones(1)
    fill_quotes(
        events, np.zeros(1, np.int64), first_seq=0, instrument=0, frame_ns=1, opens_ns=np.zeros(1, np.int64),
        executes=True, bids=(price,) * 4, asks=None, spread=0.0, tick_size=Fraction(1), volume=price, closed=None,
    )  # fmt: skip
    quotes = Quotes(events, np.array([0, 1]), np.ones(1, np.uint8))
    seq = moment = np.zeros(1, np.int64)
    for orders in (False, True):
        simulation = Simulation([instrument], AccountRules(cash=1.0), start_ns=0, orders=orders)
        if orders:
            rows = np.zeros(1, RAW_INTENT)
            rows["kind"], rows["side"], rows["type"], rows["has_qty"], rows["qty"] = SUBMIT, BUY, MARKET, True, 1.0
            raw = RawIntents(rows, ["x"], [""])
            decisions, *_ = take_intents(
                raw, OrderNames(), simulation.specs, [instrument], seq=seq, moment=moment, time_ns=seq
            )
        else:
            rows = np.zeros(1, RAW_SIGNAL)
            rows["side"] = FLAT
            decisions, *_ = take_signals(rows, simulation.specs, [instrument], seq=seq, moment=moment)
        simulation.advance(quotes, decisions, 0, 1)
        if orders:
            simulation.apply_now(quotes, _NO_INTENTS, 0)
        simulation.plan(quotes, 1, 1, Marks.for_chunk(1, 1).following(simulation.trailing_orders()))
        simulation.close_all(0)
