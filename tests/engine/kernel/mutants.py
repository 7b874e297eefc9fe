"""Mutants of the kernel: each is one slip that a programmer could make, and each must be caught.

Run as a script with NUMBA_DISABLE_JIT=1: every mutant is interpreted, not compiled, on the random tapes of the
reference loop until its results differ. Prints one JSON object: mutant -> seed that caught it, or null.
"""

# ruff: noqa: E501 (each mutant is one row of a table)
from __future__ import annotations

import importlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
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
    Mutant("margin ignores the other instruments", "fills.py", "elif sim.book[j].lots != 0:", "elif sim.book[j].lots != 0 and j < 0:"),
    Mutant("margin ignores the leverage", "fills.py", "contract) / sim.specs[i].leverage", "contract)"),
    Mutant("excursion forgets the entry point", "fills.py", "    follow_position(book)\n    touch(book, bid, ask)\n    _write_fill(sim, i, side,", "    follow_position(book)\n    book.lowest = price\n    book.highest = price\n    _write_fill(sim, i, side,"),
    Mutant("average entry price ignores the old quantity", "fills.py", "entry_price = (book.entry_price * held + price * quantity) / held_after", "entry_price = (book.entry_price + price) / 2.0"),
    Mutant("brackets wait for the inside of the bar", "settle.py", "            _gap_bracket(sim, q.events[sim.executing[i]])\n", "            pass\n"),
    Mutant("equity is marked at the open", "settle.py", "book.mark_bid = quote.bid_close", "book.mark_bid = quote.bid_open"),
    Mutant("shorts are marked at the bid", "fills.py", "return ((book.entry_price - book.mark_ask) * quantity)", "return ((book.entry_price - book.mark_bid) * quantity)"),
)  # fmt: skip


def main() -> None:
    """Print which seed caught each mutant."""
    from random_tapes import random_case, run_case

    kernel = Path(importlib.import_module("boxgate_engine").__file__ or "").parent / "kernel"
    sources = {path.name: path.read_text() for path in kernel.glob("*.py")}
    expected: dict[int, Any] = {}
    caught: dict[str, int | None] = {}
    for mutant in (None, *MUTANTS):
        text = dict(sources)
        if mutant is not None:
            assert text[mutant.file].count(mutant.old) == 1, (
                f"{mutant.name}: {text[mutant.file].count(mutant.old)} places"
            )
            text[mutant.file] = text[mutant.file].replace(mutant.old, mutant.new)
        found: int | None = None
        with _Loaded(text) as engine_run:
            for seed in range(SEEDS_MAX if mutant is not None else 5):
                case = random_case(seed)
                if seed not in expected:
                    expected[seed] = run_case(case)
                try:
                    got = engine_run.run_engine(case.specs, case.rules, case.events, case.start_ns, case.signals)
                    engine_run.compare(expected[seed], got)
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
