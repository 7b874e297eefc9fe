"""Larger frames against a plain loop over the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boxgate_engine.datasets import SeriesContent
from boxgate_engine.datasets.aggregation import aggregate
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS

Bars = Callable[..., SeriesContent]

_MONDAY_NS = 345_600_000_000_000
"""1970-01-05 00:00 UTC."""


def _loop(content: SeriesContent, frame: str) -> dict[str, list[float]]:
    """The same rules, row by row."""
    duration = FRAME_NS[frame]
    origin = _MONDAY_NS if frame == "W1" else 0
    ticks = content.frame == "tick"
    sides = ["", "ask_"] if content.has_ask else [""]
    out: dict[str, list[float]] = {}
    rows = {name: values.tolist() for name, values in content.columns.items()}
    bars: list[dict[str, float]] = []
    for index, time in enumerate(rows["time_ns" if ticks else "open_ns"]):
        open_ns = (time - origin) // duration * duration + origin
        if not bars or bars[-1]["open_ns"] != open_ns:
            bars.append({"open_ns": open_ns, "volume": 0.0})
        bar = bars[-1]
        bar["volume"] += rows["volume"][index] if "volume" in rows else 1.0
        for side in sides:
            price = rows["ask" if side else "bid"][index] if ticks else None
            for name, pick in (("open", None), ("high", max), ("low", min), ("close", None)):
                value = price if price is not None else rows[side + name][index]
                key = side + name
                if key not in bar or name == "close":
                    bar[key] = value
                elif pick is not None:
                    bar[key] = pick(bar[key], value)
    for bar in bars:
        for key, value in bar.items():
            out.setdefault(key, []).append(value)
    return out


def _assert_equal(content: SeriesContent, frame: str) -> None:
    made = aggregate(content, frame)
    expected = _loop(content, frame)
    assert set(made.columns) == set(expected)
    for name, values in made.columns.items():
        assert values.tolist() == expected[name], f"{frame} {name}"
    assert made.frame == frame


@pytest.mark.parametrize("frame", ["M5", "M15", "M30", "H1", "H4", "D1", "W1"])
def test_larger_bars_of_real_minutes(store: Any, shared_data: Path, frame: str) -> None:
    files = sorted(shared_data.glob("lean/forex/oanda/minute/eurusd/*.zip"))
    store.take(*files, zone="UTC", name="fx")
    content = store.open("fx").series("EURUSD", "M1").content()
    _assert_equal(content, frame)
    cached = store.open("fx").series("EURUSD", frame)
    assert cached.columns["close"].tolist() == _loop(content, frame)["close"]
    assert (cached.price_basis, cached.has_ask) == ("BID", True)


@pytest.mark.parametrize("frame", ["M1", "H1"])
def test_bars_of_real_ticks(store: Any, shared_data: Path, frame: str) -> None:
    files = sorted(shared_data.glob("lean/forex/oanda/tick/eurusd/*.zip"))[:3]
    store.take(*files, zone="UTC", name="t")
    _assert_equal(store.open("t").series("EURUSD", "tick").content(), frame)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # the fixture is a function without state
@given(
    steps=st.lists(st.integers(1, 3000), min_size=1, max_size=200),
    start=st.integers(0, 20_000),
    frame=st.sampled_from(["M5", "M15", "M30", "H1", "H4", "D1", "W1"]),
    with_ask=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_larger_bars_of_any_minutes(
    bars: Bars, steps: list[int], start: int, frame: str, with_ask: bool, seed: int
) -> None:
    opens = [(start + int(total)) * FRAME_NS["M1"] for total in np.cumsum(steps)]
    _assert_equal(bars(opens_ns=opens, with_ask=with_ask, seed=seed), frame)


def test_volumes_are_added_one_after_the_other(bars: Bars) -> None:
    content = bars(64)
    volume = np.array([1e16] + [1.0] * 62 + [-1e16])
    content.columns["volume"] = volume
    total = 0.0
    for value in volume.tolist():
        total += value
    made = aggregate(content, "D1").columns["volume"].tolist()
    assert made == [total]
    assert made != [float(np.sum(volume))] or total == float(np.sum(volume))


def test_the_largest_stored_frame_that_fits_is_the_source(store: Any, bars: Bars) -> None:
    hours = bars(frame="H1", opens_ns=[FRAME_NS["H1"] * (1 + index) for index in range(100)])
    minutes = bars(100, seed=5)
    store.freeze(minutes, hours)
    opened = store.open("x")
    assert opened.frames("EURUSD") == ["M1", "H1"]
    assert opened.series("EURUSD", "H4").columns["open"].tolist() == _loop(hours, "H4")["open"]
    assert opened.series("EURUSD", "M30").columns["open"].tolist() == _loop(minutes, "M30")["open"]


def test_bars_that_reach_over_the_end_of_a_larger_bar_are_not_aggregated(store: Any, bars: Bars) -> None:
    half_past = [FRAME_NS["H1"] * (1 + index) + FRAME_NS["M30"] for index in range(100)]
    store.freeze(bars(frame="H1", opens_ns=half_past))
    with pytest.raises(DataRefused) as caught:
        store.open("x").series("EURUSD", "H4")
    assert caught.value.error_code == "FRAME_UNAVAILABLE"


def test_a_new_source_makes_new_bars(store: Any, bars: Bars) -> None:
    for seed in (1, 2):
        store.freeze(bars(500, seed=seed), name="x")
        made = store.open("x").series("EURUSD", "H1").columns["close"].tolist()
        assert made == _loop(bars(500, seed=seed), "H1")["close"]
