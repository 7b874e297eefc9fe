"""`boxgate data import`."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from boxgate_engine.datasets import ImportRequest, import_files, publisher
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
    files: Annotated[list[Path], typer.Argument(help="CSV files with a header line, or LEAN zips.")],
    symbol: Annotated[str | None, typer.Option(help="Symbol; LEAN paths say it.")] = None,
    frame: Annotated[str | None, typer.Option(help="M1 M5 M15 M30 H1 H4 D1 W1 or tick; LEAN paths say it.")] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of the stamps that name none: UTC or an IANA name.")] = None,
    format: Annotated[str | None, typer.Option(help="csv, lean, …; told from the files if not given.")] = None,
    side: Annotated[_Side | None, typer.Option(help="Whose one-sided prices are (default bid).")] = None,
    name: Annotated[str | None, typer.Option(help="Catalogue name; series are added to one that exists.")] = None,
    source: Annotated[str, typer.Option(help="Where the data come from.")] = "not stated",
    licence: Annotated[str, typer.Option(help="Under which licence.")] = "not stated",
    on_duplicate: Annotated[_OnDuplicate, typer.Option(help="What to do with equal bars.")] = _OnDuplicate.REFUSE,
    on_gap: Annotated[_OnGap, typer.Option(help="What to do with gaps in market hours.")] = _OnGap.REPORT,
    calendar: Annotated[
        str | None,
        typer.Option(help="When the market is open: always, fx, XNYS, lean:FILE#ENTRY (default by asset class)."),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="CSV column to leave out; may be repeated.")] = None,
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
            source=source,
            licence=licence,
            on_duplicate=on_duplicate.value,
            on_gap=on_gap.value,
            calendar=calendar,
            ignore=frozenset(ignore or ()),
            instrument=instrument_options(asset_class, tick_size, lot_size, quote_currency, contract_size),
        )
        publish = publisher(root, cache, name)
        with _progress() as progress:
            task = progress.add_task("reading", total=len(files), rows=0)
            result = import_files(
                publish.folder, request, lambda done, _, rows: progress.update(task, completed=done, rows=f"{rows:,}")
            )
        publish(result.manifest.hash)
        return imported(result)

    answer(SCHEMA, work, show_import, as_json=as_json, debug=debug)


def _progress() -> Progress:
    """Return a progress display on stderr; silent where stderr is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[rows]} rows"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
