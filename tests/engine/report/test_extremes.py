"""What is thinned keeps its extremes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxgate_engine.report.extremes import thin, thin_bars, time_steps

VALUES = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=300)


@given(values=VALUES, buckets=st.integers(1, 40), step=st.integers(0, 10**15))
def test_a_thinned_curve_keeps_ends_and_extremes_in_order(values: list[float], buckets: int, step: int) -> None:
    curve = np.array(values)
    time_ns = np.cumsum(np.full(len(curve), step, dtype=np.int64))
    kept = thin(time_ns, curve, buckets)
    assert len(kept) <= 2 * buckets + 2
    assert np.all(np.diff(kept) > 0)
    assert (kept[0], kept[-1]) == (0, len(curve) - 1)
    assert (curve[kept].min(), curve[kept].max()) == (curve.min(), curve.max())


@given(values=st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=100, max_size=300), buckets=st.integers(1, 20))
def test_every_stretch_of_time_keeps_its_own_lowest_and_highest(values: list[float], buckets: int) -> None:
    curve = np.array(values)
    time_ns = 1_704_067_200_000_000_000 + np.arange(len(curve), dtype=np.int64) * 60_000_000_000
    kept = thin(time_ns, curve, buckets)
    width_ns = (time_ns[-1] - time_ns[0]) // buckets + 1
    bucket = (time_ns - time_ns[0]) // width_ns
    for number in range(buckets):
        inside = curve[bucket == number]
        shown = curve[kept][bucket[kept] == number]
        assert not len(inside) or (shown.min(), shown.max()) == (inside.min(), inside.max())


def test_a_short_curve_is_kept_whole_and_an_empty_one_stays_empty() -> None:
    assert thin(np.arange(4), np.array([1.0, 3.0, 2.0, 5.0]), 2).tolist() == [0, 1, 2, 3]
    assert thin(np.empty(0, dtype=np.int64), np.empty(0), 5).tolist() == []


def test_a_rising_bar_shows_its_low_first_and_a_falling_one_its_high() -> None:
    low, high = np.array([1.0, 1.0]), np.array([2.0, 2.0])
    kept = thin_bars(np.array([0, 60]), low, high, np.array([True, False]), 100)
    assert kept.tolist() == [0, 1, 2, 3]


@given(
    times=st.lists(st.integers(0, 4 * 10**18), max_size=50).map(sorted),
    unit=st.sampled_from([10**6, 10**9, 6 * 10**10]),
)
def test_steps_give_the_milliseconds_back(times: list[int], unit: int) -> None:
    time_ns = np.array([time // unit * unit for time in times], dtype=np.int64)
    found = time_steps(time_ns)
    assert (np.cumsum(found["steps"]) * found["unit_ms"]).tolist() == (time_ns // 1_000_000).tolist()
