"""Importer of MetaTrader 5 exports: bars and ticks as the terminal writes them, in the server's time.

The terminal's bars are bid bars with the spread in points beside them; the ask side is bid + spread, as MetaTrader's
own tester takes it. A tick row leaves out what did not change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import ASK_COLUMNS, BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, WHOLE, TextTable, read_table
from boxgate_engine.datasets.formats.first_fault import read_soundly
from boxgate_engine.datasets.formats.pieces import Piece, pieces_of
from boxgate_engine.datasets.formats.source import (
    FileFormat,
    InputFile,
    ReadOptions,
    SourcePart,
    frame_of_bars,
    stated_symbol,
)
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, stem_of, text_of
from boxgate_engine.datasets.grid import infer_tick_size
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_PRICES: Final = BAR_COLUMNS[1:5]
_BARS: Final = ("open", "high", "low", "close", "tickvol", "vol", "spread")
_TICKS: Final = ("bid", "ask", "last", "volume", "flags")
_NAME: Final = re.compile(
    r"(?P<symbol>[A-Za-z0-9.#-]+?)(?:_(?P<frame>M1|M5|M15|M30|H1|H4|D1|W1|Daily|Weekly))?(?:_.*)?"
)
_WORDS: Final = {"Daily": "D1", "Weekly": "W1"}


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of an export.

    symbol: stated, else the beginning of the file's name. frame: stated, else that of the name, else the step of the
    rows. Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ).
    """
    header = _header(next(iter(first_lines(file, 1)), ""))
    if header is None:
        raise _no_header(file)
    separator, names = header
    ticks = "bid" in names
    _check_columns(names, ticks, file.label)
    symbol, frame = _symbol_and_frame(file, options)
    if ticks:
        yield from _Ticks(file, options, separator, names, symbol).parts()
    else:
        yield _bars(text_of(file), file, options, separator, names, symbol, frame)


def _bars(
    text: bytes,
    file: InputFile,
    options: ReadOptions,
    separator: str,
    names: tuple[str, ...],
    symbol: str,
    frame: str | None,
) -> SourcePart:
    kinds: dict[str, pl.DataType] = dict.fromkeys((*_PRICES, "tickvol", "vol"), NUMBER)
    kinds |= {"spread": WHOLE, "date": TEXT, "time": TEXT}
    table = read_table(text, file.label, fields={n: kinds[n] for n in names}, separator=separator, header_lines=1)
    times_ns, form = parse_stamps(_stamps(table), options.zone, lambda row: _where(table)(row, "time"))
    volume = "vol" if "vol" in names and table.numbers("vol").any() else "tickvol"
    columns: dict[str, Column] = {"open_ns": times_ns, **{name: table.numbers(name) for name in _PRICES}}
    columns["volume"] = table.numbers(volume) if volume in names else np.zeros(table.rows)
    repairs: dict[str, int] = {}
    if "spread" in names and (points := np.ascontiguousarray(table.columns["spread"].to_numpy())).any():
        if (points < 0).any():
            raise DataRefused(
                f"the spread is {int(points.min())} points",
                code="DATA_VALUE",
                where=_where(table)(int(np.argmax(points < 0)), "spread"),
                expected="a spread of zero or more",
                remedy="correct or remove the row; values are never repaired here",
            )
        scale = 10 ** _decimals(text, separator, names, table, file.label)
        for name, ask in zip(_PRICES, ASK_COLUMNS, strict=True):
            columns[ask] = np.rint(table.numbers(name) * scale + points) / scale
        repairs["asks_made_of_spread"] = table.rows
    return SourcePart(
        symbol=symbol,
        frame=frame_of_bars(times_ns, file, options, frame),
        side=None if "ask_open" in columns else "bid",
        columns=columns,
        where=_where(table),
        file=file,
        form=form,
        ignored=tuple(name for name in ("tickvol", "vol") if name in names and name != volume),
        repairs=repairs,
    )


