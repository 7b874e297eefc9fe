"""The rows of one symbol and frame on their way into one series: straight, as long as each file begins behind the last.

What comes in another order is kept as runs, and joined when all files were read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from boxgate_engine.calendars import Calendar
from boxgate_engine.datasets.adding import Account, Addition, OnGap, SeriesInHand
from boxgate_engine.datasets.content import ASK_COLUMNS, BAR_COLUMNS, Column, time_column
from boxgate_engine.datasets.formats.source import SourcePart
from boxgate_engine.datasets.instrument_defaults import InstrumentOptions
from boxgate_engine.datasets.joining import (
    Columns,
    OnDuplicate,
    Place,
    Run,
    chain_ticks,
    equal_rows,
    join_ask,
    merge_runs,
    refuse_duplicate,
)
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.datasets.series_writer import Heading, SeriesWriter, joined_rows
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What an import says of its series. place: of a time in an input file. Others: as in `ImportRequest`."""

    source: str
    licence: str
    zone: str | None
    on_duplicate: OnDuplicate
    on_gap: OnGap
    calendar: Calendar | None
    options: InstrumentOptions
    place: Place


class Intake:
    """Takes the parts of one symbol and frame, file by file. first: the part that comes first, not yet taken."""

    def __init__(self, addition: Addition, first: SourcePart, terms: Terms) -> None:
        self._addition = addition
        self._terms = terms
        self._first: Final = replace(first, columns={name: values[:0] for name, values in first.columns.items()})
        self._heading: Final = Heading(
            symbol=first.symbol, frame=first.frame, price_basis=first.price_basis, names=tuple(first.columns)
        )
        self._options = terms.options
        if self._options.asset_class is None and first.asset_class is not None:
            self._options = replace(self._options, asset_class=first.asset_class)
        self._series: SeriesInHand | None = None
        self._writer: SeriesWriter | None = None
        self._runs: list[Run] = []
        self._run: Run | None = None
        self._file_begins = True
        self._last_row: Columns = {}
        self._last_place = ""
        self._repairs: Counter[str] = Counter()
        self._inputs: dict[str, JsonObject] = {}
        self._forms: set[str] = set()
        self._ignored: set[str] = set()
        self._rows_read = 0

    def add(self, part: SourcePart) -> None:
        """Take the next rows. Parts of one file come one after the other, sound by themselves and not falling in time.

        Raises DataRefused: DATA_DUPLICATE (bars with one time), DATA_SCHEMA (a file of another kind).
        """
        if not part.rows:
            return
        self._refuse_other_kind(part)
        self._rows_read += part.rows
        self._repairs.update(part.repairs)
        self._forms.add(part.form)
        self._ignored.update(part.ignored)
        columns = self._without_repetitions(part, _without_minus_zero(part))
        times_ns = columns[time_column(part.frame)].view(np.int64)
        if not len(times_ns):
            return
        run = self._run_for(part.file.path, int(times_ns[0]))
        assert self._writer is not None
        self._writer.add(columns)
        run.last_ns = int(times_ns[-1])
        if not self._file_begins:
            run.files.pop()
        run.files.append((part.file.path, run.last_ns))
        self._file_begins = False

    def add_repeated(self, rows: int) -> None:
        """Count the rows of a file that was there before and is left out."""
        self._rows_read += rows
        self._repairs["rows_of_repeated_files_dropped"] += rows

    def end_of_file(self, label: str, facts: JsonObject) -> None:
        """Say that a file is over. facts: what the manifest keeps of it."""
        self._inputs[label] = facts
        self._last_row = {}
        self._file_begins = True

    def finish(self) -> None:
        """Take the series into the addition. Raises DataRefused as `add`, the joins and `SeriesInHand.finish` do."""
        terms, first = self._terms, self._first
        series = self._finished()
        account = Account(
            source=terms.source,
            licence=terms.licence,
            rows_read=self._rows_read,
            repairs=self._repairs,
            reading={
                "zone": first.zone or terms.zone or "in the stamps",
                "stamps": sorted(self._forms),
                "ignored_columns": sorted(self._ignored),
            },
            inputs=tuple(sorted(self._inputs.values(), key=lambda facts: (facts["name"], facts["sha256"]))),
            policies={"on_duplicate": terms.on_duplicate, "on_gap": terms.on_gap},
        )
        series.finish(account, side=first.side, on_gap=terms.on_gap)

    def _finished(self) -> SeriesInHand:
        """Return the series with all its rows."""
        heading = self._heading
        if self._series is not None:
            self._series.writer.close()
            return self._series
        self._end_run()
        if heading.frame == TICK:
            rows = chain_ticks(self._runs, heading.names, self._terms.place)
        else:
            rows = merge_runs(self._runs, heading.names, self._terms.on_duplicate, self._terms.place, self._repairs)
        if self._first.side == "ask":
            bids = self._addition.bids(heading)
            heading = replace(heading, names=(*BAR_COLUMNS, *ASK_COLUMNS))
            rows = join_ask(bids, rows, self._repairs)
        series = self._open(heading)
        with series:
            for columns in rows:
                series.writer.add(columns)
        if not series.writer.rows:
            raise DataRefused(
                "no ask bar has the time of a bid bar",
                code="DATA_SCHEMA",
                where=f"{heading.symbol} {heading.frame}",
                expected="bid and ask bars of one span, in one time zone",
                remedy="check the span and the zones of the two files",
            )
        return series

    def _run_for(self, path: Path, first_ns: int) -> Run:
        """Return the run that a file's next rows belong to: the one before, or a new one."""
        run = self._run
        if run is None:
            if self._first.side == "ask":  # They are joined to the bids in any case.
                self._writer = self._side_writer()
            else:
                self._series = self._open(self._heading)
                self._writer = self._series.writer
        elif self._file_begins and not self._is_behind(first_ns, run):
            self._end_run()
            self._writer = self._side_writer()
        else:
            return run
        self._run = Run(path=self._writer.path, first_ns=first_ns, last_ns=first_ns)
        return self._run

    def _is_behind(self, first_ns: int, run: Run) -> bool:
        return first_ns >= run.last_ns if self._heading.frame == TICK else first_ns > run.last_ns

    def _end_run(self) -> None:
        """Close the file of the current run. The first was to be the series itself; it is put aside."""
        writer, run = self._writer, self._run
        assert writer is not None
        assert run is not None
        writer.close()
        if self._series is not None:
            run.path = writer.path.rename(self._addition.dataset.side_file())
            self._series = None
        self._runs.append(run)

    def _side_writer(self) -> SeriesWriter:
        dataset = self._addition.dataset
        return SeriesWriter(dataset.side_file(), self._heading, dataset.pool)

    def _open(self, heading: Heading) -> SeriesInHand:
        return self._addition.open(heading, self._options, self._terms.calendar, inverse=self._first.inverse)

    def _without_repetitions(self, part: SourcePart, columns: Columns) -> Columns:
        """Return the rows without bars that repeat the one before, in the file; refuse them unless they may go."""
        if part.frame == TICK:
            return columns
        name = time_column(part.frame)
        rows = columns
        if self._last_row:
            rows = joined_rows([self._last_row, columns])
        self._last_row = {key: values[-1:].copy() for key, values in columns.items()}
        shift = len(rows[name]) - part.rows
        last_place, self._last_place = self._last_place, part.where(part.rows - 1, "time")
        same = np.flatnonzero(rows[name][1:] == rows[name][:-1]) + 1
        if not len(same):
            return columns
        equal = equal_rows(rows, same, same - 1)
        if self._terms.on_duplicate == "refuse" or not equal.all():
            pair = 0 if self._terms.on_duplicate == "refuse" else int(np.argmin(equal))
            row = int(same[pair]) - shift
            other = part.where(row - 1, "time") if row else last_place
            raise refuse_duplicate(part.where(row, "time"), other, equal=bool(equal[pair]))
        self._repairs["equal_duplicates_dropped"] += len(same)
        kept = np.ones(len(rows[name]), dtype=np.bool_)
        kept[same] = False
        kept[:shift] = False
        return {key: values[kept] for key, values in rows.items()}

    def _refuse_other_kind(self, part: SourcePart) -> None:
        first = self._first
        same = tuple(part.columns) == self._heading.names and part.side == first.side
        if not same or part.asset_class != first.asset_class or part.inverse != first.inverse:
            raise DataRefused(
                "the file has other columns than the files before it" if not same else "the file is of another market",
                code="DATA_SCHEMA",
                where=part.file.label,
                expected=f"columns {', '.join(first.columns)}, as in {first.file.label}",
                remedy="import files of different kinds by commands of their own",
            )


def _without_minus_zero(part: SourcePart) -> Columns:
    """Return the columns with 0.0 for -0.0, which no price is and a volume or a rate may be."""
    columns: dict[str, Column] = {}
    for name, values in part.columns.items():
        if name in ("volume", "rate"):
            columns[name] = values.view(np.float64) + 0.0
        else:
            columns[name] = values
    return columns
