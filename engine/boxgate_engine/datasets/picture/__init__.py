"""The picture of a series: coverage, gaps, spreads, volumes and prices as numbers, ready to be drawn."""

from boxgate_engine.datasets.picture.series_picture import Picture, draw_series

__all__ = ["Picture", "draw_series"]
