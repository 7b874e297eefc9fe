"""Window delivery equals lockstep exactly: random FEEDBACK strategies on random tapes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from engine_run import instrument_of, sources, trading_costs
from in_process import deliver
from random_strategy import strategy_with
from random_tapes import random_case

from boxgate_engine.digest import result_digest
from boxgate_engine.results import finish
from boxgate_engine.rules import AccountRules

FAST_CASES = 200
SLOW_CASES = 2_000
WINDOWS = (1, 2, 7, 64, 1_024, 16_384)


@dataclass(frozen=True)
class Outcome:
    """What a delivery led to, and how busy it was."""

    digest: str
    counts: dict[str, int]
    seen: list[tuple[Any, ...]]
    change_share: float
    round_trips: int


def play(seed: int, *, lockstep: bool, window_events: int) -> Outcome:
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
    simulation, delivery, strategy = deliver(
        # A third of the cases trade at nearly every event, so that most windows are cut after one moment.
        strategy_with((0.9, 0.3, 0.05)[seed % 3]),
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
    versions = [row[1] for row in strategy.seen]
    changes = sum(a != b for a, b in itertools.pairwise(versions))
    return Outcome(
        result_digest(results.tables), results.counts, strategy.seen, changes / len(versions), delivery.round_trips
    )


def check(seed: int) -> Outcome:
    """Assert that a case is one result, whatever the windows, and return its lockstep outcome."""
    lockstep = play(seed, lockstep=True, window_events=4096)
    for window_events in (WINDOWS[seed % len(WINDOWS)], WINDOWS[(seed + 3) % len(WINDOWS)]):
        windowed = play(seed, lockstep=False, window_events=window_events)
        # The strategy's own record comes first: it names the event at which the views part.
        for ours, theirs in zip(lockstep.seen, windowed.seen, strict=True):
            assert ours == theirs, f"seed {seed}, windows of {window_events}"
        assert windowed.counts == lockstep.counts, f"seed {seed}, windows of {window_events}"
        assert windowed.digest == lockstep.digest, f"seed {seed}, windows of {window_events}"
        assert windowed.round_trips <= lockstep.round_trips
    return lockstep


def check_all(seeds: range) -> None:
    outcomes = [check(seed) for seed in seeds]
    busy = sum(outcome.change_share >= 0.3 for outcome in outcomes)
    assert busy >= len(outcomes) / 4, f"only {busy} of {len(outcomes)} cases change the account at 30 % of the events"


@pytest.mark.parametrize("block", range(4))
def test_windows_and_lockstep_give_one_result(block: int) -> None:
    size = FAST_CASES // 4
    check_all(range(block * size, (block + 1) * size))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_windows_and_lockstep_give_one_result_on_many_cases(block: int) -> None:
    size = SLOW_CASES // 10
    check_all(range(10_000 + block * size, 10_000 + (block + 1) * size))
