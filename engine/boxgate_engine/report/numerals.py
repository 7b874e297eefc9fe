"""Numbers as people read them: money, shares, ratios, durations, instants.

Every function takes None for "undefined" and then returns a dash.
"""

from __future__ import annotations

import math
from typing import Final

from boxgate_engine.timestamps import format_utc

UNDEFINED: Final = "–"
"""What stands for an undefined number."""
MINUS: Final = "\u2212"
_CURRENCY_DECIMALS: Final = {"JPY": 0, "KRW": 0, "HUF": 0, "CLP": 0, "BTC": 6, "XBT": 6, "ETH": 6}
_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def currency_decimals(currency: str) -> int:
    """Return the decimals that amounts of a currency are shown with."""
    return _CURRENCY_DECIMALS.get(currency, 2)


def number(value: float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """Return a number with thousands commas and a real minus sign. signed: + before what is above zero."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = f"{abs(value):,.{decimals}f}"
    if not text.strip("0.,"):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def money(value: float | None, currency: str, *, signed: bool = False) -> str:
    """Return an amount with its currency, such as `−1,234.50 USD`."""
    if value is None:
        return UNDEFINED
    return f"{number(value, currency_decimals(currency), signed=signed)}\u00a0{currency}"


def percent(fraction: float | None, decimals: int = 2, *, signed: bool = False) -> str:
    """Return a fraction as percent, such as `12.30 %`."""
    if fraction is None or not math.isfinite(fraction):
        return UNDEFINED
    return f"{number(fraction * 100, decimals, signed=signed)}\u00a0%"


def count(value: int | float | None) -> str:
    """Return a whole number with thousands commas."""
    return number(value, 0)


def counted(value: int | float, noun: str) -> str:
    """Return a whole number with its noun: `1 bar`, `2 bars`."""
    return f"{count(value)} {noun}{'' if value == 1 else 's'}"


def plain(value: float) -> str:
    """Return a number of the config without needless zeros: 1.5, 100,000, 0.00001."""
    text = f"{value:,.10f}".rstrip("0").rstrip(".")
    return text if text not in {"0", "-0"} or value == 0 else f"{value:g}"


def duration(value_ns: float | None) -> str:
    """Return a duration by its two largest units, such as `2 h 14 min`."""
    if value_ns is None or not math.isfinite(value_ns):
        return UNDEFINED
    rest_s = round(value_ns / 1e9)
    if rest_s < 1:
        return f"{value_ns / 1e6:,.0f}\u00a0ms"
    parts: list[str] = []
    for unit, size_s in _UNITS:
        amount, rest_s = divmod(rest_s, size_s)
        if amount:
            parts.append(f"{amount:,}\u00a0{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return " ".join(parts)


def instant(value_ns: int) -> str:
    """Return an instant as `2024-01-31 12:30:00` UTC; the time of day is left out at midnight."""
    text = format_utc(value_ns).removesuffix("Z").replace("T", " ")
    return text.removesuffix(" 00:00:00")
