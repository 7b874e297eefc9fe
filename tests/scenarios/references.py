# mypy: disable-error-code="import-not-found"
"""The scenarios of this folder, and what the reference loop makes of one."""

from __future__ import annotations

from pathlib import Path

from loop import run
from terms import Answer, MomentView, ReferenceError, Result, SignalIn, Update
from transcript import Scenario, read_scenario

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))


def read(file: Path) -> Scenario:
    """Return the scenario of a file."""
    return read_scenario(file.read_text(encoding="utf-8"), file.name)


def by_reference(scenario: Scenario) -> tuple[Result, list[Update]] | ReferenceError:
    """Run the reference loop and keep what the account was told; return the error that ended the run, if one did."""
    told: list[Update] = []

    def decide(view: MomentView) -> list[SignalIn] | Answer:
        told.extend(view.updates)
        if scenario.rules.orders:
            rounds = scenario.intents.get(view.seq, [[]])
            return Answer(tuple(rounds[view.round]), more=view.round + 1 < len(rounds))
        return list(scenario.signals.get(view.seq, []))

    try:
        return run(scenario.specs, scenario.rules, scenario.events, scenario.start_ns, decide), told
    except ReferenceError as error:
        return error
