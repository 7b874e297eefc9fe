"""Buying and holding each instrument of a run, by the kernel and the costs of the run itself.

Source: docs/spec/metrics.md, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import NO_EXPIRY, QUOTE, SIGNAL_ROW, Floats, Integers, Quotes, Records
from boxgate_engine.metrics.arrays import DAY_NS, floats, integers
from boxgate_engine.metrics.benchmark import BENCHMARK, benchmark_figures
from boxgate_engine.metrics.returns import daily_marks, last_of_each
from boxgate_engine.rules import AccountRules, MarginRules
from boxgate_engine.signal_intake import STEPS_MAX
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Tape
from boxgate_engine.thinned_tape import day_cuts, stamp_cuts, thinned

_FIRST_CHUNK_EVENTS: Final = 64
_CHUNK_EVENTS: Final = 16_384
_TRIES_MAX: Final = 64
_NOTHING: Final = np.zeros(0, SIGNAL_ROW)
_NO_LIMIT: Final = 1e9
"""A leverage that refuses nothing: the size is what limits the purchase."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """One instrument, bought once and held. times_ns, equity: shape (n,), the start and the last mark of each UTC day.

    fees to swap: account currency, positive = paid. qty: base units. entry_time_ns: as of the table of fills.
    """

    instrument: str
    qty: float
    entry_time_ns: int
    entry_price: float
    fees: float
    slippage: float
    spread: float
    funding: float
    swap: float
    times_ns: Integers
    equity: Floats


def benchmarks(
    instruments: Sequence[Instrument], rules: AccountRules, tape: Tape, *, start_ns: int, close_at_end: bool
) -> list[Held]:
    """Return each instrument bought and held with the cash of the run; none for one that could not be bought.

    rules: of the run; its leverage, margin rules and volume limit do not apply. tape: of the run. close_at_end: sold at
    the last mark, with costs, as the run closes its positions.
    """
    own = replace(rules, leverage=_NO_LIMIT, margin=MarginRules(), cash_account=False, volume_limit=None)
    found = []
    for index in range(len(instruments)):
        held = _hold(instruments, own, tape, index, start_ns, close_at_end)
        if held is not None:
            found.append(held)
    return found


def benchmark_metrics(held: Sequence[Held], run: pa.Table, *, periods: int) -> list[dict[str, Any]]:
    """Return the group `benchmark` of metrics.json. run: the full equity curve of the run. periods: marks of a year."""
    own = daily_marks(integers(run["time"]), floats(run["equity"]))
    return [
        {
            "instrument": one.instrument,
            "qty": one.qty,
            "entry_time_ns": one.entry_time_ns,
            "entry_price": one.entry_price,
            "final": float(one.equity[-1]),
            "net_profit": float(one.equity[-1] - one.equity[0]),
            "total": float(one.equity[-1] / one.equity[0] - 1.0),
            "costs": {name: getattr(one, name) for name in ("fees", "slippage", "spread", "funding", "swap")},
            **benchmark_figures(own, daily_marks(one.times_ns, one.equity), periods),
        }
        for one in held
    ]


def benchmark_table(held: Sequence[Held]) -> pa.Table:
    """Return the content of benchmark.parquet."""
    parts = []
    for one in held:
        columns: dict[str, Any] = {
            "time": pa.array(one.times_ns).cast(BENCHMARK.field("time").type),
            "instrument": pa.array([one.instrument] * len(one.equity), pa.string()),
            "equity": pa.array(one.equity),
        }
        parts.append(pa.table(columns, schema=BENCHMARK))
    return pa.concat_tables(parts) if parts else BENCHMARK.empty_table()


def _hold(
    instruments: Sequence[Instrument], rules: AccountRules, tape: Tape, index: int, start_ns: int, close_at_end: bool
) -> Held | None:
    purchase = _affordable(instruments, rules, tape, index, start_ns)
    if purchase is None:
        return None
    purchase.hold()
    simulation = purchase.simulation
    if close_at_end:
        simulation.close_all(tape.events - 1)
    account, curve = simulation.sim.account[0], simulation.curve
    fills = simulation.sim.fills[: int(account["fills"])]
    bought = fills[fills["direction"] > 0]
    shown = np.union1d([0], last_of_each(curve["time_ns"], DAY_NS))
    return Held(
        instrument=instruments[index].symbol,
        qty=float(bought["qty"].sum()),
        entry_time_ns=int(bought["time_ns"][0]),
        entry_price=float((bought["price"] * bought["qty"]).sum() / bought["qty"].sum()),
        fees=float(account["fee_sum"]),
        slippage=float(fills["slippage"].sum()),
        spread=float(account["spread_sum"]),
        funding=-float(account["funding_sum"]) + 0.0,
        swap=-float(account["swap_sum"]) + 0.0,
        times_ns=curve["time_ns"][shown],
        equity=curve["equity"][shown],
    )


def _affordable(
    instruments: Sequence[Instrument], rules: AccountRules, tape: Tape, index: int, start_ns: int
) -> _Purchase | None:
    """Return the purchase of as many lots as the cash pays with their fee, None if it pays for none or none was filled.

    Found by buying, since slippage and fee may depend on the size: first one lot, then as many as its price allows,
    then less until the fee fits too.
    """
    lots, ceiling = 1, None
    purchase = _Purchase(instruments, rules, tape, index, start_ns)
    for _ in range(_TRIES_MAX):
        purchase.order(lots)
        purchase.play()
        paid = purchase.paid()
        if paid is None:
            return None
        notional, fee = paid
        if ceiling is None:
            ceiling = lots = min(int(rules.cash / notional), STEPS_MAX - 1)
        elif notional + fee <= rules.cash:
            return purchase
        else:
            lots = min(lots - 1, int(lots * (rules.cash / (notional + fee))))
        if lots < 1:
            return None
    return None


class _Purchase:
    """A run over the tape whose only decision is to buy one instrument, as soon as its value in cash is known."""

    def __init__(
        self, instruments: Sequence[Instrument], rules: AccountRules, tape: Tape, index: int, start_ns: int
    ) -> None:
        self.simulation = Simulation(instruments, rules, start_ns=start_ns)
        self.tape, self.index, self.start_ns = tape, index, start_ns
        self.lots, self.unit = 0, 0.0
        self.settled = 0
        self._opening = [octets.copy() for octets in self._state()]
        self._first = tape.chunk(0, _FIRST_CHUNK_EVENTS).quotes

    def order(self, lots: int) -> None:
        """Decide at the start, before the first event, unless a rate is not known yet. What was bought is forgotten."""
        for octets, at_first in zip(self._state(), self._opening, strict=True):
            octets[:] = at_first
        self.lots, self.settled = lots, 0
        self.unit = self._unit()
        if self.unit:
            event = np.zeros(1, QUOTE)
            event["time_ns"] = event["open_ns"] = self.start_ns
            event["seq"] = -1
            event["instrument"] = self.index
            moment = Quotes(event, np.array([0, 1]), np.zeros(1, np.uint8))
            self.simulation.advance(moment, self._signal(0), 0, 1)

    def play(self) -> None:
        """Settle the tape until the purchase is filled, or to its end."""
        events_max = _FIRST_CHUNK_EVENTS
        while self.settled < self.tape.merged_events and self.paid() is None:
            quotes = self.tape.chunk(self.settled, events_max).quotes if self.settled else self._first
            first, end = 0, len(quotes.delivered)
            while not self.unit and first < end:
                first += 1
                self.simulation.advance(quotes, _NOTHING, first - 1, first)
                self.unit = self._unit()
                if self.unit:
                    decision = self._signal(int(quotes.moment_start[first]) - 1)
                    self.simulation.advance(quotes, decision, first - 1, first, settled=1)
            self.simulation.advance(quotes, _NOTHING, first, end)
            self.settled += len(quotes.events)
            events_max = min(2 * events_max, _CHUNK_EVENTS)

    def hold(self) -> None:
        """Settle what decides the last mark of each day, and when and on what the position pays funding and swap."""
        sim = self.simulation.sim
        book, spec = sim.book[self.index], sim.specs[self.index]
        assert book["lots"] == self.lots, "a market order fills whole"
        stamps = [
            sim.funding["time_ns"][int(book["next_funding"]) : int(spec["funding_end"])],
            sim.swap["time_ns"][int(book["next_swap"]) : int(spec["swap_end"])],
        ]
        cuts = np.union1d(day_cuts(self.tape), stamp_cuts(self.tape, self.index, np.concatenate(stamps)))
        rest = thinned(self.tape, self.settled, cuts)
        done = 0
        while done < rest.merged_events:
            quotes = rest.chunk(done, _CHUNK_EVENTS).quotes
            self.simulation.advance(quotes, _NOTHING, 0, len(quotes.delivered))
            done += len(quotes.events)

    def paid(self) -> tuple[float, float] | None:
        """Return (notional, fee) of what was bought, account currency by the rate of the decision; None if nothing."""
        fills = self.simulation.sim.fills[: int(self.simulation.sim.account["fills"][0])]
        bought = fills[fills["direction"] > 0]
        if not len(bought):
            return None
        return float((bought["price"] * bought["qty"]).sum()) * self.unit, float(bought["fee"].sum())

    def _state(self) -> list[np.ndarray]:
        """Return book and account as octets. The account tells how much of all other tables is in use."""
        return [records.view(np.uint8) for records in (self.simulation.sim.book, self.simulation.sim.account)]

    def _unit(self) -> float:
        """Return the value of one unit of quantity at a price of 1, account currency; 0.0 where no rate is known."""
        return float(self.simulation.sim.book["unit"][self.index])

    def _signal(self, event: int) -> Records:
        signal = np.zeros(1, SIGNAL_ROW)
        signal["event"], signal["instrument"] = event, self.index
        signal["side"], signal["lots"] = 1, self.lots
        signal["valid_until_ns"] = NO_EXPIRY
        return signal
