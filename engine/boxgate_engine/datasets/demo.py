"""The dataset `demo`: synthetic, made on first use, the same on every machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.adding import add_series
from boxgate_engine.datasets.catalogue import read_catalogue
from boxgate_engine.datasets.dataset import Dataset, open_dataset
from boxgate_engine.datasets.durable import locked
from boxgate_engine.datasets.eviction import SIZE_MAX_DEFAULT
from boxgate_engine.datasets.store import dataset_folder, find
from boxgate_engine.datasets.synth import synthesise
from boxgate_engine.datasets.synthetic import SOURCE, synthetic_series
from boxgate_engine.errors import BoxgateError
from boxgate_engine.frames import TICK

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
    """Return the dataset `demo`, made and catalogued if the catalogue has no such name, completed if it is of before.

    M1 bars of EURUSD, GBPUSD, AUDUSD, NZDUSD, XAUUSD (bid and ask) and of BTCUSDT, ETHUSDT (trades with volume) from
    2023-12-18 to 2024-07-01, and the ticks of EURUSD from 2024-01-02 to 2024-01-06. To an entry `demo` that an earlier
    version made, with fewer series, the others are added: a new dataset under the name, the old one stays in the
    store. Where the root cannot be written, and where it has other data, it is taken as it is.
    """
    if not has_demo(root):  # The root may be read-only where there is nothing to make.
        with locked(root / ".demo.lock"):
            if not has_demo(root):
                _make(root)
    return open_dataset(root, DEMO_NAME, cache_dir=cache_dir, memory_map=memory_map, cache_size_max=cache_size_max)


def has_demo(root: Path) -> bool:
    """Return whether the dataset `demo` is there with all that it has. Raises DataRefused (DATA_CATALOGUE)."""
    entry = read_catalogue(root).get(DEMO_NAME)
    if entry is None or not dataset_folder(root, entry).is_dir():
        return False
    return not _absent(root) or not os.access(root, os.W_OK)


def _absent(root: Path) -> list[tuple[str, str]]:
    """Return symbol and frame of each series that the demo of the catalogue lacks; none if it is not of our making."""
    keys = [(symbol, "M1") for symbol in _BAR_SYMBOLS] + [(_TICK_SYMBOL, TICK)]
    entry = read_catalogue(root).get(DEMO_NAME)
    if entry is None or not dataset_folder(root, entry).is_dir():
        return keys
    try:
        stored = find(root, DEMO_NAME)[1].series
    except BoxgateError:
        return []  # opening it tells what is wrong with it
    if any(one.source != SOURCE for one in stored):
        return []
    there = {(one.symbol, one.frame) for one in stored}
    return [key for key in keys if key not in there]


def _make(root: Path) -> None:
    series = []
    for symbol, frame in _absent(root):
        market = synthesise(_SEED, symbol, _START_NS, _END_NS)
        content = market.ticks(_TICKS_FROM_NS, _TICKS_TO_NS) if frame == TICK else market.bars()
        series.append(synthetic_series(market, content, _SEED))
    add_series(root, series, name=DEMO_NAME)
