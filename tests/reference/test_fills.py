"""Hand-computed cases of sections 1, 2, 6, 7 and 8 of docs/spec/execution.md: grids, quotes, fills, trades, paths.

The number in a test's name is the section that it follows.
"""

from __future__ import annotations

import pytest
from cases import MINUTE, bar, buy, fills, flat, flat_bar, go, outcomes, sell, tick
from grids import against_the_trader, grid_value, lots_of, nearest_tick
from loop import run_with_signals, sort_tape
from terms import Event, ReferenceError, Rules, SignalIn, Spec

ENTRY_AT_100 = ("BUY", 1, 100.0, "ENTRY")

# ---------------------------------------------------------------------------------------------------------------------
# §1


def test_1_a_grid_value_is_the_double_that_the_decimal_text_gives() -> None:
    assert all(grid_value(n, (1, 100_000)) == float(f"{n // 100_000}.{n % 100_000:05d}") for n in range(1, 300_000, 7))


@pytest.mark.parametrize(("qty", "lots"), [(0.3, 3), (0.29999, 2), (0.7, 7), (0.09, 0), (1.15, 11)])
def test_1_qty_goes_toward_zero_but_not_below_the_grid_value_it_is(qty: float, lots: int) -> None:
    assert lots_of(qty, (1, 10)) == lots


@pytest.mark.parametrize(("price", "rounded"), [(2.5, 2.0), (3.5, 4.0), (2.51, 3.0), (2.49, 2.0)])
def test_1_prices_of_a_signal_go_to_the_nearest_tick_and_ties_to_the_even_one(price: float, rounded: float) -> None:
    assert nearest_tick(price, (1, 1)) == rounded


@pytest.mark.parametrize(
    ("price", "buy_price", "sell_price"), [(100.2, 101.0, 100.0), (100.0, 100.0, 100.0), (0.4, 1.0, 1.0)]
)
def test_1_the_price_of_a_fill_is_rounded_against_the_trader(price: float, buy_price: float, sell_price: float) -> None:
    assert against_the_trader(price, (1, 1), buy=True) == buy_price
    assert against_the_trader(price, (1, 1), buy=False) == sell_price


def test_1_a_price_that_lies_on_the_grid_is_not_moved() -> None:
    for n in range(99_000, 101_000):
        price = grid_value(n, (1, 100_000))
        assert against_the_trader(price, (1, 100_000), buy=True) == price
        assert against_the_trader(price, (1, 100_000), buy=False) == price


def test_1_rounded_counts_each_signal_of_which_a_value_changed() -> None:
    result = go([flat_bar(place, 100) for place in range(5)], {0: buy(1.5), 1: buy(sl=90.4), 2: buy(2), 3: buy(0.5)})
    assert result.counts.rounded == 3


# ---------------------------------------------------------------------------------------------------------------------
# §2


def test_2_spread_data_without_ask_columns_is_an_error() -> None:
    with pytest.raises(ReferenceError) as raised:
        go([flat_bar(0, 100)], {}, spread=("data",))
    assert raised.value.code == "SPREAD_MISSING"


@pytest.mark.parametrize(
    ("spread", "price"), [(("data",), 103.0), (("none",), 100.0), (("price", 2.0), 102.0), (("ticks", 5), 105.0)]
)
def test_2_a_buy_pays_the_ask_of_the_spread_rule(spread: tuple[str] | tuple[str, float], price: float) -> None:
    tape = [flat_bar(place, 100, spread=3) for place in range(2)]
    assert fills(go(tape, {0: buy()}, spread=spread)) == [("BUY", 1, price, "ENTRY")]


def test_2_a_long_is_marked_at_the_bid_and_a_short_at_the_ask() -> None:
    tape = [flat_bar(place, 100, spread=3) for place in range(2)]
    assert go(tape, {0: buy()}, spread=("data",)).equity[-1].unrealised_pnl == -3
    assert go(tape, {0: sell()}, spread=("data",)).equity[-1].unrealised_pnl == -3


