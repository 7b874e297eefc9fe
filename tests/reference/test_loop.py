"""Hand-computed cases of sections 3, 4 and 5 of docs/spec/execution.md: who fills, targets, the order in a moment.

The number in a test's name is the section that it follows.
"""

from __future__ import annotations

import pytest
from cases import MINUTE, bar, buy, fills, flat, flat_bar, go, outcomes, sell, tick
from loop import run, sort_tape
from tape import moments_of
from terms import Event, MomentView, ReferenceError, Rules, SignalIn, Spec

BUY_100 = ("BUY", 1, 100.0, "ENTRY")


def calm(count: int, price: float = 100.0) -> list[Event]:
    return [flat_bar(place, price) for place in range(count)]


# ---------------------------------------------------------------------------------------------------------------------
# §3


def test_3_the_tape_has_bars_before_ticks_larger_frames_first_and_instruments_in_config_order() -> None:
    late = flat_bar(5, 1, minutes=1)
    hour = flat_bar(0, 1, minutes=5, instrument=1)
    first, second = flat_bar(4, 1), flat_bar(4, 1, instrument=1)
    quote = tick(5 * MINUTE, 1, 1)
    assert sort_tape([late, quote, second, first, hour]) == [hour, first, second, quote, late]


def test_3_bars_of_one_instant_are_one_moment_and_each_tick_is_its_own() -> None:
    bars = [flat_bar(0, 1), flat_bar(0, 1, instrument=1)]
    ticks = [tick(MINUTE, 1, 1), tick(MINUTE, 1, 1)]
    assert [len(moment.events) for moment in moments_of(bars + ticks)] == [2, 1, 1]


def test_3_a_decision_made_inside_a_bar_meets_the_next_bar_only() -> None:
    minutes = [flat_bar(place, 100, execution=False) for place in range(10)]
    fives = [bar(0, 90, 95, 85, 90, minutes=5), bar(5, 110, 112, 108, 111, minutes=5)]
    result = go(sort_tape(minutes + fives), {1: buy()})
    assert fills(result) == [("BUY", 1, 110.0, "ENTRY")]
    assert result.fills[0].time_ns == 5 * MINUTE


def test_3_a_stop_cannot_be_withdrawn_from_a_bar_that_had_opened_before() -> None:
    minutes = [flat_bar(place, 100, execution=False) for place in range(10)]
    fives = [flat_bar(0, 100, minutes=5), bar(5, 100, 100, 94, 100, minutes=5)]
    # seq 0 is the first minute: its decision waits for the bar that opens at 300. seq 6 is a minute inside that bar.
    result = go(sort_tape(minutes + fives), {0: buy(sl=95), 6: buy()})
    assert fills(result) == [BUY_100, ("SELL", 1, 95.0, "STOP_LOSS")]
    assert outcomes(result) == ["EXECUTED", "UNEXECUTED"]
    assert result.open_positions == []


def test_3_a_tick_of_the_same_time_that_comes_later_on_the_tape_fills() -> None:
    result = go([tick(7, 100, 101), tick(7, 102, 103)], {0: buy()}, spread=("data",))
    assert fills(result) == [("BUY", 1, 103.0, "ENTRY")]


def test_3_what_comes_after_the_last_delivered_moment_is_not_used() -> None:
    hidden = flat_bar(1, 100, delivered=False)
    result = go([flat_bar(0, 100), hidden], {0: buy()})
    assert result.fills == []
    assert outcomes(result) == ["UNEXECUTED"]


def test_3_hidden_moments_are_settled_but_have_no_row_of_the_equity_curve() -> None:
    hidden = [flat_bar(place, 100 + place, delivered=False) for place in range(10)]
    fives = [flat_bar(place, 100, minutes=5, execution=False) for place in (0, 5)]
    result = go(sort_tape(hidden + fives), {0: buy()})
    assert [row.time_ns for row in result.equity] == [0, 5 * MINUTE, 10 * MINUTE]
    assert [row.equity for row in result.equity] == [100_000, 100_000, 100_004]


