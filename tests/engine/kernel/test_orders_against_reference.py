"""Sessions of orders equal the plain reference loop, bit for bit: several instruments, bars and ticks, all intents."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import pytest
from engine_run import compare, rows_of, run_engine
from order_run import rows_of_orders, run_orders
from random_hedging import draw_hedging_case
from random_orders import draw_case, random_limited_case
from random_tapes import run_case


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_sessions_of_orders_equal_the_reference(first: int) -> None:
    for seed in range(first, first + 50):
        compare_orders(seed)


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_targets_with_trails_limits_of_volume_latency_and_hours_equal_the_reference(first: int) -> None:
    for seed in range(first, first + 100):
        case = random_limited_case(seed)
        compare(run_case(case), run_engine(case.specs, case.rules, case.events, case.start_ns, case.signals))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(400, 2000, 100))
def test_two_thousand_sessions_of_orders_equal_the_reference(first: int) -> None:
    for seed in range(first, first + 100):
        compare_orders(seed)


@pytest.mark.parametrize("first", range(0, 120, 40))
def test_sessions_that_name_positions_equal_the_reference(first: int) -> None:
    for seed in range(first, first + 40):
        compare_sessions(*draw_hedging_case(seed), seed, hedging=True)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(120, 1020, 100))
def test_a_thousand_sessions_that_name_positions_equal_the_reference(first: int) -> None:
    for seed in range(first, first + 100):
        compare_sessions(*draw_hedging_case(seed), seed, hedging=True)


def compare_orders(seed: int) -> None:
    compare_sessions(*draw_case(seed), seed)


def compare_sessions(case: Any, expected: Any, seed: int, *, hedging: bool = False) -> None:
    simulation, results, names = run_orders(case, hedging=hedging)
    fills = [
        (*row, client) for row, client in zip(rows_of(results.tables.fills), _clients(simulation, names), strict=True)
    ]
    assert fills == [(*astuple(fill)[:13], fill.client_id) for fill in expected.fills], seed
    assert rows_of_orders(simulation) == [
        (
            row.number,
            row.seq,
            row.time_ns,
            row.kind,
            row.valid_until_ns,
            row.outcome,
            row.reason,
            row.filled_lots,
        )
        for row in expected.orders
    ], seed
    assert rows_of(results.tables.trades) == [astuple(row) for row in expected.trades], seed
    assert rows_of(results.tables.equity) == [astuple(row) for row in expected.equity], seed
    assert [tuple(one.values()) for one in results.open_positions] == [astuple(one) for one in expected.open_positions]
    assert results.counts["path_dependent_bars"] == expected.counts.path_dependent_bars
    assert simulation.rounded == expected.counts.rounded


def _clients(simulation: Any, names: Any) -> list[str | None]:
    fills = simulation.sim.fills[: int(simulation.sim.account["fills"][0])]
    return [names.client_id(int(number)) or None for number in fills["order"]]
