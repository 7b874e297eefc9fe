"""Synthetic market data: seeded, regime-switching, with bid/ask, a week, quiet hours and gaps.

One path of ticks per symbol in integers; bars are the aggregates of these ticks, so bars and ticks of the same seed
and symbol belong together. Everything is integer arithmetic on the raw output of a counter-based generator: the same
seed gives the same data on every machine and with every version of NumPy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.calendars import default_calendar
from boxgate_engine.datasets.content import Column, PriceBasis, SeriesContent
from boxgate_engine.datasets.grid import prices_from_ticks
from boxgate_engine.datasets.instrument_defaults import (
    AssetClass,
    InstrumentOptions,
    describe_instrument,
    guess_asset_class,
)
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument

Int64Array = NDArray[np.int64]

_MINUTE_NS: Final = FRAME_NS["M1"]
_DAY_NS: Final = FRAME_NS["D1"]
_MINUTE_MS: Final = 60_000
_PRICE_SHIFT: Final = 8
"""Prices walk in 1/256 of a tick, so that steps below one tick add up."""
_NOISE_SHIFT: Final = 17
"""A draw is the sum of four 16-bit numbers around zero: standard deviation 75,674 (close to normal) over 2^17."""
_WEEKEND_JUMP: Final = 12
"""A step over a market closure is so many times an ordinary one."""

_FX_TICKS: Final = (4, 3, 3, 3, 4, 5, 6, 8, 9, 9, 8, 8, 9, 10, 10, 9, 8, 7, 6, 5, 4, 3, 3, 4)
_CRYPTO_TICKS: Final = (6, 5, 5, 5, 5, 5, 5, 6, 6, 6, 6, 6, 7, 8, 9, 9, 8, 8, 7, 7, 7, 6, 6, 6)
"""Ticks a minute by hour UTC, before up to three random ones."""
_SPREAD_QUARTERS: Final = (5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6, 16, 12, 6)
"""Spread by hour UTC, in quarters of the instrument's usual spread."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """What a symbol moves like. All in ticks; step: standard deviation of one tick's move, in 1/256 tick."""

    start_ticks: int
    tick_size: Fraction
    step: int
    spread_ticks: int


_MODELS: Final = {
    "EURUSD": _Model(start_ticks=109_000, tick_size=Fraction(1, 100_000), step=900, spread_ticks=8),
    "GBPUSD": _Model(start_ticks=126_500, tick_size=Fraction(1, 100_000), step=1200, spread_ticks=11),
    "AUDUSD": _Model(start_ticks=67_000, tick_size=Fraction(1, 100_000), step=700, spread_ticks=9),
    "NZDUSD": _Model(start_ticks=62_000, tick_size=Fraction(1, 100_000), step=680, spread_ticks=12),
    "USDJPY": _Model(start_ticks=142_500, tick_size=Fraction(1, 1000), step=1100, spread_ticks=10),
    "XAUUSD": _Model(start_ticks=202_500, tick_size=Fraction(1, 100), step=2300, spread_ticks=24),
    "BTCUSDT": _Model(start_ticks=4_225_000, tick_size=Fraction(1, 100), step=92_000, spread_ticks=10),
    "ETHUSDT": _Model(start_ticks=222_000, tick_size=Fraction(1, 100), step=5_400, spread_ticks=1),
}
_CLASS_MODELS: Final[dict[AssetClass, _Model]] = {
    "forex": _MODELS["EURUSD"],
    "cfd": _MODELS["XAUUSD"],
    "crypto": _MODELS["ETHUSDT"],
    "index": _Model(start_ticks=1_500_000, tick_size=Fraction(1, 100), step=12_000, spread_ticks=100),
    "equity": _Model(start_ticks=15_000, tick_size=Fraction(1, 100), step=150, spread_ticks=2),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticMarket:
    """One symbol's path of ticks. counts: ticks of each minute in `minutes_ns`; the other arrays have one per tick."""

    instrument: Instrument
    minutes_ns: Int64Array
    counts: Int64Array
    times_ns: Int64Array
    bid_ticks: Int64Array
    spread_ticks: Int64Array
    lots: Int64Array

    def bars(self) -> SeriesContent:
        """Return M1 bars: bid with ask columns and the tick count as volume; crypto: trades with volume, no ask."""
        starts = np.cumsum(self.counts) - self.counts
        columns: dict[str, Column] = {"open_ns": self.minutes_ns}
        columns |= self._side(self.bid_ticks, starts, "")
        basis: PriceBasis = "LAST"
        if self.instrument.asset_class == "crypto":
            columns["volume"] = prices_from_ticks(np.add.reduceat(self.lots, starts), self.instrument.lot_size)
        else:
            basis = "BID"
            columns["volume"] = self.counts.astype(np.float64)
            columns |= self._side(self.bid_ticks + self.spread_ticks, starts, "ask_")
        return SeriesContent(symbol=self.instrument.symbol, frame="M1", price_basis=basis, columns=columns)

    def ticks(self, from_ns: int | None = None, to_ns: int | None = None) -> SeriesContent:
        """Return the ticks in [from, to): time, bid, ask. Raises DataRefused (DATA_SCHEMA) if there are none."""
        first = 0 if from_ns is None else int(np.searchsorted(self.times_ns, from_ns))
        last = len(self.times_ns) if to_ns is None else int(np.searchsorted(self.times_ns, to_ns))
        if first >= last:
            raise _empty(self.instrument.symbol)
        tick_size = self.instrument.tick_size
        bid = self.bid_ticks[first:last]
        columns: dict[str, Column] = {
            "time_ns": self.times_ns[first:last],
            "bid": prices_from_ticks(bid, tick_size),
            "ask": prices_from_ticks(bid + self.spread_ticks[first:last], tick_size),
        }
        return SeriesContent(symbol=self.instrument.symbol, frame=TICK, price_basis="BID", columns=columns)

    def _side(self, ticks: Int64Array, starts: Int64Array, prefix: str) -> dict[str, Column]:
        tick_size = self.instrument.tick_size
        return {
            prefix + "open": prices_from_ticks(ticks[starts], tick_size),
            prefix + "high": prices_from_ticks(np.maximum.reduceat(ticks, starts), tick_size),
            prefix + "low": prices_from_ticks(np.minimum.reduceat(ticks, starts), tick_size),
            prefix + "close": prices_from_ticks(ticks[starts + self.counts - 1], tick_size),
        }


