"""The report page of a run: its files together with the prices of its dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from boxgate_engine.datasets import Dataset
from boxgate_engine.market import Market

if TYPE_CHECKING:
    from boxgate_engine.report import PricePanel


def render_page(
    market: Market | None,
    dataset: Dataset | None,
    *,
    start_ns: int,
    end_ns: int,
    run_id: str,
    digest: str,
    assets: Literal["inline", "shared"],
) -> Callable[[Path], str]:
    """Return what renders the page from a folder that holds the run's other files.

    market, dataset: None where the dataset is not at hand; then the page has no prices and no quality report. With
    `shared` assets the script is put beside the folder first.
    """

    def render(folder: Path) -> str:
        from boxgate_engine.report import render_report  # a run without a page does without it
        from boxgate_engine.report.chart_library import share_library

        if assets == "shared":
            share_library(folder.parent)
        return render_report(
            folder,
            run_id=run_id,
            result_digest=digest,
            prices=price_panels(market, start_ns, end_ns) if market else (),
            quality=quality_of(market, dataset) if market and dataset else {},
            instruments=market.instruments if market else (),
            assets=assets,
        )

    return render


def price_panels(market: Market, start_ns: int, end_ns: int) -> list[PricePanel]:
    """Return per instrument the delivered series of its finest frame within the window."""
    from boxgate_engine.report import PricePanel

    panels = []
    for i in range(len(market.instruments)):
        feed = min((feed for feed in market.feeds if feed.instrument == i), key=lambda feed: feed.series.duration_ns)
        series = feed.series
        low, high = (
            int(x)
            for x in series.times_ns.searchsorted(
                [start_ns - series.duration_ns, end_ns - series.duration_ns], side="right"
            )
        )
        columns = series.columns
        names = ("open", "high", "low", "close") if series.duration_ns else ("bid",) * 4
        open_, high_, low_, close_ = (columns[name][low:high].view(np.float64) for name in names)
        panels.append(
            PricePanel(
                symbol=series.symbol,
                frame=series.frame,
                time_ns=series.times_ns[low:high],
                open=open_,
                high=high_,
                low=low_,
                close=close_,
            )
        )
    return panels


def quality_of(market: Market, dataset: Dataset) -> dict[str, Any]:
    """Return the quality report of each stored series that the run's instruments have, by symbol and frame."""
    symbols = {instrument.symbol for instrument in market.instruments}
    return {
        f"{stored.symbol} {stored.frame}": stored.quality
        for stored in dataset.manifest.series
        if stored.symbol in symbols
    }