def test_2_exits_of_a_short_watch_the_ask() -> None:
    # The bid never reaches 104, the ask does.
    tape = [flat_bar(0, 100, spread=3), bar(1, 100, 102, 100, 100, spread=3)]
    assert fills(go(tape, {0: sell(sl=104)}, spread=("data",))) == [
        ("SELL", 1, 100.0, "ENTRY"),
        ("BUY", 1, 104.0, "STOP_LOSS"),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# §6


def test_6_fee_and_slippage_of_a_market_fill() -> None:
    specs = [Spec("A", tick=(1, 100), lot=(1, 10), contract=(5, 1))]
    rules = Rules(fees_bps=10, slippage_bps=2, spread=("none",))
    result = run_with_signals(specs, rules, [flat_bar(0, 100), flat_bar(1, 100)], 0, {0: [buy(2.0)]})
    fill = result.fills[0]
    assert fill.price == 100.02
    assert fill.fee == ((100.02 * 2.0) * 5.0) * 10 / 10000
    assert fill.slippage == (abs(100.02 - 100.0) * 2.0) * 5.0
    assert fill.reference_price == 100.0
    assert result.equity[-1].cash == 100_000.0 - fill.fee


def test_6_entries_are_averaged_and_reductions_share_the_entry_fee_pro_rata() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), flat_bar(2, 130), flat_bar(3, 120), flat_bar(4, 110)]
    result = go(tape, {0: buy(1), 1: buy(3), 2: buy(2), 3: flat()}, fees_bps=100)
    # Entry (100·1 + 130·2) ÷ 3 = 120; pool 1 + 2.6 = 3.6; one lot takes a third of it.
    assert [(trade.qty, trade.entry_price, trade.gross_pnl) for trade in result.trades] == [(1, 120, 0), (2, 120, -20)]
    assert [trade.fees for trade in result.trades] == pytest.approx([1.2 + 1.2, 2.4 + 2.2])
    assert [trade.entry_seq for trade in result.trades] == [1, 1]


def test_6_a_reversal_is_two_fills_at_one_price_with_a_fee_each_and_one_trade() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), flat_bar(2, 110)]
    result = go(tape, {0: buy(1), 1: sell(2)}, fees_bps=100)
    assert fills(result)[1:] == [("SELL", 1, 110.0, "SIGNAL"), ("SELL", 2, 110.0, "ENTRY")]
    assert [fill.fee for fill in result.fills] == pytest.approx([1.0, 1.1, 2.2])
    assert len(result.trades) == 1
    assert result.open_positions[0].side == "SHORT"


def test_6_the_reducing_part_executes_whatever_happens_to_the_increase() -> None:
    tape = [flat_bar(place, 100) for place in range(3)]
    result = go(tape, {0: buy(1), 1: sell(1)}, cash_account=True)
    assert fills(result) == [ENTRY_AT_100, ("SELL", 1, 100.0, "SIGNAL")]
    assert result.signals[1].reject_reason == "SHORT_NOT_ALLOWED"
    assert outcomes(result) == ["EXECUTED", "REJECTED"]


@pytest.mark.parametrize(("cash", "filled"), [(100.0, 1), (99.99, 0)])
def test_6_margin_may_be_equal_to_equity(cash: float, filled: int) -> None:
    tape = [flat_bar(place, 200) for place in range(2)]
    assert len(go(tape, {0: buy()}, cash=cash, leverage=2).fills) == filled


def test_6_the_fee_counts_against_the_margin() -> None:
    tape = [flat_bar(place, 100) for place in range(2)]
    assert len(go(tape, {0: buy()}, cash=100, fees_bps=1).fills) == 0


