"""The kernel against a plain loop written from the specification by someone who has not read it."""

from __future__ import annotations

import pytest
from engine_run import compare, run_engine
from random_tapes import random_case, run_case

CASES = 1_000


@pytest.mark.parametrize("block", range(10))
def test_random_tapes_give_the_results_of_the_reference_loop(block: int) -> None:
    for seed in range(block * CASES // 10, (block + 1) * CASES // 10):
        case = random_case(seed)
        expected = run_case(case)
        chunk_events = (7, 64, 1000)[seed % 3]
        results = run_engine(
            case.specs, case.rules, case.events, case.start_ns, case.signals, chunk_events=chunk_events
        )
        try:
            compare(expected, results)
        except AssertionError as difference:
            raise AssertionError(f"seed {seed}") from difference
