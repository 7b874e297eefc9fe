"""Metrics by their path in metrics.json, as people read them: in percent, money, time, counts, with their unit."""

from __future__ import annotations

from typing import Any, Final, Literal

from boxgate_engine.report.numerals import UNDEFINED, count, duration, money, number, percent

_PERCENT: Final = frozenset({
    "return.total", "return.cagr", "return.best_day", "return.worst_day", "return.positive_days", "return.best_month",
    "return.worst_month", "return.positive_months", "ratio.probabilistic_sharpe", "ratio.deflated_sharpe",
    "risk.max_drawdown", "risk.max_drawdown_daily", "risk.average_drawdown", "risk.volatility",
    "risk.downside_deviation", "risk.var_95", "risk.cvar_95", "risk.ulcer_index", "trades.win_rate",
    "exposure.time_fraction", "exposure.gross_mean", "exposure.gross_max", "exposure.net_mean",
})  # fmt: skip
_MONEY: Final = frozenset({
    "return.net_profit", "trades.expectancy", "trades.best", "trades.worst", "trades.winner_mean", "trades.loser_mean",
    "trades.mae_mean", "trades.mfe_mean", "equity.initial", "equity.final",
})  # fmt: skip
_COUNTS: Final = frozenset({
    "ratio.trials", "risk.drawdowns", "trades.count", "trades.long_count", "trades.short_count", "trades.wins_in_a_row",
    "trades.losses_in_a_row",
})  # fmt: skip
_SIGNED: Final = frozenset({
    "return.total", "return.cagr", "return.net_profit", "return.best_day", "return.worst_day", "return.best_month",
    "return.worst_month", "trades.expectancy", "trades.best", "trades.worst",
})  # fmt: skip
"""Results: a gain is told by its sign, too."""
_SUFFIXES: Final = {
    "return.cagr": "a year",
    "risk.volatility": "a year",
    "risk.downside_deviation": "a year",
    "exposure.turnover": "a year, times the equity",
}
"""What the unit of a value does not tell."""


Kind = Literal["percent", "money", "duration", "count", "number"]


def metric_kind(path: str) -> Kind:
    """Return how the values of a metric are shown."""
    if path in _PERCENT:
        return "percent"
    if path in _MONEY or path.startswith("costs."):
        return "money"
    if path.endswith("_ns"):
        return "duration"
    return "count" if path in _COUNTS or path.startswith("counts.") else "number"


def is_signed(path: str) -> bool:
    """Return whether a metric is a result, whose gain is told by its sign, too."""
    return path in _SIGNED


def shown_metric(path: str, value: Any, currency: str) -> str:
    """Return a metric with its unit, a dash for None. path: such as `risk.max_drawdown`."""
    if value is None:
        return UNDEFINED
    kind = metric_kind(path)
    if kind == "percent":
        return percent(value, signed=path in _SIGNED)
    if kind == "money":
        return money(value, currency, signed=path in _SIGNED)
    if kind == "duration":
        return duration(value)
    return count(value) if kind == "count" else number(value)


def metric_title(path: str) -> str:
    """Return the words for a metric: `risk: volatility, a year`."""
    words = path.removesuffix("_ns").replace("_", " ").replace(".", ": ", 1)
    return f"{words}, {_SUFFIXES[path]}" if path in _SUFFIXES else words
