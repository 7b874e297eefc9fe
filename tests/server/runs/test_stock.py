"""What is kept between runs is never older than what it stands for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets import Dataset
from boxgate_engine.errors import DataRefused
from boxgate_server import strategy_files
from boxgate_server.outcome import Watcher
from boxgate_server.stock import Stock

Configs = Callable[..., RunConfig]


@pytest.fixture
def stock(folder: Path) -> Stock:
    return Stock(folder)


@pytest.fixture
def settled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file of now count as written long ago."""
    monkeypatch.setattr(strategy_files, "SETTLED_NS", -(10**12))


def opened(stock: Stock, config: RunConfig) -> Dataset:
    return stock.dataset(config, Watcher())


@pytest.mark.usefixtures("settled")
def test_a_dataset_is_opened_once(stock: Stock, config_of: Configs) -> None:
    first = opened(stock, config_of())
    first.series("EURUSD", "M1")
    assert opened(stock, config_of("strategy.params.every=7")) is first
    by_hash = opened(stock, config_of(f"dataset={first.hash}"))
    assert by_hash.hash == first.hash
    assert opened(stock, config_of(f"dataset={first.hash}")) is by_hash


@pytest.mark.usefixtures("settled")
def test_a_dataset_without_maps_is_not_kept(stock: Stock, config_of: Configs) -> None:
    config = config_of("data_provider.memory_map=false")
    assert opened(stock, config) is not opened(stock, config)


@pytest.mark.usefixtures("settled")
def test_a_name_that_stands_for_another_dataset_is_opened_anew(
    folder: Path, datasets_root: Path, stock: Stock, config_of: Configs
) -> None:
    (folder / "datasets").unlink()
    shutil.copytree(datasets_root, folder / "datasets")
    catalogue = folder / "datasets" / "datasets.yaml"
    first = opened(stock, config_of())
    catalogue.write_text(catalogue.read_text().replace("small:", "other:") + f"small: {'a' * 64}\n")
    with pytest.raises(DataRefused, match="is not in the store"):
        opened(stock, config_of())
    assert opened(stock, config_of("dataset=other")).hash == first.hash


@pytest.mark.usefixtures("settled")
def test_a_dataset_whose_map_was_changed_is_opened_anew(stock: Stock, config_of: Configs) -> None:
    first = opened(stock, config_of())
    series = first.series("EURUSD", "M1")
    os.utime(series.path)
    again = opened(stock, config_of())
    assert again is not first
    assert again.series("EURUSD", "M1").rows == series.rows
    again.check_unchanged()


@pytest.mark.usefixtures("settled")
def test_a_market_is_shared_by_runs_that_differ_in_the_strategy_alone(stock: Stock, config_of: Configs) -> None:
    config = config_of()
    dataset = opened(stock, config)
    market = stock.market(config, dataset)
    assert stock.market(config_of("strategy.params.every=7", "tags=[x]"), dataset) is market
    for override in (
        "account.cash=5",
        "costs.fees_bps=1",
        "window.end=2024-01-03T12:00:00",
        "execution.path=olhc",
        "mode=prod",
        "frames=[M5]",
    ):
        assert stock.market(config_of(override), dataset) is not market
    assert stock.market(config, dataset) is market, "the last few are kept"
    for cash in range(10):
        stock.market(config_of(f"account.cash={cash + 1}"), dataset)
    assert stock.market(config, dataset) is not market
