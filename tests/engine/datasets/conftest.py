"""What the tests of market data share: a store, CSV files, and small series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.datasets import Dataset, ImportRequest, ImportResult, SeriesContent, import_files, open_dataset
from boxgate_engine.datasets.content import Column
from boxgate_engine.datasets.store import Frozen, NewSeries, freeze
from boxgate_engine.instruments import Instrument

MINUTE_NS = 60_000_000_000
MONDAY_NS = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC, a Monday."""


@dataclass(frozen=True)
class Store:
    """A datasets root and a cache in a temporary folder."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "datasets"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def open(self, name: str) -> Dataset:
        return open_dataset(self.root, name, cache_dir=self.cache)

    def take(self, *files: Path, **options: Any) -> ImportResult:
        return import_files(self.root, ImportRequest(files=files, **options))

    def freeze(self, *contents: SeriesContent, name: str = "x", tick_size: Fraction = Fraction(1, 100_000)) -> Frozen:
        instruments = {content.symbol: eurusd(content.symbol, tick_size) for content in contents}
        series = [NewSeries(content=content, source="test", licence="none") for content in contents]
        return freeze(self.root, instruments.values(), series, name=name)

    def published(self) -> list[str]:
        """Names of the datasets in the root, and of everything unfinished there."""
        if not self.root.exists():
            return []
        return sorted(path.name for path in self.root.iterdir() if path.is_dir())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def csv_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a CSV file of the given lines and return its path."""

    def write(*lines: str, name: str = "eurusd.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def bars() -> Callable[..., SeriesContent]:
    return make_bars


def eurusd(symbol: str = "EURUSD", tick_size: Fraction = Fraction(1, 100_000)) -> Instrument:
    return Instrument(
        symbol=symbol, asset_class="forex", quote_currency="USD", tick_size=tick_size, lot_size=Fraction(1)
    )


def make_bars(
    count: int = 500,
    *,
    symbol: str = "EURUSD",
    frame: str = "M1",
    opens_ns: Sequence[int] | None = None,
    with_ask: bool = True,
    seed: int = 1,
) -> SeriesContent:
    """Return sound bars; their closes differ from bar to bar, so that a value tells where it comes from."""
    times = np.array(opens_ns, dtype=np.int64) if opens_ns else MONDAY_NS + np.arange(count, dtype=np.int64) * MINUTE_NS
    raw = np.random.Philox(key=seed).random_raw((len(times), 5))
    walk = 110_000 + np.cumsum((raw[:, 0] % 21).astype(np.int64) - 10)
    close = walk + (raw[:, 1] % 15).astype(np.int64)
    high = np.maximum(walk, close) + (raw[:, 2] % 9).astype(np.int64)
    low = np.minimum(walk, close) - (raw[:, 3] % 9).astype(np.int64)
    columns: dict[str, Column] = {
        "open_ns": times,
        "open": walk / 100_000,
        "high": high / 100_000,
        "low": low / 100_000,
        "close": close / 100_000,
        "volume": (raw[:, 4] % 1000).astype(np.int64) / 10,
    }
    if with_ask:
        columns |= {
            f"ask_{name}": (ticks + 8) / 100_000
            for name, ticks in (("open", walk), ("high", high), ("low", low), ("close", close))
        }
    return SeriesContent(symbol=symbol, frame=frame, price_basis="BID", columns=columns)