# ---------------------------------------------------------------------------------------------------------------------
# §4.1


def test_4_1_of_several_signals_of_a_moment_the_last_one_counts() -> None:
    result = go(calm(3), {0: [buy(3), sell(2), buy(1)]})
    assert fills(result) == [BUY_100]
    assert outcomes(result) == ["UNEXECUTED", "UNEXECUTED", "EXECUTED"]


def test_4_1_a_later_event_of_the_moment_comes_after_an_earlier_one() -> None:
    minutes = [flat_bar(place, 100) for place in range(6)]
    five = flat_bar(0, 100, minutes=5, execution=False)
    # At 300 the five-minute bar is seq 4 and the minute seq 5.
    result = go(sort_tape([*minutes, five]), {5: buy(1), 4: buy(2)})
    assert fills(result) == [BUY_100]
    assert outcomes(result) == ["UNEXECUTED", "EXECUTED"]


def test_4_1_a_signal_equal_to_the_standing_target_leaves_the_working_order_alone() -> None:
    tape = [*calm(3), bar(3, 100, 100, 95, 100)]
    result = go(tape, {0: buy(price=95), 1: buy(price=95), 2: buy(price=95.2)})
    assert outcomes(result) == ["EXECUTED", "NO_OP", "NO_OP"]
    assert result.fills[0].signal_seq == 0
    assert result.counts.rounded == 1


def test_4_1_flat_equals_flat_only_with_the_same_price_and_expiry() -> None:
    result = go(calm(4), {0: flat(), 1: flat(valid_until_ns=10**6), 2: flat(valid_until_ns=10**6)})
    assert outcomes(result) == ["NO_OP", "EXECUTED", "NO_OP"]


def test_4_1_adjust_only_without_a_position_of_its_side_does_nothing() -> None:
    tape = [*calm(2), bar(2, 100, 100, 94, 100), flat_bar(3, 100)]
    result = go(tape, {0: buy(sl=90), 1: [sell(sl=200, adjust_only=True)], 2: buy(sl=95, adjust_only=True)})
    assert outcomes(result) == ["EXECUTED", "NO_OP", "EXECUTED"]
    nothing = go(calm(3), {0: buy(adjust_only=True)})
    assert outcomes(nothing) == ["NO_OP"]


def test_4_1_adjust_only_moves_the_stop_of_a_position_of_its_side() -> None:
    tape = [*calm(2), flat_bar(2, 100), bar(3, 100, 100, 94, 100)]
    result = go(tape, {0: buy(sl=90), 1: buy(sl=95, adjust_only=True)})
    assert fills(result) == [BUY_100, ("SELL", 1, 95.0, "STOP_LOSS")]
    assert result.fills[1].signal_seq == 1


def test_4_1_a_rejected_signal_cancels_what_works() -> None:
    tape = [*calm(2), bar(2, 100, 100, 94, 100)]
    result = go(tape, {0: buy(price=95), 1: buy(0.4)})
    assert result.fills == []
    assert outcomes(result) == ["UNEXECUTED", "REJECTED"]
    assert result.signals[1].reject_reason == "QTY_BELOW_MINIMUM"


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (buy(sl=99), "STOP_LOSS_SIDE"),  # the bid of the mark is 99
        (buy(sl=98), None),
        (buy(tp=99), "TAKE_PROFIT_SIDE"),
        (buy(tp=100), None),
        (sell(sl=101), "STOP_LOSS_SIDE"),  # the ask of the mark is 101
        (sell(sl=102), None),
        (sell(tp=101), "TAKE_PROFIT_SIDE"),
        (sell(tp=100), None),
        (buy(price=50, sl=50), "STOP_LOSS_SIDE"),
        (buy(price=50, sl=49), None),
        (buy(price=50, sl=49.6, tp=50.4), "STOP_LOSS_SIDE"),  # in order before rounding, so it is no error
    ],
)
def test_4_1_sl_and_tp_are_held_against_the_limit_price_or_the_mark(signal: SignalIn, reason: str | None) -> None:
    result = go([flat_bar(0, 99, spread=2), flat_bar(1, 99, spread=2)], {0: signal}, spread=("data",))
    assert result.signals[0].reject_reason == reason


