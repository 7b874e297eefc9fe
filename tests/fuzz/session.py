# mypy: disable-error-code="import-not-found"
"""A session in process: the production tape, rules, intake, kernel and results, without a wire.

`record` goes moment by moment, draws the answers and watches the account; `replay` gives the same answers in windows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from account_watch import AccountWatch
from answers import Answer, Drawer, raw_intents, raw_signals
from drawn_run import DrawnRun

from boxgate_engine.benchmark import benchmark_metrics, benchmarks
from boxgate_engine.intent_intake import OrderNames, take_intents
from boxgate_engine.kernel.intent_records import INTENT_ROW
from boxgate_engine.kernel.records import SIGNAL_ROW, Marks
from boxgate_engine.metrics import Counts, compute_metrics
from boxgate_engine.results import Results, finish
from boxgate_engine.signal_intake import take_signals
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Chunk

Answers = dict[int, list[list[Answer]]]
"""By the number of the first event of a moment, in rounds: all but the last go on."""


@dataclass
class Session:
    """One run of the engine. names: of its orders. watch: the account beside it, where there is one."""

    run: DrawnRun
    names: OrderNames = field(default_factory=OrderNames)
    watch: AccountWatch | None = None

    def __post_init__(self) -> None:
        market = self.run.market
        start_ns, end_ns = market.window([0] * len(market.feeds))
        self.start_ns = start_ns
        self.rules = market.account_rules(start_ns, end_ns, seed=self.run.seed)
        self.tape = market.tape(start_ns, end_ns)
        self.simulation = Simulation(
            market.instruments, self.rules, start_ns=start_ns, orders=self.run.orders, hedging=self.run.hedging
        )
        self.nothing = np.zeros(0, INTENT_ROW if self.run.orders else SIGNAL_ROW)

    def take(self, chunk: Chunk, first: int, end: int, answers: Answers, place: int = 0) -> Any:
        """Return for the kernel what round `place` has of the moments [first, end)."""
        stated: list[tuple[int, Answer]] = []
        before = int(chunk.event_offset[first])
        for m in range(first, end):
            event = int(chunk.event_offset[m])
            rounds = answers.get(chunk.first_seq + event, [])
            if chunk.quotes.delivered[m] and place < len(rounds):
                stated += [(event - before + one["event"], one) for one in rounds[place]]
        if not stated:
            return self.nothing
        index = chunk.quote_index[before : int(chunk.event_offset[end])]
        events = chunk.quotes.events
        moment = np.searchsorted(chunk.quotes.moment_start, index, side="right")
        simulation, market = self.simulation, self.run.market
        if self.run.orders:
            taken, rounded, _ = take_intents(
                raw_intents(stated), self.names, simulation.specs, market.instruments,
                seq=events["seq"][index], moment=moment, time_ns=events["time_ns"][index],
                day_end=market.day_end, is_open=market.is_open,
            )  # fmt: skip
        else:
            taken, rounded, _ = take_signals(
                raw_signals(stated), simulation.specs, market.instruments, seq=events["seq"][index], moment=moment
            )
        simulation.rounded += rounded
        taken["event"] = index[taken["event"]]
        return taken

    def finish(self) -> tuple[Results, dict[str, Any]]:
        """Close what is to be closed and return results and metrics."""
        config, simulation = self.run.config, self.simulation
        if config.execution.close_at_end and self.tape.events:
            simulation.close_all(self.tape.events - 1)
            if self.watch is not None:
                self.watch.end()
                self.watch.check_row(_last_row(simulation))
        results = finish(simulation, ledger=True)
        metrics = compute_metrics(
            results.tables,
            currency=config.account.currency,
            initial_cash=config.account.cash,
            all_weekend=all(one.trades_on_weekends for one in simulation.instruments),
            counts=Counts(events=self.tape.events, bars=self.tape.bars, ticks=self.tape.ticks, **results.counts),
            spread_cost=results.spread_cost,
            funding_cost=results.funding_cost,
            swap_cost=results.swap_cost,
            open_positions=results.open_positions,
            fill_units=results.fill_units,
        )
        return results, metrics

    def benchmark(self, results: Results, periods: int) -> list[dict[str, Any]]:
        """Return what buying and holding each instrument makes."""
        close = self.run.config.execution.close_at_end
        held = benchmarks(
            self.simulation.instruments, self.rules, self.tape, start_ns=self.start_ns, close_at_end=close
        )
        return benchmark_metrics(held, results.tables.equity, periods=periods)


def record(run: DrawnRun) -> tuple[Session, Answers]:
    """Run moment by moment with answers that are drawn while it runs; the account is watched throughout."""
    session = Session(run)
    simulation = session.simulation
    watch = session.watch = AccountWatch(simulation, session.rules)
    rng = Random(f"answers {run.seed}")
    drawer = Drawer(run, rng)
    goes_on = 0.0 if simulation.delays or not run.orders else rng.choice((0.0, 0.0, 0.4))
    answers: Answers = {}
    start = 0
    while start < session.tape.merged_events:
        chunk = session.tape.chunk(start, 1 << 14)
        quotes = chunk.quotes
        for m in range(chunk.moments):
            first, end = int(quotes.moment_start[m]), int(quotes.moment_start[m + 1])
            simulation.advance(quotes, session.nothing, m, m + 1)
            watch.follow(quotes, first, end)
            if not quotes.delivered[m]:
                continue
            drawer.quotes = {i: mark for i, mark in enumerate(watch.marks) if mark is not None}
            watch.check_row(_last_row(simulation))
            seq = chunk.first_seq + int(chunk.event_offset[m])
            events = int(chunk.event_offset[m + 1] - chunk.event_offset[m])
            time_ns = int(quotes.events[first]["time_ns"])
            place = 0
            while given := drawer.answer(simulation.sim, time_ns, events):
                answers.setdefault(seq, []).append(given)
                taken = session.take(chunk, m, m + 1, answers, place)
                place += 1
                if rng.random() >= goes_on or place > 3:
                    simulation.advance(quotes, taken, m, m + 1, settled=1)
                    break
                simulation.apply_now(quotes, taken, m)
                watch.follow(quotes, first, end, again=True)
                watch.check_row(_last_row(simulation))
            else:
                if place:
                    answers[seq].append([])  # the answer that ends what went on
        start += len(quotes.events)
    return session, answers


def replay(run: DrawnRun, answers: Answers) -> Session:
    """Run with answers that are known, in chunks and windows of other lengths, planned ahead at times."""
    session = Session(run)
    rng = Random(f"windows {run.seed}")
    chunk_events = rng.choice((1, 7, 64, 1 << 14))
    start = 0
    while start < session.tape.merged_events:
        chunk = session.tape.chunk(start, chunk_events)
        m = 0
        while m < chunk.moments:
            end = min(m + rng.choice((1, 3, 20, 500)), chunk.moments)
            unfinished = [k for k in range(m, end) if _rounds(chunk, k, answers) > 1]
            if unfinished:
                end = max(unfinished[0], m + 1)
            _settle_window(session, chunk, m, end, answers, planned=rng.random() < 0.3)
            m = end
        start += len(chunk.quotes.events)
    return session


def _settle_window(session: Session, chunk: Chunk, first: int, end: int, answers: Answers, *, planned: bool) -> None:
    simulation, quotes = session.simulation, chunk.quotes
    rounds = _rounds(chunk, first, answers)
    if rounds > 1:
        simulation.advance(quotes, session.nothing, first, first + 1)
        for place in range(rounds - 1):
            simulation.apply_now(quotes, session.take(chunk, first, end, answers, place), first)
        simulation.advance(quotes, session.take(chunk, first, end, answers, rounds - 1), first, end, settled=1)
        return
    taken = session.take(chunk, first, end, answers)
    if not planned:
        simulation.advance(quotes, taken, first, end)
        return
    simulation.advance(quotes, session.nothing, first, first + 1)
    marks = Marks.for_chunk(len(quotes.events), simulation.positions)
    if session.run.orders:
        marks = marks.following(simulation.trailing_orders())
    reach = simulation.plan(quotes, first + 1, end, marks)
    seen = slice(int(quotes.moment_start[first]), int(quotes.moment_start[max(reach, first + 1)]))
    for each in (marks.equity, marks.free_margin, marks.profit):
        assert np.isfinite(each[..., seen]).all(), "a mark that is no number"
    simulation.advance(quotes, taken, first, end, settled=1)


def _rounds(chunk: Chunk, m: int, answers: Answers) -> int:
    delivered = bool(chunk.quotes.delivered[m])
    return len(answers.get(chunk.first_seq + int(chunk.event_offset[m]), ())) if delivered else 0


def _last_row(simulation: Simulation) -> Any:
    return {name: column[-1] for name, column in simulation.curve.items()}
