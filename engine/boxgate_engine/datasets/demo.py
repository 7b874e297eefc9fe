"""The dataset `demo`: synthetic, made on first use, the same on every machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from boxgate_engine.datasets.adding import add_series
from boxgate_engine.datasets.catalogue import read_catalogue
from boxgate_engine.datasets.dataset import Dataset, open_dataset
from boxgate_engine.datasets.durable import locked
from boxgate_engine.datasets.eviction import SIZE_MAX_DEFAULT
from boxgate_engine.datasets.store import dataset_folder
from boxgate_engine.datasets.synth import synthesise
from boxgate_engine.datasets.synthetic import synthetic_series

DEMO_NAME: Final = "demo"
"""Its name in the catalogue."""

_SEED: Final = 20240101
_START_NS: Final = 1_702_857_600_000_000_000
"""2023-12-18 00:00 UTC, two weeks before the windows of the examples: room for warm-up."""
_END_NS: Final = 1_719_792_000_000_000_000
"""2024-07-01 00:00 UTC."""
_BAR_SYMBOLS: Final = ("EURUSD", "GBPUSD", "AUDUSD", "NZDUSD", "XAUUSD", "BTCUSDT", "ETHUSDT")
_TICK_SYMBOL: Final = "EURUSD"
_TICKS_FROM_NS: Final = 1_704_153_600_000_000_000
"""2024-01-02 00:00 UTC."""
_TICKS_TO_NS: Final = 1_704_499_200_000_000_000
"""2024-01-06 00:00 UTC."""


def ensure_demo(
    root: Path, cache_dir: Path, *, memory_map: bool = True, cache_size_max: int = SIZE_MAX_DEFAULT
) -> Dataset:
    """Return the dataset `demo`, made and catalogued if the catalogue has no such name.

    M1 bars of EURUSD, GBPUSD, AUDUSD, NZDUSD, XAUUSD (bid and ask) and of BTCUSDT, ETHUSDT (trades with volume) from
    2023-12-18 to 2024-07-01, and the ticks of EURUSD from 2024-01-02 to 2024-01-06. An entry `demo` that exists is
    taken as it is.
    """
    if not has_demo(root):  # The root may be read-only where there is nothing to make.
        with locked(root / ".demo.lock"):
            if not has_demo(root):
                _make(root)
    return open_dataset(root, DEMO_NAME, cache_dir=cache_dir, memory_map=memory_map, cache_size_max=cache_size_max)


def has_demo(root: Path) -> bool:
    """Return whether the dataset `demo` is there. Raises DataRefused (DATA_CATALOGUE)."""
    entry = read_catalogue(root).get(DEMO_NAME)
    return entry is not None and dataset_folder(root, entry).is_dir()


def _make(root: Path) -> None:
    markets = {symbol: synthesise(_SEED, symbol, _START_NS, _END_NS) for symbol in _BAR_SYMBOLS}
    contents = [market.bars() for market in markets.values()]
    contents.append(markets[_TICK_SYMBOL].ticks(_TICKS_FROM_NS, _TICKS_TO_NS))
    series = [synthetic_series(markets[content.symbol], content, _SEED) for content in contents]
    add_series(root, series, name=DEMO_NAME)
