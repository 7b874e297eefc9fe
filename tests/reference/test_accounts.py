"""Hand-computed cases of accounts: fees, slippage, spread by hours, conversion, margin, liquidation, funding, swap."""

from __future__ import annotations

from typing import Any

import pytest
from cases import MINUTE, bar, buy, fills, flat, flat_bar, go, outcomes, sell
from loop import run, run_with_signals
from tape import HOUR_NS, width_of
from terms import Event, Fees, MomentView, ReferenceError, Result, Rules, SignalIn, Slippage, Spec, SwapTerms

CALM = [flat_bar(place, 100.0) for place in range(3)]
LIMITED: dict[str, Any] = {"cash": 200.0, "leverage": 10.0, "maintenance": 0.5}


def with_volume(volume: float | None) -> list[Event]:
    return [Event("bar", 0, e.time_ns, e.open_ns, e.bid, frame_ns=e.frame_ns, volume=volume) for e in CALM]


# ---------------------------------------------------------------------------------------------------------------------
# Fees, slippage and spread


def test_a_tariff_adds_parts_in_order_and_has_a_minimum() -> None:
    parts = Fees(taker_bps=10.0, per_lot=2.0, lot_qty=4.0, per_fill=0.5)
    assert go(CALM, {0: buy()}, fees=(parts,)).fills[0].fee == (0.1 + 2.0 * 0.25) + 0.5
    assert go(CALM, {0: buy()}, fees=(Fees(taker_bps=10.0, minimum=2.0),)).fills[0].fee == 2.0


def test_a_maker_receives_a_rebate() -> None:
    result = go(CALM, {0: buy(price=100.0)}, fees=(Fees(maker_bps=-10.0, taker_bps=10.0),), cash=1000.0)
    assert result.fills[0].fee == -0.1
    assert result.equity[-1].cash == 1000.0 + 0.1


@pytest.mark.parametrize(
    ("model", "value", "volume", "qty", "price"),
    [
        ("bps", 200.0, None, 1.0, 102.0),
        ("ticks", 2.0, None, 1.0, 102.0),
        ("volume_share", 0.25, 4.0, 1.0, 107.0),
        ("impact", 0.25, 4.0, 1.0, 113.0),
        ("impact", 0.25, 4.0, 5.0, 125.0),
    ],
)
def test_a_market_buy_slips_by_the_model(
    model: str, value: float, volume: float | None, qty: float, price: float
) -> None:
    # volume_share: 100 × (1 + 0.25 × 1/4) = 106.25; impact: 100 × (1 + 0.25 × 1/2) = 112.5;
    # more than the volume: x = 1.
    result = go(with_volume(volume), {0: buy(qty)}, slippage=(Slippage(model, value),))
    assert fills(result) == [("BUY", int(qty), price, "ENTRY")]


@pytest.mark.parametrize("volume", [None, 0.0])
def test_slippage_by_volume_needs_a_volume(volume: float | None) -> None:
    with pytest.raises(ReferenceError, match="VOLUME_MISSING"):
        go(with_volume(volume), {}, slippage=(Slippage("impact", 0.1),))


def test_the_spread_of_an_hour_counts_from_monday() -> None:
    rule = ("hours", tuple(float(hour) for hour in range(168)))
    assert width_of(rule, (1, 4), 0) == 72 / 4  # 1970-01-01 00:00 was a Thursday
    assert width_of(rule, (1, 4), 96 * HOUR_NS) == 0.0
    assert width_of(rule, (1, 4), 96 * HOUR_NS - 1) == 167 / 4


# ---------------------------------------------------------------------------------------------------------------------
# Conversion


def convert(specs: list[Spec], prices: dict[int, float], missing: int | None = None, **rules: object) -> Result:
    """Buy 1 of instrument 0 at its price; it ends 10 higher. missing: an instrument that begins a bar later."""
    events = [
        flat_bar(place, price + (10 if place == 2 and instrument == 0 else 0), instrument=instrument)
        for place in range(3)
        for instrument, price in prices.items()
        if instrument != missing or place == 2
    ]
    made = Rules(spread=("none",), cash=1e6, **rules)  # type: ignore[arg-type]  # fields by name
    return run_with_signals(specs, made, events, 0, {0: [buy()]})


