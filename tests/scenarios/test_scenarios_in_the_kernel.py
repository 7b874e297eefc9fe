# mypy: disable-error-code="import-not-found"
"""Golden scenarios in the kernel: bit for bit what the reference loop makes, moment by moment and as one window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import engine_run
import pytest
from references import FILES, by_reference, read
from terms import ReferenceError
from transcript import Scenario

from boxgate_engine.errors import BoxgateError
from boxgate_engine.kernel import records
from boxgate_engine.results import REJECT_REASONS, finish


@pytest.mark.parametrize("chunk_events", [1, 1_000_000], ids=["lockstep", "one_window"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_kernel_does_what_the_reference_loop_does(
    file: Path, chunk_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = read(file)
    simulations: list[Any] = []

    def finish_and_keep(simulation: Any) -> Any:
        simulations.append(simulation)
        return finish(simulation)

    monkeypatch.setattr(engine_run, "finish", finish_and_keep)
    outcome = by_reference(scenario)
    if isinstance(outcome, ReferenceError):
        if not outcome.code.startswith("SIGNAL_"):
            pytest.skip(f"{outcome.code}: the engine refuses the run before its kernel is asked")
        with pytest.raises(BoxgateError) as raised:
            run_in_the_kernel(scenario, chunk_events)
        assert raised.value.error_code == outcome.code
        return
    result, updates = outcome
    engine_run.compare(result, run_in_the_kernel(scenario, chunk_events))
    assert kernel_updates(simulations[0]) == [
        (update.kind, update.instrument, update.seq, update.time_ns, update.reject_reason) for update in updates
    ]


def run_in_the_kernel(scenario: Scenario, chunk_events: int) -> Any:
    """Return the results of the engine; chunk_events 1 steps it moment by moment."""
    return engine_run.run_engine(
        scenario.specs,
        scenario.rules,
        scenario.events,
        scenario.start_ns,
        scenario.signals,
        chunk_events=chunk_events,
    )


def kernel_updates(simulation: Any) -> list[tuple[str, int, int, int, str | None]]:
    """Return kind, instrument, seq, time and reason of rejection of each update that a strategy is told."""
    names = {
        value: name[7:]
        for name, value in vars(records).items()
        if name.startswith("UPDATE_") and isinstance(value, int)
    }
    sim = simulation.sim
    updates = []
    for row in sim.updates[: int(sim.account["updates"][0])]:
        kind = names[int(row["kind"])]
        if row["fill"] >= 0 and sim.fills[row["fill"]]["reason"] == records.END:
            continue  # closing at the end comes after the last answer
        reason = REJECT_REASONS[int(row["reason"])] if kind == "REJECTION" else None
        updates.append((kind, int(row["instrument"]), int(row["seq"]), int(row["time_ns"]), reason))
    return updates
