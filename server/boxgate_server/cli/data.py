"""`boxgate data`: import, make, list, show and check datasets."""

from __future__ import annotations

import enum
import re
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from boxgate_engine.datasets import (
    ImportRequest,
    ImportResult,
    InstrumentOptions,
    Manifest,
    StoredSeries,
    SynthRequest,
    check_dataset,
    ensure_demo,
    import_files,
    list_datasets,
    make_synthetic,
    open_dataset,
)
from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import JsonObject, answer, fail_with, print_error
from boxgate_server.cli.app import PlainFlags

SCHEMA: Final = "boxgate.data/1"
"""`schema` of the JSON answers of these commands."""

data_app = typer.Typer(
    name="data", cls=PlainFlags, help="Import, make, list, show and check datasets.", no_args_is_help=True
)


class _Side(enum.StrEnum):
    BID = "bid"
    ASK = "ask"
    MID = "mid"
    LAST = "last"


class _Format(enum.StrEnum):
    CSV = "csv"
    LEAN = "lean"


class _OnDuplicate(enum.StrEnum):
    REFUSE = "refuse"
    DROP = "drop"


class _OnGap(enum.StrEnum):
    REPORT = "report"
    REFUSE = "refuse"


class _AssetClass(enum.StrEnum):
    FOREX = "forex"
    CFD = "cfd"
    CRYPTO = "crypto"
    INDEX = "index"
    EQUITY = "equity"


Root = Annotated[Path, typer.Option("--root", file_okay=False, help="Folder of the datasets.")]
Cache = Annotated[Path, typer.Option("--cache", file_okay=False, help="Folder of the mapped files.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer with one JSON object as the last line of stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show a traceback on errors.")]
AssetClassOption = Annotated[_AssetClass | None, typer.Option(help="Guessed from the symbol if not given.")]
TickSize = Annotated[str | None, typer.Option(help="Price step, 0.00001 or 1/100000; inferred if not given.")]
LotSize = Annotated[str | None, typer.Option(help="Quantity step; by asset class if not given.")]
QuoteCurrency = Annotated[str | None, typer.Option(help="Currency of the prices; from the symbol if not given.")]
ContractSize = Annotated[str | None, typer.Option(help="Base units per unit of quantity; 1 if not given.")]

DEFAULT_ROOT: Final = Path("datasets")
DEFAULT_CACHE: Final = Path(".cache/datasets")


@data_app.command("import")
def import_command(
    files: Annotated[list[Path], typer.Argument(help="CSV files with a header line, or LEAN zips.")],
    symbol: Annotated[str | None, typer.Option(help="Symbol; LEAN paths say it.")] = None,
    frame: Annotated[str | None, typer.Option(help="M1 M5 M15 M30 H1 H4 D1 W1 or tick; LEAN paths say it.")] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of the stamps that name none: UTC or an IANA name.")] = None,
    format: Annotated[_Format | None, typer.Option(help="Told from the files if not given.")] = None,
    side: Annotated[_Side | None, typer.Option(help="Whose one-sided prices are (default bid).")] = None,
    name: Annotated[str | None, typer.Option(help="Catalogue name; series are added to one that exists.")] = None,
    source: Annotated[str, typer.Option(help="Where the data come from.")] = "not stated",
    licence: Annotated[str, typer.Option(help="Under which licence.")] = "not stated",
    on_duplicate: Annotated[_OnDuplicate, typer.Option(help="What to do with equal bars.")] = _OnDuplicate.REFUSE,
    on_gap: Annotated[_OnGap, typer.Option(help="What to do with gaps in market hours.")] = _OnGap.REPORT,
    ignore: Annotated[list[str] | None, typer.Option(help="CSV column to leave out; may be repeated.")] = None,
    asset_class: AssetClassOption = None,
    tick_size: TickSize = None,
    lot_size: LotSize = None,
    quote_currency: QuoteCurrency = None,
    contract_size: ContractSize = None,
    root: Root = DEFAULT_ROOT,
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
            format=format.value if format else None,
            side=side.value if side else None,
            name=name,
            source=source,
            licence=licence,
            on_duplicate=on_duplicate.value,
            on_gap=on_gap.value,
            ignore=frozenset(ignore or ()),
            instrument=_instrument_options(asset_class, tick_size, lot_size, quote_currency, contract_size),
        )
        with _progress() as progress:
            task = progress.add_task("reading", total=len(files), rows=0)
            result = import_files(
                root, request, lambda done, _, rows: progress.update(task, completed=done, rows=f"{rows:,}")
            )
        return _imported(result)

    answer(SCHEMA, work, _show_import, as_json=as_json, debug=debug)


