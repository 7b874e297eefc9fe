"""The picture of one series, computed from its mapped columns in one pass over chunks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np

from boxgate_engine.calendars import Calendar, calendar_of
from boxgate_engine.datasets.content import FUNDING, Column, SeriesContent
from boxgate_engine.datasets.dataset import Dataset, Series
from boxgate_engine.datasets.manifest import JsonObject, StoredSeries
from boxgate_engine.datasets.picture.closures import LongestClosures
from boxgate_engine.datasets.picture.days import DayCounts
from boxgate_engine.datasets.picture.hours import HourCounts
from boxgate_engine.datasets.picture.prices import PriceRange
from boxgate_engine.datasets.quality import QualityReport
from boxgate_engine.errors import DataRefused

Picture: TypeAlias = dict[str, Any]
"""JSON values; `draw_series` says which."""

_CHUNK_ROWS: Final = 1 << 20


def draw_series(dataset: Dataset, symbol: str, frame: str, *, calendar: Calendar | None = None) -> Picture:
    """Return the picture of a series, JSON values; memory is bounded whatever its length.

    calendar: None: the one of the import, else by asset class. Frames that are not stored are aggregated.
    symbol, frame, price_basis, has_ask, rows, first_ns, last_ns, tick_size; calendar: its name; quality: the report;
    coverage, spread (None without an ask side), volume, price: see the modules of this room; gaps: as in the report,
    each with open_ns, for how long of it the market was open; closures: {count, longest}; provenance: {source, licence,
    digest, files, inputs}.
    Raises DataRefused (SERIES_UNKNOWN, FRAME_UNAVAILABLE, CALENDAR), DataDamaged (DATA_HASH).
    """
    if frame == FUNDING:
        raise DataRefused(
            "there is no picture of funding rates",
            code="FRAME_UNAVAILABLE",
            where=f"{symbol} {FUNDING}",
            expected="a frame of bars, or ticks",
            remedy="leave --frame out; the figures of the rates stand in the list of series",
        )
    series = dataset.series(symbol, frame)
    instrument = dataset.instruments[symbol]
    stored = {(one.symbol, one.frame): one for one in dataset.manifest.series}.get((symbol, frame))
    kept = stored.quality if stored else _reading_of(dataset, symbol)
    used = calendar or calendar_of(kept, instrument.asset_class)
    # The report of the import stands where it was made by this calendar; it also knows what was repaired.
    fresh = None if _is_by(kept, used) and stored else QualityReport(used, instrument.tick_size)
    first_ns, last_ns = int(series.times_ns[0]), int(series.times_ns[-1])
    days = DayCounts(frame, used, first_ns, last_ns)
    hours = HourCounts(frame, instrument.tick_size)
    prices = PriceRange(frame, first_ns, last_ns)
    closures = LongestClosures(frame, used)
    for chunk in _chunks(series):
        for part in (days, hours, prices, closures):
            part.add(chunk)
        if fresh is not None:
            fresh.add(chunk)
    quality = {**kept, **fresh.result()} if fresh is not None else kept
    return {
        "symbol": symbol,
        "frame": frame,
        "price_basis": series.price_basis,
        "has_ask": series.has_ask,
        "rows": series.rows,
        "first_ns": first_ns,
        "last_ns": last_ns,
        "tick_size": str(instrument.tick_size),
        "quote_currency": instrument.quote_currency,
        "calendar": used.name,
        "quality": quality,
        "coverage": days.result(),
        "gaps": _gaps(quality, used),
        "closures": closures.result(),
        **hours.result(),
        "price": prices.result(),
        "provenance": _provenance(stored, dataset, symbol),
    }


def _chunks(series: Series) -> Iterator[SeriesContent]:
    for start in range(0, series.rows, _CHUNK_ROWS):
        columns: dict[str, Column] = {
            name: values[start : start + _CHUNK_ROWS] for name, values in series.columns.items()
        }
        yield SeriesContent(symbol=series.symbol, frame=series.frame, price_basis=series.price_basis, columns=columns)


def _is_by(quality: JsonObject, calendar: Calendar) -> bool:
    return "gaps" in quality and bool(quality.get("calendar", {}).get("name") == calendar.name)


def _reading_of(dataset: Dataset, symbol: str) -> JsonObject:
    """Return what is known of the calendar of a frame that was made from stored ones."""
    stored = next(one for one in dataset.manifest.series if one.symbol == symbol)
    return {"calendar": stored.quality["calendar"]} if "calendar" in stored.quality else {}


def _gaps(quality: JsonObject, calendar: Calendar) -> JsonObject:
    gaps = quality["gaps"]
    from_ns = np.array([one["from_ns"] for one in gaps["longest"]], dtype=np.int64)
    to_ns = np.array([one["to_ns"] for one in gaps["longest"]], dtype=np.int64)
    open_ns = to_ns - from_ns - calendar.closed_ns_between(from_ns, to_ns)
    longest = [{**one, "open_ns": opened} for one, opened in zip(gaps["longest"], open_ns.tolist(), strict=True)]
    return {"count": gaps["count"], "missing_bars": gaps["missing_bars"], "longest": longest}


def _provenance(stored: StoredSeries | None, dataset: Dataset, symbol: str) -> JsonObject:
    if stored is None:
        of_symbol = [one for one in dataset.manifest.series if one.symbol == symbol]
        return {
            "source": ", ".join(sorted({one.source for one in of_symbol})),
            "licence": ", ".join(sorted({one.licence for one in of_symbol})),
            "digest": None,
            "files": [],
            "inputs": [],
        }
    return {
        "source": stored.source,
        "licence": stored.licence,
        "digest": stored.digest,
        "files": [{"path": one.path, "sha256": one.sha256, "bytes": one.bytes} for one in stored.files],
        "inputs": list(stored.inputs),
    }
