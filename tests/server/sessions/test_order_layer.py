"""The order layer is nothing but targets: its digests are those of the same trader written in targets by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from engine_run import instrument_of, sources, trading_costs
from in_process import deliver
from order_strategies import ByHand, ByOrders
from random_tapes import random_case

from boxgate_engine.digest import result_digest
from boxgate_engine.results import finish
from boxgate_engine.rules import AccountRules
from boxgate_sdk import Strategy

CASES = 200
BLOCKS = 4


def play(form: type[Strategy], seed: int, *, lockstep: bool, window_events: int = 4096) -> tuple[str, Any, Any]:
    """Return the digest, the counts and the strategy of a session on a random tape."""
    case = random_case(seed)
    instruments = [instrument_of(spec) for spec in case.specs]
    rules = AccountRules(
        cash=case.rules.cash,
        leverage=case.rules.leverage,
        cash_account=case.rules.cash_account,
        costs=trading_costs(case.rules, len(instruments)),
        path=case.rules.path,
    )
    events = [event for event in case.events if event.time_ns > case.start_ns]
    simulation, _, strategy = deliver(
        type("Eager", (form,), {"eagerness": (0.7, 0.25, 0.08)[seed % 3]}),
        instruments,
        sources(instruments, case.rules, events),
        rules,
        start_ns=case.start_ns,
        seed=seed,
        lockstep=lockstep,
        window_events=window_events,
        feedback=True,
    )
    results = finish(simulation)
    fills = results.tables.fills["reason"].to_pylist()
    return result_digest(results.tables), {**results.counts, "fills": Counter(fills)}, strategy


@pytest.mark.parametrize("block", range(BLOCKS))
def test_orders_and_targets_give_one_digest_in_lockstep_and_in_windows(block: int) -> None:
    size = CASES // BLOCKS
    reasons: Counter[str] = Counter()
    refused = 0
    for seed in range(50_000 + block * size, 50_000 + (block + 1) * size):
        digest, counts, by_hand = play(ByHand, seed, lockstep=True)
        ours, our_counts, by_orders = play(ByOrders, seed, lockstep=True)
        assert by_orders.refused == by_hand.refused, f"seed {seed}"
        assert (ours, our_counts) == (digest, counts), f"seed {seed}"
        windowed, _, in_windows = play(ByOrders, seed, lockstep=False, window_events=(1, 7, 64, 4096)[seed % 4])
        assert in_windows.refused == by_hand.refused, f"seed {seed}"
        assert windowed == digest, f"seed {seed}"
        reasons += counts["fills"]
        refused += len(by_hand.refused)
    # What is compared is worth comparing: every way in and out happens, and so does what cannot be said.
    assert min(reasons[reason] for reason in ("ENTRY", "SIGNAL", "STOP_LOSS", "TAKE_PROFIT")) > 50, reasons
    assert refused > 200
