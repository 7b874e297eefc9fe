"""A run against buying and holding, compared with NumPy's regression."""

from __future__ import annotations

import math

import numpy as np
import pytest

from boxgate_engine.metrics.benchmark import benchmark_figures
from boxgate_engine.metrics.returns import DailyMarks


def marks(returns: np.ndarray) -> DailyMarks:
    equity = np.concatenate([[1000.0], 1000.0 * np.cumprod(1 + returns)])
    return DailyMarks(days=np.arange(len(equity), dtype=np.int64), marks=equity)


@pytest.fixture
def market() -> np.ndarray:
    return np.random.Generator(np.random.Philox(key=3)).normal(0.0005, 0.01, size=300)


def test_alpha_beta_and_correlation_are_those_of_a_regression(market: np.ndarray) -> None:
    noise = np.random.Generator(np.random.Philox(key=4)).normal(size=300) * 0.004
    own = 0.0002 + 0.7 * market + noise
    figures = benchmark_figures(marks(own), marks(market), 252)
    slope, intercept = np.polyfit(market, own, 1)
    assert figures["beta"] == pytest.approx(slope, rel=1e-9)
    assert figures["alpha"] == pytest.approx(intercept * 252, rel=1e-8)
    assert figures["correlation"] == pytest.approx(np.corrcoef(market, own)[0, 1], rel=1e-9)
    excess = own - market
    assert figures["tracking_error"] == pytest.approx(excess.std(ddof=1) * math.sqrt(252), rel=1e-9)
    assert figures["information_ratio"] == pytest.approx(excess.mean() / excess.std(ddof=1) * math.sqrt(252), rel=1e-8)


def test_the_market_itself_has_beta_one_and_no_alpha(market: np.ndarray) -> None:
    figures = benchmark_figures(marks(market), marks(market), 365)
    assert (figures["beta"], figures["correlation"], figures["alpha"]) == pytest.approx((1.0, 1.0, 0.0))
    assert (figures["tracking_error"], figures["information_ratio"]) == (0.0, None)


def test_a_run_that_never_traded_has_beta_zero(market: np.ndarray) -> None:
    figures = benchmark_figures(marks(np.zeros(300)), marks(market), 252)
    assert (figures["beta"], figures["alpha"], figures["correlation"]) == (0.0, 0.0, None)


@pytest.mark.parametrize("returns", [np.array([]), np.array([0.01]), np.array([-1.5, 0.1, 0.1])])
def test_without_returns_nothing_is_defined(returns: np.ndarray) -> None:
    figures = benchmark_figures(marks(returns), marks(returns), 252)
    assert [figures[name] for name in ("alpha", "beta", "correlation", "tracking_error")] == [None] * 4
