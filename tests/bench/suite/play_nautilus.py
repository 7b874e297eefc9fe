"""The cross on bars, or the swing on ticks, in NautilusTrader: `play_nautilus.py FOLDER bars|ticks`.

Runs in an environment of its own. The documented form for several runs on loaded data: one `BacktestEngine` to which
the data were added once, `reset()` and a new strategy before each run. Logging, risk checks and the analysis after the
run are off, which is to its advantage. Orders fill at the quote or close at which they were sent: the default, and
quicker than with a latency that would make it the next one; the number of fills is the same.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.currencies import EUR, USD
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy
from pipe import Outcome, serve

QTY, CASH = 1_000, 1_000_000
FEES = Decimal("0.00001")
DEPTH = Quantity.from_int(1_000_000_000)
DIGITS = 5
MINUTE_NS = 60_000_000_000
LENGTH, RISE = 20, 5.25e-5


class Trader(Strategy):  # type: ignore[misc] # no types
    """What both strategies share: market orders of one size."""

    def __init__(self, instrument: CurrencyPair) -> None:
        super().__init__()
        self.instrument_id = instrument.id
        self.qty = Quantity.from_int(QTY)
        self.fills = 0

    def send(self, side: OrderSide) -> None:
        self.submit_order(self.order_factory.market(self.instrument_id, side, self.qty))

    def on_order_filled(self, event: Any) -> None:
        self.fills += 1


class Cross(Trader):
    """Long while the mean of 10 closes is above the mean of 30, from the first cross on."""

    def on_start(self) -> None:
        self.fast, self.slow = SimpleMovingAverage(10), SimpleMovingAverage(30)
        self.side = 0
        self.long = False
        bars = bar_type(self.instrument_id)
        self.register_indicator_for_bars(bars, self.fast)
        self.register_indicator_for_bars(bars, self.slow)
        self.subscribe_bars(bars)

    def on_bar(self, bar: Bar) -> None:
        if not self.slow.initialized:
            return
        side = 1 if self.fast.value > self.slow.value else -1
        if side == self.side:
            return
        if self.side and (side > 0) != self.long:
            self.long = side > 0
            self.send(OrderSide.BUY if self.long else OrderSide.SELL)
        self.side = side


class Swing(Trader):
    """Long when the quote rose by more than RISE over LENGTH ticks, flat when it fell by more."""

    def on_start(self) -> None:
        self.middles: deque[float] = deque(maxlen=LENGTH + 1)
        self.long = False
        self.subscribe_quote_ticks(self.instrument_id)

    def on_quote_tick(self, tick: QuoteTick) -> None:
        middle = (tick.bid_price.as_double() + tick.ask_price.as_double()) / 2.0
        middles = self.middles
        middles.append(middle)
        if len(middles) <= LENGTH:
            return
        move = middle - middles[0]
        if self.long:
            if move < -RISE:
                self.long = False
                self.send(OrderSide.SELL)
        elif move > RISE:
            self.long = True
            self.send(OrderSide.BUY)


def main() -> None:
    folder, kind = sys.argv[1:]
    arrays = np.load(Path(folder) / "arrays.npz")
    venue = Venue("SIM")
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggingConfig(bypass_logging=True), risk_engine=RiskEngineConfig(bypass=True), run_analysis=False
        )
    )
    engine.add_venue(
        venue=venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(CASH, USD)],
        default_leverage=Decimal(30),
        bar_execution=kind == "bars",
    )
    instrument = pair(venue)
    engine.add_instrument(instrument)
    engine.add_data(bars_of(arrays, instrument.id) if kind == "bars" else quotes_of(arrays, instrument.id))

    def repeat() -> Outcome:
        started = time.perf_counter()
        engine.reset()
        engine.clear_strategies()
        trader = (Cross if kind == "bars" else Swing)(instrument)
        engine.add_strategy(trader)
        engine.run()
        seconds = time.perf_counter() - started
        return {"seconds": seconds, "fills": trader.fills}

    names = ("nautilus_trader", "numpy", "pandas")
    serve(repeat, {"python": sys.version.split()[0], **{name: version(name) for name in names}})


def pair(venue: Venue) -> CurrencyPair:
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol("EURUSD"), venue),
        raw_symbol=Symbol("EURUSD"),
        base_currency=EUR,
        quote_currency=USD,
        price_precision=DIGITS,
        size_precision=0,
        price_increment=Price(10.0**-DIGITS, DIGITS),
        size_increment=Quantity.from_int(1),
        lot_size=None,
        max_quantity=None,
        min_quantity=None,
        max_notional=None,
        min_notional=None,
        max_price=None,
        min_price=None,
        margin_init=Decimal("0.03"),
        margin_maint=Decimal("0.03"),
        maker_fee=FEES,
        taker_fee=FEES,
        ts_event=0,
        ts_init=0,
    )


def bar_type(instrument: InstrumentId) -> BarType:
    return BarType.from_str(f"{instrument}-1-MINUTE-LAST-EXTERNAL")


def bars_of(arrays: Any, instrument: InstrumentId) -> list[Bar]:
    """Return the bars, stamped with their close."""
    kind = bar_type(instrument)
    rows = np.stack([arrays[name] for name in ("open", "high", "low", "close")], axis=1).tolist()
    stamps = (arrays["open_ns"] + MINUTE_NS).tolist()
    return [
        Bar(kind, *(Price(value, DIGITS) for value in row), DEPTH, stamp, stamp)
        for row, stamp in zip(rows, stamps, strict=True)
    ]


def quotes_of(arrays: Any, instrument: InstrumentId) -> list[QuoteTick]:
    rows = zip(*(arrays[name].tolist() for name in ("bid", "ask", "time_ns")), strict=True)
    return [
        QuoteTick(instrument, Price(bid, DIGITS), Price(ask, DIGITS), DEPTH, DEPTH, stamp, stamp)
        for bid, ask, stamp in rows
    ]


if __name__ == "__main__":
    main()
