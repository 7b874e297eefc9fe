"""All metrics of a run, in their groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from boxgate_engine.metrics.arrays import Float64Array, finite, floats, integers, ratio, total
from boxgate_engine.metrics.drawdowns import drawdown_figures
from boxgate_engine.metrics.exposure import exposure_figures
from boxgate_engine.metrics.returns import daily_marks, growth_figures, period_figures
from boxgate_engine.metrics.trades import trade_figures
from boxgate_engine.tables import Tables

SCHEMA: Final = "boxgate.metrics/1"
_RATIOS: Final = ("sharpe", "sortino", "omega", "tail_ratio", "probabilistic_sharpe", "deflated_sharpe")
_TRIALS: Final = 1
"""Runs that a single run was chosen from: it knows of no others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What happened how often in a run: what is about signals is 0 where the strategy has orders, and the reverse."""

    events: int = 0
    bars: int = 0
    ticks: int = 0
    warmup_events: int = 0
    signals: int = 0
    no_ops: int = 0
    rounded: int = 0
    rejected: int = 0
    unexecuted: int = 0
    path_dependent_bars: int = 0
    history_restarts: int = 0
    liquidations: int = 0
    margin_calls: int = 0
    funding_stamps: int = 0
    orders: int = 0
    orders_filled: int = 0
    orders_cancelled: int = 0
    orders_expired: int = 0
    orders_rejected: int = 0
    changes_refused: int = 0


def compute_metrics(
    tables: Tables,
    *,
    currency: str,
    initial_cash: float,
    all_weekend: bool,
    counts: Counts,
    spread_cost: float = 0.0,
    funding_cost: float = 0.0,
    swap_cost: float = 0.0,
    open_positions: Sequence[Mapping[str, Any]] = (),
    fill_units: Sequence[float] | Float64Array | None = None,
) -> dict[str, Any]:
    """Return the content of metrics.json.

    tables: the full equity curve, its first row the start. initial_cash: > 0. all_weekend: every instrument trades on
    weekends, so a year has 365 marks, else 252. Costs are in account currency, positive = paid. open_positions: one
    mapping per position with instrument, side, qty, entry_price, mark_price and unrealised_pnl. fill_units: value
    of one unit of quantity and price at each fill, contract size times rate, 1 where it is not given.
    """
    times_ns = integers(tables.equity["time"])
    equity = floats(tables.equity["equity"])
    assert len(equity) > 0, "the first row is the start"
    periods = 365 if all_weekend else 252
    daily = daily_marks(times_ns, equity)
    growth = growth_figures(daily.returns, periods, trials=_TRIALS)
    falls, deepest_money = drawdown_figures(times_ns, equity, daily.marks)
    final = float(equity[-1])
    profit, deepest, cagr = final - initial_cash, falls["max_drawdown_daily"], growth["cagr"]
    ulcer = falls["ulcer_index"]
    units = np.ones(tables.fills.num_rows) if fill_units is None else np.asarray(fill_units, np.float64)
    notional = floats(tables.fills["qty"]) * floats(tables.fills["price"]) * units
    return {
        "schema": SCHEMA,
        "currency": currency,
        "periods_per_year": periods,
        "return": {
            "total": finite(final / initial_cash - 1.0),
            "cagr": cagr,
            "net_profit": finite(profit),
            **period_figures(daily),
        },
        "risk": {
            **{
                name: growth[name]
                for name in ("volatility", "downside_deviation", "var_95", "cvar_95", "skew", "kurtosis")
            },
            **falls,
        },
        "ratio": {
            **{name: growth[name] for name in _RATIOS},
            "trials": _TRIALS,
            "mar": None if cagr is None or deepest is None else ratio(cagr, deepest),
            "martin": None if cagr is None or ulcer is None else ratio(cagr, ulcer),
            "recovery_factor": ratio(profit, deepest_money),
        },
        "trades": trade_figures(tables.trades),
        "exposure": exposure_figures(tables.equity, tables.fills, notional),
        "costs": {
            "fees": total(floats(tables.fills["fee"])),
            "slippage": total(floats(tables.fills["slippage"])),
            "spread": finite(spread_cost),
            "funding": finite(funding_cost),
            "swap": finite(swap_cost),
        },
        "counts": asdict(counts),
        "open_positions": [dict(position) for position in open_positions],
        "equity": {"initial": float(initial_cash), "final": final},
    }
