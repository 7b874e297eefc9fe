"""Mutants of the kernel: each is one slip that a programmer could make, and each must be caught.

Run as a script with NUMBA_DISABLE_JIT=1: every mutant is interpreted, not compiled, on random cases of the reference
loop until its results differ. With words as arguments, only mutants whose names have one of them. Prints one JSON
object: mutant -> seed that caught it, or null.
"""

# ruff: noqa: E501 (each mutant is one row of a table)
from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

SEEDS_MAX = 150
"""Tapes that a mutant may survive before it counts as not caught."""


_PLAIN = {
    "compilation.py": "def compiled(function):\n    return function\n\n\ninlined = compiled\n",
    "state.py": "def state_of(sim):\n    return sim\n",
}
"""Modules of the kernel that serve the compiler alone, as they are when everything is interpreted."""


@dataclass(frozen=True)
class Mutant:
    """One replacement in one file of the kernel; `old` must stand there exactly once."""

    name: str
    file: str
    old: str
    new: str
    cases: str = "tapes"
    """What reaches the rule: random tapes, accounts, targets with trails and limits (limited), orders, or hedging."""
    first: int = 0
    """Seed of the first case that is tried: some slips show on few of them."""


Account = partial(Mutant, cases="accounts")
Limited = partial(Mutant, cases="limited")
Order = partial(Mutant, cases="orders")
Hedging = partial(Mutant, cases="hedging")