def test_6_profit_of_another_instrument_at_its_last_mark_counts_as_equity() -> None:
    tape = [
        flat_bar(0, 100),
        flat_bar(0, 100, instrument=1),
        bar(1, 100, 150, 100, 150),
        flat_bar(1, 100, instrument=1),
        flat_bar(2, 150),
        flat_bar(2, 100, instrument=1),
    ]
    signals = {0: buy(1), 2: SignalIn(1, "BUY", 1.0)}
    # Equity 200 + 50 = margin 150 + 100 at the second open; with less cash it is refused.
    assert len(go(tape, signals, specs=2, cash=200).fills) == 2
    assert len(go(tape, signals, specs=2, cash=199).fills) == 1


def test_6_a_fill_at_the_open_has_the_time_of_the_open_and_one_inside_the_bar_its_availability() -> None:
    tape = [flat_bar(0, 100), bar(1, 100, 110, 90, 100)]
    result = go(tape, {0: buy(sl=95)}, path="olhc")
    assert [fill.time_ns for fill in result.fills] == [MINUTE, 2 * MINUTE]
    assert [fill.seq for fill in result.fills] == [1, 1]


def test_6_the_fill_of_a_hidden_event_has_the_number_of_the_next_delivered_moment() -> None:
    hidden = [flat_bar(place, 100, delivered=False) for place in range(10)]
    fives = [flat_bar(place, 100, minutes=5, execution=False) for place in (0, 5)]
    result = go(sort_tape(hidden + fives), {0: buy()})
    assert [(fill.time_ns, fill.seq) for fill in result.fills] == [(5 * MINUTE, 1)]


# ---------------------------------------------------------------------------------------------------------------------
# §7


def test_7_excursions_take_in_the_path_from_the_entry_on() -> None:
    # O-L-H-C: the low of 90 comes before the limit at 95 is left behind; then 108, then the market exit at 104.
    tape = [flat_bar(0, 100), bar(1, 100, 108, 90, 103), flat_bar(2, 104)]
    result = go(tape, {0: buy(2, price=95), 1: flat()}, path="olhc")
    trade = result.trades[0]
    assert (trade.mae, trade.mfe) == ((90 - 95) * 2, (108 - 95) * 2)


def test_7_excursions_do_not_know_prices_before_the_entry() -> None:
    # O-H-L-C: the high of 108 was before the entry at 95.
    tape = [flat_bar(0, 100), bar(1, 100, 108, 90, 103), flat_bar(2, 104)]
    result = go(tape, {0: buy(2, price=95), 1: flat()}, path="ohlc")
    assert result.trades[0].mfe == (104 - 95) * 2


def test_7_bars_held_counts_execution_events_after_the_opening_one() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), flat_bar(2, 100), bar(3, 100, 100, 90, 90)]
    assert go(tape, {0: buy(sl=95)}).trades[0].bars_held == 2
    assert go([tape[0], bar(1, 100, 100, 90, 90)], {0: buy(sl=95)}).trades[0].bars_held == 0


