"""Time stamps into int64 nanoseconds UTC: one moment each, or a refusal with its row."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from boxgate_engine.datasets.formats.zones import TWICE, is_utc, local_of, moments_of
from boxgate_engine.errors import DataRefused

Int64Array = NDArray[np.int64]
Where = Callable[[int], str]
"""Gives the place of a row, for errors."""

_EPOCH_UNITS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
EPOCH_FORMS: Final = frozenset(f"epoch {unit}" for unit in _EPOCH_UNITS)
"""Forms of stamps that are whole numbers."""

_EARLIEST_NS: Final = 631_152_000 * 10**9
"""1990-01-01 UTC. Epoch numbers of the four units between 1990 and 2200 have no value in common."""
_LATEST_NS: Final = 7_258_118_400 * 10**9
"""2200-01-01 UTC, exclusive."""
_TEXT_EARLIEST_NS: Final = 10**9
"""Written-out dates may be older than epoch numbers, but not before 1970."""

_WHOLE: Final = re.compile(r"-?\d+")
_COMPACT: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_STAMP: Final = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{4}/\d\d/\d\d|\d{4}\.\d\d\.\d\d|\d\d\.\d\d\.\d{4}|\d{8})"
    r"(?:(?P<gap>[ T])(?:(?P<time>\d\d:\d\d(?P<seconds>:\d\d(?:\.\d{1,9})?)?)|(?P<packed>\d{6}(?P<millis>\d{3})?)))?"
    r"(?P<zone> ?(?:Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
_DATE_FORMATS: Final = (
    (re.compile(r"\d{4}-"), "%Y-%m-%d"),
    (re.compile(r"\d{4}/"), "%Y/%m/%d"),
    (re.compile(r"\d{4}\."), "%Y.%m.%d"),
    (re.compile(r"\d\d\."), "%d.%m.%Y"),
    (re.compile(r"\d{8}"), "%Y%m%d"),
)
_SECOND_60: Final = r":\d\d:60|^\d{8}[ T]?\d{4}60"


def parse_stamps(texts: pl.Series, zone: str | None, where: Where, first: str | None = None) -> tuple[Int64Array, str]:
    """Return (int64 ns UTC, the form that was recognised) of the stamps of one file, or of its next rows.

    All stamps of a file have the form of the first: an epoch number in s, ms, us or ns (UTC; the unit is told by its
    range), or a written-out date, with an offset from UTC or, for a naive one, in `zone`. texts: as they are written;
    epoch numbers may be read already. first: the file's first stamp, where it is not among them.
    Raises DataRefused (DATA_TZ): naive without zone, unreadable, not a moment or two moments in the zone, out of range.
    """
    first = (str(texts[0]) if first is None else first).strip()
    if _WHOLE.fullmatch(first) and len(first) not in _COMPACT:
        if zone is not None and not is_utc(zone):
            raise _refused(
                f"{first} counts from 1970 UTC, but the zone given is {zone}", where(0), "--tz UTC", "give --tz UTC"
            )
        return _parse_epochs(texts, first, where)
    form, has_offset = _form(first, where)
    if not has_offset and zone is None:
        raise _refused(
            f"{first!r} names no time zone",
            where(0),
            "the zone of the stamps, given as --tz ZONE",
            "give --tz UTC, an IANA name such as --tz Europe/Berlin, an offset such as --tz +2, or that of a broker "
            "such as --tz +2/+3@US; the exporting program states which",
        )
    # Where no stamp has a fraction, the form without one says the same, and is read many times as fast.
    bare = form.replace("%.f", "")
    is_bare = not has_offset and bare[-1] in "dMS" and _all_have_length(texts, len(bare.replace("%Y", "yyyy")))
    if not is_bare:
        texts = texts.str.strip_chars()
        if has_offset:
            texts = texts.str.replace(r" ?(?:Z|UTC|GMT)$", "+00:00").str.replace(r" ([+-]\d\d(?::?\d\d)?)$", "$1")
    parsed = texts.str.to_datetime(
        bare if is_bare else form,
        time_unit="us",
        strict=False,
        time_zone="UTC" if has_offset else None,
        cache=False,
    )
    if not is_bare or texts.str.ends_with("60").any():
        parsed = pl.select(pl.when(~texts.str.contains(_SECOND_60)).then(parsed)).to_series()
    _refuse_null(parsed, texts, where, f"a stamp like the first, {first!r}, that names a day and a time that exist")
    micros = np.ascontiguousarray(parsed.to_physical().to_numpy())
    _refuse_outside(micros, _TEXT_EARLIEST_NS // 1000, _LATEST_NS // 1000, texts, where)
    times_ns = micros * 1000
    if not is_bare:
        times_ns += _nanoseconds(texts)
    return (times_ns, f"{form} with offset") if has_offset else (to_utc(times_ns, zone or "UTC", where), form)


def parse_stated(texts: pl.Series, form: str, zone: str | None, where: Where) -> tuple[Int64Array, str]:
    """Return (int64 ns UTC, form) of stamps of a form that was stated, as strptime takes it. Raises DataRefused."""
    offset = "%z" in form
    if zone is None and not offset:
        raise _refused("the form of the stamps names no time zone", where(0), "--tz ZONE", "give --tz UTC or another")
    texts = texts.cast(pl.String).str.strip_chars()

    def parsed(stamps: pl.Series, unit: Literal["us", "ns"]) -> pl.Series:
        return stamps.str.to_datetime(form, time_unit=unit, strict=False, time_zone="UTC" if offset else None)

    try:
        inside = parsed(texts, "us").dt.year().is_between(1970, 2199).fill_null(value=False)
    except pl.exceptions.PolarsError as error:
        raise _refused(f"{form!r} is no form of stamps", "--time-format", "%Y-%m-%d %H:%M", "correct it") from error
    sixty = texts.str.contains("60", literal=True)
    if sixty.any():  # A second 60 would become the next minute. Where 60 means something else, 61 can stand as well.
        others = parsed(texts.filter(sixty).str.replace_all("60", "61", literal=True), "us").is_not_null()
        inside = inside.scatter(sixty.arg_true(), others & inside.filter(sixty))
    if not inside.all():
        row = int((~inside).arg_max() or 0)
        raise _refused(
            f"{str(texts[row])[:40]!r} is no stamp of the form {form!r}",
            where(row),
            "a day and a time that exist, from 1970 to 2199",
            "correct the row or --time-format",
        )
    times_ns = np.ascontiguousarray(parsed(texts, "ns").to_physical().to_numpy())
    return (times_ns if offset else to_utc(times_ns, zone or "UTC", where)), form


def to_utc(local_ns: Int64Array, zone: str, where: Where) -> Int64Array:
    """Return the moments of local times of a zone: UTC, an IANA name, an offset, or a broker zone (see zones.py).

    Raises DataRefused (DATA_TZ) for an unknown zone and for a local time that the zone skips or has twice.
    """
    if is_utc(zone):
        return local_ns
    moments, faults = moments_of(local_ns, zone)
    if faults.any():
        row = int(np.argmax(faults))
        text = str(pl.Series(local_ns[row : row + 1]).cast(pl.Datetime("ns"))[0])
        raise _refused(
            f"{text} {'happens twice' if faults[row] == TWICE else 'does not exist'} in {zone}",
            where(row),
            "local times that name one moment",
            "export the data in UTC; or check that the zone is the one of the file",
        )
    return moments


def check_zone(zone: str) -> str:
    """Return the name of a zone. Raises DataRefused (DATA_TZ) if there is none of that name."""
    to_utc(np.zeros(1, dtype=np.int64), zone, lambda row: "--tz")
    return zone


def refuse_long_days(opens_ns: Int64Array, duration_ns: int, zone: str, where: Where) -> None:
    """Raise DataRefused (DATA_TZ) at a bar of local days that is not over after its duration (clocks set back).

    A bar is available at its open plus its frame; one that lasts an hour longer would show an hour of the future.
    """
    if is_utc(zone):
        return
    late = local_of(opens_ns + duration_ns, zone) < local_of(opens_ns, zone) + duration_ns
    if late.any():
        row = int(np.argmax(late))
        raise _refused(
            f"the bar lasts longer than its frame, for clocks are set back in {zone}",
            where(row),
            "daily and weekly bars of days of 24 hours",
            "import hours or minutes instead, days are made from them; or give the zone the broker really uses",
        )


def _parse_epochs(texts: pl.Series, first: str, where: Where) -> tuple[Int64Array, str]:
    numbers = texts.cast(pl.Int64, strict=False)
    if numbers.null_count():  # Perhaps for spaces around them, which are rare.
        texts = texts.cast(pl.String).str.strip_chars()
        numbers = texts.cast(pl.Int64, strict=False)
    _refuse_null(numbers, texts, where, "a whole number, as in the first row")
    values = np.ascontiguousarray(numbers.to_numpy())
    for unit, factor in _EPOCH_UNITS.items():
        if _EARLIEST_NS <= int(first) * factor < _LATEST_NS:
            _refuse_outside(values, _EARLIEST_NS // factor, _LATEST_NS // factor, texts, where)
            return values * factor, f"epoch {unit}"
    raise _refused(
        f"{first} is no time between 1990 and 2200 in s, ms, us or ns",
        where(0),
        "an epoch number between 1990 and 2200",
        "correct the column, or write the dates out",
    )


def _form(first: str, where: Where) -> tuple[str, bool]:
    """Return the strptime form of a written-out stamp and whether it has an offset."""
    if _WHOLE.fullmatch(first):
        return _COMPACT[len(first)], False
    match = _STAMP.fullmatch(first)
    if match is None:
        raise _refused(
            f"{first[:40]!r} is no stamp that is known",
            where(0),
            "an epoch number, or a date such as 2024-01-31 13:45:00, 2024.01.31 13:45, 31.01.2024 13:45:00.000",
            "export the file with ISO dates",
        )
    form = next(form for pattern, form in _DATE_FORMATS if pattern.match(match["date"]))
    if match["time"]:
        form += match["gap"] + ("%H:%M:%S%.f" if match["seconds"] else "%H:%M")
    elif match["packed"]:
        form += match["gap"] + ("%H%M%S%3f" if match["millis"] else "%H%M%S")
    return (form + "%#z", True) if match["zone"] else (form, False)


def _all_have_length(texts: pl.Series, length: int) -> bool:
    lengths = texts.str.len_bytes()
    return bool(lengths.min() == length == lengths.max())


def _nanoseconds(texts: pl.Series) -> Int64Array:
    """Return the part of each stamp below a microsecond, which the parser leaves out."""
    fraction = texts.str.extract(r"\.\d{6}(\d{1,3})", 1)
    if fraction.null_count() == len(texts):
        return np.zeros(len(texts), dtype=np.int64)
    return np.ascontiguousarray(fraction.str.pad_end(3, "0").cast(pl.Int64).fill_null(0).to_numpy())


def _refuse_null(parsed: pl.Series, texts: pl.Series, where: Where, expected: str) -> None:
    if parsed.null_count():
        row = int(parsed.is_null().arg_max() or 0)
        raise _refused(f"{str(texts[row])[:40]!r} is no such stamp", where(row), expected, "correct or remove the row")


def _refuse_outside(values: Int64Array, low: int, high: int, texts: pl.Series, where: Where) -> None:
    outside = (values < low) | (values >= high)
    if outside.any():
        row = int(np.argmax(outside))
        raise _refused(
            f"{str(texts[row])[:40]!r} is out of range",
            where(row),
            "stamps between 1990 (written out: 1970) and 2200, all in one unit",
            "correct or remove the row",
        )


def _refused(what: str, where: str, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_TZ", where=where, expected=expected, remedy=remedy)
