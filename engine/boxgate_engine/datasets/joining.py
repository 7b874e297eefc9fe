"""Joining what was read: runs of rows in time order, duplicates by policy, the ask side to the bid side.

Everything is done on chunks that stream by; how the rows are cut into chunks changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import ASK_COLUMNS, BAR_COLUMNS, TIME_COLUMNS, Column
from boxgate_engine.datasets.parquet import stream_file
from boxgate_engine.datasets.series_writer import joined_rows
from boxgate_engine.errors import DataRefused

OnDuplicate: TypeAlias = Literal["refuse", "drop"]
Columns: TypeAlias = Mapping[str, Column]
Place: TypeAlias = Callable[[Path, int], str]
"""Gives the place of the row with a time in an input file, for errors."""


@dataclass(kw_only=True, slots=True)
class Run:
    """Rows in time order (other than ticks: strictly rising) of one or several files, in a file of their own.

    first_ns, last_ns: of its time column. files: (input file, its last time in this run), in order.
    """

    path: Path
    first_ns: int
    last_ns: int
    files: list[tuple[Path, int]] = field(default_factory=list)

    def file_at(self, time_ns: int) -> Path:
        """Return the input file that has the row with this time."""
        return next(path for path, last_ns in self.files if time_ns <= last_ns)


def merge_runs(
    runs: Sequence[Run], names: Sequence[str], on_duplicate: OnDuplicate, place: Place, repairs: Counter[str]
) -> Iterator[Columns]:
    """Yield the rows of all runs in time order, equal ones of several runs once if they are to be dropped.

    Memory holds a chunk of each run that overlaps with others at a time. repairs: is added to.
    Raises DataRefused (DATA_DUPLICATE) at the first time with other values, or with equal ones that are refused.
    """
    pending = sorted(runs, key=lambda run: (run.first_ns, run.last_ns, str(run.files[0][0])))
    active: list[_Head] = []
    while active or pending:
        if not active:
            active.append(_Head(pending.pop(0), names))
        cut_ns = min(head.last_ns for head in active)
        while pending and pending[0].first_ns <= cut_ns:
            active.append(_Head(pending.pop(0), names))
            cut_ns = min(cut_ns, active[-1].last_ns)
        taken = [(head.run, head.take(cut_ns)) for head in active]
        active = [head for head in active if head.rows is not None]
        yield _merged([pair for pair in taken if _rows(pair[1])], on_duplicate, place, repairs)


def chain_ticks(runs: Sequence[Run], names: Sequence[str], place: Place) -> Iterator[Columns]:
    """Yield the ticks of all runs in time order. Raises DataRefused (DATA_ORDER) if two of them overlap.

    They are not merged, for their order within a moment would be lost.
    """
    ordered = sorted(runs, key=lambda run: (run.first_ns, run.last_ns, str(run.files[0][0])))
    for before, after in pairwise(ordered):
        if after.first_ns < before.last_ns:
            raise DataRefused(
                f"the ticks begin before those of {before.file_at(before.last_ns)} end",
                code="DATA_ORDER",
                where=place(after.files[0][0], after.first_ns),
                expected="tick files that follow one another, for the order within a moment matters",
                remedy="leave out one of the files, or cut them so that they do not overlap",
            )
    for run in ordered:
        yield from stream_file(run.path, names)


def join_ask(bids: Iterator[Columns], asks: Iterator[Columns], repairs: Counter[str]) -> Iterator[Columns]:
    """Yield the bid bars with the ask bars beside them, where both exist; the others are counted as repairs."""
    bid, ask = next(bids, None), next(asks, None)
    while bid is not None and ask is not None:
        bid_ns, ask_ns = bid["open_ns"], ask["open_ns"]
        cut_ns = min(bid_ns[-1], ask_ns[-1])
        bid_count, ask_count = (int(np.searchsorted(times, cut_ns, side="right")) for times in (bid_ns, ask_ns))
        _, bid_rows, ask_rows = np.intersect1d(
            bid_ns[:bid_count], ask_ns[:ask_count], assume_unique=True, return_indices=True
        )
        repairs["bid_rows_without_ask_dropped"] += bid_count - len(bid_rows)
        repairs["ask_rows_without_bid_dropped"] += ask_count - len(ask_rows)
        columns: dict[str, Column] = {name: bid[name][bid_rows] for name in BAR_COLUMNS}
        yield columns | {name: ask[name.removeprefix("ask_")][ask_rows] for name in ASK_COLUMNS}
        bid = _behind(bid, bid_count) or next(bids, None)
        ask = _behind(ask, ask_count) or next(asks, None)
    while bid is not None:
        repairs["bid_rows_without_ask_dropped"] += _rows(bid)
        bid = next(bids, None)
    while ask is not None:
        repairs["ask_rows_without_bid_dropped"] += _rows(ask)
        ask = next(asks, None)


def refuse_duplicate(where: str, other: str, *, equal: bool) -> DataRefused:
    """Return the refusal of a bar whose time another one has."""
    return DataRefused(
        f"the bar is there a second time with {'equal' if equal else 'other'} values; the other is at {other}",
        code="DATA_DUPLICATE",
        where=where,
        expected="one bar for each time",
        remedy="import with --on-duplicate drop to drop equal rows, counted" if equal else "remove the wrong row",
    )


def equal_rows(columns: Columns, rows: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return which of the pairs of rows have equal values in all columns but the time."""
    equal = np.ones(len(rows), dtype=np.bool_)
    for name, values in columns.items():
        if name not in TIME_COLUMNS:
            equal &= values[rows] == values[others]
    return equal


