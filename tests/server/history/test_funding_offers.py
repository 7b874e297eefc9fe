"""Funding rates are served beside the bars of their dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxgate_engine.datasets import ImportRequest, import_files, open_dataset
from boxgate_engine.errors import UserMistake
from boxgate_server.history.datasets import DatasetShelf

HOURS_MS = 1_704_153_600_000


def test_the_shelf_offers_rates_and_cuts_them_by_time(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-fundingRate-2024-01.csv"
    rows = [f"{HOURS_MS + i * 28_800_000},0.000{i}" for i in range(9)]
    path.write_text("\n".join(["fundingTime,fundingRate", *rows]) + "\n", encoding="utf-8")
    import_files(tmp_path / "datasets", ImportRequest(files=(path,), name="x"))
    dataset = open_dataset(tmp_path / "datasets", "x", cache_dir=tmp_path / "cache")
    shelf = DatasetShelf([dataset], "token")
    (offer,) = shelf.offers()
    assert (offer.symbol, offer.frame, offer.table.num_rows) == ("BTCUSDT", "funding", 9)
    assert offer.table["rate"].to_pylist() == [i / 10_000 for i in range(9)]
    third_ns = (HOURS_MS + 2 * 28_800_000) * 1_000_000
    assert shelf.offer(["x", "BTCUSDT", "funding", str(third_ns)]).table.num_rows == 3
    assert shelf.offer(["x", "BTCUSDT", "funding", str(third_ns - 1)]).table.num_rows == 2
    with pytest.raises(UserMistake, match="one of funding"):
        shelf.offer(["x", "BTCUSDT", "H1"])
