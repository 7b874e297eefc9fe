"""The hedged grid: what its docstring promises."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk import Bar, IntentKind, Side, Strategy, errors
from boxgate_sdk._contract import describe
from boxgate_sdk.testing import InProcess, Run, bars
from boxgate_sdk.testing.events import START_NS

Example = Callable[[str], ModuleType]
_GRID = {"step": 0.01, "qty": 100.0, "stop_steps": 3, "tickets_max": 4, "day_loss_max": 0.0}


@pytest.fixture
def grid(example: Example) -> type[Strategy]:
    strategy: type[Strategy] = example("hedged_grid").HedgedGrid
    return strategy


def run_of(strategy: type[Strategy], closes: list[float], **params: Any) -> Run:
    return InProcess(strategy, {**_GRID, **params}).run(bars(closes))


def entries(run: Run) -> list[tuple[int, str, Side | None, float | None, float | None]]:
    return [(seq, i.position, i.side, i.sl, i.tp) for seq, i in run.intents if not i.reduce_only]


def exits(run: Run) -> list[tuple[int, str, float, str | None]]:
    fills = [u for u in run.updates if u.kind == "FILL" and u.fill_reason != "ENTRY"]
    return [(u.seq, u.position, u.price, u.fill_reason) for u in fills]


def test_it_requires_hedging(grid: type[Strategy]) -> None:
    described = describe(grid, strategy_pb2.DescribeRequest())
    assert (described.name, described.version) == ("hedged_grid", "1.0.0")
    assert set(described.requires) == {"ORDERS", "FEEDBACK", "HEDGING"}
    assert all(parameter.doc for parameter in described.parameters)


def test_each_new_line_opens_a_long_and_a_short_with_a_bracket_on_lines(grid: type[Strategy]) -> None:
    run = run_of(grid, [1.000, 1.003, 1.011, 1.012, 1.012])
    assert entries(run) == [(2, "L1", Side.BUY, 0.98, 1.02), (2, "S2", Side.SELL, 1.04, 1.0)]
    held = [(p.name, p.side, p.qty, p.entry_price, p.sl, p.tp) for p in run.positions]
    assert held == [("L1", Side.BUY, 100.0, 1.011, 0.98, 1.02), ("S2", Side.SELL, 100.0, 1.011, 1.04, 1.0)]


def test_a_swing_pays_the_target_of_both_sides(grid: type[Strategy]) -> None:
    run = run_of(grid, [1.0, 1.01, 1.01, 1.02, 1.01, 1.0, 1.0])
    assert exits(run) == [
        (3, "L1", 1.02, "TAKE_PROFIT"),
        (4, "S4", 1.01, "TAKE_PROFIT"),
        (5, "S2", 1.0, "TAKE_PROFIT"),
    ]
    assert run.final_cash == pytest.approx(100_000.0 + 100.0 * (0.01 + 0.01 + 0.01))


def test_a_trend_meets_the_stops_of_one_side_and_the_targets_of_the_other(grid: type[Strategy]) -> None:
    run = run_of(grid, [1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06])
    by_side = {side: [(name, reason) for _, name, _, reason in exits(run) if name[0] == side] for side in "LS"}
    assert {reason for _, reason in by_side["L"]} == {"TAKE_PROFIT"}
    assert by_side["S"] == [("S2", "STOP_LOSS"), ("S4", "STOP_LOSS"), ("S6", "STOP_LOSS")]


def test_a_line_gets_no_second_ticket_of_a_side_and_a_side_no_more_than_it_may_have(grid: type[Strategy]) -> None:
    # From 1.01 to 1.00 and back: the short of 1.01 ends on its target at 1.00, the long of 1.01 is still open there.
    run = run_of(grid, [1.0, 1.01, 1.01, 1.0, 1.01, 1.01], stop_steps=9)
    assert [(seq, name[0], tp) for seq, name, _, _, tp in entries(run)] == [
        (1, "L", 1.02),
        (1, "S", 1.0),
        (3, "L", 1.01),
        (3, "S", 0.99),
        (4, "S", 1.0),
    ]
    up = [1.0 + 0.01 * i for i in range(12)]
    run = run_of(grid, up, stop_steps=100, tickets_max=2)
    assert sum(name.startswith("S") for _, name, *_ in entries(run)) == 2
    assert sum(name.startswith("L") for _, name, *_ in entries(run)) > 5


def test_old_tickets_are_closed_by_their_names(grid: type[Strategy]) -> None:
    run = run_of(grid, [1.0, 1.01, 1.012, 1.012, 1.012, 1.012, 1.012], hold_bars=2)
    closes = [(seq, i.position, i.side, i.reduce_only) for seq, i in run.intents if i.reduce_only]
    assert closes == [(4, "L1", Side.SELL, True), (4, "S2", Side.BUY, True)]
    assert exits(run) == [(5, "L1", 1.012, "SIGNAL"), (5, "S2", 1.012, "SIGNAL")]
    assert not run.positions
    assert {i.kind for _, i in run.intents} == {IntentKind.SUBMIT}


def test_a_lost_day_closes_all_and_ends_until_the_next_one(grid: type[Strategy]) -> None:
    closes = [1.0, 1.01, 1.0, 0.985, 0.985, 0.97, 0.96]
    next_day = bars([0.96, 0.95, 0.95], start_ns=START_NS + 86_400_000_000_000)
    params = {**_GRID, "qty": 100_000.0, "stop_steps": 20, "day_loss_max": 0.01}
    run = InProcess(grid, params).run(bars(closes) + next_day)
    lost = min(seq for seq, i in run.intents if i.reduce_only)
    assert {seq for seq, *_ in entries(run) if lost <= seq < 7} == set()
    assert any(seq > 7 for seq, *_ in entries(run))
    assert [u for u in run.updates if u.kind == "FILL" and u.seq == lost + 1 and u.fill_reason != "SIGNAL"] == []
    free = InProcess(grid, {**params, "day_loss_max": 0.0}).run(bars(closes) + next_day)
    assert any(lost <= seq < 7 for seq, *_ in entries(free))


@pytest.mark.parametrize(("params", "what"), [({"qty": 0.001}, "one lot"), ({"step": 0.00001}, "two ticks")])
def test_what_the_grids_of_an_instrument_cannot_hold_is_refused(
    grid: type[Strategy], params: dict[str, float], what: str
) -> None:
    with pytest.raises(errors.Refusal, match=what):
        run_of(grid, [1.0, 1.1], **params)


def test_it_answers_equally_however_the_tape_of_two_instruments_is_cut(
    grid: type[Strategy], two_symbols: list[Bar]
) -> None:
    params = {**_GRID, "step": 0.0005, "hold_bars": 40}
    runs = [InProcess(grid, params, warmup=50).run(two_symbols, windows=w) for w in (1, [1, 2, 3, 50], 4096)]
    assert len(runs[0].intents) > 100
    assert {i.instrument for _, i in runs[0].intents} == {"EURUSD", "GBPUSD"}
    for run in runs[1:]:
        assert (run.intents, run.updates, run.final_cash) == (runs[0].intents, runs[0].updates, runs[0].final_cash)
