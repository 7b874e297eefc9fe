"""The data of the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from boxgate_engine.frames import TICK
from boxgate_engine.instruments import Instrument
from boxgate_engine.report.figures import contributions, over_time
from boxgate_engine.report.figures.returns import daily_returns, distribution, monthly_returns
from boxgate_engine.report.figures.trade_list import trade_list
from boxgate_engine.report.numerals import currency_decimals
from boxgate_engine.report.prices import PricePanel, decimals_by_symbol, price_figures
from boxgate_engine.report.quality import shown_quality
from boxgate_engine.report.run_files import RunFiles

SCHEMA: Final = "boxgate.report/1"
"""The `schema` of the page's data."""


def build_figures(
    files: RunFiles,
    *,
    run_id: str,
    result_digest: str,
    prices: Sequence[PricePanel],
    quality: Mapping[str, Any],
    instruments: Sequence[Instrument] = (),
) -> dict[str, Any]:
    """Return the data of the page, JSON values only. Curves are thinned, everything else is whole."""
    metrics = files.metrics
    decimals = decimals_by_symbol(prices, instruments)
    places = currency_decimals(files.currency) + 2
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "result_digest": result_digest,
        "mode": files.config["resolved"].get("mode", "debug"),
        "currency": files.currency,
        "currency_decimals": currency_decimals(files.currency),
        "params": files.params,
        "metrics": metrics,
        "summary": contributions.summary(metrics),
        "equity": over_time.equity(files, places),
        "drawdown": over_time.curve(files.time_ns, files.drawdown, 8),
        "drawdowns": over_time.deepest_drawdowns(files),
        "benchmark": over_time.benchmark_curves(files, places),
        "exposure": over_time.exposure(files),
        "rolling_sharpe": over_time.rolling_sharpe(files),
        "costs": contributions.costs_by_kind(files),
        "instruments": contributions.instruments(files),
        "price": price_figures(prices, decimals),
        "price_decimals": decimals,
        "trades": trade_list(files),
        "monthly": monthly_returns(files.time_ns, files.equity),
        "distribution": {
            "trades": distribution(files.trade_column("net_pnl")),
            "daily": distribution(daily_returns(files.time_ns, files.equity)),
        },
        "excursions": _excursions(files),
        "quality": shown_quality(quality),
        "path": _path(files, prices),
        "signals": _signals(files),
        "orders": _orders(files),
    }


def _excursions(files: RunFiles) -> dict[str, Any]:
    """Return what winners and losers went through while they were open, in account currency."""
    net, mae, mfe = (files.trade_column(name) for name in ("net_pnl", "mae", "mfe"))
    groups: dict[str, npt.NDArray[np.bool_]] = {"winners": net > 0, "losers": net < 0}
    return {
        name: {
            "count": int(chosen.sum()),
            "mae_median": float(np.median(mae[chosen])) if chosen.any() else None,
            "mae_worst": float(mae[chosen].min()) if chosen.any() else None,
            "mfe_median": float(np.median(mfe[chosen])) if chosen.any() else None,
            "mfe_best": float(mfe[chosen].max()) if chosen.any() else None,
        }
        for name, chosen in groups.items()
    }


def _path(files: RunFiles, prices: Sequence[PricePanel]) -> dict[str, Any]:
    """Return how much of the result hangs on the order of prices inside a bar."""
    net = files.trade_column("net_pnl")
    depends = files.trades["path_dependent"].to_numpy(zero_copy_only=False).astype(np.bool_)
    fills = files.fills["path_dependent"].to_numpy(zero_copy_only=False).astype(np.bool_)
    return {
        "setting": files.config["resolved"]["execution"].get("path", "pessimistic"),
        "bars": files.metrics["counts"].get("path_dependent_bars"),
        "bars_total": _execution_bars(files, prices),
        "fills": int(fills.sum()),
        "fills_total": len(fills),
        "trades": int(depends.sum()),
        "trades_total": len(depends),
        "net_pnl": math.fsum(net[depends]),
        "net_pnl_total": math.fsum(net),
    }


def _execution_bars(files: RunFiles, prices: Sequence[PricePanel]) -> int | None:
    """Return how many bars could fill: those of the execution series. None where the page was not given them."""
    execution = files.config["resolved"]["execution"]
    series = execution.get("series")
    named = series if isinstance(series, dict) else dict.fromkeys((panel.symbol for panel in prices), series)
    others = any(named.get(panel.symbol) not in (None, panel.frame) for panel in prices)
    if execution.get("path") == "real" or others or not prices:
        return None
    return sum(len(panel.time_ns) for panel in prices if panel.frame != TICK)


def _signals(files: RunFiles) -> dict[str, Any]:
    """Return how many signals had which outcome, and the reasons of the rejected."""
    return {
        "count": files.signals.num_rows,
        "outcomes": _counted(files.signals["outcome"]),
        "reject_reasons": _counted(files.signals["reject_reason"]),
    }


def _orders(files: RunFiles) -> dict[str, Any] | None:
    """Return the same of the orders of a strategy that has its own, else None."""
    if files.orders is None:
        return None
    rejected = files.orders.filter(pc.equal(files.orders["outcome"], "REJECTED"))
    return {
        "count": files.orders.num_rows,
        "outcomes": _counted(files.orders["outcome"]),
        "reject_reasons": _counted(rejected["reason"]),
    }


def _counted(names: pa.ChunkedArray) -> dict[str, int]:
    found = ((entry["values"], entry["counts"]) for entry in names.value_counts().to_pylist())
    return dict(sorted((name, number) for name, number in found if name))
