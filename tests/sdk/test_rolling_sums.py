"""Rolling sums are written out for their length: they equal the plain loop, and can be copied."""

from __future__ import annotations

import copy
import math
import pickle
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_sdk import rolling, vector
from boxgate_sdk.indicators import Sma

_VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.sampled_from((1.1, 1.2, 0.1, -0.0, 1e300)), st.just(math.nan)
)


def _blocks(values: list[float]) -> float:
    """Add a block of 2^k values: each half by itself, the earlier one first."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return _blocks(values[:half]) + _blocks(values[half:])


def _sum(values: list[float], n: int) -> float:
    """Add the last n values as the documentation of boxgate_sdk.rolling says."""
    if len(values) < n:
        return math.nan
    end, parts = len(values), []
    for k in range(n.bit_length()):
        if n >> k & 1:
            parts.append(_blocks(values[end - (1 << k) : end]))
            end -= 1 << k
    total = parts[0]
    for part in parts[1:]:
        total = part + total
    return total


@given(n=st.one_of(st.integers(1, 70), st.sampled_from((127, 128, 200, 255, 300))), data=st.data())
def test_a_rolling_sum_is_that_of_the_blocks_of_its_last_values(n: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(_VALUES, min_size=1, max_size=n + 60))
    total, mean = rolling.RollingSum(n), rolling.RollingMean(n)
    got = [(total.push(value), mean.push(value)) for value in values]
    sums = [_sum(values[: i + 1], n) for i in range(len(values))]
    expected = [(value, value / n) for value in sums]
    assert np.array_equal(np.array(got), np.array(expected), equal_nan=True)


@pytest.mark.parametrize("n", [1, 2, 16, 17, 33, 500, 1000, 4999])
def test_long_sums_equal_those_of_windows_to_the_last_bit(n: int) -> None:
    generator = random.Random(n)
    values = [generator.gauss(1.0, 1e-4) * 10 ** generator.randrange(-3, 4) for _ in range(3 * n + 50)]
    by_bar, whole = rolling.RollingMean(n), vector.RollingMean(n)
    expected = np.array([by_bar.push(value) for value in values])
    cut = generator.randrange(len(values))
    parts = [whole.push(np.array(values[:cut])), whole.push(np.array(values[cut:]))]
    assert np.concatenate(parts).tobytes() == expected.tobytes()


@pytest.mark.parametrize("n", [1, 10, 30, 200])
@pytest.mark.parametrize("made", [rolling.RollingSum, rolling.RollingMean, Sma])
def test_a_copy_goes_on_by_itself(made: type[rolling.RollingSum], n: int) -> None:
    generator = random.Random(n)
    first = made(n)
    for _ in range(generator.randrange(2 * n)):
        first.push(generator.random())
    copies = [copy.deepcopy(first), pickle.loads(pickle.dumps(first))]
    values = [generator.random() for _ in range(3 * n)]
    expected = [first.push(value) for value in values]
    for other in copies:
        got = [other.push(value) for value in values]
        assert np.array_equal(got, expected, equal_nan=True)
        assert other.n == n
