"""The section on data quality: what the import of each series found, whatever it counts.

The report of an import is JSON values; numbers and texts become lines, lists of objects (gaps, say) small tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from boxgate_engine.report.markup import Cell, definitions, empty, esc, section, table
from boxgate_engine.report.numerals import count, duration, instant, number

TITLE: Final = "Data quality"
"""Title of the section."""
ROWS_MAX: Final = 12
"""Rows of a list that are shown; the rest is counted."""
_HIDDEN: Final = frozenset({"digest", "files", "inputs", "columns"})
"""Keys of a stored series that name its bytes, not its quality."""
_TABLE: Final = ("calendar", "table")
"""Key path of a calendar's hours and holidays: its name says which they are."""
_NAMES: Final = {
    ("rows_read",): "Rows read",
    ("rows_kept",): "Rows kept",
    ("repairs",): "Repairs",
    ("repairs", "rows_of_repeated_files_dropped"): "Rows of repeated files, dropped",
    ("repairs", "equal_duplicates_dropped"): "Equal duplicates, dropped",
    ("repairs", "bid_rows_without_ask_dropped"): "Bid rows without ask, dropped",
    ("repairs", "ask_rows_without_bid_dropped"): "Ask rows without bid, dropped",
    ("counts",): "Oddities",
    ("counts", "off_grid_prices"): "Prices off the grid",
    ("counts", "outside_market_hours"): "Rows outside market hours",
    ("counts", "zero_volume"): "Bars without volume",
    ("counts", "flat"): "Flat bars",
    ("counts", "crossed"): "Bid above ask",
    ("counts", "locked"): "Bid equal to ask",
    ("counts", "repeated_time"): "Ticks at the time of the one before",
    ("counts", "repeated_row"): "Repeated ticks",
    ("calendar",): "Market calendar",
    ("calendar", "name"): "Market calendar",
    ("calendar", "sha256"): "Market calendar: SHA-256 of its file",
    ("gaps",): "Gaps",
    ("gaps", "count"): "Gaps in market hours",
    ("gaps", "missing_bars"): "Bars missing in gaps",
    ("gaps", "closures"): "Pauses of a closed market",
    ("reading", "generator"): "Generator",
    ("reading", "seed"): "Seed",
    ("reading", "zone"): "Time zone",
    ("reading", "stamps"): "Time format",
    ("reading", "ignored_columns"): "Columns left out",
    ("gaps", "longest"): "Longest gaps",
    ("gaps", "longest", "from_ns"): "From",
    ("gaps", "longest", "to_ns"): "To",
    ("gaps", "longest", "missing_bars"): "Missing bars",
}
"""What the known lines and columns of a report are called, in the order in which they are shown; others follow."""
_ORDER: Final = {key: place for place, key in enumerate(_NAMES)}


def quality_section(quality: Mapping[str, Any]) -> str:
    """Return the section.

    quality: series name (`EURUSD M1`) → its report, or the manifest's entry that holds it.
    """
    lead = "What the import of each series found. Nothing is repaired silently: every repair is counted here."
    if not quality:
        return section("quality", TITLE, empty("The dataset carries no quality report, or was not at hand."), lead=lead)
    return section("quality", TITLE, "".join(_series(name, quality[name]) for name in quality), lead=lead)


def shown_quality(quality: Mapping[str, Any]) -> dict[str, Any]:
    """Return the reports as far as the page shows them: lists as long as their tables, with the number of the rest."""
    return {name: _shown(report, top=True) for name, report in quality.items()}


def quality_lines(title: str, report: Mapping[str, Any]) -> str:
    """Return what a report tells, without its gaps: a page that draws them has a table of its own."""
    return _series(title, {key: value for key, value in report.items() if key != "gaps"})


def _shown(value: Any, *, top: bool = False) -> Any:
    if isinstance(value, Mapping):
        shown_keys = [
            key for key in value if not (top and key in _HIDDEN) and not (key == "table" and "sha256" in value)
        ]
        return {str(key): _shown(value[key]) for key in shown_keys}
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = [_shown(entry) for entry in value[:ROWS_MAX]]
        return [*shown, {"more": len(value) - ROWS_MAX}] if len(value) > ROWS_MAX else shown
    return value


def _series(name: str, report: Any) -> str:
    if not isinstance(report, Mapping) or not report:
        return f"<h3>{esc(name)}</h3>" + empty("This series carries no quality report.")
    lines, lists = [], []
    for key, value in sorted(_flat(_notable(report)), key=lambda line: _ORDER.get(line[0], len(_ORDER))):
        if isinstance(value, list):
            lists.append((key, value))
        else:
            lines.append((_title(key), _text(key, value)))
    shown = definitions(name, lines, texts=True) if lines else f"<h3>{esc(name)}</h3>"
    return shown + "".join(_list(key, value) for key, value in lists)


def _notable(report: Mapping[str, Any], rows: int | None = None) -> Mapping[str, Any]:
    """Return a report without the count of bars without volume where no bar has any: such a source has no volumes."""
    inner = report.get("quality")
    if isinstance(inner, Mapping):
        return {**report, "quality": _notable(inner, report.get("rows"))}
    counts = report.get("counts")
    if isinstance(counts, Mapping) and counts.get("zero_volume") == report.get("rows_kept", rows) is not None:
        return {**report, "counts": {name: value for name, value in counts.items() if name != "zero_volume"}}
    return report


def _flat(report: Mapping[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield (key path, value); lists of objects stay lists, lists of plain values become text."""
    for key, value in report.items():
        if not prefix and key in _HIDDEN:
            continue
        here = (*prefix, str(key)) if key != "quality" else prefix
        if here == _TABLE:
            continue
        if isinstance(value, Mapping) and value:
            yield from _flat(value, here)
        elif isinstance(value, Mapping):
            yield here, "none"
        elif isinstance(value, Sequence) and not isinstance(value, str):
            objects = bool(value) and all(isinstance(entry, Mapping) for entry in value)
            yield here, list(value) if objects else ", ".join(_text(here, entry) for entry in value) or "none"
        else:
            yield here, value


def _list(key: tuple[str, ...], entries: list[Mapping[str, Any]]) -> str:
    names = list(dict.fromkeys(str(name) for entry in entries for name in entry))
    names.sort(key=lambda name: _ORDER.get((*key, name), len(_ORDER)))
    rows: list[list[Cell]] = [[_text((*key, name), entry.get(name)) for name in names] for entry in entries[:ROWS_MAX]]
    rest = len(entries) - ROWS_MAX
    more = f'<p class="note">and {count(rest)} more</p>' if rest > 0 else ""
    heads = [_NAMES.get((*key, name)) or _title((name,)) for name in names]
    shown = table(_title(key), heads, rows, text_columns=len(names), compact=True)
    return f"<h3>{esc(_title(key))}</h3>{shown}{more}"


def _title(key: tuple[str, ...]) -> str:
    if key in _NAMES:
        return _NAMES[key]
    words = [part.removesuffix("_ns").replace("_", " ") for part in key]
    text = ": ".join(words)
    return text[:1].upper() + text[1:]


def _text(key: tuple[str, ...], value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and key[-1].endswith("_ns"):
        # Instants of markets are later than 1971; what is shorter is a duration.
        return instant(value) if abs(value) > 31_536_000_000_000_000 else duration(value)
    if isinstance(value, int):
        return str(value) if key[-1] == "seed" else count(value)
    if isinstance(value, float):
        return number(value, 4)
    return str(value)
