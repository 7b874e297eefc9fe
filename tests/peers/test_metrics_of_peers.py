"""The metrics of real runs against `empyrical` and `quantstats`: equal, or equal once the peer's rule is applied.

docs/comparison.md tells the rules QS-01 to QS-06. The marks of the fixture are checked to be those of the runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import NormalDist, fmean, stdev
from typing import Any

import pytest
from boxgate_side import Runs
from peer_cases import load

CURVES: dict[str, Any] = load("daily_marks")["curves"]
PEERS: dict[str, Any] = load("metrics")["curves"]
each_curve = pytest.mark.parametrize("curve", CURVES)

# Name of the peer's figure: our group and key, and the sign of the peer's.
EQUAL = {
    "empyrical": {
        "cagr": ("return", "cagr", 1),
        "annual_volatility": ("risk", "volatility", 1),
        "downside_risk": ("risk", "downside_deviation", 1),
        "max_drawdown": ("risk", "max_drawdown_daily", -1),
        "value_at_risk": ("risk", "var_95", 1),
        "conditional_value_at_risk": ("risk", "cvar_95", 1),
        "sharpe_ratio": ("ratio", "sharpe", 1),
        "sortino_ratio": ("ratio", "sortino", 1),
        "calmar_ratio": ("ratio", "mar", 1),
        "omega_ratio": ("ratio", "omega", 1),
        "tail_ratio": ("ratio", "tail_ratio", 1),
    },
    "quantstats": {
        "cagr": ("return", "cagr", 1),
        "volatility": ("risk", "volatility", 1),
        "max_drawdown": ("risk", "max_drawdown_daily", -1),
        "sharpe": ("ratio", "sharpe", 1),
        "sortino": ("ratio", "sortino", 1),
        "calmar": ("ratio", "mar", 1),
        "omega": ("ratio", "omega", 1),
        "profit_factor": ("ratio", "omega", 1),
        "tail_ratio": ("ratio", "tail_ratio", 1),
        "skew": ("risk", "skew", 1),
        "kurtosis": ("risk", "kurtosis", 1),
        "cvar_historical": ("risk", "cvar_95", 1),
        "best": ("return", "best_day", 1),
        "worst": ("return", "worst_day", 1),
        "best_month": ("return", "best_month", 1),
        "worst_month": ("return", "worst_month", 1),
        "win_rate_month": ("return", "positive_months", 1),
    },
}


def qs_01_no_day_without_a_change(metrics: Any, returns: list[float]) -> float:
    """Count the days with a gain among those that are not zero."""
    return float(metrics["return"]["positive_days"]) * len(returns) / sum(r != 0.0 for r in returns)


def qs_02_quantile_of_the_normal_distribution(_: Any, returns: list[float]) -> float:
    return NormalDist(fmean(returns), stdev(returns)).inv_cdf(0.05)


def qs_02_shortfall_of_the_normal_distribution(_: Any, returns: list[float]) -> float:
    normal = NormalDist()
    return fmean(returns) - stdev(returns) * normal.pdf(normal.inv_cdf(0.05)) / 0.05


def qs_03_squares_over_one_less_than_the_returns(metrics: Any, returns: list[float]) -> float:
    n = len(returns)
    return float(metrics["risk"]["ulcer_index"]) * math.sqrt((n + 1) / (n - 1))


def qs_04_the_whole_return_over_that_index(metrics: Any, returns: list[float]) -> float:
    whole = math.prod(1.0 + r for r in returns) - 1.0
    return whole / qs_03_squares_over_one_less_than_the_returns(metrics, returns)


def qs_05_sum_of_returns_over_the_relative_fall(metrics: Any, returns: list[float]) -> float:
    return abs(math.fsum(returns)) / float(metrics["risk"]["max_drawdown_daily"])


def qs_06_moments_adjusted_for_the_sample(metrics: Any, returns: list[float]) -> float:
    ratio = fmean(returns) / stdev(returns)
    skew, kurtosis = metrics["risk"]["skew"], metrics["risk"]["kurtosis"] + 3.0
    variance = (1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2) / (len(returns) - 1)
    return NormalDist().cdf(ratio / math.sqrt(variance))


# Name of quantstats' figure: its rule applied to our metrics, and our group and key of what we take instead.
DIFFERENT: Mapping[str, tuple[Callable[[Any, list[float]], float], str, str]] = {
    "win_rate": (qs_01_no_day_without_a_change, "return", "positive_days"),
    "value_at_risk": (qs_02_quantile_of_the_normal_distribution, "risk", "var_95"),
    "cvar_parametric": (qs_02_shortfall_of_the_normal_distribution, "risk", "cvar_95"),
    "ulcer_index": (qs_03_squares_over_one_less_than_the_returns, "risk", "ulcer_index"),
    "ulcer_performance_index": (qs_04_the_whole_return_over_that_index, "ratio", "martin"),
    "recovery_factor": (qs_05_sum_of_returns_over_the_relative_fall, "ratio", "recovery_factor"),
    "probabilistic_sharpe_ratio": (qs_06_moments_adjusted_for_the_sample, "ratio", "probabilistic_sharpe"),
}


@pytest.fixture(scope="module")
def runs(shared_data: Any, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(shared_data, tmp_path_factory.mktemp("metrics"))


@each_curve
def test_the_marks_of_the_fixture_are_those_of_the_run(runs: Runs, curve: str) -> None:
    assert runs.play(*curve.split("/")).daily_marks() == CURVES[curve]


@each_curve
@pytest.mark.parametrize("peer", EQUAL)
def test_figures_of_one_definition_are_equal(runs: Runs, curve: str, peer: str) -> None:
    metrics = runs.play(*curve.split("/")).metrics
    ours = {name: sign * metrics[group][key] for name, (group, key, sign) in EQUAL[peer].items()}
    assert ours == pytest.approx({name: PEERS[curve][peer][name] for name in EQUAL[peer]}, rel=1e-10, abs=1e-14)


@each_curve
@pytest.mark.parametrize("name", DIFFERENT)
def test_a_figure_of_another_definition_is_equal_by_the_rule_of_the_peer(runs: Runs, curve: str, name: str) -> None:
    metrics, theirs = runs.play(*curve.split("/")).metrics, PEERS[curve]["quantstats"][name]
    by_their_rule, group, key = DIFFERENT[name]
    assert by_their_rule(metrics, returns_of(curve)) == pytest.approx(theirs, rel=1e-10)
    assert metrics[group][key] != pytest.approx(theirs, rel=1e-10) or name == "win_rate"


def test_no_figure_of_the_peers_is_left_unexplained() -> None:
    for figures in PEERS.values():
        assert figures["empyrical"].keys() == EQUAL["empyrical"].keys()
        assert figures["quantstats"].keys() == EQUAL["quantstats"].keys() | DIFFERENT.keys()


def returns_of(curve: str) -> list[float]:
    return [after / before - 1.0 for before, after in pairwise(CURVES[curve]["marks"])]
