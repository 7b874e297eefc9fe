"""The stock of a process: what its runs need and none of them changes, so that the next run finds it ready."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from boxgate_engine.artefacts import prepare_store
from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Dataset, is_remote
from boxgate_engine.datasets.catalogue import FILE_NAME
from boxgate_engine.datasets.names import hash_in
from boxgate_engine.errors import DataDamaged
from boxgate_engine.kernel import is_compiled
from boxgate_engine.market import Market
from boxgate_engine.simulation import compile_kernel
from boxgate_server.folders import check_folders
from boxgate_server.outcome import Watcher
from boxgate_server.run_dataset import run_dataset
from boxgate_server.sessions._feedback_windows import compile_writer
from boxgate_server.sessions._signal_rows import compile_reader
from boxgate_server.strategy_files import file_facts, is_settled

_DATASETS_MAX: Final = 4
_MARKETS_MAX: Final = 8


class Stock:
    """Datasets and markets, each opened by the first run that needs it, and what needs no second look.

    Nothing here is a result: a dataset is what its hash says, a market what config and dataset say.
    """

    def __init__(self, folder: Path) -> None:
        """Begin empty. folder: where relative paths start."""
        self._folder = folder
        self._checked: set[Any] = set()
        self._is_compiled = False
        self._datasets: dict[Any, Dataset] = {}
        self._markets: list[tuple[Dataset, tuple[Any, ...], Market]] = []

    def check_folders(self, config: RunConfig, store: Path) -> None:
        """Check the folders of a config and make its store, once. Raises ConfigInvalid or StoreFailed."""
        data = config.data_provider
        folders = (store, config.artifacts, data.root, data.cache.local_dir)
        if folders not in self._checked:
            check_folders(config, self._folder)
            prepare_store(store)
            self._checked.add(folders)

    def compile_engine(self, watcher: Watcher) -> None:
        """Compile the engine if that was not done."""
        if not self._is_compiled and not is_compiled():
            watcher.stage("compiling the engine (once, about a minute)")
            compile_kernel()
            compile_reader()
            compile_writer()
        self._is_compiled = True

    def dataset(self, config: RunConfig, watcher: Watcher) -> Dataset:
        """Return the dataset that a config names, opened: none of its mapped files has changed."""
        key = self._dataset_key(config)
        kept = self._datasets.pop(key, None)
        if kept is None or not _is_unchanged(kept):
            kept = run_dataset(config, self._folder, watcher)
            key = self._dataset_key(config)  # opening may have made it
        if key is not None:
            self._datasets[key] = kept
            while len(self._datasets) > _DATASETS_MAX:
                del self._datasets[next(iter(self._datasets))]
        return kept

    def market(self, config: RunConfig, dataset: Dataset) -> Market:
        """Return the market of a config in its dataset."""
        parts = ("instruments", "frames", "window", "account", "costs", "execution", "mode")
        key = tuple(getattr(config, part) for part in parts)
        for place, (of, known, market) in enumerate(self._markets):
            if of is dataset and known == key:
                self._markets.append(self._markets.pop(place))
                return market
        market = Market(config, dataset, folder=self._folder)
        if not config.execution.calendars:  # those may be files
            self._markets = [*self._markets[1 - _MARKETS_MAX :], (dataset, key, market)]
        return market

    def _dataset_key(self, config: RunConfig) -> Any:
        """Return what tells whether a config means the dataset that is open already; None where nothing does."""
        data = config.data_provider
        if not data.memory_map:  # it would hold its memory
            return None
        version = None
        if hash_in(config.dataset) is None:
            if is_remote(data.root):
                return None
            version = file_facts(self._folder / data.root / FILE_NAME)
            if not is_settled(version, time.time_ns()):
                return None
        return data.root, data.cache.local_dir, data.cache.size_max, config.dataset, version


def _is_unchanged(dataset: Dataset) -> bool:
    try:
        dataset.check_unchanged()
    except DataDamaged:
        return False
    return True
