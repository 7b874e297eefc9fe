"""The page of a run: one HTML file that needs nothing else, every assumption named."""

from boxgate_engine.report.page import page_data, render_report, write_report
from boxgate_engine.report.prices import PricePanel

__all__ = ["PricePanel", "page_data", "render_report", "write_report"]
