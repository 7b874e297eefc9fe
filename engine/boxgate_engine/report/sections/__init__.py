"""The sections of the page as HTML. Charts and the list of trades are filled in by the script from the page's data."""

from boxgate_engine.report.sections.contributions import costs, instruments
from boxgate_engine.report.sections.curves import drawdown, equity, exposure, rolling
from boxgate_engine.report.sections.key_figures import summary
from boxgate_engine.report.sections.reservations import assumptions, path
from boxgate_engine.report.sections.returns import distribution, monthly
from boxgate_engine.report.sections.titles import TITLES
from boxgate_engine.report.sections.trading import excursions, price, trades

__all__ = [
    "TITLES",
    "assumptions",
    "costs",
    "distribution",
    "drawdown",
    "equity",
    "excursions",
    "exposure",
    "instruments",
    "monthly",
    "path",
    "price",
    "rolling",
    "summary",
    "trades",
]
