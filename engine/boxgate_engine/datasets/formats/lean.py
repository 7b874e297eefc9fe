"""Importer of LEAN files: zips without header, whose path says class, resolution, symbol, day and kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from boxgate_engine.datasets.content import ASK_COLUMNS, BAR_COLUMNS, Column, trade_columns
from boxgate_engine.datasets.formats.archive import is_zip, read_member
from boxgate_engine.datasets.formats.column_names import refuse_trades
from boxgate_engine.datasets.formats.delimited import NUMBER, TEXT, WHOLE, TextTable, clean_text, read_table
from boxgate_engine.datasets.formats.source import FileFormat, InputFile, ReadOptions, SourcePart
from boxgate_engine.datasets.formats.stamps import parse_stamps, to_utc
from boxgate_engine.datasets.instrument_defaults import AssetClass
from boxgate_engine.errors import DataRefused
from boxgate_engine.frames import TICK

Resolution: TypeAlias = Literal["tick", "second", "minute", "hour", "daily"]

_FRAMES: Final[dict[str, str]] = {"tick": TICK, "second": "S1", "minute": "M1", "hour": "H1", "daily": "D1"}
_CLASSES: Final[dict[str, AssetClass]] = {"forex": "forex", "cfd": "cfd", "crypto": "crypto", "cryptofuture": "crypto"}
_DAY_FILE: Final = re.compile(
    r"(?P<day>\d{8})(?:_(?P<symbol>[a-z0-9.-]+)_(?P<resolution>tick|second|minute))?_(?P<kind>quote|trade)(?:_perp)?",
    re.I,
)
_WHOLE_FILE: Final = re.compile(r"(?P<symbol>[a-z0-9.-]+?)(?:_(?P<kind>quote|trade))?", re.I)
_COIN_MARGINED: Final = ("binance", "bybit")
"""Markets whose contracts in USD are settled in the coin."""
_UTC_MARKETS: Final = ("oanda", "interactivebrokers")
"""Markets of forex and cfd whose data are all in UTC by LEAN's market hours database, as are those of every market of
crypto; of fxcm they are not."""
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, kw_only=True, slots=True)
class LeanName:
    """What path and member name say about a file.

    day: of minute, second and tick files. kind: None if the columns tell. inverse: a coin-margined contract. zone: of
    the stamps, None where class and market do not tell it.
    """

    resolution: Resolution
    symbol: str
    asset_class: AssetClass | None
    inverse: bool
    day: date | None
    kind: Literal["quote", "trade"] | None
    zone: str | None

    @property
    def frame(self) -> str:
        """The frame of the rows."""
        return _FRAMES[self.resolution]


def lean_name(path: Path, member: str | None = None) -> LeanName | None:
    """Return what a LEAN path says, or None if it is not laid out like one.

    `…/{class}/{market}/{minute|tick|second}/{symbol}/{yyyymmdd}_{quote|trade}.zip`,
    `…/{class}/{market}/{hour|daily}/{symbol}[_quote|_trade].zip`; a member that is called
    `{yyyymmdd}_{symbol}_{resolution}_{kind}.csv` says the same without the folders.
    """
    folders = [part.lower() for part in path.parts[:-1]]
    for stem in (Path(member).stem if member else None, path.stem):
        match = _DAY_FILE.fullmatch(stem) if stem else None
        if match is None:
            continue
        resolution = (match["resolution"] or (folders[-2] if len(folders) > 1 else "")).lower()
        symbol = match["symbol"] or (folders[-1] if folders else "")
        if resolution not in ("tick", "second", "minute"):
            continue
        asset_class, inverse, zone = _contract(folders, resolution, symbol)
        return LeanName(
            resolution=resolution,  # type: ignore[arg-type]
            symbol=symbol.upper(),
            asset_class=asset_class,
            inverse=inverse,
            day=_day(match["day"], path),
            kind=match["kind"].lower(),  # type: ignore[arg-type]
            zone=zone,
        )
    match = _WHOLE_FILE.fullmatch(path.stem)
    if match is None or not folders or folders[-1] not in ("hour", "daily"):
        return None
    asset_class, inverse, zone = _contract(folders, folders[-1], match["symbol"])
    return LeanName(
        resolution=folders[-1],  # type: ignore[arg-type]
        symbol=match["symbol"].upper(),
        asset_class=asset_class,
        inverse=inverse,
        day=None,
        kind=match["kind"].lower() if match["kind"] else None,  # type: ignore[arg-type]
        zone=zone,
    )


def is_inverse(market: str, symbol: str) -> bool:
    """True for LEAN's perpetual contracts that are settled in their base currency."""
    return market in _COIN_MARGINED and symbol.upper().endswith("USD")


