"""The stock of a process: what its runs need and none of them changes, so that the next run finds it ready."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Dataset, is_remote
from boxgate_engine.datasets.catalogue import FILE_NAME
from boxgate_engine.datasets.names import hash_in
from boxgate_engine.errors import DataDamaged
from boxgate_engine.identity import files_digest, source_files
from boxgate_engine.market import Market
from boxgate_server.outcome import Watcher
from boxgate_server.run_dataset import run_dataset

_DATASETS_MAX: Final = 4
_MARKETS_MAX: Final = 8
_DIGESTS_MAX: Final = 8
_SETTLED_NS: Final = 2_000_000_000
"""A file that was last changed this long before it was read has another time of change if it is changed again."""

_Facts = tuple[int, int, int, int, int]


class Stock:
    """Datasets, markets and digests of strategies, each made by the first run that needs it.

    Nothing here is a result: a dataset is what its hash says, a market what config and dataset say, and a digest is
    computed anew as soon as the file system says anything else of a file.
    """

    def __init__(self, folder: Path) -> None:
        """Begin empty. folder: where relative paths start."""
        self._folder = folder
        self._datasets: dict[Any, Dataset] = {}
        self._markets: list[tuple[Dataset, tuple[Any, ...], Market]] = []
        self._digests: dict[Any, tuple[list[str], tuple[_Facts | None, ...], str]] = {}

    def dataset(self, config: RunConfig, watcher: Watcher) -> Dataset:
        """Return the dataset that a config names, opened: none of its mapped files has changed."""
        key = self._dataset_key(config)
        kept = self._datasets.pop(key, None)
        if kept is None or not _is_unchanged(kept):
            kept = run_dataset(config, self._folder, watcher)
            key = self._dataset_key(config)  # opening may have made it
        if key is not None:
            self._datasets[key] = kept
            _keep_last(self._datasets, _DATASETS_MAX)
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

    def strategy_digest(self, config: RunConfig, store: Path) -> str:
        """Return the digest of the files of a config's strategy as they are now. store: never part of them."""
        strategy, data = config.strategy, config.data_provider
        folders = (config.artifacts, data.root, data.cache.local_dir)
        exclude = [store, *(self._folder / name for name in folders)]
        files = source_files(strategy.command, strategy.sources, folder=self._folder, exclude=exclude)
        key = (strategy.command, strategy.sources, store, folders)
        now_ns = time.time_ns()
        signature = tuple(_facts(path) for path in files.values())
        known = self._digests.pop(key, None)
        digest = known[2] if known is not None and known[:2] == (list(files), signature) else files_digest(files)
        if all(_is_settled(facts, now_ns) for facts in signature):
            self._digests[key] = (list(files), signature, digest)
            _keep_last(self._digests, _DIGESTS_MAX)
        return digest

    def _dataset_key(self, config: RunConfig) -> Any:
        """Return what tells whether a config means the dataset that is open already; None where nothing does."""
        data = config.data_provider
        if not data.memory_map:  # it would hold its memory
            return None
        version = None
        if hash_in(config.dataset) is None:
            if is_remote(data.root):
                return None
            version = _facts(self._folder / data.root / FILE_NAME)
            if not _is_settled(version, time.time_ns()):
                return None
        return data.root, data.cache.local_dir, data.cache.size_max, config.dataset, version


def _is_unchanged(dataset: Dataset) -> bool:
    try:
        dataset.check_unchanged()
    except DataDamaged:
        return False
    return True


def _facts(path: Path) -> _Facts | None:
    """Return (time of change of the content, of the file, size, number, device); None if there is no such file."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino, facts.st_dev


def _is_settled(facts: _Facts | None, now_ns: int) -> bool:
    """Return whether any change from now on would show in the facts."""
    return facts is not None and max(facts[:2]) < now_ns - _SETTLED_NS


def _keep_last(kept: dict[Any, Any], count: int) -> None:
    while len(kept) > count:
        del kept[next(iter(kept))]
