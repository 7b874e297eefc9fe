"""The generator of orders gives the same case for the same seed and reaches every rule; what must hold, holds."""

from __future__ import annotations

from collections import defaultdict

import pytest
from grids import against_the_trader
from random_orders import (
    RULES_OF_LIMITED,
    RULES_OF_ORDERS,
    coverage,
    draw_case,
    random_limited_case,
    random_order_case,
    run_order_case,
)
from random_tapes import run_case
from terms import Result
from volume_check import volume_is_kept


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_orders_and_the_same_result(seed: int) -> None:
    assert random_order_case(seed) == random_order_case(seed)
    assert random_limited_case(seed) == random_limited_case(seed)
    assert run_case(random_limited_case(seed)) == run_case(random_limited_case(seed))


@pytest.mark.parametrize("seed", range(40))
def test_what_must_hold_in_every_session_of_orders(seed: int) -> None:
    case, result = draw_case(seed)
    assert run_order_case(case) == result, "intents that are known beforehand give what they gave when they were made"
    assert len({fill.client_id for fill in result.fills}) >= 1
    _every_intent_has_one_end(result)
    _lots_add_up(result)
    volume_is_kept(case, result)
    for fill in result.fills:
        tick = next(spec.tick for spec in case.specs if spec.symbol == fill.instrument)
        assert fill.price == against_the_trader(fill.price, tick, True)


def _every_intent_has_one_end(result: Result) -> None:
    ends = {
        "SUBMIT": {"FILLED", "CANCELLED", "EXPIRED", "REJECTED", "WORKING", "UNEXECUTED"},
        "REPLACE": {"DONE", "REJECTED", "UNEXECUTED"},
        "CANCEL": {"DONE", "REJECTED", "UNEXECUTED"},
        "PROTECT": {"DONE", "REJECTED", "UNEXECUTED"},
    }
    for row in result.orders:
        assert row.outcome in ends[row.kind]
        assert (row.reason is not None) == (row.outcome in ("CANCELLED", "REJECTED"))
    assert result.counts.signals == len(result.orders)


def _lots_add_up(result: Result) -> None:
    """What orders filled is what the fills say, and a reduce_only order never opens."""
    filled: dict[str, int] = defaultdict(int)
    for fill in result.fills:
        if fill.client_id is not None:
            filled[fill.client_id] += fill.lots
    for row in result.orders:
        if row.kind == "SUBMIT":
            assert filled[row.client_id] == row.filled_lots
            assert row.outcome != "FILLED" or row.filled_lots > 0
    closing = {row.client_id for row in result.orders if row.reduce_only}
    assert not any(fill.client_id in closing for fill in result.fills if fill.reason == "ENTRY")


def test_a_few_hundred_seeds_reach_every_rule_of_orders_and_of_limited_targets() -> None:
    orders, limited = coverage(range(300))
    assert {name: orders[name] for name in RULES_OF_ORDERS if orders[name] < 5} == {}
    assert {name: limited[name] for name in RULES_OF_LIMITED if limited[name] < 15} == {}
