"""The data of every chart and the rows of every table as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from boxgate_engine.report.exports.columns import times_ns
from boxgate_engine.timestamps import format_utc

Rows = list[dict[str, Any]]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_sheets(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write one file for each chart and table that has rows and return the paths, by name.

    figures: the data of the page. Times are RFC 3339 in UTC, numbers the shortest that read back as they are, what is
    undefined is empty. A text that a spreadsheet would take for a formula gets a leading apostrophe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, rows in sorted(sheets(figures).items()):
        if rows:
            path = folder / f"{name}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
                table.writeheader()
                table.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
            written.append(path)
    return written


def sheets(figures: Mapping[str, Any]) -> dict[str, Rows]:
    """Return name → rows of every chart and table; the list of trades is trades.csv of the run itself."""
    found: dict[str, Rows] = {
        "metrics": [{"metric": name, "value": value} for name, value in _flat(figures["metrics"], "")],
        "equity": _curve(figures["equity"], "equity", "value"),
        "drawdown": _curve(figures["drawdown"], "drawdown", "value"),
        "drawdowns": [_with_times(one) for one in figures["drawdowns"]["deepest"]],
        "exposure": _curve(figures["exposure"], "gross", "gross", net="net"),
        "rolling_sharpe": _curve(figures["rolling_sharpe"], "sharpe", "value"),
        "costs": [dict(one) for one in figures["costs"]["kinds"]],
        "instruments": [dict(one) for one in figures["instruments"]],
        "monthly": _monthly(figures["monthly"]),
        "benchmark": [
            {"instrument": one["instrument"], **row}
            for one in figures["benchmark"]
            for row in _curve(one, "equity", "value")
        ],
        "excursions": [{"group": name, **one} for name, one in figures["excursions"].items()],
        "assumptions": [dict(one) for one in figures.get("assumptions", [])],
    }
    for name, values in figures["distribution"].items():
        if values["count"]:
            edges = values["edges"]
            found[f"distribution_{name}"] = [
                {"from": low, "to": high, "count": count}
                for low, high, count in zip(edges[:-1], edges[1:], values["counts"], strict=True)
            ]
    for number, panel in enumerate(figures["price"], start=1):
        columns = ("open", "high", "low", "close") if panel["style"] == "candles" else ("value",)
        found[f"price_{number}"] = [
            {"instrument": panel["symbol"], **row}
            for row in _curve(panel, columns[0], columns[0], **{name: name for name in columns[1:]})
        ]
    return found


def _curve(curve: Mapping[str, Any], first: str, key: str, **others: str) -> Rows:
    columns = {first: curve[key], **{name: curve[column] for name, column in others.items()}}
    moments = (format_utc(time) for time in times_ns(curve["time"]).tolist())
    return [
        {"time": moment, **dict(zip(columns, values, strict=True))}
        for moment, *values in zip(moments, *columns.values(), strict=True)
    ]


def _monthly(years: Sequence[Mapping[str, Any]]) -> Rows:
    return [
        {"year": year["year"], **{f"{month:02d}": value for month, value in enumerate(year["months"], start=1)}}
        | {"total": year["total"]}
        for year in years
    ]


def _with_times(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry with its instants as text; lengths stay nanoseconds."""
    return {
        key.removesuffix("_ns") if key in _INSTANTS else key: format_utc(value) if key in _INSTANTS else value
        for key, value in entry.items()
    }


_INSTANTS = frozenset({"start_ns", "trough_ns", "end_ns"})


def _flat(value: Any, path: str) -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _flat(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from _flat(entry, f"{path}.{number}")
    else:
        yield path, value


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
