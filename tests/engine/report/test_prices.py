"""What of a price series is drawn."""

from __future__ import annotations

import json

import numpy as np

from boxgate_engine.report.prices import (
    BUCKETS_ALL,
    BUCKETS_MAX,
    CANDLES_MAX,
    PricePanel,
    price_decimals,
    price_figures,
)


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
    (few,) = price_figures([panel(CANDLES_MAX)])
    (many,) = price_figures([panel(CANDLES_MAX + 1)])
    assert (few["style"], len(few["open"])) == ("candles", CANDLES_MAX)
    assert many["style"] == "extremes"


def test_a_year_of_minutes_is_thinned_to_the_limit_and_keeps_highest_and_lowest() -> None:
    year = panel(370_000)
    (figure,) = price_figures([year])
    assert len(figure["value"]) <= 2 * BUCKETS_MAX + 2
    assert len(figure["value"]) == len(figure["time"]["steps"])
    assert (min(figure["value"]), max(figure["value"])) == (year.low.min(), year.high.max())


def test_many_instruments_share_one_limit() -> None:
    figures = price_figures([panel(60_000, symbol=f"S{number}") for number in range(12)])
    assert sum(len(figure["value"]) for figure in figures) <= 2 * BUCKETS_ALL + 2 * 12


def test_a_tick_is_drawn_once() -> None:
    (figure,) = price_figures([panel(500, "tick")])
    assert figure["style"] == "extremes"
    assert len(figure["value"]) <= 500


def test_a_series_without_rows_has_a_figure_of_nothing() -> None:
    (figure,) = price_figures([panel(0)])
    assert (figure["rows"], figure["lowest"], figure["open"]) == (0, None, [])
    json.dumps(figure, allow_nan=False)


def test_prices_are_shown_with_the_decimals_that_they_have() -> None:
    assert price_decimals(np.array([1.1, 1.10005])) == 5
    assert price_decimals(np.array([42_000.0, 42_001.5])) == 1
    assert price_decimals(np.array([3.0])) == 0
    assert price_decimals(np.empty(0)) == 0
    assert price_decimals(np.array([1 / 3])) == 8