def synthesise(
    seed: int, symbol: str, start_ns: int, end_ns: int, *, options: InstrumentOptions | None = None
) -> SyntheticMarket:
    """Return the synthetic market of a symbol in [start, end), int64 ns UTC.

    seed: in [0, 2^64). A symbol's path depends on seed, symbol, start and asset class, not on other symbols.
    Raises DataRefused (DATA_INSTRUMENT, DATA_SCHEMA for an empty range).
    """
    options = options or InstrumentOptions()
    asset_class = options.asset_class or guess_asset_class(symbol)
    model = _MODELS.get(symbol, _CLASS_MODELS[asset_class])
    instrument, _ = describe_instrument(symbol, model.tick_size, options)
    weekends = instrument.trades_on_weekends
    every_ns = np.arange(-(-start_ns // _MINUTE_NS), end_ns // _MINUTE_NS, dtype=np.int64) * _MINUTE_NS
    minutes_ns = every_ns[default_calendar(instrument.asset_class).is_open(every_ns)]
    if not len(minutes_ns):
        raise _empty(symbol)
    counts = _tick_counts(seed, symbol, minutes_ns, weekends)
    drift, noise_quarters = _regimes(seed, symbol, len(minutes_ns), model)
    kept = counts > 0
    minutes_ns, counts, drift, noise_quarters = minutes_ns[kept], counts[kept], drift[kept], noise_quarters[kept]

    minute_of_tick = np.repeat(np.arange(len(counts)), counts)
    raw = _draws(seed, symbol, "path", len(minute_of_tick))
    closures = np.ones(len(counts), dtype=np.int64)
    closures[1:][np.diff(minutes_ns) > _DAY_NS] = _WEEKEND_JUMP
    scale = (model.step << _NOISE_SHIFT) // 75_674 * noise_quarters
    steps = (_bell(raw) * scale[minute_of_tick] + (1 << (_NOISE_SHIFT + 1))) >> (_NOISE_SHIFT + 2)
    starts = np.cumsum(counts) - counts
    steps[starts] *= closures
    steps += (drift // counts)[minute_of_tick]
    path = (model.start_ticks << _PRICE_SHIFT) + np.cumsum(steps)
    floor = (model.start_ticks << _PRICE_SHIFT) // 8
    extra = _draws(seed, symbol, "detail", len(minute_of_tick))
    hours = minutes_ns // FRAME_NS["H1"] % 24
    spread = model.spread_ticks * np.array(_SPREAD_QUARTERS, dtype=np.int64)[hours] * noise_quarters // 16
    position = np.arange(len(minute_of_tick)) - starts[minute_of_tick]
    offset_ms = (position * _MINUTE_MS + _bits(extra, 0, 16) % _MINUTE_MS) // counts[minute_of_tick]
    return SyntheticMarket(
        instrument=instrument,
        minutes_ns=minutes_ns,
        counts=counts,
        times_ns=minutes_ns[minute_of_tick] + offset_ms * 1_000_000,
        bid_ticks=np.maximum(path, floor) >> _PRICE_SHIFT,
        spread_ticks=np.maximum(spread[minute_of_tick] + _bits(extra, 16, 2) * model.spread_ticks // 16, 1),
        lots=1 + (_bits(extra, 32, 8) * _bits(extra, 40, 8) >> 4),
    )


def _tick_counts(seed: int, symbol: str, minutes_ns: Int64Array, weekends: bool) -> Int64Array:
    """Return the ticks of each minute; zero makes a gap: single quiet minutes, and one outage a week where FX rests."""
    raw = _draws(seed, symbol, "counts", len(minutes_ns))
    hours = minutes_ns // FRAME_NS["H1"] % 24
    table = np.array(_CRYPTO_TICKS if weekends else _FX_TICKS, dtype=np.int64)
    counts = table[hours] + _bits(raw, 0, 2)
    if weekends:
        return counts
    quiet = (hours == 21) | (hours == 22)
    counts[_bits(raw, 2, 11) < np.where(quiet, 128, 1)] = 0
    week_starts = np.flatnonzero(np.diff(minutes_ns, prepend=minutes_ns[0] - 2 * _DAY_NS) > _DAY_NS)
    outages = _draws(seed, symbol, "outages", len(week_starts))
    for start, raw_outage in zip(week_starts.tolist(), outages.tolist(), strict=True):
        begin = start + 60 + raw_outage % 6000
        counts[begin : begin + 5 + (raw_outage >> 20) % 56] = 0
    counts[0] = max(int(counts[0]), 1)
    return counts


def _regimes(seed: int, symbol: str, minutes: int, model: _Model) -> tuple[Int64Array, Int64Array]:
    """Return per minute the drift in 1/256 tick and the noise in quarters of the usual.

    Trend: a steady drift, turned back to the start when it has led away by a sixteenth. Range: a triangular swing
    that comes back to where it began. Volatile: no drift, three times the noise.
    """
    drift = np.zeros(minutes, dtype=np.int64)
    noise = np.full(minutes, 4, dtype=np.int64)
    usual = model.step * 5 // 2  # About the standard deviation of a minute of six ticks.
    far = (model.start_ticks << _PRICE_SHIFT) // 16
    away, begin, draw = 0, 0, 0
    raw = _draws(seed, symbol, "regimes", minutes // 90 + 2).tolist()
    while begin < minutes:
        value, draw = raw[draw], draw + 1
        length = min(90 + (value >> 8) % 900, minutes - begin)
        end, kind = begin + length, value % 8
        if kind < 4:
            sign = 1 if value >> 40 & 1 else -1
            if abs(away) > far:
                sign = -1 if away > 0 else 1
            slope = sign * usual * (2 + (value >> 41) % 4) // 16
            drift[begin:end] = slope
            away += slope * length
        elif kind < 7:
            half = 20 + (value >> 41) % 60
            slope = usual * (4 + (value >> 50) % 5) // 16
            phase = np.arange(length) // half % 2
            whole = length // (2 * half) * 2 * half  # Only whole swings, so that a range ends where it began.
            drift[begin : begin + whole] = np.where(phase[:whole] == 0, slope, -slope)
            noise[begin:end] = 3
        else:
            noise[begin:end] = 12
        begin = end
    return drift, noise


def _draws(seed: int, symbol: str, purpose: str, count: int) -> NDArray[np.uint64]:
    """Return raw 64-bit numbers of a stream of their own for each seed, symbol and purpose."""
    key = hashlib.blake2b(f"boxgate.synth/1\n{seed}\n{symbol}\n{purpose}".encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(key, "little")).random_raw(count)


def _bell(raw: NDArray[np.uint64]) -> Int64Array:
    """Return the sum of the four 16-bit parts of each number, around zero, doubled: bell-shaped, even, exact."""
    parts = _bits(raw, 0, 16) + _bits(raw, 16, 16) + _bits(raw, 32, 16) + _bits(raw, 48, 16)
    return 2 * (parts - 131_070)


def _bits(raw: NDArray[np.uint64], shift: int, width: int) -> Int64Array:
    return ((raw >> np.uint64(shift)) & np.uint64((1 << width) - 1)).astype(np.int64)


def _empty(symbol: str) -> DataRefused:
    return DataRefused(
        "the range holds no minute in which the market is open",
        code="DATA_SCHEMA",
        where=f"synthetic {symbol}",
        expected="an end after the start, with market hours between them",
        remedy="choose a longer range",
    )
