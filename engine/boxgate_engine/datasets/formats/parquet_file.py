"""Importer of Parquet files of other systems: columns by their usual names, and catalogues of nautilus_trader.

Pages are verified where they carry checksums, and sizes are looked at before anything is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from boxgate_engine.datasets.content import Column, time_column
from boxgate_engine.datasets.formats.column_names import (
    TIME,
    column_meanings,
    refuse_trades,
    source_of,
    stated_names,
    stored_names,
)
from boxgate_engine.datasets.formats.source import (
    FileFormat,
    InputFile,
    ReadOptions,
    Side,
    SourcePart,
    stated,
    stated_symbol,
)
from boxgate_engine.datasets.formats.stamps import parse_stamps, to_utc
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import FRAME_NS, TICK, frame_duration_ns

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

_MAGIC: Final = b"PAR1"
_BATCH_ROWS: Final = 1 << 20
_RATIO_MAX: Final = 1_000
"""Market data shrink to a tenth; a file that claims to unpack to a thousand times its size is no market data."""
_GROUPS_MAX: Final = 100_000
_LATEST_NS: Final = 7_258_118_400 * 10**9
_FIXED_POINT: Final = 9
"""Decimals of the whole numbers that nautilus_trader stores."""
_BAR_TYPE: Final = re.compile(
    r"(?P<symbol>.+)\.[^.]+-(?P<count>\d+)-(?P<unit>MINUTE|HOUR|DAY)-(?P<side>BID|ASK|MID|LAST)-.*"
)
_UNITS: Final = {"MINUTE": FRAME_NS["M1"], "HOUR": FRAME_NS["H1"], "DAY": FRAME_NS["D1"]}
_NAUTILUS: Final = {"bid_price": "bid", "ask_price": "ask", "price": "last", "size": "volume"}


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows in batches. symbol and frame are stated; a nautilus_trader file says them in its metadata.

    Raises DataRefused: DATA_FORMAT (no sound Parquet, absurd sizes), DATA_SCHEMA (columns, types), DATA_VALUE (holes,
    no numbers), DATA_TZ.
    """
    try:
        parquet = _opened(file)
        metadata = {key.decode(): value.decode() for key, value in (parquet.schema_arrow.metadata or {}).items()}
        nautilus = "instrument_id" in metadata or "bar_type" in metadata
        reader = _Nautilus(file, options, metadata, parquet) if nautilus else _Named(file, options, parquet)
        done = 0
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=reader.wanted, use_threads=False):
            _refuse_holes(batch, file, done)
            yield reader.part(batch, done)
            done += batch.num_rows
    except (OSError, pa.ArrowException) as error:
        raise _format(file, f"the file cannot be decoded ({' '.join(str(error).split())[:120]})") from error


class _Named:
    """A file whose columns have usual names, or names that were stated."""

    def __init__(self, file: InputFile, options: ReadOptions, parquet: ParquetFile) -> None:
        self._file = file
        self._options = options
        self._symbol, self._frame = stated(file, options)
        names = [name for name in parquet.schema_arrow.names if not name.startswith("__index")]
        self._trades = self._frame == TICK and options.side == "last"
        looked_up = stated_names(names, options.columns, file.label)
        meanings = column_meanings(looked_up, self._frame, options.ignore, file.label, trades=self._trades)
        by_name = dict(zip(looked_up, names, strict=True))
        self._column_of = {meaning: by_name[name] for name, meaning in meanings.items()}
        self.wanted = list(self._column_of.values())
        self._ignored = tuple(sorted(set(names) - set(self.wanted)))

    def part(self, batch: pa.RecordBatch, done: int) -> SourcePart:
        """Return one batch; done: rows before it."""
        where = _place(self._file, done)
        times_ns, form = _times(batch.column(self._column_of[TIME]), self._options.zone, lambda row: where(row, "time"))
        two_sided = self._frame == TICK or "bid_open" in self._column_of
        columns: dict[str, Column] = {time_column(self._frame): times_ns}
        if self._trades:
            last = _numbers(batch.column(self._column_of["last"]), where, "last")
            columns |= {"bid": last, "ask": last}
        for name in stored_names(self._frame, set(self._column_of)):
            source = self._column_of.get(source_of(name, self._frame, two_sided))
            columns[name] = _numbers(batch.column(source), where, name) if source else np.zeros(batch.num_rows)
        return SourcePart(
            symbol=self._symbol,
            frame=self._frame,
            side="last" if self._trades else None if two_sided else self._options.side or "bid",
            columns=columns,
            where=where,
            file=self._file,
            form=form,
            ignored=self._ignored,
        )


