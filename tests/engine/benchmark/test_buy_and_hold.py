"""Buying and holding, compared with arithmetic by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from boxgate_engine.benchmark import benchmark_metrics, benchmark_table, benchmarks
from boxgate_engine.instruments import Instrument
from boxgate_engine.rules import AccountRules, RateLegs, TradingCosts
from boxgate_engine.tape import Source, Tape

HOUR_NS = 3_600_000_000_000
START_NS = 1_704_067_200_000_000_000
BARS = 100
SPREAD = 0.25
DAY_ENDS = [0, 23, 47, 71, 95, 100]
"""Marks that are shown, as hours from the start: the start, then the last of each UTC day."""


def instrument(symbol: str, quote: str = "USD", lot: Fraction = Fraction(1, 100)) -> Instrument:
    return Instrument(symbol=symbol, asset_class="crypto", quote_currency=quote, tick_size=Fraction(1, 4), lot_size=lot)


def closes(key: int) -> np.ndarray:
    moves = np.random.Generator(np.random.Philox(key=key)).integers(-8, 9, size=BARS)
    return 100.0 + 0.25 * np.cumsum(moves)


def source(number: int, close: np.ndarray) -> Source:
    opens = np.concatenate([[100.0], close[:-1]])
    return Source(
        instrument=number,
        frame="H1",
        columns={
            "open_ns": START_NS + np.arange(BARS, dtype=np.int64) * HOUR_NS,
            "open": opens,
            "high": np.maximum(opens, close) + 0.5,
            "low": np.minimum(opens, close) - 0.5,
            "close": close,
            "volume": np.ones(BARS),
        },
        rows=slice(0, BARS),
        executes=True,
        spread=SPREAD,
        tick_size=Fraction(1, 4),
        delivered=number,
    )


def test_all_cash_buys_at_the_first_open_and_follows_the_price() -> None:
    close = closes(1)
    rules = AccountRules(cash=10_000.0, leverage=30.0, costs=TradingCosts(taker_bps=10.0))
    (held,) = benchmarks([instrument("AAA")], rules, Tape([source(0, close)]), start_ns=START_NS, close_at_end=False)
    price = 100.0 + SPREAD
    lots = int(10_000.0 / (price * 1.001) * 100)
    assert (held.qty, held.entry_price, held.entry_time_ns) == (lots / 100, price, START_NS)
    fee = held.qty * price * 0.001
    assert held.fees == pytest.approx(fee)
    assert held.spread == pytest.approx(held.qty * SPREAD / 2)
    assert held.times_ns.tolist() == [START_NS + hour * HOUR_NS for hour in DAY_ENDS]
    expected = np.append(10_000.0, 10_000.0 - fee + held.qty * (close - price))
    np.testing.assert_allclose(held.equity, expected[DAY_ENDS], rtol=1e-12)


def test_a_lot_more_could_not_be_paid() -> None:
    rules = AccountRules(cash=1_000.0, costs=TradingCosts(per_fill=7.0, slippage_model="ticks", slippage=3.0))
    tape = Tape([source(0, closes(2))])
    (held,) = benchmarks([instrument("AAA")], rules, tape, start_ns=START_NS, close_at_end=False)
    price = 100.0 + SPREAD + 0.75
    assert held.entry_price == price
    assert held.qty * price + 7.0 <= 1_000.0 < (held.qty + 0.01) * price + 7.0


def test_who_cannot_pay_one_lot_has_no_benchmark() -> None:
    rules = AccountRules(cash=50.0)
    tape = Tape([source(0, closes(2))])
    assert benchmarks([instrument("AAA", lot=Fraction(1))], rules, tape, start_ns=START_NS, close_at_end=False) == []


def test_sold_at_the_end_it_pays_the_costs_twice() -> None:
    close, rules = closes(3), AccountRules(cash=10_000.0, costs=TradingCosts(per_fill=5.0))
    tape = Tape([source(0, close)])
    kept, sold = (
        benchmarks([instrument("AAA")], rules, tape, start_ns=START_NS, close_at_end=closed)[0]
        for closed in (False, True)
    )
    assert (kept.fees, sold.fees) == (5.0, 10.0)
    assert kept.equity[-1] - sold.equity[-1] == pytest.approx(5.0)


def test_of_another_currency_it_is_bought_once_the_rate_is_known() -> None:
    rules = AccountRules(cash=10_000.0, rates=[None, RateLegs(first=0)])
    pair, foreign = closes(4), closes(5)
    tape = Tape([source(0, pair), source(1, foreign)])
    instruments = [instrument("EURUSD"), instrument("AAA", "EUR", Fraction(1, 10_000))]
    first, second = benchmarks(instruments, rules, tape, start_ns=START_NS, close_at_end=False)
    assert first.entry_time_ns == START_NS
    assert second.entry_time_ns == START_NS + HOUR_NS
    rate = pair[0] + SPREAD / 2
    assert second.qty * second.entry_price * rate == pytest.approx(10_000.0, rel=0.01)


def test_the_table_holds_the_start_and_the_last_mark_of_each_day() -> None:
    tape = Tape([source(0, closes(6))])
    rules = AccountRules(cash=10_000.0)
    held = benchmarks([instrument("AAA")], rules, tape, start_ns=START_NS, close_at_end=False)
    table = benchmark_table(held)
    assert table["equity"].to_pylist() == held[0].equity.tolist()
    assert table["time"].cast("int64").to_pylist() == [START_NS + hour * HOUR_NS for hour in DAY_ENDS]
    run = table.select(["time", "equity"])
    (figures,) = benchmark_metrics(held, run, periods=365)
    assert figures["instrument"] == "AAA"
    assert figures["total"] == pytest.approx(held[0].equity[-1] / 10_000.0 - 1)
    assert figures["beta"] == pytest.approx(1.0)
