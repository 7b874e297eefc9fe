"""Conversion, margin, liquidation, funding and swap against the plain loop: results, account updates and counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine_run import compare, simulate
from loop import run
from random_accounts import random_account_case

from boxgate_engine.kernel import records
from boxgate_engine.kernel.records import Records
from boxgate_engine.results import REJECT_REASONS, finish
from boxgate_engine.simulation import Simulation

CHUNKS = (7, 64, 1_000)
KINDS = {
    records.UPDATE_FILL: "FILL",
    records.UPDATE_REJECTION: "REJECTION",
    records.UPDATE_EXPIRY: "EXPIRY",
    records.UPDATE_FUNDING: "FUNDING",
    records.UPDATE_LIQUIDATION: "LIQUIDATION",
    records.UPDATE_SWAP: "SWAP",
    records.UPDATE_MARGIN_CALL: "MARGIN_CALL",
}


@pytest.mark.parametrize("tens", range(42))
def test_random_accounts_give_the_results_of_the_reference_loop(tens: int) -> None:
    for seed in range(10 * tens, 10 * tens + 10):
        compare_case(seed)


@pytest.mark.slow
@pytest.mark.parametrize("hundreds", range(10, 30))
def test_many_random_accounts_give_the_results_of_the_reference_loop(hundreds: int) -> None:
    for seed in range(100 * hundreds, 100 * hundreds + 100):
        compare_case(seed)


def compare_case(seed: int) -> None:
    case = random_account_case(seed)
    updates: list[Any] = []

    def decide(view: Any) -> list[Any]:
        updates.extend(view.updates)
        return [
            replace(signal, event_index_in_moment=index)
            for index in range(len(view.events))
            for signal in case.signals.get(view.seq + index, ())
        ]

    reference = run(case.specs, case.rules, case.events, case.start_ns, decide)
    simulation = simulate(
        case.specs, case.rules, case.events, case.start_ns, case.signals, chunk_events=CHUNKS[seed % len(CHUNKS)]
    )
    account = simulation.sim.account[0]
    compare(reference, finish(simulation))
    told = updates_of(simulation)
    expected = [update_row(update) for update in updates]
    assert told[: len(expected)] == expected
    if not case.rules.close_at_end:
        # What the last answer alone brings about, nobody is told any more.
        assert {row[0] for row in told[len(expected) :]} <= {"REJECTION"}
    assert account["margin_calls"] == reference.counts.margin_calls
    assert account["liquidations"] == sum(fill.reason == "LIQUIDATION" for fill in reference.fills)
    assert account["funding_stamps"] == sum(flow.kind == "FUNDING" for flow in reference.flows)
    for kind in ("funding", "swap"):
        total = 0.0
        for flow in reference.flows:
            total += flow.amount if flow.kind == kind.upper() else 0.0
        assert account[f"{kind}_sum"] == total


def updates_of(simulation: Simulation) -> list[tuple[Any, ...]]:
    """Return the kernel's account updates as `update_row` gives them."""
    sim = simulation.sim
    return [_row(update, sim.fills) for update in sim.updates[: int(sim.account["updates"][0])]]


def update_row(update: Any) -> tuple[Any, ...]:
    """Return kind, instrument, seq, time, fill (side, qty, price, fee), reason of rejection and amount."""
    fill = (update.side, update.qty, update.price, update.fee)
    return (
        update.kind,
        update.instrument,
        update.seq,
        update.time_ns,
        None if update.side is None else fill,
        update.reject_reason,
        update.amount,
    )


def _row(update: Any, fills: Records) -> tuple[Any, ...]:
    kind = KINDS[int(update["kind"])]
    fill = None
    if update["fill"] >= 0:
        row = fills[int(update["fill"])]
        side = "BUY" if row["direction"] > 0 else "SELL"
        fill = (side, float(row["qty"]), float(row["price"]), float(row["fee"]))
    return (
        kind,
        int(update["instrument"]),
        int(update["seq"]),
        int(update["time_ns"]),
        fill,
        REJECT_REASONS[int(update["reason"])] if kind == "REJECTION" else None,
        float(update["amount"]) if kind in ("FUNDING", "SWAP") else None,
    )
