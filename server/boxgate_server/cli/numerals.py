"""Numbers as people read them."""

from __future__ import annotations

from typing import Final

UNDEFINED: Final = "undefined"
"""What stands for a metric that the run does not define, such as the Sharpe ratio of a single day."""


def count(value: int) -> str:
    """Return `12,345`."""
    return f"{value:,}"


def money(value: float | None, currency: str, *, signed: bool = False) -> str:
    """Return `1,234.50 USD`, with a sign if `signed`."""
    if value is None:
        return UNDEFINED
    return f"{value + 0.0:{'+' if signed else ''},.2f} {currency}"


def percent(fraction: float | None, *, signed: bool = False) -> str:
    """Return `12.34 %` for 0.1234."""
    return UNDEFINED if fraction is None else f"{fraction * 100.0:{'+' if signed else ''},.2f} %"


def ratio(value: float | None) -> str:
    """Return `1.23`."""
    return UNDEFINED if value is None else f"{value:,.2f}"


def duration(seconds: float) -> str:
    """Return `340 ms`, `12.3 s`, `4 min 05 s` or `2 h 03 min`."""
    if seconds < 1.0:
        return f"{seconds * 1000.0:.0f} ms"
    if seconds < 100.0:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 100:
        return f"{minutes} min {rest_s:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def rate(per_second: float | None) -> str:
    """Return `1,204,000/s`, in three or four digits that mean something."""
    if per_second is None:
        return UNDEFINED
    digits = max(0, len(str(int(per_second))) - 4)
    return f"{round(per_second, -digits):,.0f}/s"
