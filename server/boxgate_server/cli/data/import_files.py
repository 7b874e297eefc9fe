"""`boxgate data import`."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from boxgate_engine.datasets import ImportProgress, ImportRequest, import_files, publisher
from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import JsonObject, answer
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.details import imported, show_import
from boxgate_server.cli.data.options import (
    SCHEMA,
    AssetClassOption,
    Cache,
    ContractSize,
    LotSize,
    QuoteCurrency,
    Root,
    TickSize,
    instrument_options,
)


class _Side(enum.StrEnum):
    BID = "bid"
    ASK = "ask"
    MID = "mid"
    LAST = "last"


class _OnDuplicate(enum.StrEnum):
    REFUSE = "refuse"
    DROP = "drop"


class _OnGap(enum.StrEnum):
    REPORT = "report"
    REFUSE = "refuse"


def import_command(
    files: Annotated[list[Path], typer.Argument(help="Files, folders (all files below them) or quoted patterns.")],
    symbol: Annotated[str | None, typer.Option(help="Symbol; LEAN paths say it.")] = None,
    frame: Annotated[str | None, typer.Option(help="S1 M1 M5 M15 M30 H1 H4 D1 W1 or tick; many files say it.")] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of stamps that name none: UTC, Europe/Berlin, +2/+3@US.")] = None,
    format: Annotated[str | None, typer.Option(help="csv, lean, …; told from the files if not given.")] = None,
    side: Annotated[_Side | None, typer.Option(help="Whose one-sided prices are (default bid).")] = None,
    name: Annotated[str | None, typer.Option(help="Catalogue name; series are added to one that exists.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put series in the place of those that the name has with other content.")
    ] = False,
    source: Annotated[str, typer.Option(help="Where the data come from.")] = "not stated",
    licence: Annotated[str, typer.Option(help="Under which licence.")] = "not stated",
    on_duplicate: Annotated[_OnDuplicate, typer.Option(help="What to do with equal bars.")] = _OnDuplicate.REFUSE,
    on_gap: Annotated[_OnGap, typer.Option(help="What to do with gaps in market hours.")] = _OnGap.REPORT,
    calendar: Annotated[
        str | None,
        typer.Option(help="When the market is open: always, fx, XNYS, lean:FILE#ENTRY (default by asset class)."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="CSV column to leave out; may be repeated.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HEADER=MEANING", help="What a CSV column means, by name or number (from 1); may be repeated."
        ),
    ] = None,
    header: Annotated[bool, typer.Option(help="Whether the first line of a CSV file names its columns.")] = True,
    separator: Annotated[str | None, typer.Option(help="Sign between CSV fields, or tab; told if not given.")] = None,
    decimal: Annotated[str, typer.Option(help="Decimal sign of CSV numbers: . or ,")] = ".",
    time_format: Annotated[
        str | None, typer.Option(help="Form of CSV stamps as in strptime, such as '%d/%m/%Y %H:%M'.")
    ] = None,
    skip_lines: Annotated[int, typer.Option(min=0, help="Lines before the CSV header.")] = 0,
    asset_class: AssetClassOption = None,
    tick_size: TickSize = None,
    lot_size: LotSize = None,
    quote_currency: QuoteCurrency = None,
    contract_size: ContractSize = None,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Import files into a dataset: checked, never repaired silently, named by the hash of its content."""

    def work() -> JsonObject:
        request = ImportRequest(
            files=tuple(files),
            symbol=symbol,
            frame=frame,
            zone=tz,
            format=format,
            side=side.value if side else None,
            name=name,
            replace=replace,
            source=source,
            licence=licence,
            on_duplicate=on_duplicate.value,
            on_gap=on_gap.value,
            calendar=calendar,
            ignore=frozenset(ignore or ()),
            columns=_meanings(column or []),
            header=header,
            separator="\t" if separator in ("tab", "\\t") else separator,
            decimal=decimal,
            time_format=time_format,
            skip_lines=skip_lines,
            instrument=instrument_options(asset_class, tick_size, lot_size, quote_currency, contract_size),
        )
        publish = publisher(root, cache, name)
        with _progress() as display:
            task = display.add_task("reading", total=None, detail="")

            def show(now: ImportProgress) -> None:
                detail = f"{now.files_done} of {now.files_all} files, {now.rows:,} rows"
                reading = "reading" if now.files_done < now.files_all else "writing"
                display.update(task, completed=now.bytes_done, total=now.bytes_all, description=reading, detail=detail)

            result = import_files(publish.folder, request, show)
        publish(result.manifest.hash)
        return imported(result)

    answer(SCHEMA, work, show_import, as_json=as_json, debug=debug)


def _meanings(columns: list[str]) -> dict[str, str]:
    """Return name or number of a column -> meaning. Raises UserMistake (DATA_FORMAT)."""
    meanings: dict[str, str] = {}
    for text in columns:
        name, sign, meaning = text.rpartition("=")
        if not sign or not name or name in meanings:
            raise UserMistake(
                f"{text!r} does not say what a column means" if name not in meanings else f"{name!r} is stated twice",
                code="DATA_FORMAT",
                where="--column",
                expected="HEADER=MEANING, such as --column 'Last price=close', once for each column",
                remedy="correct --column",
            )
        meanings[name] = meaning
    return meanings


def _progress() -> Progress:
    """Return a progress display on stderr; silent where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
