"""The stock of a process: what its runs need and none of them changes."""

from __future__ import annotations

from pathlib import Path

from boxgate_engine import identity as identities
from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Dataset
from boxgate_engine.market import Market
from boxgate_server.outcome import Watcher
from boxgate_server.run_dataset import run_dataset


class Stock:
    """Datasets, markets and digests of strategies, each made by the first run that needs it."""

    def __init__(self, folder: Path) -> None:
        """Begin empty. folder: where relative paths start."""
        self._folder = folder

    def dataset(self, config: RunConfig, watcher: Watcher) -> Dataset:
        """Return the dataset that a config names, opened."""
        return run_dataset(config, self._folder, watcher)

    def market(self, config: RunConfig, dataset: Dataset) -> Market:
        """Return the market of a config in its dataset."""
        return Market(config, dataset, folder=self._folder)

    def strategy_digest(self, config: RunConfig, store: Path) -> str:
        """Return the digest of the files of a config's strategy as they are now. store: never part of them."""
        strategy, data = config.strategy, config.data_provider
        folders = (config.artifacts, data.root, data.cache.local_dir)
        exclude = [store, *(self._folder / name for name in folders)]
        return identities.strategy_digest(strategy.command, strategy.sources, folder=self._folder, exclude=exclude)