def test_4_1_the_first_reason_that_holds_is_given() -> None:
    result = go(calm(2), {0: buy(0.5, sl=100, tp=101)})
    assert result.signals[0].reject_reason == "QTY_BELOW_MINIMUM"


def test_4_1_a_market_signal_is_not_checked_before_the_first_mark() -> None:
    tape = [flat_bar(0, 50, instrument=1), flat_bar(1, 100), flat_bar(1, 50, instrument=1)]
    result = go(tape, {0: buy(sl=10_000)}, specs=2)
    # Bought at 100, where the stop above it is reached at once.
    assert fills(result) == [BUY_100, ("SELL", 1, 100.0, "STOP_LOSS")]


@pytest.mark.parametrize(
    ("signal", "code"),
    [
        (buy(float("nan")), "SIGNAL_NOT_FINITE"),
        (buy(price=float("inf")), "SIGNAL_NOT_FINITE"),
        (buy(-1), "SIGNAL_RANGE"),
        (buy(0), "SIGNAL_RANGE"),
        (buy(-0.0), "SIGNAL_RANGE"),
        (buy(None), "SIGNAL_RANGE"),
        (buy(2.0**53 + 2), "SIGNAL_RANGE"),
        (buy(1e308), "SIGNAL_RANGE"),
        (buy(price=0), "SIGNAL_RANGE"),
        (buy(price=-1), "SIGNAL_RANGE"),
        (buy(price=0.5), "SIGNAL_RANGE"),  # rounds to 0: ties to even
        (buy(sl=-1), "SIGNAL_RANGE"),
        (flat(qty=1), "SIGNAL_RANGE"),
        (flat(sl=1), "SIGNAL_RANGE"),
        (buy(sl=101, tp=99), "SIGNAL_RISK_SIDE"),
        (sell(sl=99, tp=101), "SIGNAL_RISK_SIDE"),
        (SignalIn(0, "HOLD", 1.0), "SIGNAL_ENUM"),
        (buy(instrument=1), "PROTO_SCOPE"),
    ],
)
def test_4_1_a_signal_that_can_never_be_right_ends_the_run_even_where_it_does_not_count(
    signal: SignalIn, code: str
) -> None:
    for answer in ([signal], [signal, buy()]):
        with pytest.raises(ReferenceError) as raised:
            go(calm(2), {0: answer})
        assert raised.value.code == code


# ---------------------------------------------------------------------------------------------------------------------
# §4.2


@pytest.mark.parametrize(("valid_until_ns", "filled"), [(3 * MINUTE, True), (3 * MINUTE - 1, False)])
def test_4_2_an_order_takes_part_in_a_bar_available_at_its_expiry_and_in_no_later_one(
    valid_until_ns: int, filled: bool
) -> None:
    tape = [*calm(2), bar(2, 100, 100, 95, 100), bar(3, 100, 100, 95, 100)]
    result = go(tape, {0: buy(price=95, valid_until_ns=valid_until_ns)})
    assert [fill.time_ns for fill in result.fills] == ([3 * MINUTE] if filled else [])
    assert outcomes(result) == ["EXECUTED" if filled else "UNEXECUTED"]


def test_4_2_an_expired_order_leaves_the_position_as_the_standing_target() -> None:
    # The repeated BUY of the position's own size and bracket is a no-op: that is what stands after the expiry.
    result = go(calm(6), {0: buy(sl=50), 1: buy(2, price=90, sl=60, valid_until_ns=3 * MINUTE), 4: buy(sl=60)})
    assert outcomes(result) == ["EXECUTED", "UNEXECUTED", "NO_OP"]


