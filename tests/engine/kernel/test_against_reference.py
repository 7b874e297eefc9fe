"""The kernel against a plain loop written from the specification by someone who has not read it."""

from __future__ import annotations

from engine_run import compare, run_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tapes import random_case, run_case


@settings(max_examples=1_000)
@given(st.integers(0, 2**32 - 1), st.sampled_from((7, 64, 1_000)))
def test_random_tapes_give_the_results_of_the_reference_loop(seed: int, chunk_events: int) -> None:
    case = random_case(seed)
    results = run_engine(case.specs, case.rules, case.events, case.start_ns, case.signals, chunk_events=chunk_events)
    compare(run_case(case), results)
