"""The titles of the sections, in page order."""

from __future__ import annotations

from typing import Final

from boxgate_engine.report import quality

TITLES: Final = {
    "summary": "Summary",
    "equity": "Equity",
    "drawdown": "Drawdown",
    "exposure": "Exposure",
    "rolling": "Rolling Sharpe",
    "costs": "Costs",
    "instruments": "Instruments",
    "assumptions": "Assumptions",
    "price": "Price and trades",
    "trades": "Trades",
    "monthly": "Monthly returns",
    "distribution": "Distribution",
    "excursions": "Excursions",
    "path": "Path dependence",
    "quality": quality.TITLE,
}
"""Title of each section by its id."""

NO_TRADES: Final = "No position was closed in this run, so there is no trade to show."
