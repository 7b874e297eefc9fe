"""What a window is promised holds: until its end nothing changes the account, and its marks are those of the equity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from engine_run import compare, simulate
from random_accounts import random_account_case
from random_tapes import run_case

from boxgate_engine.kernel.records import Marks
from boxgate_engine.results import finish
from boxgate_engine.simulation import Simulation


@pytest.mark.parametrize("first", [0, 40, 80])
def test_windows_end_where_the_account_changes_and_planning_changes_nothing(first: int) -> None:
    ended = 0
    for seed in range(first, first + 40, 4):
        case = random_account_case(seed)
        planned = _Planned()
        simulation = simulate(
            case.specs, case.rules, case.events, case.start_ns, case.signals, chunk_events=300, advance=planned.advance
        )
        compare(run_case(case), finish(simulation))
        assert planned.longest > 1
        ended += planned.ended
    assert ended > 10


@dataclass
class _Planned:
    """Settles moment after moment, and plans a window wherever none is open."""

    longest: int = 0
    ended: int = 0

    def advance(self, simulation: Simulation, quotes: Any, taken: Any, first: int, end: int) -> None:
        marks = Marks.for_chunk(len(quotes.events), len(simulation.instruments))
        moments = quotes.moment_start
        reach = first
        version = -1
        for m in range(first, end):
            answers = taken[(taken["event"] >= moments[m]) & (taken["event"] < moments[m + 1])]
            simulation.advance(quotes, answers[:0], m, m + 1)
            account = simulation.sim.account[0]
            if m < reach:
                assert account["version"] == version
            elif m == reach and version >= 0:
                assert account["version"] != version or not quotes.delivered[m]
                self.ended += 1
            if quotes.delivered[m]:
                row = {name: column[-1] for name, column in simulation.curve.items()}
                if m >= reach:
                    reach = simulation.plan(quotes, m + 1, end, marks)
                    version = int(account["version"])
                    self.longest = max(self.longest, reach - m)
                event = moments[m]
                assert marks.equity[event] == row["equity"]
                assert marks.free_margin[event] == row["equity"] - row["margin_used"]
            if len(answers):
                simulation.advance(quotes, answers, m, m + 1, settled=1)
                if int(simulation.sim.account["version"][0]) != version:
                    # A decision ends the window.
                    reach = m + 1
                    version = -1
