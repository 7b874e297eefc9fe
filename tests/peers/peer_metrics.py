"""Make fixtures/metrics.json: figures of `empyrical` and `quantstats` on daily marks of real runs.

Run in an environment of their own, see peer_backtesting.py. The marks lie in fixtures/daily_marks.json.
"""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version
from typing import Any

import empyrical
import pandas
import quantstats.stats as quantstats
from fixture_files import finish
from peer_cases import load


def main() -> None:
    warnings.simplefilter("ignore")
    curves = {name: figures(**curve) for name, curve in load("daily_marks")["curves"].items()}
    names = ("empyrical-reloaded", "quantstats", "numpy", "pandas", "scipy")
    finish("metrics", {"python": sys.version.split()[0], **{name: version(name) for name in names}}, {"curves": curves})


def figures(days: list[int], marks: list[float], periods: int) -> dict[str, dict[str, Any]]:
    """Return what each peer says of a curve. days: since 1970-01-01. periods: marks of a year."""
    curve = pandas.Series(marks, index=pandas.to_datetime(days, unit="D"))
    returns = (curve / curve.shift(1) - 1.0).iloc[1:]
    by_empyrical = {
        "cagr": empyrical.cagr(returns, annualization=periods),
        "annual_volatility": empyrical.annual_volatility(returns, annualization=periods),
        "downside_risk": empyrical.downside_risk(returns, annualization=periods),
        "max_drawdown": empyrical.max_drawdown(returns),
        "value_at_risk": empyrical.value_at_risk(returns, 0.05),
        "conditional_value_at_risk": empyrical.conditional_value_at_risk(returns, 0.05),
        "sharpe_ratio": empyrical.sharpe_ratio(returns, annualization=periods),
        "sortino_ratio": empyrical.sortino_ratio(returns, annualization=periods),
        "calmar_ratio": empyrical.calmar_ratio(returns, annualization=periods),
        "omega_ratio": empyrical.omega_ratio(returns),
        "tail_ratio": empyrical.tail_ratio(returns),
    }
    by_quantstats = {
        "cagr": quantstats.cagr(returns, periods=periods),
        "volatility": quantstats.volatility(returns, periods=periods),
        "max_drawdown": quantstats.max_drawdown(returns),
        "sharpe": quantstats.sharpe(returns, periods=periods),
        "sortino": quantstats.sortino(returns, periods=periods),
        "calmar": quantstats.calmar(returns, periods=periods),
        "omega": quantstats.omega(returns),
        "profit_factor": quantstats.profit_factor(returns),
        "tail_ratio": quantstats.tail_ratio(returns),
        "skew": quantstats.skew(returns),
        "kurtosis": quantstats.kurtosis(returns),
        "cvar_historical": quantstats.conditional_value_at_risk(returns, method="historical"),
        "best": quantstats.best(returns),
        "worst": quantstats.worst(returns),
        "best_month": quantstats.best(returns, aggregate="eom"),
        "worst_month": quantstats.worst(returns, aggregate="eom"),
        "win_rate": quantstats.win_rate(returns),
        "win_rate_month": quantstats.win_rate(returns, aggregate="eom"),
        "value_at_risk": quantstats.value_at_risk(returns),
        "cvar_parametric": quantstats.conditional_value_at_risk(returns),
        "ulcer_index": quantstats.ulcer_index(returns),
        "ulcer_performance_index": quantstats.ulcer_performance_index(returns),
        "recovery_factor": quantstats.recovery_factor(returns),
        "probabilistic_sharpe_ratio": quantstats.probabilistic_sharpe_ratio(returns),
    }
    return {
        "empyrical": {name: float(value) for name, value in by_empyrical.items()},
        "quantstats": {name: float(value) for name, value in by_quantstats.items()},
    }


if __name__ == "__main__":
    main()
