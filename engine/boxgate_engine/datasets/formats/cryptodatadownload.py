"""Importer of CryptoDataDownload's files: a banner line, then a header, the newest row first, in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from boxgate_engine.datasets.content import BAR_COLUMNS, Column
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart, frame_of_bars
from boxgate_engine.datasets.formats.stamps import parse_stamps
from boxgate_engine.datasets.formats.text import first_lines, text_of
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused

_BANNER: Final = "cryptodatadownload.com"
"""Stands in the first line: as a web address, in old files behind `Timestamps are UTC timezone,`."""
_HALF_DAY: Final = r"^(\d{4}-\d\d-\d\d) (\d\d)-([AP]M)$"


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows, the oldest first.

    symbol: stated, else that of the column Symbol without its slash. frame: stated, else the step of the rows. The
    time is the column unix, in s or ms; else date, in UTC, also with a clock of twelve hours. The volume is that of the
    base currency. Raises DataRefused (DATA_FORMAT, DATA_SCHEMA, DATA_VALUE, DATA_TZ, DATA_ORDER).
    """
    text = text_of(file)
    skipped = int(_BANNER in text.split(b"\n", 1)[0].decode("utf-8", "replace").lower())
    names = [c.strip().lower() for c in text.split(b"\n", skipped + 1)[skipped].decode("utf-8", "replace").split(",")]
    kinds: dict[str, pl.DataType | None] = {"unix": TEXT, "date": TEXT, "symbol": TEXT}
    kinds |= dict.fromkeys(BAR_COLUMNS[1:5], NUMBER)
    base = _base_volume(names, text.rsplit(b"\n", 1)[-1].decode("utf-8", "replace").split(","))
    fields = {name: NUMBER if name == base else kinds.get(name) for name in names}
    missing = [name for name in (*BAR_COLUMNS[1:5], "symbol") if name not in names]
    if missing or not {"unix", "date"} & set(names) or len(fields) != len(names):
        raise DataRefused(
            f"column {(missing or ['date'])[0]!r} is missing, or a column is there twice",
            code="DATA_SCHEMA",
            where=f"{file.label}, row {skipped + 1}",
            expected="unix or date, symbol, open, high, low, close and volumes",
            remedy="download the file again, or import it with --format csv",
        )
    if options.zone is not None and not is_utc(options.zone):
        raise DataRefused(
            f"the file is in UTC, the command says {options.zone}",
            code="DATA_TZ",
            where=file.label,
            expected="UTC",
            remedy="leave --tz out",
        )
    table = read_table(text, file.label, fields=fields, separator=",", header_lines=skipped + 1)
    column = "unix" if "unix" in table.columns else "date"
    stamps = table.columns[column].str.strip_chars()
    if column == "unix":
        stamps = stamps.str.replace(r"\.0+$", "")
    times_ns, form = parse_stamps(_whole_days(stamps), "UTC", lambda row: table.where(row, column))
    newest_first = len(times_ns) > 1 and times_ns[0] > times_ns[-1]
    order = slice(None, None, -1 if newest_first else 1)
    columns: dict[str, Column] = {"open_ns": np.ascontiguousarray(times_ns[order])}
    for name in BAR_COLUMNS[1:5]:
        columns[name] = np.ascontiguousarray(table.numbers(name)[order])
    columns["volume"] = np.ascontiguousarray(table.numbers(base)[order]) if base else np.zeros(table.rows)
    last = table.rows - 1

    def where(row: int, column: str | None = None) -> str:
        return table.where(last - row if newest_first else row, column)

    yield SourcePart(
        symbol=options.symbol or str(table.columns["symbol"][0]).replace("/", "").replace("-", "").strip().upper(),
        frame=frame_of_bars(times_ns, file, options),
        side=options.side or "last",
        columns=columns,
        where=where,
        file=file,
        form=form,
        ignored=tuple(name for name in names if name not in (*BAR_COLUMNS[1:5], base, column, "symbol")),
        asset_class="crypto",
        zone="UTC",
        repairs={"rows_reversed": table.rows} if newest_first else {},
    )


def _recognises(file: InputFile) -> bool:
    lines = first_lines(file, 2)
    if lines and _BANNER in lines[0].lower():
        return True
    cells = [cell.strip().lower() for cell in lines[0].split(",")] if lines else []
    return {"unix", "date", "symbol", "open", "close"} <= set(cells)


def _base_volume(names: list[str], row: list[str]) -> str | None:
    """Return the volume column of the currency that the symbol begins with, else the first of them."""
    volumes = [name for name in names if name.startswith("volume")]
    symbol = dict(zip(names, row, strict=False)).get("symbol", "").strip().lower()
    coins = [name for name in volumes if symbol.startswith(name.removeprefix("volume").strip() or "volume")]
    return next(iter([*coins, *volumes]), None)


def _whole_days(stamps: pl.Series) -> pl.Series:
    """Return stamps with a clock of twelve hours, such as 2019-10-17 09-AM, as such of twenty-four."""
    if not stamps.str.contains(_HALF_DAY).all():
        return stamps
    parts = stamps.str.extract_groups(_HALF_DAY).struct
    hours = parts.field("2").cast(pl.Int32) % 12 + pl.Series((parts.field("3") == "PM").cast(pl.Int32)) * 12
    return parts.field("1") + " " + hours.cast(pl.String).str.zfill(2) + ":00:00"


FORMAT: Final = FileFormat(name="cryptodatadownload", title="CryptoDataDownload CSV", recognises=_recognises, read=read)
