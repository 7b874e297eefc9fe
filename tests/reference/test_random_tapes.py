"""The generator gives the same case for the same seed and reaches every rule; the loop keeps what must always hold."""

from __future__ import annotations

import pytest
from grids import against_the_trader
from random_tapes import ALWAYS_REACHED, Case, coverage, random_case, run_case


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_case_and_the_same_result(seed: int) -> None:
    assert random_case(seed) == random_case(seed)
    assert run_case(random_case(seed)) == run_case(random_case(seed))


@pytest.mark.parametrize("seed", range(20))
def test_what_must_hold_on_every_tape(seed: int) -> None:
    case = random_case(seed)
    result = run_case(case)
    counts = result.counts
    assert counts.signals == len(result.signals) == sum(map(len, case.signals.values()))
    assert all(
        fill.price == against_the_trader(fill.price, _tick(case, fill.instrument), True) for fill in result.fills
    )
    assert all(fill.fee >= 0 and fill.slippage >= 0 for fill in result.fills)
    assert all(trade.mae <= 0 <= trade.mfe for trade in result.trades)
    assert all(0 <= row.drawdown <= 1 for row in result.equity)
    assert [trade.trade_id for trade in result.trades] == list(range(1, len(result.trades) + 1))
    if case.rules.close_at_end:
        assert result.open_positions == []


def test_a_few_hundred_seeds_reach_every_rule_and_most_tapes_have_many_fills() -> None:
    fired, fills = coverage(range(300))
    assert [rule for rule in ALWAYS_REACHED if fired[rule] == 0] == []
    assert sum(count >= 20 for count in fills) > len(fills) * 0.8


def _tick(case: Case, symbol: str) -> tuple[int, int]:
    return next(spec.tick for spec in case.specs if spec.symbol == symbol)
