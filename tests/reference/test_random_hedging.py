"""The generator of named positions gives the same case for a seed and reaches every rule, and what must hold does."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby

import pytest
from random_hedging import RULES_OF_HEDGING, coverage_of_hedging, draw_hedging_case, random_hedging_case
from random_orders import OrderCase, run_order_case
from terms import Result


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_positions(seed: int) -> None:
    assert random_hedging_case(seed) == random_hedging_case(seed)


@pytest.mark.parametrize("seed", range(30))
def test_what_must_hold_in_every_session_of_named_positions(seed: int) -> None:
    case, result = draw_hedging_case(seed)
    assert run_order_case(case) == result, "intents that are known beforehand give what they gave when they were made"
    _lots_of_positions_add_up(result)
    _orders_fill_in_their_positions(result)
    _a_name_is_one_position_at_a_time(result)
    _no_fill_is_above_the_volume(case, result)


def _lots_of_positions_add_up(result: Result) -> None:
    """A position is of one instrument, name and side; what it took in and did not give back is open at the end."""
    lots: dict[int, int] = defaultdict(int)
    kinds: dict[int, set[tuple[str, str, str]]] = defaultdict(set)
    for fill in result.fills:
        entry = fill.reason == "ENTRY"
        long = (fill.side == "BUY") == entry
        kinds[fill.position_id].add((fill.instrument, fill.position, "LONG" if long else "SHORT"))
        lots[fill.position_id] += fill.lots if entry else -fill.lots
        assert lots[fill.position_id] >= 0
    assert all(len(kind) == 1 for kind in kinds.values())
    left = {position for position, count in lots.items() if count}
    assert left == set(result.open_position_ids)
    for row, position in zip(result.open_positions, result.open_position_ids, strict=True):
        assert {(row.instrument, row.side)} == {(kind[0], kind[2]) for kind in kinds[position]}
    for trade, position in zip(result.trades, result.trade_positions, strict=True):
        assert {(trade.instrument, trade.side)} == {(kind[0], kind[2]) for kind in kinds[position]}


def _orders_fill_in_their_positions(result: Result) -> None:
    stated = {row.client_id: (row.instrument, row.position) for row in result.orders if row.kind == "SUBMIT"}
    for fill in result.fills:
        if fill.client_id is not None:
            assert stated[fill.client_id] == (fill.instrument, fill.position)


def _a_name_is_one_position_at_a_time(result: Result) -> None:
    """In the order of its fills a name goes from one position to the next and never back."""
    by_name: dict[tuple[str, str], list[int]] = defaultdict(list)
    for fill in result.fills:
        by_name[fill.instrument, fill.position].append(fill.position_id)
    for ids in by_name.values():
        runs = [position for position, _ in groupby(ids)]
        assert runs == sorted(set(runs))


def _no_fill_is_above_the_volume(case: OrderCase, result: Result) -> None:
    """All positions of an instrument together take no more of an event than the limit; events of one time are one."""
    share = case.rules.volume_limit
    if share is None:
        return
    symbols = [spec.symbol for spec in case.specs]
    allowed: dict[tuple[int, int], float] = defaultdict(float)
    for event in case.events:
        if event.execution:
            assert event.volume is not None
            for time_ns in {event.time_ns, event.open_ns}:
                allowed[event.instrument, time_ns] += event.volume * share
    taken: dict[tuple[int, int], float] = defaultdict(float)
    for fill in result.fills:
        if fill.client_id is not None:
            taken[symbols.index(fill.instrument), fill.time_ns] += fill.qty
    assert all(qty <= allowed[place] * (1 + 1e-12) for place, qty in taken.items())


def test_a_few_hundred_seeds_reach_every_rule_of_named_positions() -> None:
    fired = coverage_of_hedging(range(200))
    assert {name: fired[name] for name in RULES_OF_HEDGING if fired[name] < 5} == {}
