"""What the names of Binance's files say, and that their stamps are UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.datasets.formats.zones import is_utc
from boxgate_engine.errors import DataRefused

ZONE: Final = "UTC"
"""Binance writes UTC everywhere."""

_SYMBOL: Final = r"[A-Z0-9]{5,20}(?:_(?:PERP|\d{6}))?"
_NAME: Final = re.compile(
    rf"(?P<symbol>{_SYMBOL})"
    r"(?:[-_](?P<kind>\d{1,2}(?:s|m|h|d|w|mo)|1M|aggTrades|trades|fundingRate))?(?:[-_]\d{4}-\d\d(?:-\d\d)?)?",
    re.ASCII,
)
_COIN_MARGINED: Final = re.compile(r"[A-Z0-9]+USD_(?:PERP|\d{6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class BinanceName:
    """symbol: None if the name says none. interval: of klines, such as 1m, or what else the file holds."""

    symbol: str | None
    interval: str | None


def binance_name(path: Path) -> BinanceName:
    """Return what a name such as BTCUSDT-1m-2024-01.zip, ETHUSDT-aggTrades-2024-01-31.csv or BTCUSDT.csv says."""
    match = _NAME.fullmatch(path.name.split(".", 1)[0])
    return BinanceName(match["symbol"], match["kind"]) if match else BinanceName(None, None)


def is_coin_margined(symbol: str) -> bool:
    """True for the symbols of COIN-M contracts, settled in their base currency: BTCUSD_PERP, ETHUSD_240628."""
    return bool(_COIN_MARGINED.fullmatch(symbol))


def check_zone(file: InputFile, zone: str | None) -> None:
    """Raise DataRefused (DATA_TZ) if another zone than UTC was stated."""
    if zone is None or is_utc(zone):
        return
    raise DataRefused(
        f"the stamps are UTC, the command says {zone}",
        code="DATA_TZ",
        where=file.label,
        expected="UTC, as Binance writes",
        remedy="leave --tz out, or import with --format csv if the file was written by another program",
    )