@data_app.command("synth")
def synth_command(
    seed: Annotated[int, typer.Option(help="Any number from 0 to 2^64 - 1; the same seed gives the same data.")],
    name: Annotated[str | None, typer.Option(help="Catalogue name (default synth-SEED).")] = None,
    symbol: Annotated[list[str] | None, typer.Option(help="Symbol; may be repeated (default EURUSD).")] = None,
    asset_class: AssetClassOption = None,
    frame: Annotated[str, typer.Option(help="M1 or tick.")] = "M1",
    start: Annotated[str, typer.Option(help="First day or moment, UTC.")] = "2024-01-01",
    end: Annotated[str, typer.Option(help="Day or moment after the last, UTC.")] = "2024-07-01",
    tick_size: TickSize = None,
    lot_size: LotSize = None,
    quote_currency: QuoteCurrency = None,
    contract_size: ContractSize = None,
    root: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Make synthetic data: regimes of trend, range and volatility, spreads by hour, weekends and gaps."""

    def work() -> JsonObject:
        request = SynthRequest(
            seed=seed,
            symbols=tuple(dict.fromkeys(symbol or ["EURUSD"])),
            frame=frame,
            start_ns=_moment_ns(start, "--start"),
            end_ns=_moment_ns(end, "--end"),
            name=name or f"synth-{seed}",
            instrument=_instrument_options(asset_class, tick_size, lot_size, quote_currency, contract_size),
        )
        return _imported(make_synthetic(root, request))

    answer(SCHEMA, work, _show_import, as_json=as_json, debug=debug)


@data_app.command("list")
def list_command(root: Root = DEFAULT_ROOT, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the datasets of the store and their names."""

    def work() -> JsonObject:
        return {
            "datasets": [
                {
                    "names": list(one.names),
                    "hash": one.hash,
                    **(_summary(one.manifest) if one.manifest else {}),
                    **({"error": one.problem.as_dict()} if one.problem else {}),
                }
                for one in list_datasets(root)
            ]
        }

    answer(SCHEMA, work, _show_list, as_json=as_json, debug=debug)


@data_app.command("show")
def show_command(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="Name or hash.")],
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show instruments, series and quality of a dataset."""

    def work() -> JsonObject:
        opened = open_dataset(root, dataset, cache_dir=cache)
        return {"name": opened.name, "hash": opened.hash, **_details(opened.manifest, opened.manifest.series)}

    answer(SCHEMA, work, _show_details, as_json=as_json, debug=debug)


@data_app.command("check")
def check_command(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="Name or hash.")],
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Verify a dataset and its cache, byte for byte. Exit code 1 if anything differs."""

    def work() -> JsonObject:
        result = check_dataset(root, dataset, cache)
        fields: JsonObject = {"name": result.name, "hash": result.hash, "rows": result.rows, "files": result.files}
        if result.problems:
            for problem in result.problems[1:]:
                print_error(problem)
            fields["problems"] = [problem.as_dict() for problem in result.problems]
            fail_with(SCHEMA, result.problems[0], fields, as_json=as_json)
        return fields

    answer(SCHEMA, work, _show_check, as_json=as_json, debug=debug)