def read(file: InputFile, options: ReadOptions) -> Iterator[SourcePart]:
    """Yield the rows of a LEAN file; its stamps are in the zone of the data, often UTC.

    Ticks of trades need `--side last`: one price then stands on both sides.
    Raises DataRefused: DATA_FORMAT, DATA_SCHEMA (no LEAN layout, wrong number of columns), DATA_VALUE, DATA_TZ.
    """
    member, data = read_member(file) if is_zip(file) else (None, file.data)
    name = lean_name(file.path, member)
    if name is None:
        raise _schema(
            "the path is not laid out as LEAN lays it out",
            file.label,
            "…/{class}/{market}/{resolution}/{symbol}/{yyyymmdd}_{quote|trade}.zip",
            "keep the folders of the LEAN data, or use --format csv for a file with a header line",
        )
    zone = options.zone or name.zone
    trades = name.frame == TICK and name.kind == "trade"
    if trades and options.side != "last":
        raise refuse_trades(file.label)
    if zone is None:
        raise DataRefused(
            "LEAN stamps name no time zone",
            code="DATA_TZ",
            where=file.label,
            expected="the zone of the stamps, given as --tz ZONE",
            remedy="add --tz ZONE with the dataTimeZone of the market in LEAN's market hours database, such as "
            "--tz UTC or --tz=-5; the folders of class and market, such as forex/oanda, tell it too",
        )
    text = clean_text(data, file.label)
    names = _columns(name, text.split(b"\n", 1)[0].count(b",") + 1, file.label)
    time_kind = WHOLE if name.day else TEXT
    fields = {column: time_kind if column == "time" else NUMBER for column in names}
    table = read_table(text, file.label, fields=fields, separator=",", header_lines=0)
    if name.day:
        times_ns, form = _times_of_day(table, name.day, zone), "ms since midnight"
    else:
        times_ns, form = parse_stamps(table.columns["time"], zone, lambda row: table.where(row, "time"))
    kept = names if name.frame == TICK else ("time", *BAR_COLUMNS[1:], *(ASK_COLUMNS if "ask_open" in names else ()))
    columns: dict[str, Column] = {"time_ns" if name.frame == TICK else "open_ns": times_ns}
    for column in kept[1:]:
        if not column.endswith("_size"):
            columns[column] = table.numbers(column) if column in names else np.zeros(table.rows)
    if trades:
        columns = trade_columns(columns)
    two_sided = "ask_open" in names or (name.frame == TICK and not trades)
    yield SourcePart(
        symbol=name.symbol,
        frame=name.frame,
        side=None if two_sided else "last",
        columns=columns,
        where=table.where,
        file=file,
        form=form,
        ignored=tuple(column for column in names if column.endswith("_size")),
        zone=None if options.zone else zone,
        asset_class=name.asset_class,
        inverse=name.inverse,
    )


def _columns(name: LeanName, found: int, label: str) -> tuple[str, ...]:
    """Return the names of the columns by kind and number; sizes of quotes are read, checked and left out."""
    bars = BAR_COLUMNS[1:5]
    quote_bars = ("time", *bars, "bid_size", *ASK_COLUMNS, "ask_size")
    layouts: dict[str, tuple[tuple[str, ...], ...]] = {
        "quote": (("time", "bid", "ask"), ("time", "bid", "bid_size", "ask", "ask_size"))
        if name.frame == TICK
        else (quote_bars,),
        "trade": (("time", "last", "volume"),) if name.frame == TICK else (("time", *bars, "volume"),),
    }
    candidates = layouts[name.kind] if name.kind else layouts["quote"] + layouts["trade"]
    for layout in candidates:
        if len(layout) == found:
            return layout
    raise _schema(
        f"the file has {found} columns",
        label,
        " or ".join(f"{len(layout)} ({','.join(layout)})" for layout in candidates),
        "check that the file is what its path says",
    )


def _times_of_day(table: TextTable, day: date, zone: str) -> NDArray[np.int64]:
    milliseconds = np.ascontiguousarray(table.columns["time"].to_numpy())
    outside = (milliseconds < 0) | (milliseconds >= _DAY_MS)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataRefused(
            f"{milliseconds[row]} is no time of day",
            code="DATA_TZ",
            where=table.where(row, "time"),
            expected=f"milliseconds since midnight, below {_DAY_MS}",
            remedy="correct or remove the row",
        )
    midnight_ns = (day - date(1970, 1, 1)).days * _DAY_MS * 1_000_000
    return to_utc(midnight_ns + milliseconds * 1_000_000, zone, lambda row: table.where(row, "time"))


def _contract(folders: list[str], resolution: str, symbol: str) -> tuple[AssetClass | None, bool, str | None]:
    """Return the class, two folders above the resolution, whether the contract is settled in its base currency, zone.

    Raises DataRefused for classes with scaled prices.
    """
    if resolution not in folders:
        return None, False, None
    index = len(folders) - 1 - folders[::-1].index(resolution)
    name, market = (folders[index - 2], folders[index - 1]) if index >= 2 else ("", "")
    if name in ("equity", "option", "indexoption", "index", "future", "futureoption"):
        raise _schema(
            f"LEAN files of class {name} are not read",
            "/".join(folders),
            f"one of {', '.join(_CLASSES)}",
            "convert the file to CSV with a header line",
        )
    utc = name in ("crypto", "cryptofuture") or (name in ("forex", "cfd") and market in _UTC_MARKETS)
    return _CLASSES.get(name), name == "cryptofuture" and is_inverse(market, symbol), "UTC" if utc else None


def _day(text: str, path: Path) -> date:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError as error:
        raise DataRefused(
            f"{text} is no day", code="DATA_TZ", where=str(path), expected="yyyymmdd", remedy="correct the file name"
        ) from error


def _schema(what: str, where: str, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_SCHEMA", where=where, expected=expected, remedy=remedy)


def _recognises(file: InputFile) -> bool:
    return is_zip(file) and lean_name(file.path, read_member(file)[0]) is not None


FORMAT: Final = FileFormat(name="lean", title="LEAN zips", recognises=_recognises, read=read)
