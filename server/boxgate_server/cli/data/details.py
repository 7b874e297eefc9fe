"""What the data commands tell of a dataset: instruments, series and quality."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from boxgate_engine.datasets import ImportResult, Manifest, StoredSeries
from boxgate_engine.datasets.content import FUNDING, knows_ask
from boxgate_engine.frames import TICK
from boxgate_server.cli.answer import JsonObject

_HOUR_NS: Final = 3_600_000_000_000


def imported(result: ImportResult) -> JsonObject:
    """Return what an import made, as JSON values."""
    return {
        "name": result.name,
        "hash": result.manifest.hash,
        "created": result.created,
        "replaced": result.replaced,
        **details(result.manifest, result.series),
    }


def details(manifest: Manifest, listed: tuple[StoredSeries, ...]) -> JsonObject:
    """Return the instruments of a dataset and the series that are listed, as JSON values."""
    return {
        "instruments": [
            {
                "symbol": one.symbol,
                "asset_class": one.asset_class,
                "quote_currency": one.quote_currency,
                "tick_size": str(one.tick_size),
                "lot_size": str(one.lot_size),
                "contract_size": str(one.contract_size),
                "guessed": list(manifest.inferred.get(one.symbol, ())),
            }
            for one in manifest.instruments
        ],
        "series": [
            {
                "symbol": one.symbol,
                "frame": one.frame,
                "price_basis": one.price_basis,
                "has_ask": knows_ask(one.columns, one.price_basis),
                "rows": one.rows,
                "first_ns": one.first_ns,
                "last_ns": one.last_ns,
                "source": one.source,
                "licence": one.licence,
                "quality": one.quality,
            }
            for one in listed
        ],
    }


def show_import(fields: JsonObject, console: Console) -> None:
    """Print the answer of an import."""
    show_details(fields, console)
    if fields["replaced"]:
        console.print(
            f"The name {fields['name']} stood for {fields['replaced']}, which is no longer there.",
            markup=False,
            soft_wrap=True,
        )
    if not fields["created"]:
        console.print("This very dataset was there before; nothing was written.")


def show_details(fields: JsonObject, console: Console) -> None:
    """Print instruments, series and quality."""
    console.print(f"dataset {fields['name'] or '(no name)'}  {fields['hash']}", markup=False, soft_wrap=True)
    instruments = Table("symbol", "class", "tick", "lot", "contract", "quote", "guessed", title="instruments")
    for one in fields["instruments"]:
        row = [one[k] for k in ("symbol", "asset_class", "tick_size", "lot_size", "contract_size", "quote_currency")]
        instruments.add_row(*row, ", ".join(one["guessed"]))
    series = Table("symbol", "frame", "basis", "rows", "from", "to", title="series")
    for one in fields["series"]:
        basis = "-" if one["frame"] == FUNDING else one["price_basis"] + (" + ask" if one["has_ask"] else "")
        span = day(one["first_ns"]), day(one["last_ns"])
        series.add_row(one["symbol"], one["frame"], basis, f"{one['rows']:,}", *span)
    console.print(instruments)
    console.print(series)
    for one in fields["series"]:
        trades = one["frame"] == TICK and one["price_basis"] == "LAST"
        said = "trades, one price stands on both sides; " if trades else ""
        console.print(f"{one['symbol']} {one['frame']}: {said}{remarks(one['quality'])}", markup=False, soft_wrap=True)


def remarks(quality: dict[str, Any]) -> str:
    """Return the quality report in one line: what was repaired, what was only counted, gaps."""
    repairs = [f"REPAIRED {name.replace('_', ' ')} {count:,}" for name, count in quality.get("repairs", {}).items()]
    counts = [f"{name.replace('_', ' ')} {count:,}" for name, count in quality.get("counts", {}).items()]
    gaps = quality.get("gaps", {})
    rows = "rates" if "intervals" in quality else "bars"
    missing = f" ({gaps['missing_bars']:,} {rows} missing)" if gaps.get("missing_bars") else ""
    found = [f"gaps {gaps['count']:,}{missing}"] if gaps.get("count") else []
    return ", ".join([*repairs, *_intervals(quality), *counts, *found]) or "nothing to remark"


def _intervals(quality: dict[str, Any]) -> list[str]:
    """Return the interval of funding rates, and from which day another one held."""
    listed = quality.get("intervals", [])
    hours = [f"{one['interval_ns'] / _HOUR_NS:g} h" for one in listed]
    changes = [f"{each} from {day(one['from_ns'])}" for each, one in zip(hours, listed, strict=True)][1:]
    return [f"every {', '.join([hours[0], *changes])}"] if listed else []


def day(time_ns: int) -> str:
    """Return the UTC day of a time."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 10**9)).strftime("%Y-%m-%d")
