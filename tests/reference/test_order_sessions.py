"""Hand-computed cases of docs/spec/execution.md, 14 to 19: trails, errors, answers that go on, latency, updates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import hours
import pytest
from cases import MINUTE, bar, buy, fills, flat, flat_bar, go, outcomes, sell, tick
from loop import run
from order_cases import again, cancel, ends, limit, market, protect, stop, stop_limit, trade, trade_in_rounds, trailing
from randomness import block, uniform
from terms import Answer, Event, Fees, Intent, MomentView, ReferenceError, Rules, SignalIn, Slippage, Spec

CALM = [flat_bar(place, 100.0) for place in range(4)]
SWING = [flat_bar(0, 100.0), bar(1, 100, 104, 96, 101)]


def ticks(*prices: float, volume: float | None = None) -> list[Event]:
    """Return ticks at 10, 20, ... without a spread."""
    return [replace(tick(10 * place, price, price), volume=volume) for place, price in enumerate(prices, start=1)]


# ---------------------------------------------------------------------------------------------------------------------
# §1 with targets


@pytest.mark.parametrize(
    ("signal", "path", "expected"),
    [
        # Entered at 100: 97. High first: 101; low first: 97 on the way to 96.
        (buy(trail=3.0), "ohlc", ("SELL", 1, 101.0, "STOP_LOSS")),
        (buy(trail=3.0), "olhc", ("SELL", 1, 97.0, "STOP_LOSS")),
        (buy(trail=3.0), "pessimistic", ("SELL", 1, 97.0, "STOP_LOSS")),
        # 103 and, low first, 99.
        (sell(trail=3.0), "ohlc", ("BUY", 1, 103.0, "STOP_LOSS")),
        (sell(trail=3.0), "olhc", ("BUY", 1, 99.0, "STOP_LOSS")),
        # The nearer of both is in force.
        (buy(trail=3.0, sl=99.0), "olhc", ("SELL", 1, 99.0, "STOP_LOSS")),
        (buy(trail=3.0, sl=96.0), "olhc", ("SELL", 1, 97.0, "STOP_LOSS")),
        # 2.6 is 3 on the grid.
        (buy(trail=2.6), "olhc", ("SELL", 1, 97.0, "STOP_LOSS")),
        (buy(trail=3.0, tp=102.0), "ohlc", ("SELL", 1, 102.0, "TAKE_PROFIT")),
    ],
)
def test_a_trail_follows_the_path(signal: SignalIn, path: str, expected: tuple[str, int, float, str]) -> None:
    result = go(SWING, {0: signal}, path=path)
    assert fills(result)[1:] == [expected]
    assert result.fills[1].signal_seq == 0


def test_a_trail_makes_a_bar_path_dependent() -> None:
    result = go(SWING, {0: buy(trail=3.0)})
    assert result.counts.path_dependent_bars == 1
    assert result.trades[0].path_dependent


@pytest.mark.parametrize(("again_trail", "stopped"), [(3.0, True), (4.0, False)])
def test_an_equal_trail_keeps_its_level_and_another_begins_anew(again_trail: float, stopped: bool) -> None:
    # 110 - 3 = 107 stays in force at 106; 108 - 4 = 104 does not.
    events = [flat_bar(place, price) for place, price in enumerate((100.0, 100.0, 110.0, 108.0, 106.0))]
    result = go(events, {0: buy(trail=3.0), 2: buy(2.0, trail=again_trail)})
    assert (result.open_positions == []) == stopped
    assert [signal.outcome for signal in result.signals] == ["EXECUTED", "EXECUTED"]


def test_the_trail_is_part_of_what_makes_targets_equal() -> None:
    result = go(CALM, {0: buy(trail=3.0), 1: [buy(trail=3.0)], 2: [buy(trail=4.0)]})
    assert outcomes(result) == ["EXECUTED", "NO_OP", "EXECUTED"]


def test_the_position_that_remains_has_its_trail_and_the_level_is_a_mark() -> None:
    views: list[MomentView] = []

    def decide(view: MomentView) -> list[SignalIn]:
        views.append(view)
        return {0: [buy(trail=3.0)], 1: [buy(0.5)]}.get(view.seq, [])

    events = [flat_bar(0, 100.0), flat_bar(1, 100.0), flat_bar(2, 104.0)]
    run([Spec("A")], Rules(spread=("none",)), events, 0, decide)
    assert [(p.trail, p.trail_level, p.sl) for view in views for p in view.positions] == [
        (3.0, 97.0, None),
        (3.0, 101.0, None),
    ]
    assert views[2].targets[0].trail == 3.0


def test_a_trail_below_zero_has_no_level() -> None:
    events = [flat_bar(place, price) for place, price in enumerate((2.0, 2.0, 1.0, 5.0, 2.0))]
    assert fills(go(events, {0: buy(trail=3.0)}))[1:] == [("SELL", 1, 2.0, "STOP_LOSS")]


@pytest.mark.parametrize(
    ("signal", "code"),
    [
        (buy(trail=float("nan")), "SIGNAL_NOT_FINITE"),
        (buy(trail=0.0), "SIGNAL_RANGE"),
        (buy(trail=-1.0), "SIGNAL_RANGE"),
        (buy(trail=0.4), "SIGNAL_RANGE"),
        (buy(trail=2.0**53), "SIGNAL_RANGE"),
        (flat(trail=3.0), "SIGNAL_RANGE"),
    ],
)
def test_a_trail_that_can_never_be_right_ends_the_run(signal: SignalIn, code: str) -> None:
    with pytest.raises(ReferenceError, match=code):
        go(CALM, {0: signal})


# ---------------------------------------------------------------------------------------------------------------------
# §4 with targets


def full(event: Event, volume: float) -> Event:
    return replace(event, volume=volume)


def test_a_market_target_is_reached_in_parts() -> None:
    events = [full(event, 4.0) for event in CALM]
    result = go(events, {0: buy(5.0, sl=90.0)}, volume_limit=0.5)
    assert fills(result) == [("BUY", 2, 100.0, "ENTRY"), ("BUY", 2, 100.0, "ENTRY"), ("BUY", 1, 100.0, "ENTRY")]
    assert outcomes(result) == ["EXECUTED"]
    assert outcomes(go(events[:3], {0: buy(5.0)}, volume_limit=0.5)) == ["RESTING"]


def test_a_limit_target_works_on_where_it_stands() -> None:
    events = [full(event, 4.0) for event in (*SWING, bar(2, 101, 101, 97, 101), flat_bar(3, 90.0))]
    result = go(events, {0: buy(5.0, price=97.0)}, volume_limit=0.5)
    assert fills(result) == [("BUY", 2, 97.0, "ENTRY"), ("BUY", 2, 97.0, "ENTRY"), ("BUY", 1, 90.0, "ENTRY")]


def test_a_reversal_in_parts_reduces_first() -> None:
    events = [full(event, 4.0) for event in CALM]
    result = go([*events, *(full(flat_bar(place, 100.0), 4.0) for place in (4, 5))], {0: buy(2.0), 1: sell(1.0)})
    assert len(result.fills) == 3
    result = go(events, {0: buy(2.0), 1: sell(1.0)}, volume_limit=0.5)
    assert fills(result) == [("BUY", 2, 100.0, "ENTRY"), ("SELL", 2, 100.0, "SIGNAL"), ("SELL", 1, 100.0, "ENTRY")]
    assert [fill.time_ns for fill in result.fills] == [MINUTE, 2 * MINUTE, 3 * MINUTE]


@pytest.mark.parametrize("volume", [None, 0.0])
def test_a_volume_limit_needs_a_volume(volume: float | None) -> None:
    with pytest.raises(ReferenceError, match="VOLUME_MISSING"):
        go([replace(event, volume=volume) for event in CALM], {}, volume_limit=0.5)


# ---------------------------------------------------------------------------------------------------------------------
# §2: liquidity, numbers, errors


def test_stops_slip_and_pay_as_takers_limits_do_not() -> None:
    costs: dict[str, Any] = {
        "slippage": (Slippage("ticks", 1.0),),
        "fees": (Fees(maker_bps=10.0, taker_bps=100.0),),
    }
    result = trade(
        SWING, {0: [stop("s", "BUY", 102), stop_limit("x", "BUY", 103, 103), limit("l", "BUY", 97)]}, **costs
    )
    rows = {fill.client_id: (fill.price, fill.reference_price, fill.liquidity) for fill in result.fills}
    assert rows == {"s": (103.0, 102.0, "TAKER"), "x": (103.0, 103.0, "MAKER"), "l": (97.0, 97.0, "MAKER")}
    fees = {fill.client_id: fill.fee for fill in result.fills}
    assert fees == {"s": 103.0 * 100 / 10000, "x": 103.0 * 10 / 10000, "l": 97.0 * 10 / 10000}


def test_buys_watch_the_ask_and_sells_the_bid() -> None:
    # bid 100 to 104 to 96, ask 2 above.
    events = [flat_bar(0, 100.0, spread=2), bar(1, 100, 104, 96, 101, spread=2)]
    orders = [limit("a", "BUY", 97), limit("b", "BUY", 98), stop("c", "BUY", 106), stop("d", "BUY", 107)]
    orders += [limit("e", "SELL", 104), limit("f", "SELL", 105), stop("g", "SELL", 96), stop("h", "SELL", 95)]
    result = trade(events, {0: orders}, spread=("data",), path="ohlc")
    assert {fill.client_id: fill.price for fill in result.fills} == {"b": 98.0, "c": 106.0, "e": 104.0, "g": 96.0}


def test_replace_and_cancel_find_the_instrument_of_their_order_and_orders_are_numbered_by_the_answer() -> None:
    events = [flat_bar(place, 100.0, instrument=instrument) for place in range(3) for instrument in range(2)]
    answer = [limit("b", "BUY", 90, instrument=1), limit("a", "BUY", 90), again("b", qty=2.0, price=100.0), cancel("a")]
    result = trade(events, {0: answer}, specs=2)
    assert [(row.number, row.instrument, row.kind) for row in result.orders] == [
        (2, "A", "SUBMIT"),
        (2, "A", "CANCEL"),
        (1, "B", "SUBMIT"),
        (1, "B", "REPLACE"),
    ]
    assert ends(result) == ["CANCELLED INTENT", "DONE", "FILLED", "DONE"]
    assert [(fill.instrument, fill.lots) for fill in result.fills] == [("B", 2)]


SOUND = limit("a", "BUY", 90)
ERRORS: list[tuple[Sequence[Intent], str]] = [
    ([replace(SOUND, price=float("nan"))], "SIGNAL_NOT_FINITE"),
    ([replace(SOUND, qty=float("inf"))], "SIGNAL_NOT_FINITE"),
    ([replace(SOUND, qty=0.0)], "SIGNAL_RANGE"),
    ([replace(SOUND, qty=-1.0)], "SIGNAL_RANGE"),
    ([replace(SOUND, qty=2.0**53)], "SIGNAL_RANGE"),
    ([replace(SOUND, price=-1.0)], "SIGNAL_RANGE"),
    ([replace(SOUND, price=0.4)], "SIGNAL_RANGE"),
    ([replace(SOUND, sl=0.0)], "SIGNAL_RANGE"),
    ([trailing("t", "SELL", 0.4)], "SIGNAL_RANGE"),
    ([protect(risk_trail=0.4)], "SIGNAL_RANGE"),
    ([replace(SOUND, side="FLAT")], "SIGNAL_ENUM"),
    ([replace(SOUND, type="ICEBERG")], "SIGNAL_ENUM"),
    ([replace(SOUND, tif="GTX")], "SIGNAL_ENUM"),
    ([replace(SOUND, kind="AMEND")], "SIGNAL_ENUM"),
    ([replace(SOUND, sl=95.0, tp=80.0)], "SIGNAL_RISK_SIDE"),
    ([replace(SOUND, side="SELL", sl=80.0, tp=95.0)], "SIGNAL_RISK_SIDE"),
    ([replace(SOUND, instrument=1)], "PROTO_SCOPE"),
    ([replace(SOUND, price=None)], "ORDER_FIELDS"),
    ([replace(SOUND, qty=None)], "ORDER_FIELDS"),
    ([replace(SOUND, stop_price=80.0)], "ORDER_FIELDS"),
    ([replace(SOUND, trail=1.0)], "ORDER_FIELDS"),
    ([market("m", "BUY", price=90.0)], "ORDER_FIELDS"),
    ([market("m", "BUY", post_only=True)], "ORDER_FIELDS"),
    ([stop("s", "BUY", 110, post_only=True)], "ORDER_FIELDS"),
    ([stop("s", "BUY", 110, tif="IOC")], "ORDER_FIELDS"),
    ([replace(SOUND, tif="FOK", post_only=True)], "ORDER_FIELDS"),
    ([replace(SOUND, tif="IOC", oco="g")], "ORDER_FIELDS"),
    ([replace(SOUND, tif="GTD")], "ORDER_FIELDS"),
    ([replace(SOUND, valid_until_ns=1)], "ORDER_FIELDS"),
    ([SOUND, again("a", qty=1.0)], "ORDER_FIELDS"),
    ([SOUND, again("a", qty=1.0, price=90.0, side="BUY")], "ORDER_FIELDS"),
    ([SOUND, again("a", qty=1.0, price=90.0, sl=80.0)], "ORDER_FIELDS"),
    ([replace(SOUND, oco="g"), again("a", qty=1.0, price=90.0, tif="FOK")], "ORDER_FIELDS"),
    ([SOUND, replace(cancel("a"), qty=1.0)], "ORDER_FIELDS"),
    ([protect(sl=1.0, price=2.0)], "ORDER_FIELDS"),
    ([SOUND, SOUND], "ORDER_ID"),
    ([replace(SOUND, client_id="")], "ORDER_ID"),
    ([replace(SOUND, client_id="a" * 65)], "ORDER_ID"),
    ([replace(SOUND, client_id="a b")], "ORDER_ID"),
    ([replace(SOUND, oco="a/b")], "ORDER_ID"),
    ([cancel("a"), SOUND], "ORDER_ID"),
    ([again("z", qty=1.0)], "ORDER_ID"),
]


@pytest.mark.parametrize(("answer", "code"), ERRORS)
def test_an_intent_that_can_never_be_right_ends_the_run(answer: Sequence[Intent], code: str) -> None:
    with pytest.raises(ReferenceError) as error:
        trade(CALM, {1: answer})
    assert error.value.code == code


def test_a_name_that_was_rejected_is_used_up() -> None:
    with pytest.raises(ReferenceError, match="ORDER_ID"):
        trade(CALM, {0: market("a", "BUY", 0.5), 1: market("a", "BUY")})


def test_signals_and_intents_are_never_mixed() -> None:
    with pytest.raises(ReferenceError, match="SIGNAL_MIXED"):
        run([Spec("A")], Rules(spread=("none",), orders=True), CALM, 0, lambda _: [buy()])
    with pytest.raises(ReferenceError, match="SIGNAL_MIXED"):
        run([Spec("A")], Rules(spread=("none",)), CALM, 0, lambda _: Answer((market("a", "BUY"),)))


# ---------------------------------------------------------------------------------------------------------------------
# What the account tells


def told(events: Sequence[Event], answers: dict[tuple[int, int], Answer], **rules: Any) -> list[MomentView]:
    """Run answers by seq and round and return the views."""
    views: list[MomentView] = []

    def decide(view: MomentView) -> Answer:
        views.append(view)
        return answers.get((view.seq, view.round), Answer())

    run([Spec("A")], Rules(spread=("none",), orders=True, **rules), events, 0, decide)
    return views


def test_each_end_that_is_no_fill_is_an_update() -> None:
    orders = (
        limit("l", "BUY", 97, oco="g"),
        limit("k", "BUY", 95, oco="g"),
        limit("p", "SELL", 101, post_only=True),
        limit("e", "BUY", 90, tif="GTD", valid_until_ns=MINUTE),
        market("q", "BUY", 0.5),
    )
    events = [flat_bar(0, 100.0), bar(1, 102, 104, 96, 101), flat_bar(2, 101.0)]
    views = told(events, {(0, 0): Answer(orders), (1, 0): Answer((cancel("l"),))})
    assert [
        (u.kind, u.client_id, u.reject_reason or u.cancel_reason, u.intent_kind, u.seq, u.time_ns)
        for view in views
        for u in view.updates
    ] == [
        ("REJECTION", "q", "QTY_BELOW_MINIMUM", "SUBMIT", 0, MINUTE),
        ("EXPIRY", "e", None, None, 1, 2 * MINUTE),
        ("REJECTION", "p", "POST_ONLY", "SUBMIT", 1, MINUTE),
        ("FILL", "l", None, None, 1, 2 * MINUTE),
        ("CANCELLATION", "k", "OCO", None, 1, 2 * MINUTE),
        ("REJECTION", "l", "ORDER_NOT_WORKING", "CANCEL", 1, 2 * MINUTE),
    ]


def test_the_view_has_what_works_and_what_waits() -> None:
    more = Answer((limit("w", "BUY", 90, tif="DAY"), trailing("t", "SELL", 3)), more=True)
    views = told(CALM[:2], {(0, 0): more}, day_ends=((500,),))
    seen = [[(o.client_id, o.queued, o.trail_level, o.valid_until_ns) for o in view.orders] for view in views]
    assert seen == [
        [],
        [("w", True, None, 500), ("t", True, None, None)],
        [("w", False, None, 500), ("t", False, 97.0, None)],
    ]


def test_the_end_of_a_day_is_midnight_where_no_calendar_says_otherwise() -> None:
    result = trade(CALM, {0: [limit("w", "BUY", 90, tif="DAY")]})
    assert [row.valid_until_ns for row in result.orders] == [86_400_000_000_000]


# ---------------------------------------------------------------------------------------------------------------------
# §3


def test_an_answer_that_goes_on_meets_its_tick_and_the_last_one_waits() -> None:
    events = [tick(1, 100, 101), tick(2, 102, 103)]
    rounds = {0: [[market("a", "BUY")], [market("b", "SELL", 2)], [market("c", "BUY")]]}
    result = trade_in_rounds(events, rounds, spread=("data",))
    assert [(fill.client_id, fill.side, fill.lots, fill.price, fill.seq, fill.time_ns) for fill in result.fills] == [
        ("a", "BUY", 1, 101.0, 0, 1),
        ("b", "SELL", 1, 100.0, 0, 1),
        ("b", "SELL", 1, 100.0, 0, 1),
        ("c", "BUY", 1, 103.0, 1, 2),
    ]
    assert [trade.bars_held for trade in result.trades] == [0, 1]
    assert [row.equity for row in result.equity] == [100_000.0, 100_000.0 - 1 - 1, 100_000.0 - 1 - 3]


def test_what_became_of_an_answer_is_known_in_the_next_round() -> None:
    views = told(ticks(100, 100), {(0, 0): Answer((market("a", "BUY"),), more=True)})
    assert [(view.seq, view.round, len(view.positions), [u.kind for u in view.updates]) for view in views] == [
        (0, 0, 0, []),
        (0, 1, 1, ["FILL"]),
        (1, 0, 1, []),
    ]


def test_the_volume_of_a_tick_is_given_once() -> None:
    rounds = {0: [[market("a", "BUY", 3)], [market("b", "BUY")], []]}
    result = trade_in_rounds(ticks(100, 101, volume=4.0), rounds, volume_limit=0.5)
    assert [(fill.client_id, fill.lots, fill.price) for fill in result.fills] == [
        ("a", 2, 100.0),
        ("a", 1, 101.0),
        ("b", 1, 101.0),
    ]


def test_an_immediate_order_ends_at_the_tick_that_it_meets_at_once() -> None:
    rounds = {0: [[limit("a", "BUY", 99, tif="IOC"), limit("b", "BUY", 90, tif="GTD", valid_until_ns=9)], []]}
    assert ends(trade_in_rounds(ticks(100, 98), rounds)) == ["CANCELLED IOC", "EXPIRED"]


def test_on_bars_all_rounds_wait_for_the_next_open() -> None:
    rounds = {0: [[market("a", "BUY")], [cancel("a"), market("b", "SELL")]]}
    result = trade_in_rounds(CALM, rounds)
    assert fills(result) == [("SELL", 1, 100.0, "ENTRY")]
    assert ends(result) == ["CANCELLED INTENT", "DONE", "FILLED"]


def test_an_answer_goes_on_a_thousand_times_and_no_more() -> None:
    asked: list[int] = []

    def decide(view: MomentView) -> Answer:
        asked.append(view.round)
        return Answer(more=True)

    with pytest.raises(ReferenceError, match="ORDER_LOOP"):
        run([Spec("A")], Rules(spread=("none",), orders=True), CALM[:1], 0, decide)
    assert max(asked) == 1000


# ---------------------------------------------------------------------------------------------------------------------
# §5


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_the_three_blocks_of_the_protocol(counter: str, key: str, words: str) -> None:
    c0, c1, c2, c3 = (int(word, 16) for word in counter.split())
    k0, k1 = (int(word, 16) for word in key.split())
    assert block((c0, c1, c2, c3), (k0, k1)) == tuple(int(word, 16) for word in words.split())


def test_a_draw_has_its_place_in_the_counter_and_the_uniform_its_bits() -> None:
    words = block((5, 1, 7, 1), (3, 2))
    assert uniform(2 * 2**32 + 3, 2**32 + 5, 2**32 + 7) == (words[0] // 32 * 2**26 + words[1] // 64) / 2**53
    assert uniform(0, -1, 0) == uniform(0, 2**64 - 1, 0)


def test_a_decision_meets_the_first_tick_at_or_after_its_arrival() -> None:
    events = ticks(100, 101, 102, 103)
    assert [fill.price for fill in go(events, {0: buy()}, latency_ns=20).fills] == [102.0]
    assert [fill.price for fill in go(events, {0: buy()}, latency_ns=21).fills] == [103.0]
    assert [fill.price for fill in trade(events, {0: market("a", "BUY")}, latency_ns=20).fills] == [102.0]
    assert outcomes(go(events, {0: buy()}, latency_ns=99)) == ["UNEXECUTED"]


def test_the_jitter_is_drawn_by_seed_seq_and_instrument(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, int, int]] = []

    def half(seed: int, seq: int, draw: int) -> float:
        drawn.append((seed, seq, draw))
        return 0.5

    monkeypatch.setattr(hours, "uniform", half)
    # 10 + 5 + floor(13 × 0.5) = 21: the tick at 30.
    result = go(ticks(100, 101, 102, 103), {0: buy(), 1: buy()}, latency_ns=5, jitter_ns=13, seed=77)
    assert [fill.price for fill in result.fills] == [102.0]
    assert drawn == [(77, 0, 2**32)], "the second signal is a no-op, which is no decision"


def test_decisions_of_one_instrument_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "uniform", lambda seed, seq, draw: 0.9 if seq == 0 else 0.0)
    # The first arrives at 10 + 27 = 37, the second not before it.
    answers = {0: market("a", "BUY"), 1: market("b", "SELL")}
    result = trade(ticks(100, 101, 102, 103), answers, jitter_ns=30)
    assert [(fill.client_id, fill.price) for fill in result.fills] == [("a", 103.0), ("b", 103.0)]


def test_latency_needs_ticks_and_whole_answers() -> None:
    with pytest.raises(ReferenceError, match="CONFIG"):
        go(CALM, {}, latency_ns=1)
    with pytest.raises(ReferenceError, match="CONFIG"):
        trade_in_rounds(ticks(100, 100), {0: [[], []]}, jitter_ns=1)


def test_what_arrives_too_late_is_rejected() -> None:
    # The order works from the tick at 25 on; asked at 25 to change, which arrives at 36; filled at 35.
    events = [tick(time, price, price) for time, price in ((10, 100), (25, 100), (35, 96), (40, 96), (50, 96))]
    answers: dict[int, Sequence[Intent]] = {
        0: [limit("a", "BUY", 97, sl=90.0)],
        1: [cancel("a"), again("a", qty=2.0, price=97.0)],
    }
    result = trade(events, answers, latency_ns=11)
    assert [fill.time_ns for fill in result.fills] == [35]
    assert ends(result) == ["FILLED", "REJECTED ORDER_NOT_WORKING", "REJECTED ORDER_NOT_WORKING"]


def test_the_first_fill_of_a_group_ends_the_order_that_waits() -> None:
    events = [tick(time, price, price) for time, price in ((10, 100), (25, 100), (35, 96), (40, 96))]
    answers = {0: limit("a", "BUY", 97, oco="g"), 1: market("b", "BUY", oco="g")}
    result = trade(events, answers, latency_ns=11)
    assert [fill.client_id for fill in result.fills] == ["a"]
    assert ends(result) == ["FILLED", "CANCELLED OCO"]


def test_a_protection_that_arrives_after_the_position_is_rejected() -> None:
    events = [tick(time, price, price) for time, price in ((10, 100), (25, 100), (35, 89), (40, 89))]
    result = trade(events, {0: [market("a", "BUY", sl=90.0)], 1: [protect(sl=95.0)]}, latency_ns=11)
    assert fills(result)[1:] == [("SELL", 1, 89.0, "STOP_LOSS")]
    assert ends(result) == ["FILLED", "REJECTED NO_POSITION"]


def test_a_change_that_arrives_after_what_it_asks_for_has_passed() -> None:
    # Less in all than was filled meanwhile: refused, the order goes on as it was.
    events = [replace(tick(time, 100, 100), volume=4.0) for time in (10, 25, 35, 40, 50)]
    result = trade(events, {0: [market("a", "BUY", 7)], 1: [again("a", qty=3.0)]}, latency_ns=11, volume_limit=0.5)
    assert [fill.lots for fill in result.fills] == [2, 2, 2, 1]
    assert ends(result) == ["FILLED", "REJECTED QTY_BELOW_MINIMUM"]
    # A validity that is over: the order is, although the tick at 40 reaches its new price.
    late = again("a", qty=1.0, price=100.0, tif="GTD", valid_until_ns=39)
    result = trade(events, {0: [limit("a", "BUY", 90)], 1: [late]}, latency_ns=11)
    assert ends(result) == ["EXPIRED", "DONE"]


def test_a_post_only_order_is_not_moved_to_where_the_market_has_gone() -> None:
    # Asked at 25 for 99 with the ask at 100; it arrives when the ask is 98, and the order stays at 90.
    events = [tick(time, price, price) for time, price in ((10, 100), (25, 100), (40, 98), (50, 90))]
    answers: dict[int, Sequence[Intent]] = {
        0: [limit("a", "BUY", 90, post_only=True)],
        1: [again("a", qty=1.0, price=99.0)],
    }
    result = trade(events, answers, latency_ns=11)
    assert fills(result) == [("BUY", 1, 90.0, "ENTRY")]
    assert ends(result) == ["FILLED", "REJECTED POST_ONLY"]


# ---------------------------------------------------------------------------------------------------------------------
# §6 with targets


def test_a_target_decided_while_the_market_is_closed_waits() -> None:
    events = [flat_bar(place, 100.0 + place) for place in range(4)]
    result = go(events, {0: buy()}, hours=(((2 * MINUTE, 9 * MINUTE),),))
    assert fills(result) == [("BUY", 1, 102.0, "ENTRY")]


def test_marks_move_while_the_market_is_closed() -> None:
    events = [flat_bar(0, 100.0), flat_bar(1, 100.0), bar(2, 100, 120, 100, 110), flat_bar(3, 100.0)]
    result = go(events, {0: buy(tp=105.0), 2: flat()}, hours=(((0, 2 * MINUTE), (3 * MINUTE, 9 * MINUTE)),))
    assert [row.equity for row in result.equity][-2:] == [100_010.0, 100_000.0]
    assert [(trade.exit_reason, trade.mfe, trade.bars_held) for trade in result.trades] == [("SIGNAL", 20.0, 2)]