def test_7_close_at_end_closes_at_the_last_mark_with_costs_and_replaces_the_last_row() -> None:
    tape = [flat_bar(place, price, spread=2) for place, price in enumerate((100, 100, 110))]
    result = go(tape, {0: buy()}, close_at_end=True, fees_bps=100, spread=("data",))
    assert fills(result) == [("BUY", 1, 102.0, "ENTRY"), ("SELL", 1, 110.0, "END")]
    end = result.fills[-1]
    assert (end.seq, end.time_ns, end.signal_seq) == (2, 3 * MINUTE, None)
    assert [row.time_ns for row in result.equity] == [0, MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert result.equity[-1].equity == result.equity[-1].cash == pytest.approx(100_000 + 8 - 1.02 - 1.1)
    assert result.open_positions == []


def test_7_without_it_positions_are_marked_and_listed_as_open() -> None:
    result = go([flat_bar(0, 100), flat_bar(1, 100), flat_bar(2, 110)], {0: buy()})
    position = result.open_positions[0]
    assert (position.entry_price, position.mark_price, position.unrealised_pnl) == (100, 110, 10)
    assert result.trades == []


def test_7_the_end_leaves_working_orders_resting_and_waiting_decisions_unexecuted() -> None:
    tape = [flat_bar(place, 100) for place in range(3)]
    assert outcomes(go(tape, {0: buy(price=50)})) == ["RESTING"]
    assert outcomes(go(tape, {2: buy()})) == ["UNEXECUTED"]


def test_7_equity_rows_hold_exposure_margin_and_drawdown() -> None:
    tape = [
        Event("bar", instrument, (place + 1) * MINUTE, place * MINUTE, (price,) * 4, None)
        for place, prices in enumerate(((100.0, 50.0), (100.0, 50.0), (90.0, 50.0)))
        for instrument, price in enumerate(prices)
    ]
    result = go(tape, {1: [buy(2), SignalIn(1, "SELL", 1.0)]}, specs=2, cash=1000, leverage=4)
    last = result.equity[-1]
    assert (last.exposure_gross, last.exposure_net, last.margin_used) == (230, 130, 57.5)
    assert (last.equity, last.drawdown) == (980, 1 - 980 / 1000)


# ---------------------------------------------------------------------------------------------------------------------
# §8


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("ohlc", "TAKE_PROFIT"),
        ("olhc", "STOP_LOSS"),
        ("adaptive", "TAKE_PROFIT"),
        ("pessimistic", "STOP_LOSS"),
        ("optimistic", "TAKE_PROFIT"),
    ],
)
def test_8_the_path_decides_between_a_stop_and_a_target_of_one_bar(path: str, reason: str) -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 106, 93, 100)]
    result = go(tape, {0: buy(sl=95, tp=105)}, path=path)
    assert result.fills[-1].reason == reason
    assert result.fills[-1].path_dependent
    assert not result.fills[0].path_dependent
    assert result.trades[0].path_dependent
    assert result.counts.path_dependent_bars == 1


def test_8_adaptive_takes_the_high_first_only_if_it_is_strictly_nearer() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 106, 94, 100)]
    assert go(tape, {0: buy(sl=95, tp=105)}, path="adaptive").fills[-1].reason == "STOP_LOSS"


def test_8_a_short_is_treated_alike() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 106, 93, 100)]
    for path, reason in (("ohlc", "STOP_LOSS"), ("olhc", "TAKE_PROFIT"), ("pessimistic", "STOP_LOSS")):
        assert go(tape, {0: sell(sl=105, tp=95)}, path=path).fills[-1].reason == reason


def test_8_a_bar_on_which_both_walks_do_the_same_is_not_path_dependent() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 104, 93, 100)]
    result = go(tape, {0: buy(sl=95, tp=105)})
    assert result.counts.path_dependent_bars == 0
    assert not result.trades[0].path_dependent


def test_8_a_position_opened_inside_the_bar_is_subject_to_its_bracket_for_the_rest_of_the_path() -> None:
    tape = [flat_bar(0, 100), bar(1, 100, 106, 94, 100)]
    # Down first: bought at 95 on the way to 94, sold at 105 on the way to 106.
    down = go(tape, {0: buy(price=95, tp=105)}, path="olhc")
    assert fills(down) == [("BUY", 1, 95.0, "ENTRY"), ("SELL", 1, 105.0, "TAKE_PROFIT")]
    # Up first: the high was before the entry.
    up = go(tape, {0: buy(price=95, tp=105)}, path="ohlc")
    assert fills(up) == [("BUY", 1, 95.0, "ENTRY")]
    assert up.fills[0].path_dependent
    # The default keeps the walk that is worth less at the close: 5 of open profit against 10 that was taken.
    assert fills(go(tape, {0: buy(price=95, tp=105)})) == [("BUY", 1, 95.0, "ENTRY")]


