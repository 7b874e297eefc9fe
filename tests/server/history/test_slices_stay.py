"""The slices of a session: nothing evicts them between their making and the moment at which the sidecar maps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from boxgate_engine.datasets.eviction import cache_entries
from boxgate_engine.market import Feed
from boxgate_engine.timestamps import parse_utc_ns
from boxgate_server.history.handles import offered_handles


def test_slices_are_in_use_while_their_handles_are_offered_and_free_afterwards(dataset: Any, tmp_path: Path) -> None:
    feeds = [
        Feed(index=index, instrument=index, series=dataset.series(symbol, "M1"))
        for index, symbol in enumerate(("EURUSD", "XAUUSD"))
    ]
    cache, start_ns = tmp_path / "slices", parse_utc_ns("2024-01-04")
    with offered_handles(dataset, feeds, session_id="s", start_ns=start_ns, cache_dir=cache) as handles:
        assert [entry.in_use for entry in cache_entries(cache)] == [True, True]
        assert {entry.path.resolve() for entry in cache_entries(cache)} == {Path(handle.path) for handle in handles}
    assert [entry.in_use for entry in cache_entries(cache)] == [False, False]