class _Nautilus:
    """A file of a nautilus_trader catalogue: whole numbers with nine decimals, bars stamped with their close."""

    def __init__(self, file: InputFile, options: ReadOptions, metadata: dict[str, str], parquet: ParquetFile) -> None:
        self._file = file
        self._names = set(parquet.schema_arrow.names)
        bar = _BAR_TYPE.fullmatch(metadata.get("bar_type", ""))
        told = bar["symbol"] if bar else metadata.get("instrument_id", "").rsplit(".", 1)[0]
        self._symbol = stated_symbol(file, options, told.replace("/", "").removesuffix("-PERP") or None)
        self._frame = self._frame_of(bar)
        self._side: Side | None = bar["side"].lower() if bar else None  # type: ignore[assignment]  # as the pattern says
        if "price" in self._names:
            if options.side != "last":
                raise refuse_trades(file.label)
            self._side = "last"
        prices = ("open", "high", "low", "close", "volume") if bar else ("bid_price", "ask_price", "price", "size")
        self.wanted = ["ts_event", *(name for name in prices if name in self._names)]
        self._digits = {True: int(metadata.get("size_precision", 9)), False: int(metadata.get("price_precision", 9))}

    def part(self, batch: pa.RecordBatch, done: int) -> SourcePart:
        """Return one batch; done: rows before it."""
        where = _place(self._file, done)
        times_ns = np.ascontiguousarray(batch.column("ts_event").cast(pa.int64()).to_numpy())
        columns: dict[str, Column] = {time_column(self._frame): times_ns - frame_duration_ns(self._frame)}
        for name in self.wanted[1:]:
            digits = self._digits[name in ("size", "volume")]
            columns[_NAUTILUS.get(name, name)] = self._fixed_point(batch.column(name), digits, where, name)
        if self._side == "last" and self._frame == TICK:
            last = columns["last"]
            columns = {"time_ns": columns["time_ns"], "bid": last, "ask": last, **columns}
        return SourcePart(
            symbol=self._symbol,
            frame=self._frame,
            side=self._side,
            columns=columns,
            where=where,
            file=self._file,
            form="epoch ns",
            ignored=tuple(sorted(self._names - set(self.wanted))),
            zone="UTC",
        )

    def _frame_of(self, bar: re.Match[str] | None) -> str:
        if bar is None:
            return TICK
        length_ns = int(bar["count"]) * _UNITS[bar["unit"]]
        for frame, duration_ns in FRAME_NS.items():
            if duration_ns == length_ns:
                return frame
        raise _schema(self._file, f"bars of {bar['count']} {bar['unit'].lower()} are no frame", ", ".join(FRAME_NS))

    def _fixed_point(
        self, column: pa.Array, digits: int, where: Callable[[int, str | None], str], name: str
    ) -> np.ndarray:
        if not pa.types.is_fixed_size_binary(column.type) or column.type.byte_width != 8:
            raise _schema(self._file, f"column {name} is {column.type}", "whole numbers of 8 bytes")
        raw = np.frombuffer(column.buffers()[1], dtype="<i8", count=len(column), offset=8 * column.offset)
        step = 10 ** (_FIXED_POINT - digits)
        off = raw % step != 0
        if off.any():
            raise _value(where(int(np.argmax(off)), name), "the number has more decimals than its precision says")
        whole: np.ndarray = (raw // step) / 10**digits
        return whole


def _opened(file: InputFile) -> ParquetFile:
    import pyarrow.parquet as pq

    parquet = pq.ParquetFile(file.path, page_checksum_verification=True)
    metadata = parquet.metadata
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(min(metadata.num_row_groups, _GROUPS_MAX)))
    if metadata.num_row_groups > _GROUPS_MAX or unpacked > _RATIO_MAX * max(file.size, 1 << 12):
        raise _format(file, f"the file claims {metadata.num_row_groups:,} row groups and {unpacked:,} bytes unpacked")
    if metadata.num_rows == 0:
        raise _format(file, "the file has no rows")
    nested = [name for name, kind in zip(parquet.schema_arrow.names, parquet.schema_arrow.types, strict=True)
              if pa.types.is_nested(kind)]  # fmt: skip
    if nested or len(set(parquet.schema_arrow.names)) != len(parquet.schema_arrow.names):
        raise _schema(file, f"column {(nested or ['twice'])[0]!r} is nested or there twice", "plain columns")
    return parquet


