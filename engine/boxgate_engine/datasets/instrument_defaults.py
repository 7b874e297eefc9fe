"""Guesses about an instrument from its symbol. Each guess is shown to the user and can be overruled."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias, get_args

from boxgate_engine.errors import DataRefused
from boxgate_engine.instruments import Instrument

AssetClass: TypeAlias = Literal["forex", "cfd", "crypto", "index", "equity"]

ASSET_CLASSES: Final[tuple[AssetClass, ...]] = get_args(AssetClass)
"""The asset classes that an instrument can have."""

# fmt: off
_FIAT: Final = frozenset({
    "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY", "KRW",
    "MXN", "NOK", "NZD", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
})
_METALS: Final = frozenset({"XAU", "XAG", "XPT", "XPD"})
_COINS: Final = frozenset({
    "ADA", "ATOM", "AVAX", "BCH", "BNB", "BTC", "DOGE", "DOT", "EOS", "ETC", "ETH", "FIL", "LINK", "LTC", "MATIC",
    "NEAR", "SHIB", "SOL", "TRX", "UNI", "XBT", "XLM", "XMR", "XRP",
})
# fmt: on
_CONTRACT: Final = re.compile(r"[-_.]?(?:PERP|SWAP|\d{6})$", re.ASCII | re.IGNORECASE)
"""What venues put behind the pair in the symbols of their contracts."""
_STABLE_COINS: Final = ("USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI")

INSTRUMENT_FACTS: Final = ("asset_class", "tick_size", "lot_size", "quote_currency", "contract_size")
"""Names of the facts that `InstrumentOptions` can state."""

_LOT_SIZE: Final[dict[AssetClass, Fraction]] = {
    "forex": Fraction(1),
    "cfd": Fraction(1),
    "crypto": Fraction(1, 1000),
    "index": Fraction(1),
    "equity": Fraction(1),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class InstrumentOptions:
    """What the user states about an instrument; None leaves a fact to the guess from symbol and prices."""

    asset_class: AssetClass | None = None
    tick_size: Fraction | None = None
    lot_size: Fraction | None = None
    quote_currency: str | None = None
    contract_size: Fraction | None = None


def describe_instrument(
    symbol: str, tick_size: Fraction, options: InstrumentOptions
) -> tuple[Instrument, tuple[str, ...]]:
    """Return the instrument and the names of those of its facts that were guessed.

    tick_size: the step inferred from the prices, used where the options state none.
    Raises DataRefused (DATA_INSTRUMENT) if a fact can neither be guessed nor was stated, or is not positive.
    """
    guessed = tuple(name for name in INSTRUMENT_FACTS if getattr(options, name) is None)
    asset_class = options.asset_class or guess_asset_class(symbol)
    instrument = Instrument(
        symbol=symbol,
        asset_class=asset_class,
        quote_currency=options.quote_currency or _guess_quote_currency(symbol),
        tick_size=options.tick_size if options.tick_size is not None else tick_size,
        lot_size=options.lot_size if options.lot_size is not None else _LOT_SIZE[asset_class],
        contract_size=options.contract_size if options.contract_size is not None else Fraction(1),
    )
    for name in ("tick_size", "lot_size", "contract_size"):
        value = getattr(instrument, name)
        if not value > 0 or max(value.numerator, value.denominator) >= 1 << 53:
            raise _refused(
                f"{name} {value} is out of range", symbol, "a positive ratio of integers below 2^53", f"--{_flag(name)}"
            )
    return instrument, guessed


def guess_asset_class(symbol: str) -> AssetClass:
    """Return the asset class that a symbol looks like. Raises DataRefused (DATA_INSTRUMENT) if it looks like none."""
    pair = _pair(symbol)
    base, quote = pair[:-3], pair[-3:]
    if base in _METALS:
        return "cfd"
    if base in _FIAT and quote in _FIAT:
        return "forex"
    if pair.endswith(_STABLE_COINS) or base in _COINS or quote in _COINS:
        return "crypto"
    raise _refused(
        f"the asset class of {symbol!r} cannot be told from its name",
        symbol,
        f"one of {', '.join(ASSET_CLASSES)}",
        "--asset-class",
    )


def _guess_quote_currency(symbol: str) -> str:
    pair = _pair(symbol)
    for coin in _STABLE_COINS:
        if pair.endswith(coin) and len(pair) > len(coin):
            return coin
    if len(pair) > 3 and (pair[-3:] in _FIAT or pair[-3:] in _COINS):
        return pair[-3:]
    raise _refused(
        f"the quote currency of {symbol!r} cannot be told from its name",
        symbol,
        "a currency code such as USD",
        "--quote-currency",
    )


def _pair(symbol: str) -> str:
    return _CONTRACT.sub("", symbol).upper()


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _refused(what: str, symbol: str, expected: str, flag: str) -> DataRefused:
    return DataRefused(
        what, code="DATA_INSTRUMENT", where=f"instrument {symbol}", expected=expected, remedy=f"state it with {flag}"
    )
