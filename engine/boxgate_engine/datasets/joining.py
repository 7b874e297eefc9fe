"""Joining the parts of an import: files in time order, duplicates by policy, the ask side to the bid side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from boxgate_engine.datasets.content import ASK_COLUMNS, BAR_COLUMNS, Column, SeriesContent, time_column
from boxgate_engine.datasets.formats.source import BASIS_OF_SIDE, SourcePart
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

OnDuplicate: TypeAlias = Literal["refuse", "drop"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """One series and what was done to get it. repairs: name -> rows, only those that are not zero."""

    content: SeriesContent
    rows_read: int
    repairs: dict[str, int]


def join_parts(parts: Sequence[SourcePart], on_duplicate: OnDuplicate) -> Joined:
    """Return the rows of all parts (of one symbol, frame, side, sound by themselves) as one series.

    Bars of overlapping files are merged by time; ticks are not, for their order within a moment would be lost.
    Raises DataRefused: DATA_DUPLICATE (bars with one time and other values; equal ones unless they are to be dropped;
    the same file twice), DATA_ORDER (tick files that overlap), DATA_SCHEMA (files with different columns).
    """
    first = parts[0]
    for part in parts[1:]:
        if tuple(part.columns) != tuple(first.columns) or part.side != first.side:
            raise DataRefused(
                "the file has other columns than the files before it",
                code="DATA_SCHEMA",
                where=part.file.label,
                expected=f"columns {', '.join(first.columns)}, as in {first.file.label}",
                remedy="import files of different kinds by commands of their own",
            )
    rows_read = sum(part.rows for part in parts)
    distinct, twice = _distinct_files(parts, on_duplicate)
    name = time_column(first.frame)
    distinct.sort(key=lambda part: (int(part.columns[name][0]), int(part.columns[name][-1]), part.file.label))
    columns: dict[str, Column] = {
        column: np.concatenate([part.columns[column] for part in distinct]) for column in first.columns
    }
    repairs = {"rows_of_repeated_files_dropped": twice}
    for part in distinct:
        for repair, rows in part.repairs.items():
            repairs[repair] = repairs.get(repair, 0) + rows
    if first.frame == TICK:
        _refuse_overlap(distinct)
    else:
        columns, repairs["equal_duplicates_dropped"] = _merge_bars(distinct, columns, on_duplicate)
    # Adding +0.0 turns -0.0, which a volume may be, into 0.0.
    columns = {key: np.ascontiguousarray(values if key == name else values + 0.0) for key, values in columns.items()}
    content = SeriesContent(
        symbol=first.symbol,
        frame=first.frame,
        price_basis=BASIS_OF_SIDE[first.side] if first.side else "BID",
        columns=columns,
    )
    return Joined(content=content, rows_read=rows_read, repairs={key: count for key, count in repairs.items() if count})


def join_ask(bid: SeriesContent, ask: SeriesContent) -> Joined:
    """Return the bid bars with the ask bars beside them, where both exist; the others are counted as repairs."""
    _, bid_rows, ask_rows = np.intersect1d(bid.times_ns, ask.times_ns, assume_unique=True, return_indices=True)
    if not len(bid_rows):
        raise DataRefused(
            "no ask bar has the time of a bid bar",
            code="DATA_SCHEMA",
            where=f"{bid.symbol} {bid.frame}",
            expected="bid and ask bars of one span, in one time zone",
            remedy="check the span and the zones of the two files",
        )
    columns: dict[str, Column] = {name: bid.columns[name][bid_rows] for name in BAR_COLUMNS}
    columns |= {name: ask.columns[name.removeprefix("ask_")][ask_rows] for name in ASK_COLUMNS}
    repairs = {"bid_rows_without_ask_dropped": bid.rows - len(bid_rows)}
    repairs["ask_rows_without_bid_dropped"] = ask.rows - len(ask_rows)
    content = SeriesContent(symbol=bid.symbol, frame=bid.frame, price_basis="BID", columns=columns)
    return Joined(content=content, rows_read=ask.rows, repairs={name: n for name, n in repairs.items() if n})


def _distinct_files(parts: Sequence[SourcePart], on_duplicate: OnDuplicate) -> tuple[list[SourcePart], int]:
    """Return the parts without repeated files, and how many rows the repeated ones had."""
    # The first time is in the key, for a LEAN file says its day in its name alone.
    seen: dict[tuple[str, int], SourcePart] = {}
    dropped = 0
    for part in parts:
        other = seen.setdefault((part.file.sha256, int(part.columns[time_column(part.frame)][0])), part)
        if other is part:
            continue
        if on_duplicate == "refuse":
            raise DataRefused(
                f"the file is the same as {other.file.label}",
                code="DATA_DUPLICATE",
                where=part.file.label,
                expected="each file once",
                remedy="leave it out, or import with --on-duplicate drop",
            )
        dropped += part.rows
    return list(seen.values()), dropped


def _refuse_overlap(parts: Sequence[SourcePart]) -> None:
    for before, after in pairwise(parts):
        last, first = int(before.columns["time_ns"][-1]), int(after.columns["time_ns"][0])
        if first < last:
            raise DataRefused(
                f"the ticks begin before those of {before.file.label} end",
                code="DATA_ORDER",
                where=after.where(0, "time"),
                expected="tick files that follow one another, for the order within a moment matters",
                remedy="leave out one of the files, or cut them so that they do not overlap",
            )


def _merge_bars(
    parts: Sequence[SourcePart], columns: dict[str, Column], on_duplicate: OnDuplicate
) -> tuple[dict[str, Column], int]:
    times_ns = columns["open_ns"]
    order = np.argsort(times_ns, kind="stable")
    same = times_ns[order][1:] == times_ns[order][:-1]
    if same.any():
        later, earlier = order[1:][same], order[:-1][same]
        differs = np.zeros(len(later), dtype=np.bool_)
        for values in columns.values():
            differs |= values[later] != values[earlier]
        if differs.any():
            index = int(np.argmax(differs))
            _refuse_duplicate(parts, int(later[index]), int(earlier[index]), "with other values")
        if on_duplicate == "refuse":
            _refuse_duplicate(parts, int(later[0]), int(earlier[0]), "with equal values")
        order = order[np.concatenate(([True], ~same))]
    return {name: values[order] for name, values in columns.items()}, int(np.count_nonzero(same))


def _refuse_duplicate(parts: Sequence[SourcePart], later: int, earlier: int, how: str) -> None:
    equal = how == "with equal values"
    raise DataRefused(
        f"the bar is there a second time {how}; the other is at {_place(parts, earlier)}",
        code="DATA_DUPLICATE",
        where=_place(parts, later),
        expected="one bar for each time",
        remedy="import with --on-duplicate drop to drop equal rows, counted" if equal else "remove the wrong row",
    )


def _place(parts: Sequence[SourcePart], row: int) -> str:
    for part in parts:
        if row < part.rows:
            return part.where(row, "time")
        row -= part.rows
    raise AssertionError("row beyond the parts")
