"""Mutants of the kernel: each is one slip that a programmer could make, and each must be caught.

Run as a script with NUMBA_DISABLE_JIT=1: every mutant is interpreted, not compiled, on the random tapes or accounts of
the reference loop until its results differ. With words as arguments, only mutants whose names have one of them. Prints one JSON object: mutant -> seed that caught it, or null.
"""

# ruff: noqa: E501 (each mutant is one row of a table)
from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

SEEDS_MAX = 150
"""Tapes that a mutant may survive before it counts as not caught."""


@dataclass(frozen=True)
class Mutant:
    """One replacement in one file of the kernel; `old` must stand there exactly once."""

    name: str
    file: str
    old: str
    new: str
    accounts: bool = False
    first: int = 0
    """Seed of the first tape that is tried: some slips show on few of them."""


Account = partial(Mutant, accounts=True)
"""A mutant of a rule that only the random accounts reach."""

MUTANTS = (
    Mutant("decisions meet bars that opened before them", "targets.py", ".time_ns <= open_ns)", ".time_ns <= open_ns + 240000000000)"),
    Mutant("decisions never meet the next bar", "targets.py", ".time_ns <= open_ns)", ".time_ns < open_ns)"),
    Mutant("limit before stop and target at one price", "walk.py", "if at < s_next:", "if at <= s_next:"),
    Mutant("a stop is not reached by a touch", "walk.py", "return price <= level if falling else price >= level", "return price < level if falling else price >= level"),
    Mutant("a rise is not reached by a touch", "walk.py", "return price <= level if falling else price >= level", "return price <= level if falling else price > level"),
    Mutant("no fee on reductions", "fills.py", "account.cash = (account.cash + gross) - fee", "account.cash = account.cash + gross"),
    Mutant("no fee on entries", "fills.py", "account.cash = account.cash - fee", "account.cash = account.cash"),
    Mutant("slippage on limits", "walk.py", "reduce_towards_target(sim, i, raw, bid, ask, False, time_ns, seq)", "reduce_towards_target(sim, i, raw, bid, ask, True, time_ns, seq)"),
    Mutant("sellers are rounded up", "fills.py", "return round_down(price, spec.tick_num, spec.tick_den)", "return round_up(price, spec.tick_num, spec.tick_den)"),
    Mutant("market entries of longs pay the bid", "settle.py", "raw = quote.ask_open if book.work_lots > book.lots else quote.bid_open", "raw = quote.bid_open"),
    Mutant("a gapped stop fills at its level", "settle.py", "exit_by_bracket(sim, quote.instrument, stop, raw,", "exit_by_bracket(sim, quote.instrument, stop, book.sl if stop else raw,"),
    Mutant("expiry is one moment early", "targets.py", "book.work_live and book.work_until_ns < time_ns", "book.work_live and book.work_until_ns <= time_ns"),
    Mutant("pessimistic takes the better path", "walk.py", "return high_first < low_first", "return high_first > low_first"),
    Mutant("ties of the paths go the other way", "walk.py", "return high_first < low_first", "return high_first <= low_first"),
    Mutant("adaptive ties go the other way", "walk.py", "return quote.bid_high - quote.bid_open < quote.bid_open - quote.bid_low", "return quote.bid_high - quote.bid_open <= quote.bid_open - quote.bid_low"),
    Mutant("the old bracket is lost when the target changes side", "targets.py", "if signal.side != 0 and _sign(book.lots) == signal.side:", "if signal.side != 0 and book.lots != 0:"),
    Mutant("a bracket exit keeps the standing target", "targets.py", "if book.stand_side == side or book.stand_side == 0:\n        stand_on_position(book)", "if book.stand_side == 0:\n        stand_on_position(book)"),
    Mutant("adjust_only opens positions", "targets.py", "if signal.adjust_only and (signal.side == 0 or _sign(book.lots) != signal.side):", "if signal.adjust_only and signal.side == 0:"),
    Mutant("lots are rounded up", "grid.py", "    while grid_value(n, num, den) > qty:\n        n -= 1\n", ""),
    Mutant("margin ignores the other instruments", "fills.py", "            profit += unrealised(sim.book[j], sim.specs[j])", "            continue"),
    Mutant("margin ignores the leverage", "fills.py", "unit) / sim.specs[i].leverage\n        elif", "unit)\n        elif"),
    Mutant("excursion forgets the entry point", "fills.py", "    follow_position(book)\n    touch(book, bid, ask)\n    _write_fill(sim, i, side,", "    follow_position(book)\n    book.lowest = price\n    book.highest = price\n    _write_fill(sim, i, side,"),
    Mutant("average entry price ignores the old quantity", "fills.py", "entry_price = (book.entry_price * held + price * quantity) / held_after", "entry_price = (book.entry_price + price) / 2.0"),
    Mutant("brackets wait for the inside of the bar", "settle.py", "            _gap_bracket(sim, q.events[sim.executing[i]])\n", "            pass\n"),
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
    Account("isolated margins of the others do not bind cash", "fills.py", "total += sim.book[j].margin", "total += 0.0", first=575),
    Account("liquidation costs no more than a fill", "fills.py", "* sim.rules[0].liquidation_fee_bps / 10000.0", "* 0.0"),
    Account("a gapped liquidation fills at its level", "settle.py", "liquidate(sim, quote.instrument, raw,", "liquidate(sim, quote.instrument, liquidation_level(sim, quote.instrument),"),
    Account("opens do not liquidate", "settle.py", "                _gap_liquidation(sim, q.events[sim.executing[i]])\n", "                pass\n"),
    Account("the level of before the fill stands", "walk.py", "            _fire(sim, i, kind, level, bid, ask, quote.time_ns, seq)\n            forced = liquidation_level(sim, i)\n", "            _fire(sim, i, kind, level, bid, ask, quote.time_ns, seq)\n"),
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
)  # fmt: skip


