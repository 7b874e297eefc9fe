"""Make fixtures/nautilus.json: what `nautilus_trader` does with the decisions. Run in its own environment.

Each bar becomes four quotes, bid and ask together, in the order in which its own bar execution would walk them. A
latency of one nanosecond lets an order that is sent at the close of a bar meet the open of the next one. The cases
named `bars` are given bars instead, without latency: the way in which it is used by default.
"""

from __future__ import annotations

import sys
from decimal import Decimal
from importlib.metadata import version
from typing import Any

from fixture_files import data_folder, finish
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.backtest.models import LatencyModel
from nautilus_trader.config import LoggingConfig, RiskEngineConfig
from nautilus_trader.model.currencies import EUR
from nautilus_trader.model.data import Bar, BarType, QuoteTick
from nautilus_trader.model.enums import (
    AccountType,
    ContingencyType,
    CurrencyType,
    OmsType,
    OrderSide,
    OrderType,
    PriceType,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import CurrencyPair
from nautilus_trader.model.objects import Currency, Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy
from peer_cases import CASH, EQUITY_STEP, SERIES, Decision, Series, decisions_of
from real_markets import Row

CASES = [
    (name, rule, path)
    for name in ("eurusd_m1", "nzdusd_m1", "usdjpy_m1")
    for rule, path in (
        ("cross", "ohlc"),
        ("flips", "ohlc"),
        ("flips", "adaptive"),
        ("sizes", "ohlc"),
        ("sizes", "bars"),
    )
]
MONEY = Currency("XMO", precision=8, iso4217=0, name="Money of eight decimals", currency_type=CurrencyType.FIAT)
"""The account's currency: with the two decimals of USD every fee and every profit would be rounded to a cent."""
DEPTH = Quantity.from_int(1_000_000_000)
KIND = {OrderType.MARKET: "market", OrderType.STOP_MARKET: "stop", OrderType.LIMIT: "target"}


def main() -> None:
    data = data_folder()
    cases = {}
    for name, rule, path in CASES:
        rows = SERIES[name].rows(data)
        cases[f"{name}/{rule}/{path}"] = outcome(SERIES[name], rows, decisions_of(name, rule, rows), path)
    names = ("nautilus_trader", "numpy", "pandas")
    finish("nautilus", {"python": sys.version.split()[0], **{name: version(name) for name in names}}, {"cases": cases})


class Player(Strategy):  # type: ignore[misc] # no types
    """Sends what each decision asks for at the close of its bar, and notes fills and equity."""

    def __init__(self, series: Series, decisions: list[Decision], instrument: CurrencyPair) -> None:
        super().__init__()
        self.instrument = instrument
        self.digits = series.digits
        self.due = {decision.bar: decision for decision in decisions}
        self.quotes = 0
        self.held = 0
        self.fills: list[list[Any]] = []
        self.equity: list[float] = []

    def on_start(self) -> None:
        self.subscribe_quote_ticks(self.instrument.id)
        for side in ("BID", "ASK"):
            self.subscribe_bars(bar_type_of(self.instrument.id, side))

    def on_quote_tick(self, tick: QuoteTick) -> None:
        bar, point = divmod(self.quotes, 4)
        self.quotes += 1
        if point == 3:
            self.decide(bar, tick.bid_price, tick.ask_price)

    def on_bar(self, bar: Bar) -> None:
        if bar.bar_type.spec.price_type == PriceType.BID:
            self.bid = bar.close
            return
        self.quotes += 4
        self.decide(self.quotes // 4 - 1, self.bid, bar.close)

    def decide(self, bar: int, bid: Price, ask: Price) -> None:
        account = self.portfolio.account(self.instrument.id.venue)
        worth = account.balance_total(MONEY).as_double()
        for position in self.cache.positions_open():
            mark = bid if position.signed_qty > 0 else ask
            worth += position.unrealized_pnl(mark).as_double()
        self.equity.append(worth)
        if bar in self.due:
            self.reach(self.due[bar])

    def reach(self, decision: Decision) -> None:
        wanted = decision.side * decision.qty
        standing = self.cache.orders_open()
        if self.held * wanted > 0:
            if wanted != self.held:
                self.market(wanted - self.held, reduce_only=False)
            for order in standing:
                if order.order_type == OrderType.STOP_MARKET:
                    self.modify_order(order, trigger_price=self.price(decision.sl))
                else:
                    self.modify_order(order, price=self.price(decision.tp))
            return
        for order in standing:
            self.cancel_order(order)
        if self.held:
            self.market(-self.held, reduce_only=True)
        if wanted and decision.sl:
            orders = self.order_factory.bracket(
                instrument_id=self.instrument.id,
                order_side=OrderSide.BUY if wanted > 0 else OrderSide.SELL,
                quantity=Quantity.from_int(abs(wanted)),
                sl_trigger_price=self.price(decision.sl),
                tp_price=self.price(decision.tp),
                tp_post_only=False,
                contingency_type=ContingencyType.OCO,
            )
            self.submit_order_list(orders)
        elif wanted:
            self.market(wanted, reduce_only=False)

    def market(self, change: int, *, reduce_only: bool) -> None:
        side = OrderSide.BUY if change > 0 else OrderSide.SELL
        size = Quantity.from_int(abs(change))
        self.submit_order(self.order_factory.market(self.instrument.id, side, size, reduce_only=reduce_only))

    def price(self, value: float) -> Price:
        return Price(value, self.digits)

    def on_order_filled(self, event: Any) -> None:
        change = int(event.last_qty) * (1 if event.order_side == OrderSide.BUY else -1)
        self.held += change
        # A bracket fills while its quote is processed, before the strategy is told of that quote.
        last = self.cache.quote_tick(self.instrument.id)
        at_quote = self.quotes - (last is None or last.ts_event == event.ts_event)
        fee = event.commission.as_double()
        self.fills.append([at_quote // 4, change, event.last_px.as_double(), fee, KIND[event.order_type]])

    def on_order_rejected(self, event: Any) -> None:
        sys.exit(f"peers: an order was rejected: {event}")


def outcome(series: Series, rows: list[Row], decisions: list[Decision], path: str) -> dict[str, Any]:
    """Return fills and sampled equity. A fill: bar, signed size, price, fee, kind of the order."""
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
        base_currency=MONEY,
        starting_balances=[Money(CASH, MONEY)],
        default_leverage=Decimal(int(series.leverage)),
        latency_model=None if path == "bars" else LatencyModel(base_latency_nanos=1),
        bar_execution=path == "bars",
        reject_stop_orders=False,
    )
    fee = Decimal(str(series.fees_bps)) / 10_000
    instrument = CurrencyPair(
        instrument_id=InstrumentId(Symbol(series.symbol), venue),
        raw_symbol=Symbol(series.symbol),
        base_currency=EUR,
        quote_currency=MONEY,
        price_precision=series.digits,
        size_precision=0,
        price_increment=Price(10.0**-series.digits, series.digits),
        size_increment=Quantity.from_int(1),
        lot_size=None,
        max_quantity=None,
        min_quantity=None,
        max_notional=None,
        min_notional=None,
        max_price=None,
        min_price=None,
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=fee,
        taker_fee=fee,
        ts_event=0,
        ts_init=0,
    )
    engine.add_instrument(instrument)
    if path == "bars":
        for side in ("BID", "ASK"):
            engine.add_data(bars_of(series, rows, side, instrument.id))
    else:
        engine.add_data(quotes_of(series, rows, path, instrument.id))
    player = Player(series, decisions, instrument)
    engine.add_strategy(player)
    engine.run()
    engine.dispose()
    assert player.quotes == 4 * len(rows)
    return {"fills": player.fills, "equity": player.equity[::EQUITY_STEP], "equity_final": player.equity[-1]}


def bar_type_of(instrument: InstrumentId, side: str) -> BarType:
    return BarType.from_str(f"{instrument}-1-MINUTE-{side}-EXTERNAL")


def bars_of(series: Series, rows: list[Row], side: str, instrument: InstrumentId) -> list[Bar]:
    """Return the bars of one side, stamped with their close."""
    bars = []
    for row in rows:
        prices = [Price(value, series.digits) for value in (row.bid if side == "BID" else row.ask or row.bid)]
        closed_ns = row.time_ns + series.frame_ns
        bars.append(Bar(bar_type_of(instrument, side), *prices, DEPTH, closed_ns, closed_ns))
    return bars


def quotes_of(series: Series, rows: list[Row], path: str, instrument: InstrumentId) -> list[QuoteTick]:
    """Return four quotes of each bar: the open at its open, the close at its last nanosecond."""
    quotes = []
    for row in rows:
        assert row.ask is not None
        opened, high, low, _ = row.bid
        first_high = path == "ohlc" or round(high - opened, series.digits) < round(opened - low, series.digits)
        order = (0, 1, 2, 3) if first_high else (0, 2, 1, 3)
        step = series.frame_ns // 4
        for at, point in zip((0, step, 2 * step, series.frame_ns - 1), order, strict=True):
            bid, ask = Price(row.bid[point], series.digits), Price(row.ask[point], series.digits)
            quotes.append(QuoteTick(instrument, bid, ask, DEPTH, DEPTH, row.time_ns + at, row.time_ns + at))
    return quotes


if __name__ == "__main__":
    main()
