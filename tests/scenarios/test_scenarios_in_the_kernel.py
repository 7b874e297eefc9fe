# mypy: disable-error-code="import-not-found"
"""Golden scenarios in the kernel: bit for bit what the reference loop makes, moment by moment and as one window."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path
from typing import Any

import engine_run
import order_run
import pytest
from references import FILES, by_reference, read
from terms import ReferenceError, Result
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
        if not outcome.code.startswith(("SIGNAL_", "ORDER_")):
            pytest.skip(f"{outcome.code}: the engine refuses the run before its kernel is asked")
        with pytest.raises(BoxgateError) as raised:
            run_in_the_kernel(scenario, chunk_events)
        assert raised.value.error_code == outcome.code
        return
    result, updates = outcome
    if scenario.rules.orders:
        compare_orders(scenario, result, updates, chunk_events)
        return
    engine_run.compare(result, run_in_the_kernel(scenario, chunk_events))
    assert kernel_updates(simulations[0]) == [
        (update.kind, update.instrument, update.seq, update.time_ns, update.reject_reason) for update in updates
    ]


def run_in_the_kernel(scenario: Scenario, chunk_events: int) -> Any:
    """Return the results of the engine; chunk_events 1 steps it moment by moment."""
    if scenario.rules.orders:
        return order_run.run_orders(scenario, chunk_events=chunk_events, hedging=scenario.hedging)
    return engine_run.run_engine(
        scenario.specs,
        scenario.rules,
        scenario.events,
        scenario.start_ns,
        scenario.signals,
        chunk_events=chunk_events,
    )


def compare_orders(scenario: Scenario, result: Result, updates: Any, chunk_events: int) -> None:
    """Assert that a session of orders has the orders, fills, trades, equity, positions and updates of the reference."""
    simulation, results, names = run_in_the_kernel(scenario, chunk_events)
    sim = simulation.sim
    tables = results.tables
    clients = [names.client_id(int(row["order"])) or None for row in sim.fills[: int(sim.account["fills"][0])]]
    fills = zip(engine_run.rows_of(tables.fills), clients, strict=True)
    assert [(*row[:13], client) for row, client in fills] == [(*astuple(f)[:13], f.client_id) for f in result.fills]
    assert [row[:8] for row in order_run.rows_of_orders(simulation)] == [order_row(row) for row in result.orders]
    assert [row[:21] for row in engine_run.rows_of(tables.trades)] == [astuple(row) for row in result.trades]
    assert engine_run.rows_of(tables.equity) == [astuple(row) for row in result.equity]
    assert [tuple(one.values())[:6] for one in results.open_positions] == [
        astuple(one) for one in result.open_positions
    ]
    positions = {fill.position_id: fill.position for fill in result.fills}
    assert [names.position(int(book["name"])) for book in sim.book if book["lots"]] == [
        positions[number] for number in result.open_position_ids
    ]
    assert results.counts["path_dependent_bars"] == result.counts.path_dependent_bars
    assert simulation.rounded == result.counts.rounded
    ended = sum(fill.reason == "END" for fill in result.fills)
    told = order_run.rows_of_updates(simulation, names)
    assert told[: len(told) - ended][: len(updates)] == [
        (
            update.kind,
            update.instrument,
            update.seq,
            update.time_ns,
            update.reject_reason or update.cancel_reason,
            update.client_id,
            update.position,
        )
        for update in updates
    ]


def order_row(row: Any) -> tuple[Any, ...]:
    """Return an intent of the reference as `rows_of_orders` gives it."""
    return (row.number, row.seq, row.time_ns, row.kind, row.valid_until_ns, row.outcome, row.reason, row.filled_lots)


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
