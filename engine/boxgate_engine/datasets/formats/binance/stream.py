"""Importer of recorded streams of Binance: lines of a receiving time in ns and the message as JSON, often as gzip."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import Column, trade_columns
from boxgate_engine.datasets.formats.binance.names import ZONE, check_zone
from boxgate_engine.datasets.formats.delimited import place
from boxgate_engine.datasets.formats.pieces import Piece, pieces_of
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

_LINE: Final = r"^(\d{19}) (\{.*\})\s*$"
_KIND: Final = r'^\{"stream":"[^"@]+@([A-Za-z]+)'
_FIRST: Final = re.compile(r'\d{19} \{"stream":"[^"@]+@')
_QUOTES: Final = {"bid": "$.data.b", "ask": "$.data.a"}
_TRADES: Final = {"last": "$.data.p", "volume": "$.data.q"}


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the best bids and asks (`bookTicker`) or, with `--side last`, the trades; stamped when they were received.

    symbol: in the messages. Depth messages are left out. Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE).
    """
    check_zone(file, options.zone)
    trades = options.side == "last"
    wanted, fields = ("trade", _TRADES) if trades else ("bookTicker", _QUOTES)
    symbol: str | None = None
    ignored: set[str] = set()
    for piece in pieces_of(file):
        lines = _lines(piece, file)
        ignored |= set(lines["kind"].unique()) - {wanted}
        rows = lines.filter(pl.col("kind") == wanted)
        if not rows.height:
            continue
        symbol = symbol or str(rows["message"][:1].str.json_path_match("$.data.s")[0])
        part = _part(rows, fields, symbol, file)
        yield SourcePart(
            symbol=symbol,
            frame=TICK,
            side="last" if trades else None,
            columns=trade_columns(part.columns) if trades else part.columns,
            where=part.where,
            file=file,
            form="ns, of receiving",
            ignored=tuple(sorted(ignored)),
            asset_class="crypto",
            zone=ZONE,
            bytes_read=piece.bytes_read,
        )
    if symbol is None:
        raise DataRefused(
            f"the stream holds no messages of {wanted}",
            code="DATA_SCHEMA",
            where=file.label,
            expected="a recorded stream with bookTicker messages, or trades with --side last",
            remedy="record the stream, or leave --side out",
        )


class _Part:
    def __init__(self, columns: dict[str, Column], numbers: np.ndarray, file: InputFile) -> None:
        self.columns = columns
        self._numbers = numbers
        self._file = file

    def where(self, row: int, column: str | None = None) -> str:
        """Return the line of a row."""
        return place(self._file.label, int(self._numbers[row]), column)


def _lines(piece: Piece, file: InputFile) -> pl.DataFrame:
    """Return (number, received, message, kind) of each line. Raises DataRefused (DATA_FORMAT) for what is none."""
    texts = pl.Series("line", piece.text.decode("utf-8", "replace").split("\n"))
    parts = texts.str.extract_groups(_LINE).struct.unnest().rename({"1": "received", "2": "message"})
    kind = pl.col("message").str.extract(_KIND).fill_null("other")  # A snapshot of the book names no stream.
    lines = parts.with_columns(kind=kind).with_row_index("number", piece.lines_before + 1)
    wrong = lines["message"].is_null()
    if wrong.any():
        raise DataRefused(
            "the line is no message of a stream",
            code="DATA_FORMAT",
            where=place(file.label, int(lines["number"][int(wrong.arg_max() or 0)])),
            expected="a time in ns, a blank and a JSON object",
            remedy="complete or remove the line; a file that was cut off must be recorded again",
        )
    return lines


def _part(rows: pl.DataFrame, fields: dict[str, str], symbol: str, file: InputFile) -> _Part:
    numbers = rows["number"].to_numpy()
    part = _Part({}, numbers, file)
    symbols = rows["message"].str.json_path_match("$.data.s")
    other = (symbols != symbol).fill_null(value=True)
    if other.any():
        row = int(other.arg_max() or 0)
        raise DataRefused(
            f"the stream holds {symbol} and {symbols[row]}",
            code="DATA_SCHEMA",
            where=part.where(row),
            expected="one symbol in a file",
            remedy="split the file by symbol",
        )
    part.columns["time_ns"] = parse_stamps(rows["received"], ZONE, part.where)[0]
    for name, path in fields.items():
        values = rows["message"].str.json_path_match(path).cast(pl.Float64, strict=False)
        if values.null_count():
            row = int(values.is_null().arg_max() or 0)
            raise DataRefused(
                "the message has no such number",
                code="DATA_VALUE",
                where=part.where(row, name),
                expected=f"a number at {path}",
                remedy="correct or remove the line",
            )
        part.columns[name] = np.ascontiguousarray(values.to_numpy())
    return part


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 1)
    return bool(lines) and bool(_FIRST.match(lines[0]))


FORMAT: Final = FileFormat(name="binance-stream", title="Binance streams", recognises=_recognises, read=read)
