"""The numbers of metrics.json that a search may ask for."""

from __future__ import annotations

import difflib
from typing import Final

GROUPS: Final = {
    "return": ("best_day best_month cagr net_profit positive_days positive_months total worst_day worst_month"),
    "risk": (
        "average_drawdown average_drawdown_length_ns cvar_95 downside_deviation drawdowns kurtosis"
        " max_drawdown max_drawdown_daily max_drawdown_length_ns skew ulcer_index var_95 volatility"
    ),
    "ratio": ("deflated_sharpe mar martin omega probabilistic_sharpe recovery_factor sharpe sortino tail_ratio trials"),
    "trades": (
        "best count expectancy holding_max_ns holding_mean_ns holding_median_ns long_count"
        " loser_mean losses_in_a_row mae_mean mae_net_correlation mfe_mean mfe_net_correlation"
        " payoff profit_factor short_count sqn win_rate winner_mean wins_in_a_row worst"
    ),
    "exposure": ("gross_max gross_mean net_mean time_fraction turnover"),
    "costs": ("fees funding slippage spread swap"),
    "counts": (
        "bars changes_refused events funding_stamps history_restarts liquidations margin_calls"
        " no_ops orders orders_cancelled orders_expired orders_filled orders_rejected"
        " path_dependent_bars rejected rounded signals ticks unexecuted warmup_events"
    ),
    "equity": ("final initial"),
}
"""Names of each group, as the engine computes them; docs/spec/metrics.md tells what they are."""

METRICS: Final = tuple(f"{group}.{name}" for group, names in GROUPS.items() for name in names.split())


def close_metric(wanted: str) -> str | None:
    """Return the metric that somebody may have meant, None if there is none."""
    of_other_groups = [one for one in METRICS if one.partition(".")[2] == wanted.rpartition(".")[2]]
    return next(iter(of_other_groups or difflib.get_close_matches(wanted, METRICS, n=1)), None)