MUTANTS = (
    Mutant("decisions meet bars that opened before them", "targets.py", ".due_ns <= open_ns:", ".due_ns <= open_ns + 240000000000:"),
    Mutant("decisions never meet the next bar", "targets.py", ".due_ns <= open_ns:", ".due_ns < open_ns:"),
    Mutant("limit before stop and target at one price", "walk.py", "if at < s_next:", "if at <= s_next:", first=22),
    Mutant("a stop is not reached by a touch", "walk.py", "return price <= level if falling else price >= level", "return price < level if falling else price >= level"),
    Mutant("a rise is not reached by a touch", "walk.py", "return price <= level if falling else price >= level", "return price <= level if falling else price > level"),
    Mutant("no fee on reductions", "fills.py", "account.cash = (account.cash + gross) - fee", "account.cash = account.cash + gross"),
    Mutant("no fee on entries", "fills.py", "account.cash = account.cash - fee", "account.cash = account.cash"),
    Mutant("slippage on limits", "walk.py", "reduce_towards_target(sim, i, raw, bid, ask, False, time_ns, seq)", "reduce_towards_target(sim, i, raw, bid, ask, True, time_ns, seq)"),
    Mutant("sellers are rounded up", "fills.py", "ticks_away(round_down(", "ticks_away(round_up("),
    Mutant("market entries of longs pay the bid", "settle.py", "raw = quote.ask_open if book.work_lots > book.lots else quote.bid_open", "raw = quote.bid_open"),
    Mutant("a gapped stop fills at its level", "settle.py", "exit_by_bracket(sim, i, stop, raw,", "exit_by_bracket(sim, i, stop, book.sl if stop else raw,"),
    Mutant("expiry is one moment early", "targets.py", "book.work_live and book.work_until_ns < time_ns", "book.work_live and book.work_until_ns <= time_ns", first=41),
    Mutant("pessimistic takes the better path", "walk.py", "return high_first < low_first", "return high_first > low_first"),
    Mutant("ties of the paths go the other way", "walk.py", "return high_first < low_first", "return high_first <= low_first"),
    Mutant("adaptive ties go the other way", "walk.py", "return quote.bid_high - quote.bid_open < quote.bid_open - quote.bid_low", "return quote.bid_high - quote.bid_open <= quote.bid_open - quote.bid_low"),
    Mutant("the old bracket is lost when the target changes side", "targets.py", "if signal.side != 0 and _sign(book.lots) == signal.side:", "if signal.side != 0 and book.lots != 0:"),
    Mutant("a bracket exit keeps the standing target", "targets.py", "if book.stand_side == side or book.stand_side == 0:\n        stand_on_position(book)", "if book.stand_side == 0:\n        stand_on_position(book)"),
    Mutant("adjust_only opens positions", "targets.py", "if signal.adjust_only and (signal.side == 0 or _sign(book.lots) != signal.side):", "if signal.adjust_only and signal.side == 0:"),
    Mutant("lots are rounded up", "grid.py", "    while grid_value(n, num, den) > qty:\n        n -= 1\n", ""),
    Mutant("margin ignores the other instruments", "fills.py", "            profit += unrealised(sim.book[j], sim.specs[j])", "            continue", first=40),
    Mutant("margin ignores the leverage", "fills.py", "unit) / sim.specs[i].leverage\n        elif", "unit)\n        elif"),
    Mutant("excursion forgets the entry point", "fills.py", "    follow_position(book)\n    touch(book, bid, ask)\n    _write_fill(sim, i, side,", "    follow_position(book)\n    book.lowest = price\n    book.highest = price\n    _write_fill(sim, i, side,"),
    Mutant("average entry price ignores the old quantity", "fills.py", "entry_price = (book.entry_price * held + price * quantity) / held_after", "entry_price = (book.entry_price + price) / 2.0"),
    Mutant("brackets wait for the inside of the bar", "settle.py", "            _gap_bracket(sim, q.events[sim.executing[i]], i)\n", "            pass\n"),
    Mutant("equity is marked at the open", "settle.py", "book.mark_bid = quote.bid_close", "book.mark_bid = quote.bid_open"),
    Mutant("shorts are marked at the bid", "fills.py", "return ((book.entry_price - book.mark_ask) * quantity)", "return ((book.entry_price - book.mark_bid) * quantity)"),
    Account("inverse rates are taken as they are", "margin.py", "return 1.0 / mid if inverse else mid", "return mid"),
    Account("the second leg of a rate is forgotten", "margin.py", "if spec.rate_second >= 0:", "if spec.rate_second > 9:"),
    Account("rates are bids", "margin.py", "mid = (book.mark_bid + book.mark_ask) / 2.0", "mid = book.mark_bid"),
    Account("positions of an unknown rate are opened", "fills.py", "if unit == 0.0:", "if unit < 0.0:"),
    Account("the margin of the others does not count in the level", "margin.py", "(cost - worth) + rules.maintenance * margin)", "cost - worth)"),
    Account("shorts are liquidated at the level of longs", "margin.py", "level = ((cost + worth) - rules.maintenance * margin) / (quantity_value * (1.0 + share))", "level = ((cost + worth) - rules.maintenance * margin) / (quantity_value * (1.0 - share))"),
    Account("isolated shorts lose their margin downwards", "margin.py", "(cost + book.margin)", "(cost - book.margin)"),
    Account("isolated margin is not released by reductions", "fills.py", "book.margin -= book.margin * quantity / held", "book.margin -= 0.0", first=275),
    Account("isolated margins of the others do not bind cash", "fills.py", "total += sim.book[j].margin", "total += 0.0", first=708),
    Account("liquidation costs no more than a fill", "fills.py", "* sim.rules[0].liquidation_fee_bps / 10000.0", "* 0.0"),
    Account("a gapped liquidation fills at its level", "settle.py", "liquidate(sim, i, raw, quote", "liquidate(sim, i, liquidation_level(sim, i), quote"),
    Account("opens do not liquidate", "settle.py", "                _gap_liquidation(sim, q.events[sim.executing[i]], i)\n", "                pass\n", first=27),
    Account("the level of before the fill stands", "walk.py", "            forced = liquidation_level(sim, i)\n            continue\n\n        # 3.", "            continue\n\n        # 3."),
    Account("the target of a liquidated position works on", "walk.py", "LIQUIDATION, -1, time_ns, seq)\n    end_by_bracket(sim, i, side)", "LIQUIDATION, -1, time_ns, seq)"),
    Account("quiet moments do not liquidate", "settle.py", "    if liquidates:\n", "    if liquidates < 0:\n"),
    Account("the marks liquidate one position only", "settle.py", "        while is_below(", "        if is_below(", first=208),
    Account("the best position is liquidated first", "settle.py", "profit < lowest", "profit > lowest", first=208),
    Account("the account is called at every moment", "settle.py", "if called and not account.called:", "if called:"),
    Account("shorts pay funding", "stamps.py", "flow = -amount if book.lots > 0 else amount", "flow = -amount"),
    Account("funding at the open belongs to the bar", "settle.py", "pay_funding(sim, i, quote.open_ns,", "pay_funding(sim, i, quote.open_ns - 1,"),
    Account("funding at the close waits for the next bar", "settle.py", "pay_funding(sim, i, quote.time_ns,", "pay_funding(sim, i, quote.time_ns - 1,"),
    Account("swap at the close waits for the next bar", "settle.py", "pay_swap(sim, i, quote.time_ns,", "pay_swap(sim, i, quote.time_ns - 1,"),
    Account("quiet moments pay nothing", "settle.py", "if one.lots != 0 and is_due(", "if one.lots > 2**60 and is_due("),
    Account("a triple night is one night", "stamps.py", "bid, ask) * stamp.value\n            book.swap_pool", "bid, ask)\n            book.swap_pool"),
    Account("a year of swap has 365 days", "stamps.py", "/ 360.0", "/ 365.0"),
    Account("a part of a position takes all of its funding", "fills.py", "funding_share = book.funding_pool if closes else book.funding_pool * quantity / held", "funding_share = book.funding_pool"),
    Account("a part of a position takes none of its swap", "fills.py", "swap_share = book.swap_pool if closes else book.swap_pool * quantity / held", "swap_share = book.swap_pool if closes else 0.0"),
    Limited("a trail follows the price back", "trails.py", "return max(level, candidate) if rising else min(level, candidate)", "return candidate"),
    Limited("an equal trail begins anew", "trails.py", "if book.trail != trail:", "if trail >= 0.0:", first=54),
    Limited("the farther of stop and trail is in force", "trails.py", "max(book.sl, level) if book.lots > 0 else min(book.sl, level)", "min(book.sl, level) if book.lots > 0 else max(book.sl, level)"),
    Limited("each fill of a target has the whole volume", "walk.py", "book.allowance -= lots", "book.allowance -= 0"),
    Limited("decisions arrive at once", "targets.py", "max(decision.time_ns + decision.delay_ns,", "max(decision.time_ns,"),
    Limited("closed markets fill", "settle.py", "sim.executing[i] >= 0 and not q.events[sim.executing[i]].closed", "sim.executing[i] >= 0"),
    Limited("closed markets take decisions", "settle.py", "book.queue_head >= 0 and not quote.closed", "book.queue_head >= 0", first=17),
    Order("limits come before stops at the open", "orders.py", "for limits in (False, True):\n        for k in range(", "for limits in (True, False):\n        for k in range("),
    Order("a STOP_LIMIT fills where it is triggered", "orders.py", "if kind == STOP_LIMIT:\n        order.triggered = 1", "if kind == STOP_LIMIT and order.price < 0.0:\n        order.triggered = 1"),
    Order("a part that fills leaves the others of its group", "orders.py", "if order.oco:", "if order.oco and order.state == ORDER_ENDED:"),
    Order("a fill leaves what waits of its group", "orders.py", "intent.kind == SUBMIT and intent.oco == group", "intent.kind == SUBMIT and intent.oco == -1"),
    Order("reduce_only orders wait for something to reduce", "orders.py", "if order.reduce_only and reducible(book, order) == 0:", "if order.reduce_only and reducible(book, order) < 0:"),
    Order("IOC orders work on", "orders.py", "if order.tif == IOC:", "if order.tif == IOC and order.filled > 0:"),
    Order("FOK orders fill in part", "orders.py", "possible = _allowed(sim, i, lots) == lots and not", "possible = not", first=37),
    Order("each order has the whole volume", "orders.py", "own.allowance -= lots", "own.allowance -= 0"),
    Order("a trailing stop that was cut waits for its level again", "orders.py", "if kind in (STOP, TRAILING_STOP):", "if kind == STOP:"),
    Order("a replaced order keeps its place", "intents.py", "        take_off(sim, i, number)\n        begin_to_work(sim, i, number)\n", ""),
    Order("post_only counts at acceptance only", "intents.py", "elif _crosses(order.post_only, order.side, intent.price, quote.bid_open, quote.ask_open):\n        reject_order", "elif _crosses(0, order.side, intent.price, quote.bid_open, quote.ask_open):\n        reject_order"),
    Order("orders expire a minute late", "intents.py", "if sim.orders[number - 1].valid_until_ns < time_ns:", "if sim.orders[number - 1].valid_until_ns < time_ns - 60000000000:"),
    Order("brackets leave orders that can only reduce", "walk.py", "book.bracket_signal, time_ns, seq)\n    end_by_bracket(sim, i, side)\n    if book.order_head:", "book.bracket_signal, time_ns, seq)\n    end_by_bracket(sim, i, side)\n    if book.order_head < 0:"),
    Order("another trail of an order keeps its level", "intents.py", "order.type == TRAILING_STOP and intent.trail != order.trail", "order.type == TRAILING_STOP and intent.trail < 0.0"),
    Hedging("a place is used once", "places.py", "if not is_in_use(sim, i):", "if not is_in_use(sim, i) and sim.book[i].name == 0:"),
    Hedging("a free place keeps its name", "places.py", "if sim.book[i].name == name and is_in_use(sim, i):", "if sim.book[i].name == name:"),
    Hedging("orders that ended while they waited keep their place", "places.py", "if sim.intents[row].kind != SUBMIT:", "if row >= 0:", first=138),
    Hedging("places count no events", "places.py", "            sim.book[i].events += 1\n", ""),
    Hedging("each position has the whole volume", "orders.py", "own = sim.book[sim.book[i].instrument]", "own = sim.book[i]"),
    Hedging("a new place has no marks", "places.py", "    book.mark_bid = own.mark_bid\n    book.mark_ask = own.mark_ask\n", ""),
    Hedging("places without a position meet no event", "places.py", "        if is_in_use(sim, i):\n            sim.executing[i] = e", "        if sim.book[i].lots != 0:\n            sim.executing[i] = e"),
    Hedging("named positions are quiet", "settle.py", "not any_in_use(sim)\n            and are_quiet_orders", "are_quiet_orders"),
    Hedging("an answer that goes on meets unnamed positions only", "loop.py", "sim.book[i].instrument == quote.instrument and is_live(sim, i)", "i == quote.instrument", first=7),
)  # fmt: skip


