"""What trading cost by kind, and what the trades of each instrument gave."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from boxgate_engine.report.run_files import RunFiles

_KINDS: Final = (
    ("fees", "Fees", False),
    ("spread", "Spread", True),
    ("slippage", "Slippage", True),
    ("funding", "Funding", False),
    ("swap", "Swap", False),
)
_SUMS: Final = ("gross_pnl", "fees", "funding", "swap", "net_pnl", "slippage_cost")


def summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what trading cost altogether, and the profit as if it had cost nothing."""
    costs = math.fsum(value for value in metrics["costs"].values() if value is not None)
    return {"costs_total": costs, "profit_before_costs": math.fsum([metrics["return"]["net_profit"], costs])}


def costs_by_kind(files: RunFiles) -> dict[str, Any]:
    """Return {kinds, total, share, per_fill}; each kind {name, title, inside, amount, share, per_fill}.

    share: of the profit before costs, None unless there was one. inside: it lies inside the prices of the fills.
    """
    whole, fills = summary(files.metrics), files.fills.num_rows
    total, before = whole["costs_total"], whole["profit_before_costs"]

    def figures(amount: float) -> dict[str, Any]:
        return {"share": amount / before if before > 0 else None, "per_fill": amount / fills if fills else None}

    amounts = {name: float(files.metrics["costs"].get(name) or 0.0) for name, _, _ in _KINDS}
    kinds = [
        {"name": name, "title": title, "inside": inside, "amount": amounts[name]} | figures(amounts[name])
        for name, title, inside in _KINDS
    ]
    return {"kinds": kinds, "total": total} | figures(total)


def instruments(files: RunFiles) -> list[dict[str, Any]]:
    """Return one entry for each instrument of the run that has a trade, the largest net result first."""
    names = files.trades["instrument"].to_numpy(zero_copy_only=False)
    entries = []
    for name in dict.fromkeys(names.tolist()):
        chosen = names == name
        net = files.trade_column("net_pnl")[chosen]
        lost = -math.fsum(net[net < 0])
        entries.append(
            {
                "instrument": name,
                "trades": int(chosen.sum()),
                "win_rate": float(np.mean(net > 0)),
                "profit_factor": math.fsum(net[net > 0]) / lost if lost else None,
                **{column: math.fsum(files.trade_column(column)[chosen]) for column in _SUMS},
            }
        )
    return sorted(entries, key=lambda one: (-one["net_pnl"], one["instrument"]))
