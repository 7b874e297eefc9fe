"""Importer of Parquet files: columns are recognised by their usual names, stamps by their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.datasets.content import Column, time_column, trade_columns
from boxgate_engine.datasets.formats.column_names import (
    DATE,
    MEANINGS,
    TIME,
    column_meanings,
    normal,
    source_of,
    stated_names,
    stored_names,
)
from boxgate_engine.datasets.formats.parquet import nautilus
from boxgate_engine.datasets.formats.parquet.decoding import Batch, Decoder, StoredColumn, Wanted, place
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, Side, SourcePart, stated
from boxgate_engine.datasets.formats.stamps import parse_stamps, to_utc
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_UNITS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_LATEST_NS: Final = 7_258_118_400 * 10**9
"""2200-01-01 UTC, exclusive."""
_NUMBERS: Final = frozenset({"integer", "float64", "float32", "decimal", "text"})
_STAMPS: Final = frozenset({"timestamp", "date", "integer", "text"})
_DECIMALS: Final = "float32_rows_read_as_decimals"
"""Name of the repair: rows with numbers of 32 bits, each taken as the shortest decimal that it stands for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """What a file holds. wanted: columns to be decoded. sources: stored column -> column of the file, None: zeros.

    time: its column of stamps. side: as of `SourcePart`. ignored: columns that are not kept. after_open_ns: from the
    open of a bar to its stamp.
    """

    symbol: str
    frame: str
    side: Side | None
    trades: bool
    time: StoredColumn
    wanted: tuple[Wanted, ...]
    sources: Mapping[str, str | None]
    ignored: tuple[str, ...]
    float32: bool = False
    after_open_ns: int = 0


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of a file, batch by batch.

    symbol, frame: stated, but those of nautilus_trader are in the file. Whole numbers as stamps are epochs, their unit
    told by their range; stamps without a zone are in the one that is stated. Raises DataRefused: DATA_FORMAT,
    DATA_ARROW, DATA_SCHEMA, DATA_VALUE, DATA_TZ.
    """
    with Decoder(file) as decoder:
        layout = _nautilus(file, decoder, options) if nautilus.is_written(decoder) else _layout(file, decoder, options)
        stamps = _Stamps(file, layout.time, options.zone, is_ns=nautilus.is_written(decoder))
        empty = True
        for batch in decoder.batches(layout.wanted):
            if not batch.rows:
                continue
            empty = False
            times_ns, form = stamps.of(batch)
            columns: dict[str, Column] = {time_column(layout.frame): times_ns - layout.after_open_ns}
            for name, source in layout.sources.items():
                columns[name] = np.zeros(batch.rows) if source is None else np.asarray(batch.values[source])
            yield SourcePart(
                symbol=layout.symbol,
                frame=layout.frame,
                side=layout.side,
                columns=trade_columns(columns) if layout.trades else columns,
                where=partial(_where, file, batch.row, {**layout.sources, "time": layout.time.name}),
                file=file,
                form=form,
                ignored=layout.ignored,
                repairs={_DECIMALS: batch.rows if layout.float32 else 0, nautilus.ROUNDED: batch.rounded},
            )
        if empty:
            raise DataRefused(
                "the file has no rows",
                code="DATA_FORMAT",
                where=file.label,
                expected="rows of market data",
                remedy="write or download the file again",
            )


class _Stamps:
    """Turns the stamps of a file into int64 ns UTC; all have the form of the first. is_ns: ns UTC, of any type."""

    def __init__(self, file: InputFile, column: StoredColumn, zone: str | None, *, is_ns: bool) -> None:
        self._file = file
        self._column = column
        self._zone = zone
        self._is_ns = is_ns
        self._first: pl.Series | None = None

    def of(self, batch: Batch) -> tuple[NDArray[np.int64], str]:
        """Return (int64 ns UTC, form) of a batch. Raises DataRefused (DATA_TZ)."""
        values = batch.values[self._column.name]
        if self._is_ns or self._column.kind in ("timestamp", "date"):
            return self._counted(np.asarray(values).astype(np.int64), batch.row)
        texts = values if isinstance(values, pl.Series) else pl.Series(values).cast(pl.String)
        # The first stamp of the file stands before each batch, so that all are read as it is.
        self._first = texts[:1] if self._first is None else self._first
        where = partial(self._place, batch.row - 1)
        times_ns, form = parse_stamps(pl.concat([self._first, texts]), self._zone, where)
        return times_ns[1:], form

    def _counted(self, values: NDArray[np.int64], first: int) -> tuple[NDArray[np.int64], str]:
        column, where = self._column, partial(self._place, first)
        unit = "ns" if self._is_ns else column.unit or "ms"
        outside = (values < 0) | (values >= _LATEST_NS // _UNITS[unit])
        if outside.any():
            row = int(np.argmax(outside))
            raise DataRefused(
                f"{int(values[row])} {unit} after 1970 is out of range",
                code="DATA_TZ",
                where=where(row),
                expected="stamps between 1970 and 2200",
                remedy="correct or remove the row; check the unit of the column",
            )
        times_ns = values * _UNITS[unit]
        if self._is_ns or column.utc:
            return times_ns, f"{unit} UTC"
        return to_utc(times_ns, self._stated_zone(where(0)), where), column.kind if column.kind == "date" else unit

    def _place(self, first: int, row: int) -> str:
        return place(self._file, max(first + row, 0), self._column.name)

    def _stated_zone(self, where: str) -> str:
        if self._zone is None:
            raise DataRefused(
                "the stamps name no time zone",
                code="DATA_TZ",
                where=where,
                expected="the zone of the stamps, given as --tz ZONE",
                remedy="give --tz UTC, an IANA name such as --tz Europe/Berlin, or a broker's such as --tz +2/+3@US",
            )
        return self._zone


def _layout(file: InputFile, decoder: Decoder, options: ReadOptions) -> Layout:
    """Return what the names of the columns tell. Raises DataRefused (DATA_SCHEMA)."""
    symbol, frame = stated(file, options)
    side = options.side or "bid"
    trades = frame == TICK and side == "last"
    by_name = _by_name(decoder, file)
    header = list(by_name)
    named = stated_names(header, options.columns, file.label)
    index = _pandas_times(decoder, named)
    named = [TIME if name in index else name for name in named]
    leftover = frozenset(name for name in named if name.startswith("__index_level_"))
    found = column_meanings(named, frame, options.ignore | leftover, file.label, trades=trades)
    meanings = {name: found[known] for name, known in zip(header, named, strict=True) if known in found}
    column_of = {meaning: name for name, meaning in meanings.items()}
    if DATE in column_of:
        raise _schema(
            "day and time stand in two columns", file, "one column of timestamps", "join them before writing the file"
        )
    two_sided = not trades if frame == TICK else "bid_open" in column_of
    sources = {
        name: column_of.get(source_of(name, frame, two_sided)) for name in stored_names(frame, set(meanings.values()))
    }
    time = by_name[column_of[TIME]]
    _refuse_kind(time, _STAMPS, "a timestamp, date, text or whole number", file)
    numbers = [by_name[name] for name in sources.values() if name is not None]
    for column in numbers:
        _refuse_kind(column, _NUMBERS, "numbers", file)
    wanted = (Wanted(name=time.name, form="stamp"), *(Wanted(name=one.name, form="number") for one in numbers))
    return Layout(
        symbol=symbol,
        frame=frame,
        side=None if two_sided else side,
        trades=trades,
        time=time,
        wanted=wanted,
        sources=sources,
        ignored=tuple(sorted(name for name in header if name not in meanings)),
        float32=any(column.kind == "float32" for column in numbers),
    )


def _nautilus(file: InputFile, decoder: Decoder, options: ReadOptions) -> Layout:
    told = nautilus.contents(file, decoder, options)
    by_name = _by_name(decoder, file)
    wanted = [Wanted(name=told.time, form="stamp")]
    for source in told.sources.values():
        if source is not None:
            column = by_name[source]
            _refuse_kind(column, frozenset({"fixed8", "fixed16", "integer"}), "whole numbers of fixed width", file)
            digits = told.size_digits if source == told.sources.get("volume") else told.price_digits
            wanted.append(Wanted(name=source, form="scaled", scale=nautilus.SCALES[column.kind], digits=digits))
    read_names = {one.name for one in wanted}
    return Layout(
        symbol=told.symbol,
        frame=told.frame,
        side=told.side,
        trades=told.trades,
        time=by_name[told.time],
        wanted=tuple(wanted),
        sources=told.sources,
        ignored=tuple(sorted(name for name in by_name if name not in read_names)),
        after_open_ns=told.after_open_ns,
    )


def _by_name(decoder: Decoder, file: InputFile) -> dict[str, StoredColumn]:
    by_name = {one.name: one for one in decoder.columns}
    if len(by_name) != len(decoder.columns):
        names = [one.name for one in decoder.columns]
        twice = next(name for name in names if names.count(name) > 1)
        raise _schema(f"two columns are called {twice!r}", file, "different names", "rename one of them")
    return by_name


def _pandas_times(decoder: Decoder, named: list[str]) -> frozenset[str]:
    """Return the name of the index of a pandas table, if no column beside it means a stamp."""
    if any(MEANINGS.get(normal(name)) in (TIME, DATE) for name in named):
        return frozenset()
    kinds = {one.name: one.kind for one in decoder.columns}
    index = [name for name in decoder.index if name in named and kinds.get(name) in ("timestamp", "date", "text")]
    return frozenset(index) if len(index) == 1 else frozenset()


def _refuse_kind(column: StoredColumn, kinds: frozenset[str], expected: str, file: InputFile) -> None:
    if column.kind not in kinds:
        raise DataRefused(
            f"the column is of type {column.kind}",
            code="DATA_SCHEMA",
            where=place(file, None, column.name),
            expected=expected,
            remedy="write the column in another type",
        )


def _where(file: InputFile, first: int, sources: Mapping[str, str | None], row: int, column: str | None = None) -> str:
    return place(file, first + row, sources.get(column or "") or column)


def _schema(what: str, file: InputFile, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_SCHEMA", where=file.label, expected=expected, remedy=remedy)


def _recognises(file: InputFile) -> bool:
    return file.head[:4] in (b"PAR1", b"PARE") or file.path.suffix.lower() in (".parquet", ".pq")


FORMAT: Final = FileFormat(
    name="parquet", title="Parquet", recognises=_recognises, read=read, follows=frozenset({"columns", "ignore"})
)
