"""`boxgate data synth` and `boxgate data demo`: synthetic datasets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from boxgate_engine.datasets import SynthRequest, ensure_demo, local_root, make_synthetic, publisher
from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import JsonObject, answer
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.details import details, imported, show_details, show_import
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
    cache: Cache = DEFAULT_CACHE,
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
            instrument=instrument_options(asset_class, tick_size, lot_size, quote_currency, contract_size),
        )
        publish = publisher(root, cache, request.name)
        result = make_synthetic(publish.folder, request)
        publish(result.manifest.hash)
        return imported(result)

    answer(SCHEMA, work, show_import, as_json=as_json, debug=debug)


def demo_command(
    root: Root = DEFAULT_ROOT, cache: Cache = DEFAULT_CACHE, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Make the dataset `demo`, if it is not there yet."""

    def work() -> JsonObject:
        opened = ensure_demo(local_root(root, cache), cache)
        return {"name": opened.name, "hash": opened.hash, **details(opened.manifest, opened.manifest.series)}

    answer(SCHEMA, work, show_details, as_json=as_json, debug=debug)


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
