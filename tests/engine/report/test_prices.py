"""What of a price series is drawn."""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from boxgate_engine.instruments import Instrument
from boxgate_engine.report.prices import (
    BUCKETS_ALL,
    BUCKETS_MAX,
    CANDLES_MAX,
    PricePanel,
    decimals_by_symbol,
    price_decimals,
    price_figures,
    tick_decimals,
)


def figures_of(panels: Sequence[PricePanel]) -> list[dict[str, Any]]:
    return price_figures(panels, decimals_by_symbol(panels, ()))


def panel(rows: int, frame: str = "M1", symbol: str = "EURUSD") -> PricePanel:
    rng = np.random.Generator(np.random.Philox(key=5))
    close = np.round(1.1 + np.cumsum(rng.normal(size=rows)) * 1e-5, 5)
    return PricePanel(
        symbol=symbol,
        frame=frame,
        time_ns=1_704_067_200_000_000_000 + np.arange(rows, dtype=np.int64) * 60_000_000_000,
        open=close,
        high=close if frame == "tick" else close + 0.0001,
        low=close if frame == "tick" else close - 0.0001,
        close=close,
    )


def test_few_bars_are_candles_and_many_are_their_extremes() -> None:
    (few,) = figures_of([panel(CANDLES_MAX)])
    (many,) = figures_of([panel(CANDLES_MAX + 1)])
    assert (few["style"], len(few["open"])) == ("candles", CANDLES_MAX)
    assert many["style"] == "extremes"


def test_a_year_of_minutes_is_thinned_to_the_limit_and_keeps_highest_and_lowest() -> None:
    year = panel(370_000)
    (figure,) = figures_of([year])
    assert len(figure["value"]) <= 2 * BUCKETS_MAX + 2
    assert len(figure["value"]) == len(figure["time"]["steps"])
    assert (min(figure["value"]), max(figure["value"])) == (year.low.min(), year.high.max())


def test_many_instruments_share_one_limit() -> None:
    figures = figures_of([panel(60_000, symbol=f"S{number}") for number in range(12)])
    assert sum(len(figure["value"]) for figure in figures) <= 2 * BUCKETS_ALL + 2 * 12


def test_a_tick_is_drawn_once() -> None:
    (figure,) = figures_of([panel(500, "tick")])
    assert figure["style"] == "extremes"
    assert len(figure["value"]) <= 500


def test_a_series_without_rows_has_a_figure_of_nothing() -> None:
    (figure,) = figures_of([panel(0)])
    assert (figure["rows"], figure["lowest"], figure["open"]) == (0, None, [])
    json.dumps(figure, allow_nan=False)


def test_prices_are_shown_with_the_decimals_that_they_have() -> None:
    assert price_decimals(np.array([1.1, 1.10005])) == 5
    assert price_decimals(np.array([42_000.0, 42_001.5])) == 1
    assert price_decimals(np.array([3.0])) == 0
    assert price_decimals(np.empty(0)) == 0
    assert price_decimals(np.array([1 / 3])) == 8


def test_the_tick_says_the_decimals_where_the_prices_do_not_use_the_last_one() -> None:
    close = np.array([88.73, 88.7, 88.75])
    sol = PricePanel(
        symbol="SOLUSDT", frame="H1", time_ns=np.arange(3, dtype=np.int64), open=close, high=close, low=close,
        close=close,
    )  # fmt: skip
    instrument = Instrument(
        symbol="SOLUSDT",
        asset_class="crypto",
        quote_currency="USDT",
        tick_size=Fraction(1, 1000),
        lot_size=Fraction(1),
    )
    assert decimals_by_symbol([sol], [instrument]) == {"SOLUSDT": 3}
    assert decimals_by_symbol([sol], []) == {"SOLUSDT": 2}
    assert decimals_by_symbol([], [instrument]) == {"SOLUSDT": 3}


def test_without_a_tick_every_price_of_a_bar_counts() -> None:
    bars = panel(10)
    assert decimals_by_symbol([bars], ()) == {"EURUSD": 5}
    whole = np.ones(2)
    spike = PricePanel(
        symbol="X", frame="M1", time_ns=np.arange(2, dtype=np.int64), open=whole, high=np.array([1.0, 1.25]),
        low=whole, close=whole,
    )  # fmt: skip
    assert decimals_by_symbol([spike], ()) == {"X": 2}


@pytest.mark.parametrize(
    ("tick", "decimals"), [((1, 1), 0), ((5, 1), 0), ((1, 4), 2), ((1, 100_000), 5), ((1, 32), 5), ((1, 3), 8)]
)
def test_a_tick_needs_the_decimals_of_its_multiples(tick: tuple[int, int], decimals: int) -> None:
    assert tick_decimals(Fraction(*tick)) == decimals