def test_an_instrument_is_its_own_rate_of_the_end_of_the_moment() -> None:
    result = convert([Spec("USDJPY", quote="JPY")], {0: 100.0}, fees_bps=100.0)
    assert result.fills[0].fee == ((100.0 * 1.0) * (1.0 / 100.0)) * 100.0 / 10000
    assert result.equity[-1].unrealised_pnl == (10.0 * 1.0) * (1.0 / 110.0)


def test_rates_are_direct_or_cross_and_equivalents_are_one_currency() -> None:
    euro = [Spec("DAX", quote="EUR"), Spec("EURUSD", quote="USD")]
    assert convert(euro, {0: 100.0, 1: 2.0}).equity[-1].unrealised_pnl == 20.0
    cross = [Spec("DAX", quote="EUR"), Spec("EURGBP", quote="GBP"), Spec("GBPUSD", quote="USD")]
    assert convert(cross, {0: 100.0, 1: 2.0, 2: 3.0}).equity[-1].unrealised_pnl == 60.0
    coin = [Spec("BTCUSDT", quote="USDT")]
    assert convert(coin, {0: 100.0}, equivalents=(("USD", "USDT"),)).equity[-1].unrealised_pnl == 10.0


def test_no_rate_is_refused_at_the_start_and_one_without_a_mark_at_the_fill() -> None:
    with pytest.raises(ReferenceError, match="RATE_MISSING"):
        convert([Spec("DAX", quote="EUR")], {0: 100.0})
    result = convert([Spec("DAX", quote="EUR"), Spec("EURUSD", quote="USD")], {0: 100.0, 1: 2.0}, missing=1)
    assert [signal.reject_reason for signal in result.signals] == ["RATE_UNKNOWN"]


# ---------------------------------------------------------------------------------------------------------------------
# Margin and liquidation


def test_margin_used_is_summed_by_the_leverage_of_each_instrument() -> None:
    events = [flat_bar(place, 100.0, instrument=instrument) for place in range(3) for instrument in range(2)]
    answers: list[SignalIn] = [buy(), buy(instrument=1)]
    result = go(events, {0: answers}, specs=2, leverages=(4.0, 10.0))
    assert result.equity[-1].margin_used == 25.0 + 10.0


@pytest.mark.parametrize(
    ("signal", "moved", "level", "price"),
    [
        # (1000 − 200) ÷ (10 × 0.95); (1000 + 200) ÷ (10 × 1.05)
        (buy(10.0), bar(2, 100, 101, 80, 90), 800 / (10 * (1 - 0.05)), 84.0),
        (buy(10.0), bar(2, 80, 90, 80, 90), 80.0, 80.0),
        (sell(10.0), bar(2, 100, 120, 99, 100), 1200 / (10 * (1 + 0.05)), 115.0),
    ],
)
def test_a_position_is_liquidated_at_its_level_or_at_the_open_beyond_it(
    signal: SignalIn, moved: Event, level: float, price: float
) -> None:
    result = go([*CALM[:2], moved], {0: signal}, liquidation_fee_bps=50.0, **LIMITED)
    last = result.fills[-1]
    assert (last.reason, last.reference_price, last.price, last.liquidity) == ("LIQUIDATION", level, price, "TAKER")
    assert last.fee == (price * 10.0) * 50.0 / 10000
    assert result.open_positions == []


@pytest.mark.parametrize(("maintenance", "price"), [(0.0, 90.0), (0.5, 94.0)])
def test_an_isolated_position_has_its_own_margin_only(maintenance: float, price: float) -> None:
    # a = 1000 ÷ 10 = 100: (1000 − 100) ÷ 10 = 90; ÷ 9.5 = 94.7
    rules = {**LIMITED, "maintenance": maintenance, "margin_mode": "isolated", "cash": 5000.0}
    result = go([*CALM[:2], bar(2, 100, 101, 80, 90)], {0: buy(10.0)}, **rules)
    assert fills(result)[-1] == ("SELL", 10, price, "LIQUIDATION")


def test_isolated_margins_need_the_cash() -> None:
    result = go(CALM, {0: buy(21.0)}, margin_mode="isolated", cash=200.0, leverage=10.0)
    assert outcomes(result) == ["REJECTED"]


