"""The dataset of a run: fetched, made or found, then opened."""

from __future__ import annotations

from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import DEMO_NAME, Dataset, ensure_demo, has_demo, is_remote, local_root, open_dataset
from boxgate_server.outcome import Watcher


def run_dataset(config: RunConfig, folder: Path, watcher: Watcher) -> Dataset:
    """Return the dataset that a config names. folder: where relative paths start."""
    provider = config.data_provider
    cache = folder / provider.cache.local_dir
    remote = is_remote(provider.root)
    if remote:
        watcher.stage(f"fetching what is missing of the dataset {config.dataset}")
    # The demo is the same wherever it is made, so it is never fetched.
    named = None if config.dataset == DEMO_NAME else config.dataset
    root = local_root(provider.root if remote else folder / provider.root, cache, named)
    first_use = " (made on first use)" if config.dataset == DEMO_NAME and not has_demo(root) else ""
    watcher.stage(f"opening the dataset {config.dataset}{first_use}")
    if config.dataset == DEMO_NAME:
        return ensure_demo(root, cache, memory_map=provider.memory_map, cache_size_max=provider.cache.size_max)
    return open_dataset(
        root,
        config.dataset,
        cache_dir=cache,
        memory_map=provider.memory_map,
        cache_size_max=provider.cache.size_max,
    )
