"""The window of a run against the data of its instruments."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxgate_engine.config import RunConfig, parse_config
from boxgate_engine.datasets import Dataset, SeriesContent, open_dataset
from boxgate_engine.datasets.store import NewSeries, freeze
from boxgate_engine.errors import ConfigInvalid
from boxgate_engine.instruments import Instrument
from boxgate_engine.market import Market, warmup_events

HOUR_NS = 3_600_000_000_000
START_NS = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC."""


def content(symbol: str, first_hour: int, hours: int) -> SeriesContent:
    price = np.full(hours, 100.0)
    columns: dict[str, Any] = {"open_ns": START_NS + HOUR_NS * np.arange(first_hour, first_hour + hours)}
    columns |= {name: price.copy() for name in ("open", "high", "low", "close")}
    columns["volume"] = np.ones(hours)
    return SeriesContent(symbol=symbol, frame="H1", price_basis="BID", columns=columns)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """LONG has 60 days of hours, SHORT the first 10 of them."""
    contents = [content("LONG", 0, 24 * 60), content("SHORT", 0, 24 * 10)]
    instruments = [
        Instrument(
            symbol=one.symbol, asset_class="crypto", quote_currency="USD", tick_size=Fraction(1), lot_size=Fraction(1)
        )
        for one in contents
    ]
    series = [NewSeries(content=one, source="test", licence="none") for one in contents]
    freeze(tmp_path / "datasets", instruments, series, name="x")
    return open_dataset(tmp_path / "datasets", "x", cache_dir=tmp_path / "cache")


def config(instruments: str, start: str, end: str, frames: str = "[H1]") -> RunConfig:
    return parse_config(
        f"""
        strategy: {{command: [python, x.py]}}
        dataset: x
        instruments: {instruments}
        frames: {frames}
        window: {{start: {start}, end: {end}}}
        account: {{currency: USD, cash: 1000}}
        costs: {{spread: none}}
        """
    )


def test_an_instrument_without_an_event_in_the_window_is_refused(dataset: Dataset) -> None:
    with pytest.raises(ConfigInvalid) as refusal:
        Market(config("[LONG, SHORT]", "2024-02-01", "2024-02-10"), dataset)
    assert "WINDOW_EMPTY" in str(refusal.value.problems[0].code) + refusal.value.what
    assert "SHORT H1" in refusal.value.expected


def test_first_leaves_the_warm_up_and_last_is_the_last_event(dataset: Dataset) -> None:
    market = Market(config("[LONG]", "first", "last"), dataset)
    assert market.window([0]) == (START_NS, START_NS + 24 * 60 * HOUR_NS)
    start_ns, _ = market.window([100])
    assert start_ns == START_NS + 100 * HOUR_NS
    assert market.tape(start_ns, start_ns + HOUR_NS).events == 1


def test_a_window_wider_than_the_data_is_told(dataset: Dataset) -> None:
    market = Market(config("[LONG, SHORT]", "2024-01-02", "2024-02-10"), dataset)
    start_ns, end_ns = market.window([0, 0])
    clauses = market.uncovered(start_ns, end_ns)
    assert len(clauses) == 1
    assert clauses[0].startswith("SHORT H1 has data from 2024-01-01T01:00")


def test_a_weekend_at_the_end_of_the_window_is_not_told(dataset: Dataset) -> None:
    market = Market(config("[LONG]", "2024-01-02", "2024-03-03"), dataset)
    assert market.uncovered(*market.window([0])) == []


@pytest.mark.parametrize(
    ("declared", "policy", "min_bars", "expected"),
    [
        (100, "auto", 2000, (100, 110)),
        (0, "auto", 2000, (2000, 2000)),
        (400, "auto", 0, (400, 440)),
        (0, "auto", 0, (0, 0)),
        (100, "min_bars", 30, (100, 100)),
        (100, "min_bars", 300, (300, 300)),
    ],
)
def test_the_warm_up_follows_the_policy(declared: int, policy: str, min_bars: int, expected: tuple[int, int]) -> None:
    assert warmup_events(declared, policy=policy, min_bars=min_bars, safety_margin=0.10) == expected
