"""Options that several commands of `boxgate data` take."""

from __future__ import annotations

import enum
import re
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Final

import typer

from boxgate_engine.datasets import InstrumentOptions
from boxgate_engine.errors import UserMistake
from boxgate_server.cli.app import no_file

SCHEMA: Final = "boxgate.data/1"
"""`schema` of the JSON answers of these commands."""


class AssetClass(enum.StrEnum):
    """What kind of market an instrument trades on."""

    FOREX = "forex"
    CFD = "cfd"
    CRYPTO = "crypto"
    INDEX = "index"
    EQUITY = "equity"


Root = Annotated[
    str,
    typer.Option(
        "--root",
        metavar="DIR",
        callback=no_file,
        help="Folder of the datasets, or an address such as s3://bucket/datasets.",
    ),
]
Cache = Annotated[Path, typer.Option("--cache", file_okay=False, help="Folder of the mapped files.")]
AssetClassOption = Annotated[AssetClass | None, typer.Option(help="Guessed from the symbol if not given.")]
TickSize = Annotated[str | None, typer.Option(help="Price step, 0.00001 or 1/100000; inferred if not given.")]
LotSize = Annotated[str | None, typer.Option(help="Quantity step; by asset class if not given.")]
QuoteCurrency = Annotated[str | None, typer.Option(help="Currency of the prices; from the symbol if not given.")]
ContractSize = Annotated[str | None, typer.Option(help="Base units per unit of quantity; 1 if not given.")]


def instrument_options(
    asset_class: AssetClass | None,
    tick_size: str | None,
    lot_size: str | None,
    quote_currency: str | None,
    contract_size: str | None,
) -> InstrumentOptions:
    """Return what the options state of the instrument. Raises UserMistake (DATA_INSTRUMENT)."""
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
