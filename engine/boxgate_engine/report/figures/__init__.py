"""Every number of the page: read or derived from the files of the run, before anything is drawn."""

from boxgate_engine.report.figures.compose import SCHEMA, build_figures
from boxgate_engine.report.figures.returns import daily_returns, histogram, monthly_returns

__all__ = ["SCHEMA", "build_figures", "daily_returns", "histogram", "monthly_returns"]
