"""The deflated Sharpe ratio against the numerical example of Bailey and Lopez de Prado (2014)."""

from __future__ import annotations

import math

import numpy as np
import pytest

from boxgate_engine.metrics.returns import expected_best_sharpe, growth_figures, probabilistic_sharpe

RETURNS = np.random.Generator(np.random.Philox(key=9)).normal(0.001, 0.01, size=500).tolist()


def test_the_best_of_a_hundred_worthless_trials_is_that_of_the_paper() -> None:
    assert expected_best_sharpe(100, math.sqrt(0.5 / 250)) == pytest.approx(0.1132, abs=5e-5)


def test_of_one_trial_it_is_the_probabilistic_ratio() -> None:
    figures = growth_figures(RETURNS, 252)
    assert figures["deflated_sharpe"] == figures["probabilistic_sharpe"] == probabilistic_sharpe(RETURNS, benchmark=0.0)


def test_more_trials_deflate_more() -> None:
    found = [
        growth_figures(RETURNS, 252, trials=trials, trial_deviation=0.05)["deflated_sharpe"] for trials in (1, 10, 1000)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[2] is not None
    assert found[0] > found[1] > found[2]