def main() -> None:
    """Print which seed caught each mutant."""
    kernel = Path(importlib.import_module("boxgate_engine").__file__ or "").parent / "kernel"
    sources = {path.name: path.read_text() for path in kernel.glob("*.py")} | _PLAIN
    words = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    cases = _Cases()
    caught: dict[str, int | None] = {}
    for mutant in chosen:
        places = sources[mutant.file].count(mutant.old)
        assert places == 1, f"{mutant.name}: {places} places"
        text = sources | {mutant.file: sources[mutant.file].replace(mutant.old, mutant.new)}
        caught[mutant.name] = _first_caught(text, cases, mutant.cases, range(mutant.first, mutant.first + SEEDS_MAX))
    kinds = sorted({mutant.cases for mutant in chosen})
    alarms = [_first_caught(sources, cases, kind, range(3)) for kind in kinds]
    caught["(no mutation)"] = next((seed for seed in alarms if seed is not None), None)
    print(json.dumps(caught))


def _first_caught(sources: dict[str, str], cases: _Cases, kind: str, seeds: range) -> int | None:
    """Return the first seed whose results differ from those of the reference loop."""
    with _Loaded(sources):
        for seed in seeds:
            case, expected = cases.of(kind, seed)
            try:
                _compare(kind, case, expected)
            except (AssertionError, ArithmeticError, IndexError, RecursionError):
                return seed
    return None


