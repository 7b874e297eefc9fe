"""Bands: one run under every path assumption and other costs, as an interval of its figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from boxgate_engine.config import RunConfig, Variant, band_variants

_FIGURES: Final = {
    "net_profit": ("return", "net_profit"),
    "total_return": ("return", "total"),
    "max_drawdown": ("risk", "max_drawdown"),
    "sharpe": ("ratio", "sharpe"),
    "profit_factor": ("trades", "profit_factor"),
    "trades": ("trades", "count"),
}
"""Figure of a band → group and name in metrics.json."""


def compute_bands(
    config: RunConfig, base: Mapping[str, Any], play: Callable[[Variant], Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the content of bands.json. base: metrics of the run itself. play: runs a variant, returns its metrics.

    Every variant has the seed of the base run. deciding_bars: bars in which the path decides the fills, of each variant
    and, for the band, of the base run.
    """
    rows = [_row(config.execution.path, 1.0, base)]
    rows += [_row(one.path, one.cost_factor, play(one)) for one in band_variants(config)]
    of_paths = [row for row in rows if row["cost_factor"] == 1.0]
    of_costs = [row for row in rows if row["path"] == config.execution.path]
    return {
        "schema": "boxgate.bands/1",
        "currency": base["currency"],
        "variants": rows,
        "path": _intervals(of_paths),
        "costs": _intervals(of_costs),
        "all": _intervals(rows),
        "deciding_bars": base["counts"]["path_dependent_bars"],
        "bars": base["counts"]["bars"],
    }


def _row(path: str, factor: float, metrics: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: metrics[group][key] for name, (group, key) in _FIGURES.items()}
    return {"path": path, "cost_factor": factor, **figures, "deciding_bars": metrics["counts"]["path_dependent_bars"]}


def _intervals(rows: list[dict[str, Any]]) -> dict[str, list[float] | None]:
    """Return [lowest, highest] of each figure, None where no variant has it."""
    intervals: dict[str, list[float] | None] = {}
    for name in _FIGURES:
        values = [row[name] for row in rows if row[name] is not None]
        intervals[name] = [min(values), max(values)] if values else None
    return intervals