class _Ticks:
    """The ticks of an export, piece by piece: what a row leaves out is carried on from the row before."""

    def __init__(
        self, file: InputFile, options: ReadOptions, separator: str, names: tuple[str, ...], symbol: str
    ) -> None:
        self._file = file
        self._options = options
        self._separator = separator
        self._names = names
        self._symbol = symbol
        told = self._told()
        self._prices = ("bid", "ask", *(name for name in ("last",) if name in told))
        self._has_volume = "volume" in told
        self._first: str | None = None
        self._carried: dict[str, float | None] = dict.fromkeys(self._prices)

    def parts(self) -> Iterator[SourcePart]:
        """Yield the rows from the first on that has all prices. Raises DataRefused (DATA_VALUE) if there is none."""
        before: Counter[str] = Counter()
        begun = False
        for piece in pieces_of(self._file):
            for rows in read_soundly(piece, self._header_lines(piece), self._rows):
                self._first = self._first or rows.first_stamp
                self._carried = rows.carried
                before.update(rows.part.repairs)
                if rows.part.rows:
                    begun = True
                    yield replace(rows.part, repairs={name: count for name, count in before.items() if count})
                    before.clear()
        if not begun:
            raise DataRefused(
                "no row has all prices, its own or carried on",
                code="DATA_VALUE",
                where=self._file.label,
                expected="ticks with bid and ask",
                remedy="export the ticks of a symbol that is quoted",
            )

    def _told(self) -> set[str]:
        """Return which of last price and volume the file tells at all; to know that takes a look at the whole file."""
        wanted = {"last", "volume"} & set(self._names)
        told: set[str] = set()
        with suppress(DataRefused):  # A fault is told when the rows are read.
            for piece in pieces_of(self._file):
                if told == wanted:
                    break
                table = self._table(piece, wanted)
                told |= {name for name in wanted - told if (table.columns[name].fill_null(0.0) != 0.0).any()}
        return told

    def _rows(self, piece: Piece) -> _TickRows:
        table = self._table(piece, {"bid", "ask", "date", "time", *self._prices, *(["volume"] * self._has_volume)})
        stamps = _stamps(table)
        where = _where(table)
        times_ns, form = parse_stamps(stamps, self._options.zone, lambda row: where(row, "time"), self._first)
        filled = {name: self._filled(table, name) for name in self._prices}
        begun = np.logical_and.reduce([values.is_not_null().to_numpy() for values in filled.values()])
        skipped = int(np.argmax(begun)) if begun.any() else table.rows
        columns: dict[str, Column] = {"time_ns": times_ns[skipped:]}
        for name, values in filled.items():
            columns[name] = np.ascontiguousarray(values.slice(skipped).cast(pl.Float64).to_numpy())
        if self._has_volume:
            volume = table.columns["volume"].fill_null(0.0)
            columns["volume"] = np.ascontiguousarray(volume.slice(skipped).to_numpy())
        repairs = {f"{name}s_carried_on": table.columns[name].null_count() for name in self._prices}
        part = SourcePart(
            symbol=self._symbol,
            frame=TICK,
            side=None,
            columns=columns,
            where=lambda row, column: where(row + skipped, column),
            file=self._file,
            form=form,
            ignored=tuple(name for name in ("flags", "last", "volume") if name in self._names and name not in columns),
            repairs={**repairs, "rows_before_first_quote": skipped},
            bytes_read=piece.bytes_read,
        )
        carried = {name: values[-1] for name, values in filled.items()}
        return _TickRows(part=part, carried=carried, first_stamp=str(stamps[0]))

    def _filled(self, table: TextTable, name: str) -> pl.Series:
        values, carried = table.columns[name].forward_fill(), self._carried[name]
        return values if carried is None else values.fill_null(carried)

    def _table(self, piece: Piece, wanted: set[str]) -> TextTable:
        empty = frozenset({"bid", "ask", "last", "volume"})
        kinds = {name: (NUMBER if name in empty else TEXT) if name in wanted else None for name in self._names}
        return read_table(
            piece.text,
            self._file.label,
            fields=kinds,
            separator=self._separator,
            header_lines=self._header_lines(piece),
            lines_before=piece.lines_before,
            may_be_empty=empty,
        )

    def _header_lines(self, piece: Piece) -> int:
        return int(piece.lines_before == 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _TickRows:
    """Rows of ticks. carried: price -> the last one, None if there was none yet. first_stamp: that of the first row."""

    part: SourcePart
    carried: dict[str, float | None]
    first_stamp: str


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and _header(lines[0]) is not None


def _header(line: str) -> tuple[str, tuple[str, ...]] | None:
    """Return separator and column names of the terminal's header, None if it is another line."""
    line = line.strip()
    for separator in ("\t", ",", ";"):
        cells = line.split(separator)
        if (
            len(cells) > 4
            and cells[0].upper() == "<DATE>"
            and all(cell.startswith("<") and cell.endswith(">") for cell in cells)
        ):
            return separator, tuple(cell[1:-1].lower() for cell in cells)
    return None


def _no_header(file: InputFile) -> DataRefused:
    return DataRefused(
        "the first line is not the header of an export of MetaTrader 5",
        code="DATA_SCHEMA",
        where=f"{file.label}, row 1",
        expected="<DATE> <TIME> <OPEN> … or <DATE> <TIME> <BID> <ASK> …",
        remedy="leave --format out to have the format told from the file",
    )


def _check_columns(names: tuple[str, ...], ticks: bool, label: str) -> None:
    known = ("date", "time", *(_TICKS if ticks else _BARS))
    needed = ("date", "time", "bid", "ask") if ticks else ("date", *_PRICES)
    wrong = [name for name in names if name not in known] + [name for name in needed if name not in names]
    if wrong or len(set(names)) != len(names):
        raise DataRefused(
            f"column <{(wrong or ['twice'])[0].upper()}> of the header is unknown, missing or repeated",
            code="DATA_SCHEMA",
            where=f"{label}, row 1",
            expected="the terminal's header: " + " ".join(f"<{name.upper()}>" for name in known),
            remedy="export the file from MetaTrader 5 again",
        )


def _symbol_and_frame(file: InputFile, options: ReadOptions) -> tuple[str, str | None]:
    match = _NAME.fullmatch(stem_of(file))
    frame = options.frame or (match["frame"] if match else None)
    return stated_symbol(file, options, match["symbol"] if match else None), _WORDS.get(frame, frame) if frame else None


def _stamps(table: TextTable) -> pl.Series:
    dates = table.columns["date"].str.strip_chars()
    return dates + " " + table.columns["time"].str.strip_chars() if "time" in table.columns else dates


def _decimals(text: bytes, separator: str, names: tuple[str, ...], table: TextTable, label: str) -> int:
    """Return the digits of the symbol, whose last place is one point.

    The terminal writes all of them in every row. Where another program cut off zeros, the finest price shows them.
    """
    cells = text.split(b"\n", 2)[1].decode("utf-8", "replace").strip().split(separator)
    written = len(cells[names.index("open")].partition(".")[2])
    finest = infer_tick_size([table.numbers(name) for name in _PRICES], label)
    return max(written, len(str(finest.denominator)) - 1)


def _where(table: TextTable) -> Callable[[int, str | None], str]:
    headers: Mapping[str, str] = {"open_ns": "time", "time_ns": "time", "volume": "tickvol"}

    def where(row: int, column: str | None = None) -> str:
        name = headers.get(column or "", column or "").removeprefix("ask_") if column else None
        return table.where(row, f"<{name.upper()}>" if name else None)

    return where


FORMAT: Final = FileFormat(name="mt5", title="MetaTrader 5 export", recognises=_recognises, read=read)
