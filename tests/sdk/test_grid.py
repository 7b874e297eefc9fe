"""Rounding: checked against exact fractions."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

from boxgate_sdk.grid import round_price, round_qty

_GRIDS = [(1, 100_000), (1, 1000), (1, 100), (1, 4), (1, 1), (25, 100), (1000, 1), (3, 7)]


@pytest.mark.parametrize(("num", "den"), _GRIDS)
def test_a_grid_value_is_the_correctly_rounded_quotient_and_stays_where_it_is(num: int, den: int) -> None:
    generator = random.Random(1)
    for _ in range(300):
        n = generator.randrange(0, 10**9)
        value = float(Fraction(n * num, den))
        assert round_qty(value, num, den) == value
        assert round_price(value, num, den) == value


@pytest.mark.parametrize(("num", "den"), _GRIDS)
def test_qty_is_rounded_toward_zero(num: int, den: int) -> None:
    generator = random.Random(2)
    for _ in range(300):
        qty = generator.uniform(0.0, 1e5)
        rounded = round_qty(qty, num, den)
        steps = round(Fraction(rounded) * den / num)
        assert float(Fraction(steps * num, den)) == rounded <= qty
        assert float(Fraction((steps + 1) * num, den)) > qty


@pytest.mark.parametrize(("num", "den"), _GRIDS)
def test_prices_are_rounded_to_the_nearest_tick(num: int, den: int) -> None:
    generator = random.Random(3)
    for _ in range(300):
        price = generator.uniform(0.5, 5e4)
        steps = round(Fraction(round_price(price, num, den)) * den / num)
        assert abs(Fraction(steps * num, den) - Fraction(price)) <= Fraction(num, den) / 2 + Fraction(1, 10**8)


def test_a_half_tick_goes_to_the_even_one() -> None:
    assert round_price(0.125, 1, 4) == 0.0
    assert round_price(0.375, 1, 4) == 0.5


@pytest.mark.parametrize("value", [math.inf, 1e308, 1e300])
def test_what_is_beyond_the_grid_is_left_for_the_gateway_to_refuse(value: float) -> None:
    assert round_qty(value, 1, 100) == value
    assert round_price(value, 1, 100) == value
    assert math.isnan(round_qty(math.nan, 1, 100))
    assert math.isnan(round_price(math.nan, 1, 100))