def _compare(kind: str, case: Any, expected: Any) -> None:
    engine_run = importlib.import_module("engine_run")
    if kind not in ("orders", "hedging"):
        got = engine_run.run_engine(case.specs, case.rules, case.events, case.start_ns, case.signals)
        engine_run.compare(expected, got)
        return
    order_run = importlib.import_module("order_run")
    simulation, results, _ = order_run.run_orders(case, hedging=kind == "hedging")
    tables = results.tables
    assert [row[:13] for row in engine_run.rows_of(tables.fills)] == [astuple(fill)[:13] for fill in expected.fills]
    assert [row[5:8] for row in order_run.rows_of_orders(simulation)] == [
        (row.outcome, row.reason, row.filled_lots) for row in expected.orders
    ]
    assert engine_run.rows_of(tables.trades) == [astuple(row) for row in expected.trades]
    assert engine_run.rows_of(tables.equity) == [astuple(row) for row in expected.equity]


class _Cases:
    """Random cases and what the reference loop makes of them, each made once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, int], tuple[Any, Any]] = {}

    def of(self, kind: str, seed: int) -> tuple[Any, Any]:
        """Return a case and its outcome."""
        if (kind, seed) not in self._made:
            self._made[kind, seed] = self._make(kind, seed)
        return self._made[kind, seed]

    def _make(self, kind: str, seed: int) -> tuple[Any, Any]:
        from random_accounts import random_account_case
        from random_hedging import draw_hedging_case
        from random_orders import draw_case, random_limited_case
        from random_tapes import random_case, run_case

        if kind == "orders":
            return draw_case(seed)
        if kind == "hedging":
            return draw_hedging_case(seed)
        case = {"tapes": random_case, "accounts": random_account_case, "limited": random_limited_case}[kind](seed)
        return case, run_case(case)


class _Loaded:
    """The engine with other kernel sources; modules that hold the kernel are imported anew."""

    _PARTS = ("boxgate_engine.kernel", "boxgate_engine.simulation", "boxgate_engine.results", "boxgate_engine.ledger",
              "boxgate_engine.signal_intake", "boxgate_engine.intent_intake", "boxgate_engine.tape",
              "boxgate_engine.quotes", "engine_run", "order_run")  # fmt: skip

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def __enter__(self) -> None:
        self._folder = Path(tempfile.mkdtemp())
        package = self._folder / "kernel"
        package.mkdir()
        for name, text in self._sources.items():
            (package / name).write_text(text)
        self._forget()
        engine = importlib.import_module("boxgate_engine")
        self._path = list(engine.__path__)
        engine.__path__.insert(0, str(self._folder))
        simulation = importlib.import_module("boxgate_engine.simulation")
        intake = importlib.import_module("boxgate_engine.signal_intake")
        quotes = importlib.import_module("boxgate_engine.quotes")
        _interpret_records(simulation, intake, quotes)

    def __exit__(self, *_: object) -> None:
        importlib.import_module("boxgate_engine").__path__[:] = self._path
        self._forget()
        shutil.rmtree(self._folder)

    def _forget(self) -> None:
        for name in [name for name in sys.modules if name.startswith(self._PARTS)]:
            del sys.modules[name]
        importlib.invalidate_caches()


def _interpret_records(simulation: Any, intake: Any, quotes: Any) -> None:
    """Give records attributes without the compiler: NumPy's record arrays have them, plain structured ones do not."""
    import numpy as np

    def as_records(array: Any) -> Any:
        return array.view(np.recarray) if array.dtype.names else array

    original = simulation.Simulation._make_room

    def make_room(self: Any, moments: int, signals: int) -> None:
        original(self, moments, signals)
        self._held = None
        self._sim = self._sim._replace(**{name: as_records(value) for name, value in self._sim._asdict().items()})

    def on_records(step: Any) -> Any:
        def call(sim: Any, *rest: Any) -> Any:
            return step(view(sim), *(view(each) for each in rest))

        return call

    def view(each: Any) -> Any:
        if hasattr(each, "events"):
            return each._replace(events=as_records(each.events))
        return as_records(each) if isinstance(each, np.ndarray) else each

    simulation.Simulation._make_room = make_room
    simulation.loop.step = on_records(simulation.loop.step)
    for module, name in ((intake, "put_on_grid"), (intake, "first_fault"), (quotes, "_fill")):
        setattr(module, name, on_records(getattr(module, name)))


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parents[1] / "reference")]
    main()