class _Head:
    """The rows of a run that come next. rows: None when there are no more."""

    def __init__(self, run: Run, names: Sequence[str]) -> None:
        self.run = run
        self._chunks = stream_file(run.path, names)
        self.rows: Columns | None = next(self._chunks)

    @property
    def last_ns(self) -> int:
        """Time of the last row that is in memory."""
        assert self.rows is not None
        return int(_times(self.rows)[-1])

    def take(self, cut_ns: int) -> Columns:
        """Remove and return the rows up to and with a time."""
        assert self.rows is not None
        count = int(np.searchsorted(_times(self.rows), cut_ns, side="right"))
        taken = {name: values[:count] for name, values in self.rows.items()}
        self.rows = _behind(self.rows, count) or next(self._chunks, None)
        return taken


def _merged(
    taken: Sequence[tuple[Run, Columns]], on_duplicate: OnDuplicate, place: Place, repairs: Counter[str]
) -> Columns:
    if len(taken) == 1:
        return taken[0][1]
    columns = joined_rows([rows for _, rows in taken])
    owner = np.repeat(np.arange(len(taken)), [_rows(rows) for _, rows in taken])
    times_ns = _times(columns)
    order = np.argsort(times_ns, kind="stable")
    same = times_ns[order][1:] == times_ns[order][:-1]
    if not same.any():
        return {name: values[order] for name, values in columns.items()}
    later, earlier = order[1:][same], order[:-1][same]
    equal = equal_rows(columns, later, earlier)
    if on_duplicate == "refuse" or not equal.all():
        pair = 0 if on_duplicate == "refuse" else int(np.argmin(equal))
        time_ns = int(times_ns[later[pair]])
        where, other = (place(taken[owner[row]][0].file_at(time_ns), time_ns) for row in (later[pair], earlier[pair]))
        raise refuse_duplicate(where, other, equal=bool(equal[pair]))
    repairs["equal_duplicates_dropped"] += len(later)
    order = order[np.concatenate(([True], ~same))]
    return {name: values[order] for name, values in columns.items()}


def _behind(rows: Columns, count: int) -> Columns | None:
    return {name: values[count:] for name, values in rows.items()} if count < _rows(rows) else None


def _rows(columns: Columns) -> int:
    return len(_times(columns))


def _times(columns: Columns) -> NDArray[np.int64]:
    """Return the time column, which is the first."""
    return next(iter(columns.values())).view(np.int64)