def test_the_stop_loss_comes_before_a_lower_liquidation_level_and_after_a_higher_one() -> None:
    path = [*CALM[:2], bar(2, 100, 101, 80, 90)]
    assert fills(go(path, {0: buy(10.0, sl=85.0)}, **LIMITED))[-1] == ("SELL", 10, 85.0, "STOP_LOSS")
    assert fills(go(path, {0: buy(10.0, sl=84.0)}, **LIMITED))[-1] == ("SELL", 10, 84.0, "LIQUIDATION")


def test_at_the_marks_the_worst_position_is_closed_until_the_equity_suffices() -> None:
    # 300 − 150 − 80 = 70 < 0.5 × (85 + 92): the first goes; 70 >= 0.5 × 92: the second stays.
    events = [flat_bar(place, 100.0, instrument=instrument) for place in range(2) for instrument in range(2)]
    events += [bar(2, 100, 100, 85, 85), bar(2, 100, 100, 92, 92, instrument=1)]
    rules = {**LIMITED, "cash": 300.0}
    result = go(events, {0: [buy(10.0), buy(10.0, instrument=1)]}, specs=2, **rules)
    assert [(fill.instrument, fill.price, fill.reason) for fill in result.fills[2:]] == [("A", 85.0, "LIQUIDATION")]
    assert (result.fills[-1].time_ns, result.fills[-1].seq) == (3 * MINUTE, 5)
    assert [position.instrument for position in result.open_positions] == ["B"]


def test_a_margin_call_is_made_once_until_the_equity_has_recovered() -> None:
    # At 88: 200 − 120 = 80 < 88.
    seen: list[str] = []
    prices = (100.0, 100.0, 88.0, 88.0, 100.0, 88.0)

    def decide(view: MomentView) -> list[SignalIn]:
        seen.extend(update.kind for update in view.updates)
        return [buy(10.0)] if view.seq == 0 else []

    events = [flat_bar(place, price) for place, price in enumerate(prices)]
    rules = Rules(spread=("none",), cash=200.0, leverage=10.0, maintenance=0.5, margin_call=1.0)
    result = run([Spec("A")], rules, events, 0, decide)
    assert seen == ["FILL", "MARGIN_CALL", "MARGIN_CALL"]
    assert result.counts.margin_calls == 2


# ---------------------------------------------------------------------------------------------------------------------
# Funding and swap


def test_funding_inside_a_bar_is_at_its_close_and_in_a_gap_at_the_last_mark() -> None:
    events = [*CALM[:2], flat_bar(3, 110.0)]
    stamps = (((0, 9.0), (150, 0.01), (181, -0.02)),)
    result = go(events, {0: buy(2.0)}, funding=stamps, cash=1000.0)
    # A long pays 2 × 100 × 0.01 in the gap and receives 2 × 110 × 0.02 at the close.
    assert [(flow.time_ns, flow.seq, flow.amount) for flow in result.flows] == [(150, 2, -2.0), (181, 2, 4.4)]
    assert result.equity[-1].cash == (1000.0 - 2.0) + 4.4


def test_pools_are_shared_by_reductions() -> None:
    events = [flat_bar(place, 100.0) for place in range(5)]
    result = go(events, {0: sell(4.0), 2: sell(1.0), 3: flat()}, funding=(((130, 0.01),),), fees_bps=10.0)
    # A short receives 4 × 100 × 0.01 = 4: three quarters go with three lots.
    assert [trade.funding for trade in result.trades] == [3.0, 1.0]
    assert [trade.net_pnl for trade in result.trades] == [
        ((0.0 - trade.fees) + trade.funding) for trade in result.trades
    ]


@pytest.mark.parametrize(
    ("terms", "flow"),
    [
        (SwapTerms("points", long=-0.5, short=0.25), -0.5 * 2.0 * 3),
        (SwapTerms("money_per_lot", long=-4.0, lot_qty=8.0), -4.0 * 0.25 * 3),
        (SwapTerms("annual_rate", long=0.36), ((200.0 * 0.36) / 360) * 3),
    ],
)
def test_a_night_is_paid_by_its_terms_and_thrice_on_the_triple_day(terms: SwapTerms, flow: float) -> None:
    result = go(CALM, {0: buy(2.0)}, swap_terms=(terms,), swap_stamps=(((130, 3),),), close_at_end=True)
    assert [item.amount for item in result.flows] == [flow]
    assert [(trade.swap, trade.net_pnl) for trade in result.trades] == [(flow, flow)]
