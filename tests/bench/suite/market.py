"""What all systems are run on: a seeded walk of minute bars, and real ticks of EURUSD.

The walk has no ties: a close is a multiple of three ticks, but for one more tick at each thirtieth bar. So the sum of
30 closes is never a multiple of three ticks, and a mean of 10 never equals one of 30. An exact tie would be decided by
the order in which a system adds floating-point numbers; the systems would then differ for a reason that is no rule. The
walk ends with a climb, so that nothing is decided at the last close: there is no next open at which it could be filled.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets import ImportRequest, SeriesContent, import_files, open_dataset
from boxgate_engine.datasets.content import Column
from boxgate_engine.datasets.store import NewSeries, freeze
from boxgate_engine.instruments import Instrument

MINUTE_NS = 60_000_000_000
START_NS = 1_577_836_800_000_000_000
TICKS_PER_UNIT = 100_000
CLIMB = 60
ARRAYS_BARS_MAX = 1_000_000
ARRAYS_FILE = "arrays.npz"


def prepare_bars(folder: Path, bars: int) -> Path:
    """Return a folder that holds the walk twice: as the dataset `bench`, and as arrays for the other systems.

    Arrays are left out above a million bars, which no other system is given.
    """

    def make(place: Path) -> None:
        columns = walk(bars)
        content = SeriesContent(symbol="BENCH", frame="M1", price_basis="BID", columns=columns)
        instrument = Instrument(
            symbol="BENCH",
            asset_class="forex",
            quote_currency="USD",
            tick_size=Fraction(1, TICKS_PER_UNIT),
            lot_size=Fraction(1),
        )
        series = [NewSeries(content=content, source="seeded random walk", licence="CC0-1.0")]
        freeze(place / "datasets", [instrument], series, name="bench")
        if bars <= ARRAYS_BARS_MAX:
            _save(place, columns)

    return _prepared(folder, f"bars-{bars}", make)


def prepare_ticks(folder: Path, data: Path) -> Path:
    """Return a folder that holds the ticks of `data` as the dataset `bench` and as arrays."""

    def make(place: Path) -> None:
        files = tuple(sorted(data.glob("lean/forex/oanda/tick/eurusd/*.zip")))
        import_files(place / "datasets", ImportRequest(files=files, zone="UTC", name="bench"))
        series = open_dataset(place / "datasets", "bench", cache_dir=place / "cache").series("EURUSD", "tick")
        _save(place, series.columns)

    return _prepared(folder, "ticks", make)


def walk(bars: int) -> dict[str, Column]:
    """Return the columns of the walk: EURUSD-like prices, each on its grid."""
    random = np.random.Generator(np.random.Philox(key=7))
    steps = random.integers(-2, 3, size=bars)
    steps[-CLIMB:] = 1
    close = 3 * (10_000 + np.abs(30_000 + np.cumsum(steps)))
    close += np.arange(bars) % 30 == 0
    opened = np.concatenate([close[:1], close[:-1] + random.integers(-1, 2, size=bars - 1)])
    high = np.maximum(opened, close) + random.integers(0, 4, size=bars)
    low = np.minimum(opened, close) - random.integers(0, 4, size=bars)
    return {
        "open_ns": START_NS + np.arange(bars, dtype=np.int64) * MINUTE_NS,
        "open": opened / TICKS_PER_UNIT,
        "high": high / TICKS_PER_UNIT,
        "low": low / TICKS_PER_UNIT,
        "close": close / TICKS_PER_UNIT,
        "volume": np.ones(bars),
    }


def _save(place: Path, columns: Mapping[str, NDArray[np.generic]]) -> None:
    np.savez(place / ARRAYS_FILE, **{name: np.asarray(column) for name, column in columns.items()})  # type: ignore[arg-type]


def _prepared(folder: Path, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder of that name, made at first use; another version of this file makes it anew."""
    place = folder / f"{name}-{hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]}"
    if not place.exists():
        for old in folder.glob(f"{name}-*"):
            shutil.rmtree(old)
        beside = place.with_suffix(".new")
        beside.mkdir(parents=True)
        make(beside)
        beside.rename(place)
    return place
