# mypy: disable-error-code="import-not-found"
"""Random valid run configs over random markets: what `boxgate run` might be asked, all rules mixed.

`draw_run(seed)` gives the same run for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
from drawn_series import Columns, MemoryDataset, draw_bars, draw_ticks, draw_walk, larger_bars, without_ask

from boxgate_engine.account_rules import rate_problems
from boxgate_engine.config import RunConfig
from boxgate_engine.datasets.content import FUNDING
from boxgate_engine.errors import ConfigInvalid
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument
from boxgate_engine.market import Market
from boxgate_engine.timestamps import format_utc

MINUTE_NS = 60_000_000_000
_LARGEST_NS = FRAME_NS["H4"]
_MONDAY_NS = 1_704_067_200_000_000_000
"""Monday, 1 January 2024, 00:00 UTC."""

_WORTH = {"USD": 1.0, "USDT": 1.0, "EUR": 1.1, "GBP": 1.3, "JPY": 1 / 150, "CHF": 1.1, "BTC": 40_000.0}
"""What a unit of each currency is about worth in USD: it scales the account, nothing else."""

_ASSETS: dict[str, tuple[str, Any, float, str, str, str]] = {
    "EURUSD": ("USD", "forex", 1.1, "1/100000", "1000", "1"),
    "GBPUSD": ("USD", "forex", 1.3, "1/10000", "100", "1"),
    "EURGBP": ("GBP", "forex", 0.85, "1/100000", "1000", "1"),
    "USDJPY": ("JPY", "forex", 150.0, "1/1000", "1000", "1"),
    "EURJPY": ("JPY", "forex", 165.0, "1/200", "1", "10"),
    "USDCHF": ("CHF", "forex", 0.9, "1/10000", "1000", "1"),
    "DAX": ("EUR", "index", 18_000.0, "1/2", "1/10", "25"),
    "SMI": ("CHF", "index", 11_000.0, "5/2", "1", "1/10"),
    "GOLD": ("USD", "cfd", 2_000.0, "1/100", "1/100", "100"),
    "PENNY": ("USD", "equity", 0.3, "1/100", "100", "3/7"),
    "BTCUSDT": ("USDT", "crypto", 40_000.0, "1/10", "1/1000", "1"),
    "ETHBTC": ("BTC", "crypto", 0.06, "1/100000", "1/100", "1"),
    "BTC-PERP": ("USDT", "crypto", 40_000.0, "1/10", "1/1000", "1"),
    "SOL-PERP": ("USD", "crypto", 100.0, "1/1000", "1/10", "1"),
}
"""Quote currency, class, price, tick, lot, contract."""

_MARKETS = (
    ("EURUSD", "USDJPY", "EURJPY"),
    ("EURGBP", "GBPUSD", "EURUSD"),
    ("DAX", "EURUSD", "GOLD"),
    ("DAX", "EURGBP", "GBPUSD"),
    ("SMI", "EURUSD", "USDCHF"),
    ("BTC-PERP", "SOL-PERP", "BTCUSDT"),
    ("BTCUSDT", "ETHBTC", "SOL-PERP"),
    ("PENNY", "GOLD", "GBPUSD"),
    ("GOLD", "BTC-PERP", "EURUSD", "PENNY"),
    ("USDJPY", "USDCHF", "SMI", "EURUSD"),
)


@dataclass(frozen=True)
class DrawnRun:
    """One random run. orders: the session answers with intents. hedging: these name positions.

    lots: about what the account can carry of each.
    """

    seed: int
    config: RunConfig
    market: Market
    orders: bool
    hedging: bool
    lots: list[float]
    move: list[float]
    """Price moves of some events in quote currency, by instrument: levels are drawn about so far away."""


def draw_run(seed: int) -> DrawnRun:
    """Draw a run; everything comes from the seed."""
    for attempt in range(20):
        try:
            return _draw(seed, Random(f"run {seed} {attempt}"), np.random.default_rng([seed, attempt]))
        except ConfigInvalid as error:
            # A calendar under which no event opens is refused: another market is drawn. Nothing else may be.
            if any(problem.code != "CALENDAR" for problem in error.problems):
                raise
    raise AssertionError(f"seed {seed}: no market is ever open")


def _draw(seed: int, rng: Random, generator: np.random.Generator) -> DrawnRun:
    symbols = list(rng.choice(_MARKETS))
    rng.shuffle(symbols)
    instruments = [_instrument(rng, symbol) for symbol in symbols]
    layout = _layout(rng, symbols)
    needs_volume = rng.random() < 0.5
    has_ask = rng.random() < 0.6
    start_ns = (
        _MONDAY_NS + rng.randrange(5) * 1440 * MINUTE_NS + rng.choice((0, 9, 14, 18, 19, 20, 20)) * 60 * MINUTE_NS
    )
    series: dict[tuple[str, str], Columns] = {}
    move = []
    span_ns = rng.randint(60, 120) * FRAME_NS[layout.finest_bars]
    for one in instruments:
        level = max(int(_ASSETS[one.symbol][2] / one.tick_size), 12)
        swing = rng.choice((0.0002, 0.001, 0.004, 0.02))
        finest = layout.finest[one.symbol]
        count = rng.randint(60, 160) if finest == TICK else 6 * (span_ns // FRAME_NS[finest])
        walk = draw_walk(generator, count, level, swing, halves=rng.random() < 0.1)
        if finest == TICK:
            columns = draw_ticks(generator, walk, one.tick_size, start_ns, span_ns)
        else:
            columns = draw_bars(generator, walk, one.tick_size, start_ns, finest)
        rows = len(next(iter(columns.values())))
        lots = generator.choice((0.0, 1.0, 3.0, 2.5, 40.0, 1e6), rows)
        lots[-1] = 5.0
        columns["volume"] = lots * float(one.lot_size)
        for frame in layout.frames_of(one.symbol):
            whole = columns if frame == finest else larger_bars(columns, frame)
            series[one.symbol, frame] = whole if has_ask else without_ask(whole, frame)
        move.append(max(swing * level, 1.0) * float(one.tick_size) * rng.choice((1, 2, 4)))
        if one.symbol.endswith("PERP"):
            series[one.symbol, FUNDING] = _funding(rng, start_ns, span_ns, FRAME_NS[layout.finest_bars])
    config, lots_of = _config(rng, instruments, layout, has_ask, needs_volume, start_ns, span_ns)
    market = Market(config, MemoryDataset(instruments, series))
    orders = rng.random() < 0.5
    return DrawnRun(seed, config, market, orders, orders and rng.random() < 0.3, lots_of, move)


def _instrument(rng: Random, symbol: str) -> Instrument:
    quote, asset_class, _, tick, lot, contract = _ASSETS[symbol]
    return Instrument(
        symbol=symbol,
        asset_class=asset_class,
        quote_currency=quote,
        tick_size=Fraction(tick) * rng.choice((1, 1, 1, 5, 10)),
        lot_size=Fraction(lot),
        contract_size=Fraction(contract),
    )


def _funding(rng: Random, start_ns: int, span_ns: int, frame_ns: int) -> Columns:
    interval_ns = frame_ns * rng.choice((1, 7, 8, 30))
    first = start_ns - 3 * interval_ns + rng.choice((0, 0, 1, frame_ns // 2))
    times = np.arange(first, start_ns + span_ns + _LARGEST_NS + interval_ns, interval_ns)
    return {"time_ns": times, "rate": np.array([rng.choice((-0.003, 0.0, 0.0001, 0.01)) for _ in times])}


# ---------------------------------------------------------------------------------------------------------------------
# Which series there are


@dataclass(frozen=True)
class _Layout:
    """finest: by symbol what is drawn. frames: delivered. executing: by symbol, where not the finest of the frames."""

    finest: dict[str, str]
    frames: list[str]
    executing: dict[str, str]
    path: str

    @property
    def finest_bars(self) -> str:
        drawn = {*self.frames, *self.finest.values()} - {TICK}
        return next((frame for frame in FRAME_NS if frame in drawn), "M1")

    def frames_of(self, symbol: str) -> set[str]:
        return {self.finest[symbol], *self.frames, *self.executing.values()} - (
            set() if self.finest[symbol] == TICK else {TICK}
        )

    def is_ticks(self, symbol: str) -> bool:
        return self.executing.get(symbol) == TICK or (symbol not in self.executing and TICK in self.frames)


def _layout(rng: Random, symbols: list[str]) -> _Layout:
    path = rng.choice(("pessimistic", "pessimistic", "optimistic", "ohlc", "olhc", "adaptive", "real"))
    kind = rng.choice(("bars", "bars", "ticks", "mixed"))
    if kind == "ticks":
        frames = rng.choice(([TICK], [TICK, "M1"], ["M1"], ["M1", "M5"]))
        hidden = TICK not in frames and rng.random() < 0.6
        return _Layout(dict.fromkeys(symbols, TICK), frames, dict.fromkeys(symbols, TICK) if hidden else {}, path)
    if kind == "mixed":
        finest = {symbol: rng.choice((TICK, "M1")) for symbol in symbols}
        executing = {symbol: TICK for symbol, frame in finest.items() if frame == TICK and rng.random() < 0.7}
        return _Layout(finest, rng.choice((["M1"], ["M1", "M5"], ["M5"])), executing, path)
    frame, larger = rng.choice((("M1", "M5"), ("M5", "M15"), ("M15", "H1"), ("H1", "H4"), ("M5", "H1")))
    frames = rng.choice(([frame], [frame, larger], [larger, frame], [larger]))
    executing = {symbol: frame for symbol in symbols if frame not in frames and rng.random() < 0.5}
    if frames == [frame, larger] and rng.random() < 0.2:
        executing = dict.fromkeys(symbols, larger)
    return _Layout(dict.fromkeys(symbols, frame), frames, executing, path)


# ---------------------------------------------------------------------------------------------------------------------
# The config


def _config(
    rng: Random,
    instruments: list[Instrument],
    layout: _Layout,
    has_ask: bool,
    needs_volume: bool,
    start_ns: int,
    span_ns: int,
) -> tuple[RunConfig, list[float]]:
    symbols = [one.symbol for one in instruments]
    ticks = all(layout.is_ticks(symbol) for symbol in symbols)
    currency = rng.choice(("USD", "USD", "EUR", "USDT", "JPY"))
    cash_account = rng.random() < 0.1
    leverage = 1.0 if cash_account else rng.choice((1.0, 3.3, 30.0, 30.0, 500.0))
    lot_worth = [
        _ASSETS[one.symbol][2] * float(one.lot_size * one.contract_size) * _WORTH[one.quote_currency]
        for one in instruments
    ]
    cash = max(lot_worth) * rng.choice((3.0, 10.0, 50.0, 50.0, 2_000.0)) / leverage
    account: dict[str, Any] = {
        "cash": min(max(cash * rng.choice((1.0, 1.37)), 1e-3), 1e15),
        "leverage": leverage if cash_account or rng.random() < 0.5 else _leverages(rng, symbols, leverage),
        "type": "cash" if cash_account else "margin",
        "equivalents": [["USD", "USDT"]] if rng.random() < 0.7 else [],
    }
    if not cash_account:
        maintenance = rng.choice((0.0, 0.0, 0.5, 0.95))
        account["margin"] = {
            "mode": rng.choice(("cross", "cross", "isolated")),
            "maintenance": maintenance,
            "call": rng.choice((0.0, max(1.0, maintenance), 1.5)),
            "fee_bps": rng.choice((0.0, 30.0)),
        }
    execution: dict[str, Any] = {"path": layout.path, "close_at_end": rng.random() < 0.5}
    if layout.executing:
        execution["series"] = layout.executing
    if needs_volume and rng.random() < 0.7:
        execution["volume_limit"] = rng.choice((0.1, 0.5, 1.0))
    if ticks and rng.random() < 0.5:
        execution["latency"] = {
            "fixed": rng.choice(("0ns", "1ns", "30ms", "20s")),
            "jitter": rng.choice(("0ns", "1ms", "90s")),
        }
    if rng.random() < 0.3:
        execution["hours"] = "calendar"
        execution["calendars"] = {
            symbol: rng.choice(("fx", "always", "XNYS")) for symbol in symbols if rng.random() < 0.7
        }
    document: dict[str, Any] = {
        "strategy": {"command": ["drawn"]},
        "dataset": "drawn",
        "instruments": symbols,
        "frames": layout.frames,
        "window": {
            "start": "first" if rng.random() < 0.6 else format_utc(start_ns + span_ns // rng.randint(6, 20)),
            "end": "last" if rng.random() < 0.7 else format_utc(start_ns + span_ns * 9 // 10),
        },
        "costs": _costs(rng, instruments, has_ask, needs_volume, max(lot_worth)),
        "execution": execution,
    }
    for own in dict.fromkeys((currency, *rng.sample(("USD", "EUR", "USDT", "JPY", "GBP", "CHF"), 6))):
        config = RunConfig.model_validate({**document, "account": {**account, "currency": own}})
        if not rate_problems(config, instruments):
            break
    else:
        # Without a coin's dollar counting as one, nothing converts this market.
        same = {"currency": "USD", "equivalents": [["USD", "USDT"]]}
        config = RunConfig.model_validate({**document, "account": account | same})
    scale = config.account.cash * _WORTH[config.account.currency]
    return config, [
        scale * config.account.leverage_of(one) / worth for one, worth in zip(symbols, lot_worth, strict=True)
    ]


def _leverages(rng: Random, symbols: list[str], usual: float) -> dict[str, float]:
    return {
        "default": usual,
        **{symbol: rng.choice((1.0, 5.0, 30.0, 125.0)) for symbol in symbols if rng.random() < 0.5},
    }


def _costs(
    rng: Random, instruments: list[Instrument], has_ask: bool, needs_volume: bool, worth: float
) -> dict[str, Any]:
    funding = rng.choice(("auto", "auto", "none"))
    costs: dict[str, Any] = {**_tariff(rng, worth, needs_volume), "funding": funding, "swap": _swap(rng, worth)}
    costs["spread"] = _spread(rng, instruments[0], has_ask)
    own = {}
    for one in instruments:
        if rng.random() < 0.4:
            own[one.symbol] = _tariff(rng, worth, needs_volume) | {"swap": _swap(rng, worth)}
            if rng.random() < 0.5:
                own[one.symbol]["spread"] = _spread(rng, one, has_ask)
            if one.symbol.endswith("PERP"):
                own[one.symbol]["funding"] = rng.choice(("data", "auto", {"missing": "skip"}))
    return costs | {"instruments": own}


def _tariff(rng: Random, worth: float, needs_volume: bool) -> dict[str, Any]:
    costs: dict[str, Any] = {}
    if rng.random() < 0.4:
        costs["fees_bps"] = rng.choice((0.0, 2.0, 50.0))
    else:
        maker = rng.choice((-2.0, 0.0, 3.0))
        costs["fees"] = {
            "maker_bps": maker,
            "taker_bps": rng.choice((0.0, 5.0)),
            "per_lot": rng.choice((0.0, worth * 1e-4)),
            "lot_qty": rng.choice((1.0, 100_000.0)),
            "per_fill": rng.choice((0.0, worth * 1e-5)),
        }
        if maker >= 0 and rng.random() < 0.4:
            costs["fees"]["minimum"] = min(worth * 1e-3, 1e9)
    if rng.random() < 0.4:
        costs["slippage_bps"] = rng.choice((0.0, 1.0, 100.0, 9_999.0 if rng.random() < 0.1 else 5.0))
    else:
        model = rng.choice(("bps", "ticks", "volume_share", "impact") if needs_volume else ("bps", "ticks"))
        value = {"bps": (0.5, 30.0), "ticks": (0.0, 1.0, 7.0), "volume_share": (0.01, 3.0), "impact": (0.005, 2.0)}[
            model
        ]
        costs["slippage"] = {"model": model, "value": rng.choice(value)}
    return costs


def _spread(rng: Random, one: Instrument, has_ask: bool) -> Any:
    if has_ask and rng.random() < 0.6:
        return "data"
    tick = float(one.tick_size)
    form = rng.choice(("none", "price", "ticks", "hours"))
    if form == "hours":
        return {"hours": [rng.choice((0.0, 1.0, 2.5)) for _ in range(168)]}
    forms = {
        "none": "none",
        "price": {"price": tick * rng.choice((0.0, 1.0, 1.7))},
        "ticks": {"ticks": rng.choice((0, 1, 3))},
    }
    return forms[form]


def _swap(rng: Random, worth: float) -> Any:
    model = rng.choice(("none", "points", "money_per_lot", "annual_rate"))
    if model == "none":
        return "none"
    scale = {"points": 0.7, "money_per_lot": min(worth * 1e-4, 1e6), "annual_rate": 0.05}[model]
    return {
        "model": model,
        "long": -scale * rng.choice((1.0, 0.3, -0.2)),
        "short": scale * rng.choice((0.4, -0.9)),
        "lot_qty": rng.choice((1.0, 100_000.0)),
        "triple": rng.choice(("wednesday", "friday", "monday", "none")),
    }