def _times(column: pa.Array, zone: str | None, where: Callable[[int], str]) -> tuple[np.ndarray, str]:
    """Return (int64 ns UTC, form) of timestamps, epoch numbers or texts."""
    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        return parse_stamps(pl.Series(column.cast(pa.string()).to_pylist(), dtype=pl.String), zone, where)
    times_ns = np.ascontiguousarray(
        column.cast(pa.timestamp("ns", getattr(kind, "tz", None))).cast(pa.int64()).to_numpy()
    )
    outside = (times_ns < 0) | (times_ns >= _LATEST_NS)
    if outside.any():
        raise DataRefused(
            "the stamp is out of range",
            code="DATA_TZ",
            where=where(int(np.argmax(outside))),
            expected="stamps between 1970 and 2200",
            remedy="correct or remove the row",
        )
    if getattr(kind, "tz", None) is not None:
        return times_ns, str(kind)
    if zone is None:
        raise DataRefused(
            f"the stamps ({kind}) name no time zone",
            code="DATA_TZ",
            where=where(0),
            expected="the zone of the stamps, given as --tz ZONE",
            remedy="give --tz UTC, an IANA name, an offset such as +2, or the zone of a broker such as +2/+3@US",
        )
    return (times_ns if is_utc(zone) else to_utc(times_ns, zone, where)), str(kind)


def _numbers(column: pa.Array, where: Callable[[int, str | None], str], name: str) -> np.ndarray:
    """Return a column as doubles: of decimals and single precision the double nearest to the decimal they show."""
    kind = column.type
    if pa.types.is_decimal(kind):
        return np.array([float(value) for value in column.to_pylist()])
    if pa.types.is_floating(kind) and kind.bit_width < 64:
        return np.ascontiguousarray(column.to_numpy(zero_copy_only=False)).astype(str).astype(np.float64)
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise _value(where(0, name), f"the column is {kind}, no number")
    return np.ascontiguousarray(column.cast(pa.float64()).to_numpy())


def _refuse_holes(batch: pa.RecordBatch, file: InputFile, done: int) -> None:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count:
            row = int(np.argmax(np.asarray(column.is_null())))
            raise _value(_place(file, done)(row, name), "the field is empty")


def _place(file: InputFile, done: int) -> Callable[[int, str | None], str]:
    def where(row: int, column: str | None = None) -> str:
        return f"{file.label}, row {done + row + 1}" + (f", column {column}" if column else "")

    return where


def _format(file: InputFile, what: str) -> DataRefused:
    return DataRefused(
        what,
        code="DATA_FORMAT",
        where=file.label,
        expected="a sound Parquet file",
        remedy="export or download it again",
    )


def _schema(file: InputFile, what: str, expected: str) -> DataRefused:
    return DataRefused(
        what, code="DATA_SCHEMA", where=file.label, expected=expected, remedy="export plain columns, or as CSV"
    )


def _value(where: str, what: str) -> DataRefused:
    return DataRefused(
        what, code="DATA_VALUE", where=where, expected="a number in every row", remedy="correct or remove the row"
    )


def _recognises(file: InputFile) -> bool:
    return file.head.startswith(_MAGIC)


FORMAT: Final = FileFormat(name="parquet", title="Parquet", recognises=_recognises, read=read)