def test_4_2_a_waiting_decision_that_expires_still_cancels_what_worked_before_it() -> None:
    minutes = [flat_bar(place, 100, execution=False) for place in range(15)]
    fives = [flat_bar(0, 100, minutes=5), flat_bar(5, 100, minutes=5), bar(10, 100, 100, 80, 100, minutes=5)]
    tape = sort_tape(minutes + fives)
    # The limit works from 300 on. The market order made at 360 is over at 420, before a bar opens that it could meet.
    result = go(tape, {0: buy(price=90), 6: buy(2, valid_until_ns=6 * MINUTE + 1)})
    assert result.fills == []
    assert outcomes(result) == ["UNEXECUTED", "UNEXECUTED"]


# ---------------------------------------------------------------------------------------------------------------------
# §4.3


def test_4_3_a_target_of_the_position_s_side_brings_its_bracket_at_once_even_as_a_limit() -> None:
    tape = [*calm(2), bar(2, 100, 100, 94, 100)]
    result = go(tape, {0: buy(sl=80), 1: buy(2, price=90, sl=85, tp=110)})
    assert fills(result) == [BUY_100]
    assert outcomes(result) == ["EXECUTED", "RESTING"]
    tape = [*calm(2), bar(2, 100, 112, 94, 100)]
    result = go(tape, {0: buy(sl=80), 1: buy(2, price=90, sl=85, tp=110)})
    assert fills(result) == [BUY_100, ("SELL", 1, 110.0, "TAKE_PROFIT")]
    assert outcomes(result) == ["EXECUTED", "UNEXECUTED"]


def test_4_3_absent_risk_removes_the_bracket() -> None:
    tape = [*calm(2), bar(2, 100, 100, 50, 100)]
    assert fills(go(tape, {0: buy(sl=80), 1: buy()})) == [BUY_100]


def test_4_3_a_target_of_the_other_side_leaves_the_bracket_on_the_old_position() -> None:
    tape = [*calm(2), bar(2, 100, 100, 94, 100)]
    result = go(tape, {0: buy(sl=95), 1: sell(price=120, sl=130)})
    assert fills(result) == [BUY_100, ("SELL", 1, 95.0, "STOP_LOSS")]


def test_4_3_a_target_that_the_position_has_reached_already_is_executed_when_it_is_promoted() -> None:
    result = go(calm(3), {0: buy(), 1: buy(sl=90)})
    assert outcomes(result) == ["EXECUTED", "EXECUTED"]


# ---------------------------------------------------------------------------------------------------------------------
# §4.4


def test_4_4_repeating_buy_after_a_stop_enters_again() -> None:
    tape = [flat_bar(0, 100), bar(1, 100, 100, 90, 100), flat_bar(2, 100)]
    result = go(tape, {0: buy(sl=95), 1: buy(sl=95)})
    assert fills(result) == [BUY_100, ("SELL", 1, 95.0, "STOP_LOSS"), BUY_100]


def test_4_4_a_pending_target_of_the_other_side_survives_the_bracket_exit() -> None:
    tape = [*calm(2), bar(2, 100, 100, 94, 100), bar(3, 100, 120, 100, 110)]
    result = go(tape, {0: buy(sl=95), 1: sell(2, price=115)})
    assert fills(result) == [BUY_100, ("SELL", 1, 95.0, "STOP_LOSS"), ("SELL", 2, 115.0, "ENTRY")]
    assert outcomes(result) == ["EXECUTED", "EXECUTED"]


def test_4_4_a_limit_exit_is_executed_when_a_bracket_makes_it_flat_first() -> None:
    tape = [*calm(2), bar(2, 100, 100, 94, 100), flat_bar(3, 100)]
    result = go(tape, {0: buy(sl=95), 1: flat(price=110), 2: flat()})
    assert fills(result) == [BUY_100, ("SELL", 1, 95.0, "STOP_LOSS")]
    assert outcomes(result) == ["EXECUTED", "EXECUTED", "NO_OP"]


def test_4_4_a_rejection_at_the_fill_leaves_the_position_as_the_standing_target() -> None:
    result = go(calm(4), {0: buy(2), 1: buy(5), 2: buy(2)}, cash=300)
    assert fills(result) == [("BUY", 2, 100.0, "ENTRY")]
    assert outcomes(result) == ["EXECUTED", "REJECTED", "NO_OP"]
    assert result.signals[1].reject_reason == "INSUFFICIENT_MARGIN"


