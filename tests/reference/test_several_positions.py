"""Hand-computed cases of docs/spec/execution.md, section 20: several positions of one instrument, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hours
import places
import pytest
from cases import MINUTE, bar, fills, flat_bar, tick
from loop import run
from order_cases import again, cancel, ends, limit, market, protect, stop, trade, trade_in_rounds
from terms import Answer, Event, Intent, MomentView, ReferenceError, Result, Rules, Spec, SwapTerms

CALM = [flat_bar(place, 100.0) for place in range(5)]
SWING = [flat_bar(0, 100.0), bar(1, 100, 104, 96, 101), flat_bar(2, 101.0)]
BOTH = [bar for place in range(4) for bar in (flat_bar(place, 100.0), flat_bar(place, 100.0, instrument=1))]
"""Instruments A and B; the answer to a moment is that to its first bar: 0, 2, 4, ..."""


def whose(result: Result) -> list[tuple[str, str, str, int]]:
    """Return instrument, position, side and lots of each fill."""
    return [(fill.instrument, fill.position, fill.side, fill.lots) for fill in result.fills]


# ---------------------------------------------------------------------------------------------------------------------
# Positions beside each other


def test_a_long_and_a_short_stand_beside_each_other_with_a_bracket_each() -> None:
    answer = [
        market("l", "BUY", 2, position="long", sl=97.0, tp=103.0),
        market("s", "SELL", 1, position="short", sl=105.0, tp=98.0),
    ]
    result = trade(SWING, {0: answer})
    # The long one loses on the way down first. The short one meets 98 on both ways.
    assert fills(result) == [
        ("BUY", 2, 100.0, "ENTRY"),
        ("SELL", 1, 100.0, "ENTRY"),
        ("SELL", 2, 97.0, "STOP_LOSS"),
        ("BUY", 1, 98.0, "TAKE_PROFIT"),
    ]
    assert [fill.position_id for fill in result.fills] == [1, 2, 1, 2]
    assert [fill.position for fill in result.fills] == ["long", "short", "long", "short"]
    assert [fill.path_dependent for fill in result.fills] == [False, False, True, False]
    assert [(trade.side, trade.net_pnl) for trade in result.trades] == [("LONG", -6.0), ("SHORT", 2.0)]
    assert result.trade_positions == [1, 2]
    assert result.equity[-1].cash == 100_000.0 - 6 + 2


@pytest.mark.parametrize(("path", "prices"), [("pessimistic", [97.0, 103.0]), ("optimistic", [103.0, 97.0])])
def test_each_position_takes_its_own_path(path: str, prices: list[float]) -> None:
    answer = [
        market("l", "BUY", position="long", sl=97.0, tp=103.0),
        market("s", "SELL", position="short", sl=103.0, tp=97.0),
    ]
    result = trade(SWING, {0: answer}, path=path)
    assert [fill.price for fill in result.fills[2:]] == prices
    assert result.counts.path_dependent_bars == 2, "it is path dependent for each of them"


def test_a_name_and_an_instrument_have_a_position_of_their_own() -> None:
    answer = [
        market(f"{name}{i}", "BUY", i + 1, position=name, instrument=i) for i in (0, 1) for name in ("", "x", "y")
    ]
    result = trade(BOTH, {0: answer}, specs=2)
    assert sorted((p.instrument, p.qty) for p in result.open_positions) == [("A", 1.0)] * 3 + [("B", 2.0)] * 3
    assert result.open_position_ids == [1, 2, 3, 4, 5, 6]


def test_a_position_turns_unless_its_order_only_reduces() -> None:
    answers = {
        0: [market("a", "BUY", position="x"), market("b", "BUY", position="y")],
        1: [market("c", "SELL", 3, position="x"), market("d", "SELL", 3, position="y", reduce_only=True)],
    }
    result = trade(CALM, answers)
    assert whose(result)[2:] == [("A", "x", "SELL", 1), ("A", "y", "SELL", 1), ("A", "x", "SELL", 2)]
    assert ends(result) == ["FILLED", "FILLED", "FILLED", "CANCELLED REDUCE_ONLY"]
    assert [fill.position_id for fill in result.fills] == [1, 2, 1, 2, 3]


def test_replace_and_cancel_go_to_the_position_of_their_order() -> None:
    answers: dict[int, Sequence[Intent]] = {
        0: [limit("a", "BUY", 90, position="x"), limit("b", "BUY", 90, position="y")],
        1: [again("a", qty=2.0, price=100.0), cancel("b")],
    }
    result = trade(CALM, answers)
    assert whose(result) == [("A", "x", "BUY", 2)]
    assert ends(result) == ["FILLED", "CANCELLED INTENT", "DONE", "DONE"]
    assert [row.position for row in result.orders] == ["x", "y", "x", "y"]


def test_a_group_is_one_of_one_position() -> None:
    answer = [limit("a", "BUY", 97, oco="g", position="x"), stop("b", "BUY", 103, oco="g", position="x")]
    answer += [limit("c", "BUY", 95, oco="g", position="y"), limit("d", "BUY", 95, oco="g")]
    assert ends(trade(SWING, {0: answer}, path="olhc")) == ["FILLED", "CANCELLED OCO", "WORKING", "WORKING"]


def test_sixty_four_orders_are_those_of_one_position() -> None:
    answer = [limit(f"a{i}", "BUY", 50, position="x") for i in range(65)]
    answer += [limit("b", "BUY", 50), limit("c", "BUY", 50, position="y")]
    assert ends(trade(CALM, {0: answer}))[63:] == ["WORKING", "REJECTED TOO_MANY_ORDERS", "WORKING", "WORKING"]


# ---------------------------------------------------------------------------------------------------------------------
# PROTECT, and a name that is used again


def test_protect_states_the_bracket_of_the_position_that_it_names() -> None:
    events = [*CALM[:3], bar(3, 100, 104, 96, 101)]
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x", sl=97.0), market("b", "BUY", position="y", sl=97.0)],
        1: protect(position="y", sl=98.0),
    }
    result = trade(events, answers)
    assert fills(result)[2:] == [("SELL", 1, 97.0, "STOP_LOSS"), ("SELL", 1, 98.0, "STOP_LOSS")]
    assert [fill.signal_seq for fill in result.fills[2:]] == [0, 1]


def test_protect_by_a_name_that_no_position_bears_is_rejected() -> None:
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x"), protect(position="x", sl=90.0)],
        1: [protect(position="y", sl=90.0), protect(sl=90.0), protect(position="x", sl=90.0)],
    }
    result = trade(CALM, answers)
    # The first one comes before its position is there: it is checked against what is.
    rejected = "REJECTED NO_POSITION"
    assert ends(result) == ["FILLED", rejected, rejected, rejected, "DONE"]
    assert result.rules_fired["PROTECT_of_unknown_name"] == 1


def test_the_levels_of_protect_are_those_of_the_side_of_its_position() -> None:
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x"), market("b", "SELL", position="y")],
        1: [protect(position="x", sl=105.0), protect(position="y", sl=105.0)],
    }
    assert ends(trade(CALM, answers))[2:] == ["REJECTED STOP_LOSS_SIDE", "DONE"]


def test_a_name_that_is_used_again_names_a_new_position() -> None:
    events = [flat_bar(place, 100.0 + place) for place in range(6)]
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: market("a", "BUY", position="x", sl=90.0),
        1: market("b", "SELL", 5, position="x", reduce_only=True),
        2: market("c", "SELL", 2, position="x"),
        3: protect(position="x", sl=104.0),
    }
    result = trade(events, answers)
    assert fills(result) == [
        ("BUY", 1, 101.0, "ENTRY"),
        ("SELL", 1, 102.0, "SIGNAL"),
        ("SELL", 2, 103.0, "ENTRY"),
        ("BUY", 2, 104.0, "STOP_LOSS"),
    ]
    assert [fill.position_id for fill in result.fills] == [1, 1, 2, 2]
    assert ends(result) == ["FILLED", "CANCELLED REDUCE_ONLY", "FILLED", "DONE"]
    assert result.rules_fired["name_used_again"] == 1


# ---------------------------------------------------------------------------------------------------------------------
# Places


def test_an_instrument_has_sixty_four_places() -> None:
    one_too_many = [
        *(limit(f"o{i}", "BUY", 50, position=f"p{i}") for i in range(64)),
        limit("named", "BUY", 50, position="q"),
        limit("small", "BUY", 50, 0.5, position="q"),
        limit("again", "BUY", 50, position="p0"),
        limit("unnamed", "BUY", 50),
        limit("other", "BUY", 50, position="q", instrument=1),
    ]
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: one_too_many,
        2: cancel("o9"),
        4: limit("late", "BUY", 50, position="q"),
    }
    result = trade(BOTH, answers, specs=2)
    rows = {(row.client_id, row.kind): (row.outcome, row.reason) for row in result.orders}
    assert rows["named", "SUBMIT"] == ("REJECTED", "TOO_MANY_POSITIONS")
    assert rows["small", "SUBMIT"] == ("REJECTED", "TOO_MANY_POSITIONS"), "it comes before all other reasons"
    for name in ("o63", "again", "unnamed", "other", "late"):
        assert rows[name, "SUBMIT"] == ("WORKING", None)


def test_what_is_refused_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_PLACES", 1)
    answer = [limit("a", "BUY", 50, 0.5, position="x"), limit("b", "BUY", 50, position="y")]
    answer += [limit("c", "BUY", 50, position="x")]
    expected = ["REJECTED QTY_BELOW_MINIMUM", "WORKING", "REJECTED TOO_MANY_POSITIONS"]
    assert ends(trade(CALM, {0: answer})) == expected


def test_a_place_is_free_after_its_position_and_its_last_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_PLACES", 1)
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x"), limit("b", "BUY", 50, position="x")],
        1: [market("c", "SELL", position="x"), limit("d", "BUY", 50, position="y")],
        2: [cancel("b"), limit("e", "BUY", 50, position="y")],
        3: limit("f", "BUY", 50, position="y"),
    }
    full = "REJECTED TOO_MANY_POSITIONS"
    assert ends(trade(CALM, answers)) == [
        "FILLED",
        "CANCELLED INTENT",
        "FILLED",
        full,
        "DONE",
        full,
        "WORKING",
    ]


def test_a_place_is_in_use_while_its_queue_is_not_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST_PLACES", 1)
    # Works from 25 on and expires at 35; the change that was asked for at 25 arrives at 36 and meets 40.
    events = [tick(time, 100, 100) for time in (10, 25, 35, 40, 60)]
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: limit("a", "BUY", 90, tif="GTD", valid_until_ns=30, position="x"),
        1: cancel("a"),
        2: market("b", "BUY", position="y"),
        3: market("c", "BUY", position="y"),
    }
    result = trade(events, answers, latency_ns=11)
    expected = ["EXPIRED", "REJECTED ORDER_NOT_WORKING", "REJECTED TOO_MANY_POSITIONS", "FILLED"]
    assert ends(result) == expected
    assert result.rules_fired["place_kept_by_changes_that_wait"] == 1


# ---------------------------------------------------------------------------------------------------------------------
# The order of settlement


def test_unnamed_positions_come_first_then_named_ones_by_instrument_and_place() -> None:
    answer = [market("d", "BUY", instrument=1, position="x"), market("b", "BUY", instrument=1)]
    answer += [market("c", "BUY", position="y"), market("e", "BUY", position="x"), market("a", "BUY")]
    result = trade(BOTH, {0: answer}, specs=2, close_at_end=True)
    order = [("A", ""), ("B", ""), ("A", "y"), ("A", "x"), ("B", "x")]
    assert [(fill.instrument, fill.position) for fill in result.fills] == order + order


def test_a_new_name_is_settled_where_its_place_is() -> None:
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x"), market("b", "BUY", position="y")],
        1: market("c", "SELL", position="x"),
        2: [market("d", "BUY", position="y"), market("e", "BUY", position="z")],
    }
    assert whose(trade(CALM, answers))[3:] == [("A", "z", "BUY", 1), ("A", "y", "BUY", 1)]


def test_each_line_of_the_open_goes_through_all_positions() -> None:
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: market("a", "BUY", position="x"),
        1: [market("b", "BUY"), market("c", "SELL", position="x"), limit("d", "BUY", 101, position="y")],
    }
    # Line a reduces x, c fills the limit of y, d opens the unnamed one.
    assert [fill.client_id for fill in trade(CALM, answers).fills] == ["a", "c", "d", "b"]


def test_inside_the_bar_one_position_after_the_other_meets_the_path() -> None:
    answer = [limit("a", "BUY", 99, position="x"), limit("b", "BUY", 97)]
    assert [fill.client_id for fill in trade(SWING, {0: answer}).fills] == ["b", "a"]


def test_expiries_are_told_in_that_order() -> None:
    fields: dict[str, Any] = {"tif": "GTD", "valid_until_ns": MINUTE}
    answer = [limit("a", "BUY", 90, position="x", **fields), limit("b", "BUY", 90, **fields)]
    views = told(CALM[:2], {0: answer})
    assert [(u.kind, u.client_id, u.position) for u in views[1].updates] == [("EXPIRY", "b", ""), ("EXPIRY", "a", "x")]


# ---------------------------------------------------------------------------------------------------------------------
# Margin, liquidation, funding, swap, volume, latency


@pytest.mark.parametrize("mode", ["cross", "isolated"])
def test_opposite_positions_count_in_full(mode: str) -> None:
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x"), market("b", "SELL", position="y")],
        1: market("c", "SELL", position="z"),
    }
    result = trade(CALM, answers, cash=250.0, margin_mode=mode)
    assert ends(result) == ["FILLED", "FILLED", "REJECTED INSUFFICIENT_MARGIN"]
    row = result.equity[-1]
    assert (row.margin_used, row.exposure_gross, row.exposure_net) == (200.0, 200.0, 0.0)
    assert ends(trade(CALM, answers, cash=300.0, margin_mode=mode)) == ["FILLED"] * 3


def test_positions_are_liquidated_in_their_order_each_by_what_the_one_before_left() -> None:
    # At 92: level of the unnamed one ((300 - (40 - 8)) + 0.5 * 9.2) / (3 * 0.95) = 95.6; that of x afterwards, with
    # 40 - 24 = 16: (100 - 16) / 0.95 = 88.4. The other way round x had met (100 - 16 + 13.8) / 0.95 = 102.9.
    events = [*CALM[:2], *(flat_bar(place, 92.0) for place in (2, 3))]
    answer = [market("a", "BUY", position="x"), market("b", "BUY", 3)]
    result = trade(events, {0: answer}, cash=40.0, leverage=10.0, maintenance=0.5)
    assert fills(result)[2:] == [("SELL", 3, 92.0, "LIQUIDATION")]
    assert result.fills[2].time_ns == 2 * MINUTE, "at the open, where x counts in its level"
    assert [(p.side, p.qty) for p in result.open_positions] == [("LONG", 1.0)]


def test_at_the_marks_the_position_with_the_lowest_profit_goes_first() -> None:
    # Hours keep the open of 92 from liquidating: x has -24, the unnamed one -8.
    events = [*CALM[:2], flat_bar(2, 92.0)]
    answer = [market("a", "BUY", 3, position="x"), market("b", "BUY")]
    closed = (((0, 2 * MINUTE),),)
    rules: dict[str, Any] = {"cash": 40.0, "leverage": 10.0, "maintenance": 0.5, "hours": closed}
    result = trade(events, {0: answer}, **rules)
    assert whose(result)[2:] == [("A", "x", "SELL", 3)]
    assert result.fills[2].reason == "LIQUIDATION"


def test_isolated_positions_are_liquidated_by_their_own_margins() -> None:
    events = [*CALM[:2], bar(2, 100, 100, 88, 95), flat_bar(3, 95.0)]
    answers = {0: [market("a", "BUY", position="x"), market("b", "SELL", 2, position="y")]}
    result = trade(events, answers, cash=40.0, leverage=10.0, margin_mode="isolated")
    # x: (100 - 10) / 1 = 90. y, short: (200 + 20) / 2 = 110 is not met.
    assert fills(result)[2:] == [("SELL", 1, 90.0, "LIQUIDATION")]
    assert result.fills[2].position == "x"


def test_funding_and_swap_are_paid_for_each_position() -> None:
    stamps = ((MINUTE * 2 + 10, 0.01), (MINUTE * 2 + 20, 0.02))
    answer = [market("a", "BUY", 2, position="x"), market("b", "SELL", 3)]
    result = trade(
        CALM,
        {0: answer},
        funding=(stamps,),
        swap_terms=(SwapTerms("points", -1.0, 0.5),),
        swap_stamps=(((MINUTE * 2 + 30, 1),),),
    )
    assert [(flow.kind, flow.amount) for flow in result.flows] == [
        ("FUNDING", 3.0),
        ("FUNDING", 6.0),
        ("FUNDING", -2.0),
        ("FUNDING", -4.0),
        ("SWAP", 1.5),
        ("SWAP", -2.0),
    ]
    assert result.equity[-1].cash == 100_002.5


def test_the_volume_is_that_of_the_instrument_for_all_its_positions() -> None:
    events = [replace(event, volume=4.0) for event in CALM]
    answer = [market("a", "BUY", 3, position="x"), market("b", "BUY", 1)]
    result = trade(events, {0: answer}, volume_limit=0.5)
    assert [(fill.client_id, fill.lots, fill.time_ns) for fill in result.fills] == [
        ("b", 1, MINUTE),
        ("a", 1, MINUTE),
        ("a", 2, 2 * MINUTE),
    ]


def test_intents_keep_their_order_within_a_position_and_not_between_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "uniform", lambda seed, seq, draw: 0.9 if seq == 0 else 0.0)
    # The first arrives at 10 + 27 = 37; what is decided at 20 on another position arrives at 20.
    events = [tick(time, price, price) for time, price in ((10, 100), (20, 101), (30, 102), (40, 103))]
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: market("a", "BUY", position="x"),
        1: [market("b", "BUY", position="y"), market("c", "BUY", position="x")],
    }
    result = trade(events, answers, jitter_ns=30)
    assert [(fill.client_id, fill.price) for fill in result.fills] == [("b", 102.0), ("a", 103.0), ("c", 103.0)]


@pytest.mark.parametrize(("held", "price"), [(True, 104.0), (False, 103.0)])
def test_an_expired_intent_holds_later_ones_back_as_long_as_its_position_is_there(
    held: bool, price: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "uniform", lambda seed, seq, draw: 0.9 if seq == 1 else 0.0)
    # What is asked at 20 would arrive at 47; it expires before. What is asked at 30 arrives at 47 too, unless x is free
    # by then: the name is that of a new position, and it arrives at 30.
    prices = ((10, 100), (20, 101), (30, 102), (40, 103), (50, 104))
    events = [tick(time, price, price) for time, price in prices]
    answers: dict[int, Sequence[Intent] | Intent] = {
        0: [market("a", "BUY", position="x")] if held else [],
        1: limit("b", "BUY", 50, position="x", tif="GTD", valid_until_ns=25),
        2: market("c", "BUY", position="x"),
    }
    result = trade(events, answers, jitter_ns=30)
    assert ends(result)[-2:] == ["EXPIRED", "FILLED"]
    assert result.fills[-1].price == price


def test_a_short_goes_without_a_cash_account_whatever_its_name() -> None:
    answers = {0: [market("a", "BUY", position="x"), market("b", "SELL", position="y")]}
    assert ends(trade(CALM, answers, cash_account=True)) == ["FILLED", "REJECTED SHORT_NOT_ALLOWED"]


def test_an_answer_that_goes_on_meets_its_tick_in_all_positions() -> None:
    events = [tick(1, 100, 101), tick(2, 102, 103)]
    rounds = [
        [market("a", "BUY", position="x"), market("b", "SELL", position="y")],
        [market("c", "SELL", position="x", reduce_only=True), market("d", "BUY", position="x")],
        [],
    ]
    result = trade_in_rounds(events, {0: rounds}, spread=("data",))
    assert [(fill.client_id, fill.price, fill.seq, fill.position_id) for fill in result.fills] == [
        ("a", 101.0, 0, 1),
        ("b", 100.0, 0, 2),
        ("c", 100.0, 0, 1),
        ("d", 101.0, 0, 3),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# What the account tells, and errors


def told(events: Sequence[Event], answers: dict[int, list[Intent]], **rules: Any) -> list[MomentView]:
    """Run answers by seq and return the views."""
    views: list[MomentView] = []

    def decide(view: MomentView) -> Answer:
        views.append(view)
        return Answer(tuple(answers.get(view.seq, ())))

    run([Spec("A")], Rules(spread=("none",), orders=True, **rules), events, 0, decide)
    return views


def test_positions_orders_and_updates_tell_the_name() -> None:
    answers = {
        0: [market("a", "BUY", position="x", sl=90.0), limit("b", "BUY", 90), limit("c", "BUY", 91, position="x")],
        1: [cancel("c"), protect(position="nobody", sl=90.0), market("d", "BUY", 0.5, position="y")],
    }
    views = told(CALM[:3], answers)
    assert [(p.position_id, p.name, p.sl) for p in views[1].positions] == [(1, "x", 90.0)]
    assert [(order.client_id, order.position) for order in views[1].orders] == [("b", ""), ("c", "x")]
    assert [(u.kind, u.client_id, u.position, u.instrument) for view in views[1:] for u in view.updates] == [
        ("FILL", "a", "x", 0),
        ("REJECTION", None, "nobody", 0),
        ("REJECTION", "d", "y", 0),
        ("CANCELLATION", "c", "x", 0),
    ]


def test_a_margin_call_names_the_first_open_position() -> None:
    events = [*CALM[:2], flat_bar(2, 98.0)]
    answers = {0: [market("a", "SELL", position="x"), market("b", "BUY", 2, position="y")]}
    views = told(events, answers, cash=31.0, leverage=10.0, margin_call=1.0)
    # Equity 31 + 2 - 4 = 29 is less than 29.4.
    assert [(u.kind, u.position) for u in views[2].updates] == [("MARGIN_CALL", "x")]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([market("a", "BUY", position="x y")], "ORDER_ID"),
        ([market("a", "BUY", position="x" * 65)], "ORDER_ID"),
        ([protect(sl=90.0, position="x/y")], "ORDER_ID"),
        ([limit("a", "BUY", 90, position="x"), replace(cancel("a"), position="x")], "ORDER_FIELDS"),
        (
            [limit("a", "BUY", 90, position="x"), replace(again("a", qty=1.0, price=90.0), position="x")],
            "ORDER_FIELDS",
        ),
    ],
)
def test_a_name_that_can_never_be_right_ends_the_run(answer: list[Intent], code: str) -> None:
    with pytest.raises(ReferenceError) as error:
        trade(CALM, {0: answer})
    assert error.value.code == code
