"""The files of real market data, read a second time: with the standard library alone, for the reference loop.

Nothing here is shared with the importers. Larger bars are built by plain loops over the rows.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from terms import Event, Prices

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS


@dataclass(frozen=True)
class Row:
    """A bar or a tick as its file has it. time_ns: open of the bar, time of the tick."""

    time_ns: int
    bid: Prices
    ask: Prices | None


def lean_ticks(files: Iterable[Path]) -> list[Row]:
    """Return the quotes of LEAN tick zips, one file per day: milliseconds since midnight, bid, ask."""
    rows = []
    for file in files:
        midnight = _instant_ns(file.name[:8], "%Y%m%d")
        for ms, bid, ask in _lines_of_zip(file):
            rows.append(Row(midnight + int(ms) * 1_000_000, (float(bid),) * 4, (float(ask),) * 4))
    return rows


def lean_minutes(files: Iterable[Path]) -> list[Row]:
    """Return the bars of LEAN minute quote zips, one file per day: milliseconds since midnight, then the prices."""
    rows = []
    for file in files:
        midnight = _instant_ns(file.name[:8], "%Y%m%d")
        rows += [_quote_bar(midnight + int(line[0]) * 1_000_000, line) for line in _lines_of_zip(file)]
    return rows


def lean_hours(file: Path) -> list[Row]:
    """Return the bars of one LEAN hour quote zip: day and time, then the prices."""
    return [_quote_bar(_instant_ns(line[0], "%Y%m%d %H:%M"), line) for line in _lines_of_zip(file)]


def lean_days(file: Path) -> list[Row]:
    """Return the bars of one LEAN daily quote zip: day and 00:00, then the prices."""
    return [_quote_bar(_instant_ns(line[0], "%Y%m%d %H:%M"), line) for line in _lines_of_zip(file)]


def klines(file: Path) -> list[Row]:
    """Return the bars of a CSV of klines: open in milliseconds, open, high, low, close, and what is of no use here."""
    with file.open(encoding="ascii", newline="") as lines:
        table = csv.reader(lines)
        assert next(table)[:5] == ["timestamp", "open", "high", "low", "close"]
        return [Row(int(line[0]) * 1_000_000, _prices(line[1:5]), None) for line in table]


def minutes_of(ticks: Iterable[Row]) -> list[Row]:
    """Return the minutes in which there is a tick, bid and ask each with its own open, high, low and close."""
    return _merged(ticks, MINUTE_NS)


def larger_bars(bars: Iterable[Row], frame_ns: int) -> list[Row]:
    """Return bars of frame_ns that open at its multiples since 1970, made of smaller ones with bid and ask."""
    return _merged(bars, frame_ns)


def events_of(
    rows: Iterable[Row], frame_ns: int, *, instrument: int = 0, execution: bool = True, delivered: bool = True
) -> list[Event]:
    """Return rows as events of the reference loop. frame_ns: length of the bars, 0 for ticks."""
    kind = "bar" if frame_ns else "tick"
    return [
        Event(kind, instrument, row.time_ns + frame_ns, row.time_ns, row.bid, row.ask, execution, delivered, frame_ns)
        for row in rows
    ]


def within(events: Iterable[Event], start_ns: int, end_ns: int) -> list[Event]:
    """Return the events that are available after the start, up to and including the end."""
    return [event for event in events if start_ns < event.time_ns <= end_ns]


def ticks_inside(ticks: Iterable[Row], minutes: Sequence[Event]) -> list[Row]:
    """Return the ticks with open <= time < close of one of the minutes, which open at whole minutes."""
    opens = {minute.open_ns for minute in minutes}
    return [tick for tick in ticks if tick.time_ns - tick.time_ns % MINUTE_NS in opens]


def _merged(rows: Iterable[Row], frame_ns: int) -> list[Row]:
    merged: list[Row] = []
    for row in rows:
        assert row.ask is not None
        open_ns = row.time_ns - row.time_ns % frame_ns
        if merged and merged[-1].time_ns == open_ns:
            before = merged[-1]
            assert before.ask is not None
            merged[-1] = Row(open_ns, _joined(before.bid, row.bid), _joined(before.ask, row.ask))
        else:
            merged.append(Row(open_ns, row.bid, row.ask))
    return merged


def _joined(a: Prices, b: Prices) -> Prices:
    return (a[0], max(a[1], b[1]), min(a[2], b[2]), b[3])


def _quote_bar(open_ns: int, line: Sequence[str]) -> Row:
    # Stamp, bid open to close, bid size, ask open to close, ask size.
    assert len(line) == 11
    return Row(open_ns, _prices(line[1:5]), _prices(line[6:10]))


def _prices(texts: Sequence[str]) -> Prices:
    opened, high, low, close = (float(text) for text in texts)
    return (opened, high, low, close)


def _lines_of_zip(file: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(file) as archive:
        (member,) = archive.namelist()
        yield from csv.reader(io.TextIOWrapper(archive.open(member), encoding="ascii"))


def _instant_ns(text: str, form: str) -> int:
    return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