@data_app.command("demo")
def demo_command(
    root: Root = DEFAULT_ROOT, cache: Cache = DEFAULT_CACHE, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Make the dataset `demo`, if it is not there yet."""

    def work() -> JsonObject:
        opened = ensure_demo(root, cache)
        return {"name": opened.name, "hash": opened.hash, **_details(opened.manifest, opened.manifest.series)}

    answer(SCHEMA, work, _show_details, as_json=as_json, debug=debug)


def _instrument_options(
    asset_class: _AssetClass | None,
    tick_size: str | None,
    lot_size: str | None,
    quote_currency: str | None,
    contract_size: str | None,
) -> InstrumentOptions:
    if quote_currency is not None and not re.fullmatch(r"[A-Z0-9]{2,10}", quote_currency):
        raise UserMistake(
            f"{quote_currency!r} is no currency code",
            code="DATA_INSTRUMENT",
            where="--quote-currency",
            expected="2 to 10 capitals or digits, such as USD",
            remedy="correct the code",
        )
    return InstrumentOptions(
        asset_class=asset_class.value if asset_class else None,
        tick_size=_ratio(tick_size, "--tick-size"),
        lot_size=_ratio(lot_size, "--lot-size"),
        quote_currency=quote_currency,
        contract_size=_ratio(contract_size, "--contract-size"),
    )


def _ratio(text: str | None, option: str) -> Fraction | None:
    if text is None:
        return None
    try:
        if len(text) > 40:
            raise ValueError
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UserMistake(
            f"{text[:40]!r} is no ratio",
            code="DATA_INSTRUMENT",
            where=option,
            expected="a positive decimal or a ratio, such as 0.00001 or 1/100000",
            remedy="correct the number",
        ) from error


def _moment_ns(text: str, option: str) -> int:
    """Return the moment of a date or date and time; without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserMistake(
            f"{text[:40]!r} is no date",
            code="DATE_INVALID",
            where=option,
            expected="a date such as 2024-01-31, or 2024-01-31T13:45:00Z",
            remedy="correct the date",
        ) from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


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


def _imported(result: ImportResult) -> JsonObject:
    return {
        "name": result.name,
        "hash": result.manifest.hash,
        "created": result.created,
        "replaced": result.replaced,
        **_details(result.manifest, result.series),
    }


def _summary(manifest: Manifest) -> JsonObject:
    return {
        "rows": sum(series.rows for series in manifest.series),
        "series": [{"symbol": s.symbol, "frame": s.frame, "rows": s.rows} for s in manifest.series],
        "first_ns": min(series.first_ns for series in manifest.series),
        "last_ns": max(series.last_ns for series in manifest.series),
    }


def _details(manifest: Manifest, listed: tuple[StoredSeries, ...]) -> JsonObject:
    return {
        "instruments": [
            {
                "symbol": one.symbol,
                "asset_class": one.asset_class,
                "quote_currency": one.quote_currency,
                "tick_size": str(one.tick_size),
                "lot_size": str(one.lot_size),
                "contract_size": str(one.contract_size),
                "guessed": list(manifest.inferred.get(one.symbol, ())),
            }
            for one in manifest.instruments
        ],
        "series": [
            {
                "symbol": one.symbol,
                "frame": one.frame,
                "price_basis": one.price_basis,
                "has_ask": "ask" in one.columns or "ask_open" in one.columns,
                "rows": one.rows,
                "first_ns": one.first_ns,
                "last_ns": one.last_ns,
                "source": one.source,
                "licence": one.licence,
                "quality": one.quality,
            }
            for one in listed
        ],
    }


def _show_import(fields: JsonObject, console: Console) -> None:
    _show_details(fields, console)
    if fields["replaced"]:
        console.print(
            f"The name {fields['name']} stood for {fields['replaced']}, which is no longer there.",
            markup=False,
            soft_wrap=True,
        )
    if not fields["created"]:
        console.print("This very dataset was there before; nothing was written.")


def _show_details(fields: JsonObject, console: Console) -> None:
    console.print(f"dataset {fields['name'] or '(no name)'}  {fields['hash']}", markup=False, soft_wrap=True)
    instruments = Table("symbol", "class", "tick", "lot", "contract", "quote", "guessed", title="instruments")
    for one in fields["instruments"]:
        row = [one[k] for k in ("symbol", "asset_class", "tick_size", "lot_size", "contract_size", "quote_currency")]
        instruments.add_row(*row, ", ".join(one["guessed"]))
    series = Table("symbol", "frame", "basis", "rows", "from", "to", title="series")
    for one in fields["series"]:
        basis = one["price_basis"] + (" + ask" if one["has_ask"] else "")
        span = _day(one["first_ns"]), _day(one["last_ns"])
        series.add_row(one["symbol"], one["frame"], basis, f"{one['rows']:,}", *span)
    console.print(instruments)
    console.print(series)
    for one in fields["series"]:
        console.print(f"{one['symbol']} {one['frame']}: {_remarks(one['quality'])}", markup=False, soft_wrap=True)


def _show_list(fields: JsonObject, console: Console) -> None:
    if not fields["datasets"]:
        console.print("No dataset yet: `boxgate data import` takes files, `boxgate data synth` makes some.")
        return
    table = Table("name", "hash", "series", "rows", "from", "to")
    for one in fields["datasets"]:
        name, digest = ", ".join(one["names"]) or "-", one["hash"][: 16 if console.is_terminal else None]
        if "error" in one:
            table.add_row(name, digest, f"{one['error']['code']}: {one['error']['what']}", "", "", "")
            continue
        symbols = ", ".join(f"{series['symbol']} {series['frame']}" for series in one["series"])
        table.add_row(name, digest, symbols, f"{one['rows']:,}", _day(one["first_ns"]), _day(one["last_ns"]))
    console.print(table)


def _show_check(fields: JsonObject, console: Console) -> None:
    console.print(f"dataset {fields['name']}  {fields['hash']}", markup=False, soft_wrap=True)
    console.print(f"{fields['files']} files with {fields['rows']:,} rows are as they were written.")


def _remarks(quality: dict[str, Any]) -> str:
    """Return the quality report in one line: what was repaired, what was only counted, gaps."""
    repairs = [f"REPAIRED {name.replace('_', ' ')} {count:,}" for name, count in quality.get("repairs", {}).items()]
    counts = [f"{name.replace('_', ' ')} {count:,}" for name, count in quality.get("counts", {}).items()]
    gaps = quality.get("gaps", {})
    missing = f" ({gaps['missing_bars']:,} bars missing)" if gaps.get("missing_bars") else ""
    found = [f"gaps {gaps['count']:,}{missing}"] if gaps.get("count") else []
    return ", ".join([*repairs, *counts, *found]) or "nothing to remark"


def _day(time_ns: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 10**9)).strftime("%Y-%m-%d")
