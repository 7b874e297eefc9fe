"""Every number of the page: read or derived from the files of the run, before anything is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from boxgate_engine.frames import TICK
from boxgate_engine.instruments import Instrument
from boxgate_engine.report.extremes import Floats, Integers, thin, time_steps
from boxgate_engine.report.numerals import currency_decimals
from boxgate_engine.report.prices import PricePanel, decimals_by_symbol, price_figures
from boxgate_engine.report.quality import shown_quality
from boxgate_engine.report.run_files import RunFiles
from boxgate_engine.report.trade_list import trade_list

SCHEMA: Final = "boxgate.report/1"
"""The `schema` of the page's data."""
CURVE_BUCKETS: Final = 6_000
"""Buckets of the equity and drawdown curves: four for each pixel column of a wide page."""
_DAY_NS: Final = 86_400_000_000_000
_BINS: Final = 32


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
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "result_digest": result_digest,
        "mode": files.config["resolved"].get("mode", "debug"),
        "currency": files.currency,
        "currency_decimals": currency_decimals(files.currency),
        "params": files.params,
        "metrics": metrics,
        "summary": _summary(metrics),
        "equity": _curve(files.time_ns, files.equity, currency_decimals(files.currency) + 2),
        "drawdown": _curve(files.time_ns, files.drawdown, 8),
        "price": price_figures(prices, decimals),
        "price_decimals": decimals,
        "trades": trade_list(files),
        "monthly": monthly_returns(files.time_ns, files.equity),
        "distribution": {
            "trades": _distribution(files.trade_column("net_pnl")),
            "daily": _distribution(daily_returns(files.time_ns, files.equity)),
        },
        "excursions": _excursions(files),
        "quality": shown_quality(quality),
        "path": _path(files, prices),
        "signals": _signals(files),
    }


def monthly_returns(time_ns: Integers, equity: Floats) -> list[dict[str, Any]]:
    """Return one entry per calendar year (UTC): {year, months: 12 fractions or None, total}.

    A month's return is its last mark over the last mark of the month before (the first over the opening mark), so
    that the months multiply to the return of the run. None without a mark in the month, or where the earlier mark is
    not above zero.
    """
    years: dict[int, dict[str, Any]] = {}
    base = year_base = float(equity[0]) if len(equity) else 0.0
    for month, mark in _month_ends(time_ns, equity):
        year, index = divmod(month, 12)
        if year not in years:
            year_base = base
            years[year] = {"year": year, "months": [None] * 12, "total": None}
        years[year]["months"][index] = mark / base - 1 if base > 0 else None
        years[year]["total"] = mark / year_base - 1 if year_base > 0 else None
        base = mark
    return list(years.values())


def daily_returns(time_ns: Integers, equity: Floats) -> Floats:
    """Return simple returns between the last marks of UTC days, the first day dropped.

    Empty if there are fewer than two days or a mark before the last is not above zero.
    """
    days = time_ns // _DAY_NS
    marks = equity[np.append(np.flatnonzero(np.diff(days)), len(days) - 1)] if len(days) else equity
    if len(marks) < 2 or np.any(marks[:-1] <= 0):
        return np.empty(0, dtype=np.float64)
    returns: Floats = marks[1:] / marks[:-1] - 1
    return returns


def histogram(values: Floats, bins: int = _BINS) -> tuple[list[float], list[int]]:
    """Return edges (k + 1) and counts (k) with a round bin width and one edge at zero, so that no bin mixes signs.

    values: shape (n,), n >= 1, finite. bins: about how many; the round width gives up to twice as many.
    """
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    width = _round_width((high - low) / bins)
    # A value of exactly an upper edge belongs to the next bin, as does zero to the first above.
    index = np.floor(values / width).astype(np.int64)
    first, last = int(index.min()), int(index.max())
    counts = np.bincount(index - first, minlength=last - first + 1)
    edges = [round(step * width, 12) for step in range(first, last + 2)]
    return edges, counts.tolist()


def _round_width(width: float) -> float:
    if width <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(width))
    return next(step * power for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= width * (1 - 1e-12))


def _distribution(values: Floats) -> dict[str, Any]:
    if not len(values):
        return {"count": 0}
    edges, counts = histogram(values)
    return {
        "count": len(values),
        "edges": edges,
        "counts": counts,
        "mean": math.fsum(values) / len(values),
        "median": float(np.median(values)),
        "best": float(values.max()),
        "worst": float(values.min()),
        "p5": float(np.quantile(values, 0.05)),
        "p95": float(np.quantile(values, 0.95)),
        "positive": int((values > 0).sum()),
        "zero": int((values == 0).sum()),
        "negative": int((values < 0).sum()),
    }


def _summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what trading cost altogether, and the profit as if it had cost nothing."""
    costs = math.fsum(value for value in metrics["costs"].values() if value is not None)
    return {"costs_total": costs, "profit_before_costs": math.fsum([metrics["return"]["net_profit"], costs])}


def _curve(time_ns: Integers, values: Floats, decimals: int) -> dict[str, Any]:
    kept = thin(time_ns, values, CURVE_BUCKETS)
    return {"rows": len(time_ns), "time": time_steps(time_ns[kept]), "value": np.round(values[kept], decimals).tolist()}


def _month_ends(time_ns: Integers, equity: Floats) -> list[tuple[int, float]]:
    """Return (12 · year + month from 0, last mark) of each month with a mark."""
    if not len(time_ns):
        return []
    days = time_ns // _DAY_NS
    ends = np.append(np.flatnonzero(np.diff(days)), len(days) - 1)
    marks: dict[int, float] = {}
    for end in ends.tolist():
        moment = datetime.fromtimestamp(int(days[end]) * 86_400, UTC)
        marks[12 * moment.year + moment.month - 1] = float(equity[end])
    return list(marks.items())


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


def _counted(names: pa.ChunkedArray) -> dict[str, int]:
    found = ((entry["values"], entry["counts"]) for entry in names.value_counts().to_pylist())
    return dict(sorted((name, number) for name, number in found if name))
