"""Tariffs, models of slippage, spreads by hour and leverage by instrument against the plain loop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from engine_run import compare, run_engine
from hypothesis import given, settings
from hypothesis import strategies as st
from random_accounts import random_account_case
from random_tapes import Case, run_case


def costly_case(seed: int) -> Case:
    """A random account case of one currency in which nothing but signals, brackets and costs moves the account."""
    case = random_account_case(seed)
    rules = replace(
        case.rules,
        margin_mode="cross",
        maintenance=0.0,
        margin_call=0.0,
        funding=(),
        swap_terms=(),
        swap_stamps=(),
    )
    return replace(case, rules=rules, specs=[replace(spec, quote="") for spec in case.specs])


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.sampled_from((7, 64, 1_000)))
def test_random_costs_give_the_results_of_the_reference_loop(seed: int, chunk_events: int) -> None:
    case = costly_case(seed)
    results = run_engine(case.specs, case.rules, case.events, case.start_ns, case.signals, chunk_events=chunk_events)
    compare(run_case(case), results)


@pytest.mark.parametrize("feature", ["fees", "slippage", "hours", "leverages"])
def test_the_cases_have_what_is_compared(feature: str) -> None:
    cases = [costly_case(seed).rules for seed in range(200)]
    found = {
        "fees": sum(bool(rules.fees) for rules in cases),
        "slippage": sum(bool(rules.slippage) for rules in cases),
        "hours": sum(rules.spread[0] == "hours" for rules in cases),
        "leverages": sum(bool(rules.leverages) for rules in cases),
    }
    assert found[feature] >= 10