def main() -> None:
    """Print which seed caught each mutant."""
    from random_accounts import random_account_case
    from random_tapes import random_case, run_case

    kernel = Path(importlib.import_module("boxgate_engine").__file__ or "").parent / "kernel"
    sources = {path.name: path.read_text() for path in kernel.glob("*.py")}
    words = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    expected: dict[tuple[bool, int], Any] = {}
    caught: dict[str, int | None] = {}
    for mutant in (None, *chosen):
        text = dict(sources)
        if mutant is not None:
            assert text[mutant.file].count(mutant.old) == 1, (
                f"{mutant.name}: {text[mutant.file].count(mutant.old)} places"
            )
            text[mutant.file] = text[mutant.file].replace(mutant.old, mutant.new)
        found: int | None = None
        with _Loaded(text) as engine_run:
            first = mutant.first if mutant is not None else 0
            accounts = mutant is not None and mutant.accounts
            for seed in range(first, first + (SEEDS_MAX if mutant is not None else 5)):
                case = random_account_case(seed) if accounts else random_case(seed)
                if (accounts, seed) not in expected:
                    expected[accounts, seed] = run_case(case)
                try:
                    got = engine_run.run_engine(case.specs, case.rules, case.events, case.start_ns, case.signals)
                    engine_run.compare(expected[accounts, seed], got)
                except (AssertionError, ArithmeticError, IndexError, RecursionError):
                    found = seed
                    break
        caught["(no mutation)" if mutant is None else mutant.name] = found
    print(json.dumps(caught))


class _Loaded:
    """The engine with other kernel sources; modules that hold the kernel are imported anew."""

    _PARTS = ("boxgate_engine.kernel", "boxgate_engine.simulation", "boxgate_engine.results",
              "boxgate_engine.signal_intake", "boxgate_engine.tape", "engine_run")  # fmt: skip

    def __init__(self, sources: dict[str, str]) -> None:
        self._sources = sources

    def __enter__(self) -> Any:
        self._folder = Path(tempfile.mkdtemp())
        package = self._folder / "kernel"
        package.mkdir()
        for name, text in self._sources.items():
            (package / name).write_text(text)
        self._forget()
        engine = importlib.import_module("boxgate_engine")
        self._path = list(engine.__path__)
        engine.__path__.insert(0, str(self._folder))
        engine_run = importlib.import_module("engine_run")
        simulation = importlib.import_module("boxgate_engine.simulation")
        intake = importlib.import_module("boxgate_engine.signal_intake")
        _interpret_records(simulation, intake)
        return engine_run

    def __exit__(self, *_: object) -> None:
        importlib.import_module("boxgate_engine").__path__[:] = self._path
        self._forget()
        shutil.rmtree(self._folder)

    def _forget(self) -> None:
        for name in [name for name in sys.modules if name.startswith(self._PARTS)]:
            del sys.modules[name]
        importlib.invalidate_caches()


def _interpret_records(simulation: Any, intake: Any) -> None:
    """Give records attributes without the compiler: NumPy's record arrays have them, plain structured ones do not."""
    import numpy as np

    def as_records(array: Any) -> Any:
        return array.view(np.recarray) if array.dtype.names else array

    original = simulation.Simulation._make_room

    def make_room(self: Any, moments: int, signals: int) -> None:
        original(self, moments, signals)
        self._sim = self._sim._replace(**{name: as_records(value) for name, value in self._sim._asdict().items()})

    def advance(self: Any, quotes: Any, incoming: Any, first: int, end: int, *, settled: int = 0) -> None:
        self._make_room(end - first, len(incoming))
        quotes = quotes._replace(events=as_records(quotes.events))
        simulation.loop.advance(self._sim, quotes, as_records(incoming), first, end, settled)

    simulation.Simulation._make_room = make_room
    simulation.Simulation.advance = advance
    on_grid = intake._on_grid
    intake._on_grid = lambda raw, specs, signals: on_grid(as_records(raw), as_records(specs), as_records(signals))


if __name__ == "__main__":
    here = Path(__file__).parent
    sys.path[:0] = [str(here), str(here.parents[1] / "reference")]
    main()