def test_4_4_nothing_is_retried_by_itself_after_a_rejection() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), flat_bar(2, 10), flat_bar(3, 10)]
    assert go(tape, {0: buy()}, cash=50).fills == []


# ---------------------------------------------------------------------------------------------------------------------
# §5


def test_5_reductions_of_all_instruments_come_before_increases() -> None:
    tape = [flat_bar(place, 100, instrument=instrument) for place in range(3) for instrument in (0, 1)]
    first = {1: SignalIn(1, "BUY", 1.0)}
    then = {3: [SignalIn(0, "BUY", 1.0), SignalIn(1, "FLAT")]}
    result = go(tape, {**first, **then}, specs=2, cash=150)
    assert [(fill.instrument, fill.side, fill.reason) for fill in result.fills] == [
        ("B", "BUY", "ENTRY"),
        ("B", "SELL", "SIGNAL"),
        ("A", "BUY", "ENTRY"),
    ]


def test_5_at_the_open_the_bracket_comes_before_a_limit_and_a_limit_before_a_market_increase() -> None:
    tape = [flat_bar(place, 100, instrument=instrument) for place in range(2) for instrument in (0, 1, 2)]
    tape += [flat_bar(2, 90, instrument=instrument) for instrument in (0, 1, 2)]
    signals = {
        0: [SignalIn(2, "BUY", 1.0, sl=95)],
        3: [SignalIn(0, "BUY", 1.0), SignalIn(1, "BUY", 1.0, price=92)],
    }
    result = go(tape, signals, specs=3)
    assert [(fill.instrument, fill.price) for fill in result.fills[1:]] == [("C", 90.0), ("B", 90.0), ("A", 90.0)]


def test_5_a_gap_through_a_stop_fills_at_the_open_and_slips() -> None:
    tape = [*calm(2), flat_bar(2, 90)]
    result = go(tape, {0: buy(sl=95)}, slippage_bps=200)
    # Bought at 100 × 1.02, stopped at 90 × 0.98 = 88.2, rounded down.
    assert fills(result) == [("BUY", 1, 102.0, "ENTRY"), ("SELL", 1, 88.0, "STOP_LOSS")]
    assert result.fills[1].time_ns == 2 * MINUTE


def test_5_a_gap_through_a_limit_or_a_target_fills_at_the_better_open_and_does_not_slip() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 90), flat_bar(2, 120)]
    result = go(tape, {0: buy(price=95, tp=110)}, slippage_bps=200)
    assert fills(result) == [("BUY", 1, 90.0, "ENTRY"), ("SELL", 1, 120.0, "TAKE_PROFIT")]
    assert [fill.liquidity for fill in result.fills] == ["MAKER", "MAKER"]


def test_5_a_touch_is_enough() -> None:
    tape = [flat_bar(0, 100), bar(1, 100, 100, 95, 96)]
    assert fills(go(tape, {0: buy(price=95)})) == [("BUY", 1, 95.0, "ENTRY")]


def test_5_the_decision_sees_the_account_after_its_moment_and_the_updates_since_the_last_one() -> None:
    seen: list[MomentView] = []

    def decide(view: MomentView) -> list[SignalIn]:
        seen.append(view)
        return [buy(sl=95)] if view.seq == 0 else []

    tape = [flat_bar(0, 100), bar(1, 100, 103, 100, 102), bar(2, 100, 100, 90, 92), flat_bar(3, 100)]
    run([Spec("A")], Rules(spread=("none",)), tape, 0, decide)
    assert [[update.fill_reason for update in view.updates] for view in seen] == [[], ["ENTRY"], ["STOP_LOSS"], []]
    assert [view.targets[0].side for view in seen] == ["FLAT", "BUY", "FLAT", "FLAT"]
    assert [view.equity for view in seen] == [100_000, 100_002, 99_995, 99_995]
    assert [len(view.positions) for view in seen] == [0, 1, 0, 0]
