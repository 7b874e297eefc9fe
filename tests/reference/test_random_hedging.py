"""The generator of named positions gives the same case for a seed and reaches every rule, and what must hold does."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby

import pytest
from random_hedging import RULES_OF_HEDGING, coverage_of_hedging, draw_hedging_case, random_hedging_case
from random_orders import run_order_case
from terms import Result
from volume_check import volume_is_kept


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
    volume_is_kept(case, result)


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


def test_a_few_hundred_seeds_reach_every_rule_of_named_positions() -> None:
    fired = coverage_of_hedging(range(200))
    assert {name: fired[name] for name in RULES_OF_HEDGING if fired[name] < 5} == {}
