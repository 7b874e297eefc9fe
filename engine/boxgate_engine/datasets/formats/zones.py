"""Time zones of market data: UTC, IANA names, fixed offsets, and broker zones.

A broker zone is written `WINTER/SUMMER@RULE`, such as `+2/+3@US`: the server stands at UTC+2 in winter and UTC+3 in
summer, and changes at the instants at which New York (US: second Sunday of March and first of November at 02:00 local
time; before 2007 other Sundays) or Europe (EU: last Sunday of March and October, 01:00 UTC) does. With `+2/+3@US` the
server's midnight is 17:00 in New York all year, so that a week has five daily bars.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.errors import DataRefused

Int64Array = NDArray[np.int64]

ONCE: Final = 0
"""The local time names one moment."""
TWICE: Final = 1
"""It names two: clocks were set back over it."""
NEVER: Final = 2
"""It names none: clocks were set forward over it."""

_MINUTE_NS: Final = 60_000_000_000
_HOUR_NS: Final = 60 * _MINUTE_NS
_OFFSET: Final = re.compile(r"(?:UTC|GMT)?(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", re.ASCII | re.I)
_RULES: Final = {"US": "America/New_York", "EU": "Europe/Berlin"}
"""Rule of a broker zone -> an IANA zone that changes at its instants."""


def moments_of(local_ns: Int64Array, zone: str) -> tuple[Int64Array, NDArray[np.int8]]:
    """Return (moments in UTC, ONCE TWICE or NEVER) of local times. Raises DataRefused (DATA_TZ) for an unknown zone.

    local_ns: shape (n,), as if they were UTC. Where a local time does not name one moment, the moment means nothing.
    """
    if is_utc(zone):
        return local_ns, np.zeros(len(local_ns), np.int8)
    offset_ns = _offset_ns(zone)
    if offset_ns is not None:
        return local_ns - offset_ns, np.zeros(len(local_ns), np.int8)
    broker = _broker(zone)
    if broker is not None:
        winter_ns, summer_ns, rule = broker
        in_winter, in_summer = local_ns - winter_ns, local_ns - summer_ns
        is_winter, is_summer = ~_is_summer(in_winter, rule), _is_summer(in_summer, rule)
        faults = np.where(is_winter & is_summer, TWICE, np.where(is_winter | is_summer, ONCE, NEVER))
        return np.where(is_summer, in_summer, in_winter), faults.astype(np.int8)
    if not zone:
        raise _unknown(zone)
    local = pl.Series(local_ns).cast(pl.Datetime("ns"))
    try:
        moments = local.dt.replace_time_zone(zone, ambiguous="null", non_existent="null")
    except pl.exceptions.ComputeError as error:
        raise _unknown(zone) from error
    unclear = moments.is_null().to_numpy()
    kinds = np.zeros(len(local_ns), np.int8)
    if unclear.any():
        earliest = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        kinds = np.where(unclear, np.where(earliest.is_null().to_numpy(), NEVER, TWICE), ONCE).astype(np.int8)
    return np.ascontiguousarray(moments.to_physical().fill_null(0).to_numpy()), kinds


def local_of(times_ns: Int64Array, zone: str) -> Int64Array:
    """Return the local times of moments, as if they were UTC. Raises DataRefused (DATA_TZ) for an unknown zone."""
    if is_utc(zone):
        return times_ns
    offset_ns = _offset_ns(zone)
    if offset_ns is not None:
        return times_ns + offset_ns
    broker = _broker(zone)
    if broker is not None:
        winter_ns, summer_ns, rule = broker
        return np.where(_is_summer(times_ns, rule), times_ns + summer_ns, times_ns + winter_ns)
    if not zone:
        raise _unknown(zone)
    moments = pl.Series(times_ns).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    try:
        local = moments.dt.convert_time_zone(zone)
    except pl.exceptions.ComputeError as error:
        raise _unknown(zone) from error
    return np.ascontiguousarray(local.dt.replace_time_zone(None).to_physical().to_numpy())


def is_utc(zone: str) -> bool:
    """True for the names of UTC itself."""
    return zone.upper() in {"UTC", "Z", "GMT", "ETC/UTC", "ETC/GMT"}


def _offset_ns(text: str) -> int | None:
    """Return a fixed offset such as `+2`, `UTC-5` or `+05:30`, None for another word."""
    match = _OFFSET.fullmatch(text)
    if match is None or int(match["hours"]) > 14 or int(match["minutes"] or 0) > 59:
        return None
    size = int(match["hours"]) * _HOUR_NS + int(match["minutes"] or 0) * _MINUTE_NS
    return size if match["sign"] == "+" else -size


def _broker(zone: str) -> tuple[int, int, str] | None:
    """Return (winter offset, summer offset, rule) of a broker zone, None for another word."""
    offsets, at, rule = zone.partition("@")
    winter, slash, summer = offsets.partition("/")
    if not at or not slash:
        return None
    winter_ns, summer_ns = _offset_ns(winter), _offset_ns(summer)
    if winter_ns is None or summer_ns is None or rule.upper() not in _RULES or summer_ns - winter_ns != _HOUR_NS:
        raise DataRefused(
            f"{zone[:40]!r} is no broker zone",
            code="DATA_TZ",
            where="--tz",
            expected="winter and summer offset, an hour apart, and the rule US or EU, such as +2/+3@US",
            remedy="correct the zone; the broker says when its server changes",
        )
    return winter_ns, summer_ns, rule.upper()


def _is_summer(times_ns: Int64Array, rule: str) -> NDArray[np.bool_]:
    moments = pl.Series(times_ns).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC").dt.convert_time_zone(_RULES[rule])
    summer: NDArray[np.bool_] = (moments.dt.dst_offset().dt.total_minutes() > 0).to_numpy()
    return summer


def _unknown(zone: str) -> DataRefused:
    return DataRefused(
        f"{zone[:40]!r} is no time zone",
        code="DATA_TZ",
        where="--tz",
        expected="UTC, an IANA name such as Europe/Berlin, an offset such as +2, or a broker zone such as +2/+3@US",
        remedy="correct the name",
    )