def test_8_a_level_that_the_entry_has_passed_already_closes_it_at_once_at_the_open() -> None:
    tape = [flat_bar(0, 100), bar(1, 95, 110, 90, 100)]
    result = go(tape, {0: buy(sl=98)})
    assert fills(result) == [("BUY", 1, 95.0, "ENTRY"), ("SELL", 1, 95.0, "STOP_LOSS")]
    assert [fill.time_ns for fill in result.fills] == [MINUTE, MINUTE]
    assert result.counts.path_dependent_bars == 0


def test_8_a_limit_entry_whose_stop_lies_inside_the_spread_closes_at_the_bid_of_that_point() -> None:
    tape = [flat_bar(0, 100, spread=4), bar(1, 100, 100, 90, 100, spread=4)]
    result = go(tape, {0: buy(price=99, sl=97)}, spread=("data",))
    # The ask is 99 where the bid is 95: the stop at 97 is reached, and fills at 95.
    assert fills(result) == [("BUY", 1, 99.0, "ENTRY"), ("SELL", 1, 95.0, "STOP_LOSS")]


def test_8_a_take_profit_wins_a_tie_against_a_limit_which_then_opens_the_other_side() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 106, 100, 100)]
    result = go(tape, {0: buy(tp=105), 1: sell(2, price=105)})
    assert fills(result) == [ENTRY_AT_100, ("SELL", 1, 105.0, "TAKE_PROFIT"), ("SELL", 2, 105.0, "ENTRY")]


def test_8_a_stop_wins_a_tie_against_an_entry_and_ends_it() -> None:
    # The ask reaches 97 where the bid reaches 95.
    tape = [flat_bar(0, 100, spread=2), flat_bar(1, 100, spread=2), bar(2, 100, 100, 90, 100, spread=2)]
    result = go(tape, {0: buy(sl=90), 1: buy(2, price=97, sl=95)}, spread=("data",))
    assert fills(result) == [("BUY", 1, 102.0, "ENTRY"), ("SELL", 1, 95.0, "STOP_LOSS")]
    assert outcomes(result) == ["EXECUTED", "UNEXECUTED"]


def test_8_a_limit_order_meets_one_path_with_the_bracket_and_the_nearer_one_is_first() -> None:
    # Long 2 with a stop at 95; the limit exit of one lot at 103 is met on the way up, the stop on the way down.
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 104, 94, 100)]
    result = go(tape, {0: buy(2, sl=95), 1: buy(1, price=103, sl=95)}, path="ohlc")
    assert fills(result) == [
        ("BUY", 2, 100.0, "ENTRY"),
        ("SELL", 1, 103.0, "SIGNAL"),
        ("SELL", 1, 95.0, "STOP_LOSS"),
    ]
    assert go(tape, {0: buy(2, sl=95), 1: buy(1, price=103, sl=95)}, path="olhc").fills[-1].lots == 2


def test_8_a_tick_has_no_path() -> None:
    tape = [tick(10, 100, 101), tick(20, 100, 101), tick(30, 94, 95)]
    result = go(tape, {0: buy(sl=95)}, spread=("data",))
    assert fills(result) == [("BUY", 1, 101.0, "ENTRY"), ("SELL", 1, 94.0, "STOP_LOSS")]
    assert [fill.time_ns for fill in result.fills] == [20, 30]


def test_8_a_limit_exit_by_flat_leaves_the_bracket_until_closed() -> None:
    tape = [flat_bar(0, 100), flat_bar(1, 100), bar(2, 100, 104, 94, 100)]
    assert fills(go(tape, {0: buy(sl=95), 1: flat(price=103)}, path="ohlc"))[-1] == ("SELL", 1, 103.0, "SIGNAL")
    assert fills(go(tape, {0: buy(sl=95), 1: flat(price=103)}, path="olhc"))[-1] == ("SELL", 1, 95.0, "STOP_LOSS")
