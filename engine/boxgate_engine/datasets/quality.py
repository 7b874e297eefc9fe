"""The quality report: what is odd about a series that is allowed, counted and located, never changed."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.calendars import Calendar, default_calendar
from boxgate_engine.datasets.content import FUNDING, Column, SeriesContent
from boxgate_engine.datasets.funding_quality import FundingReport
from boxgate_engine.datasets.grid import count_off_grid
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.instruments import Instrument

Times = npt.NDArray[np.int64]

_TICK_GAP_NS: Final = FRAME_NS["H1"]
"""Ticks have a gap where the market was open for longer than this without one."""

_DAY_NS: Final = FRAME_NS["D1"]
_USUAL_NS: Final = 28 * _DAY_NS
"""How far before a gap one looks for how long the market usually is open in a bar of a day or more."""

_LISTED_MAX: Final = 50
"""So many of the longest gaps are listed; all are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaps:
    """Holes in a series while its market was open. Arrays have one entry per hole, in time order.

    from_ns: end of the bar (time of the tick) before. to_ns: open of the bar (time of the tick) after.
    missing: bars that the market's open hours would have held; for ticks 0. open_ns: for how long the market was open.
    closures: pauses that the market explains.
    """

    from_ns: Times
    to_ns: Times
    missing: Times
    open_ns: Times
    closures: int


class QualityReport:
    """The quality report of one series, made chunk by chunk in bounded memory.

    calendar: when its market is open. tick_size: None where it is inferred from these very prices, so that none can be
    off its grid. After any number of chunks: `first_gap` is (from_ns, to_ns) or None.
    """

    def __init__(self, calendar: Calendar, tick_size: Fraction | None = None) -> None:
        self._calendar = calendar
        self._tick_size = tick_size
        self._counts: dict[str, int] = {}
        self._funding = FundingReport()
        self._last: SeriesContent | None = None
        self._longest = _NO_GAPS
        self.gap_count = 0
        self.missing_bars = 0
        self.first_gap: tuple[int, int] | None = None

    def add(self, content: SeriesContent) -> None:
        """Take the next rows of the series. Chunks come in time order; one without rows changes nothing."""
        if not content.rows:
            return
        if content.frame == FUNDING:
            self._funding.add(content)
            self._last = content
            from_ns, to_ns, missing = self._funding.gaps()
            self.gap_count, self.missing_bars = len(missing), int(missing.sum())
            self.first_gap = (int(from_ns[0]), int(to_ns[0])) if len(missing) else None
            return
        counts = {
            "off_grid_prices": self._off_grid(content),
            "outside_market_hours": _outside(content, self._calendar),
            **_crossings(content),
            **(_tick_counts(content, self._last) if content.frame == TICK else _bar_counts(content)),
        }
        for name, count in counts.items():
            self._counts[name] = self._counts.get(name, 0) + count
        self._add_gaps(content)
        self._last = _tail(content, self._last)

    def result(self) -> JsonObject:
        """Return the report of all chunks as JSON values.

        counts: name -> how many rows (bars or ticks) show it, only those that are not zero:
        off_grid_prices, outside_market_hours, zero_volume, flat, crossed (bid above ask), locked (bid equal to ask),
        repeated_time (ticks at the time of the tick before), repeated_row (ticks equal to an earlier one of the same
        time). gaps: count, missing_bars, closures, longest (a list of {from_ns, to_ns, missing_bars}, the most
        open hours first).
        calendar: what `calendar_of` makes the calendar of. Of funding rates: see `FundingReport.result`.
        """
        if self._last is not None and self._last.frame == FUNDING:
            return {"calendar": self._calendar.facts(), **self._funding.result()}
        found = self._longest
        listed = zip(found.from_ns.tolist(), found.to_ns.tolist(), found.missing.tolist(), strict=True)
        return {
            "calendar": self._calendar.facts(),
            "counts": {name: count for name, count in self._counts.items() if count},
            "gaps": {
                "count": self.gap_count,
                "missing_bars": self.missing_bars,
                "closures": found.closures,
                "longest": [{"from_ns": a, "to_ns": b, "missing_bars": missing} for a, b, missing in listed],
            },
        }

    def _off_grid(self, content: SeriesContent) -> int:
        if self._tick_size is None:
            return 0
        return sum(count_off_grid(values, self._tick_size) for values in price_columns(content).values())

    def _add_gaps(self, content: SeriesContent) -> None:
        times_ns = content.times_ns
        if self._last is not None:
            times_ns = np.concatenate((self._last.times_ns[-1:], times_ns))
        gaps = _gaps(times_ns, content.frame, self._calendar)
        self.gap_count += len(gaps.from_ns)
        self.missing_bars += int(gaps.missing.sum())
        if self.first_gap is None and len(gaps.from_ns):
            self.first_gap = int(gaps.from_ns[0]), int(gaps.to_ns[0])
        before = self._longest
        names = ("from_ns", "to_ns", "missing", "open_ns")
        both = {name: np.append(getattr(before, name), getattr(gaps, name)) for name in names}
        kept = np.argsort(-both["open_ns"], kind="stable")[:_LISTED_MAX]
        closures = before.closures + gaps.closures
        self._longest = Gaps(closures=closures, **{name: values[kept] for name, values in both.items()})


_NO_TIMES: Final[Times] = np.zeros(0, dtype=np.int64)
_NO_GAPS: Final = Gaps(from_ns=_NO_TIMES, to_ns=_NO_TIMES, missing=_NO_TIMES, open_ns=_NO_TIMES, closures=0)


def inspect(content: SeriesContent, instrument: Instrument, calendar: Calendar | None = None) -> JsonObject:
    """Return the quality report of a whole series; see `QualityReport.result`. calendar: None: by asset class."""
    report = QualityReport(calendar or default_calendar(instrument.asset_class), instrument.tick_size)
    report.add(content)
    return report.result()


def find_gaps(content: SeriesContent, calendar: Calendar) -> Gaps:
    """Return the holes of a series of bars or ticks, measured in the hours in which its market is open."""
    return _gaps(content.times_ns, content.frame, calendar)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pauses:
    """Steps from row to row that a bar (ticks: an hour) would fit in. Arrays have one entry per pause, in time order.

    is_gap: the market was open in it for so long; otherwise it explains the pause. missing, open_ns: as in `Gaps`.
    """

    from_ns: Times
    to_ns: Times
    missing: Times
    open_ns: Times
    is_gap: npt.NDArray[np.bool_]


def find_pauses(times_ns: Times, frame: str, calendar: Calendar) -> Pauses:
    """Return the pauses between rows and which of them are gaps. times_ns: opens of bars or times of ticks."""
    step_ns = 0 if frame == TICK else FRAME_NS[frame]
    from_ns, to_ns = times_ns[:-1] + step_ns, times_ns[1:]
    threshold_ns = step_ns or _TICK_GAP_NS
    long = to_ns - from_ns >= threshold_ns
    from_ns, to_ns = from_ns[long], to_ns[long]
    open_ns = to_ns - from_ns - calendar.closed_ns_between(from_ns, to_ns)
    if step_ns >= _DAY_NS:
        missing = _missing_days(from_ns, to_ns, step_ns, calendar)
        is_gap = missing > 0
    else:
        missing = open_ns // step_ns if step_ns else np.zeros(len(open_ns), dtype=np.int64)
        is_gap = open_ns >= threshold_ns
    return Pauses(from_ns=from_ns, to_ns=to_ns, missing=missing, open_ns=open_ns, is_gap=is_gap)


def price_columns(content: SeriesContent) -> dict[str, npt.NDArray[np.float64]]:
    """Return the columns that hold prices of the instrument; of funding rates none."""
    if content.frame == FUNDING:
        return {}
    return {
        name: values.view(np.float64)
        for name, values in content.columns.items()
        if name not in ("open_ns", "time_ns", "volume")
    }


def _gaps(times_ns: Times, frame: str, calendar: Calendar) -> Gaps:
    found = find_pauses(times_ns, frame, calendar)
    real = found.is_gap
    return Gaps(
        from_ns=found.from_ns[real],
        to_ns=found.to_ns[real],
        missing=found.missing[real],
        open_ns=found.open_ns[real],
        closures=int(np.count_nonzero(~real)),
    )


def _missing_days(from_ns: Times, to_ns: Times, step_ns: int, calendar: Calendar) -> Times:
    """Return how many bars of a day or a week each pause lacks.

    A place for a bar counts if the market was open in it at least half as long as in the fullest of the four weeks
    before: a day of an exchange lasts six hours, and the two hours of an FX Sunday are no day.
    """
    if not len(from_ns):
        return _NO_TIMES
    before = -step_ns * np.arange(1, _USUAL_NS // step_ns + 1, dtype=np.int64)
    earlier = (from_ns[:, None] + before).ravel()
    usual = (step_ns - calendar.closed_ns_between(earlier, earlier + step_ns)).reshape(len(from_ns), -1).max(axis=1)
    places = (to_ns - from_ns) // step_ns
    pause = np.repeat(np.arange(len(from_ns)), places)
    number = np.arange(len(pause)) - np.repeat(np.cumsum(places) - places, places)
    begins = from_ns[pause] + number * step_ns
    open_ns = step_ns - calendar.closed_ns_between(begins, begins + step_ns)
    full = (open_ns > 0) & (2 * open_ns >= usual[pause])
    return np.bincount(pause[full], minlength=len(from_ns)).astype(np.int64)


def _outside(content: SeriesContent, calendar: Calendar) -> int:
    """Return how many ticks, or bars from open to close, lie wholly where the market is closed."""
    times_ns = content.times_ns
    outside = ~calendar.is_open(times_ns)
    if content.frame != TICK:
        step_ns = FRAME_NS[content.frame]
        begins = times_ns[outside]
        return int(np.count_nonzero(calendar.closed_ns_between(begins, begins + step_ns) == step_ns))
    return int(np.count_nonzero(outside))


def _crossings(content: SeriesContent) -> dict[str, int]:
    if not content.has_ask:
        return {}
    bid, ask = ("bid", "ask") if content.frame == TICK else ("close", "ask_close")
    return {
        "crossed": int(np.count_nonzero(content.columns[bid] > content.columns[ask])),
        "locked": int(np.count_nonzero(content.columns[bid] == content.columns[ask])),
    }


def _bar_counts(content: SeriesContent) -> dict[str, int]:
    columns = content.columns
    return {
        "zero_volume": int(np.count_nonzero(columns["volume"] == 0)),
        "flat": int(np.count_nonzero(columns["high"] == columns["low"])),
    }


def _tick_counts(content: SeriesContent, last: SeriesContent | None) -> dict[str, int]:
    import polars as pl  # here, not above: it takes most of a second, and only imports need it

    columns: dict[str, Column] = content.columns
    if last is not None and last.times_ns[-1] == content.times_ns[0]:
        columns = _behind(last, columns)
    times_ns = columns["time_ns"]
    repeated = times_ns[1:] == times_ns[:-1]
    in_shared_time = np.concatenate((repeated, [False])) | np.concatenate(([False], repeated))
    shared = pl.DataFrame({name: values[in_shared_time] for name, values in columns.items()})
    known = len(times_ns) - content.rows  # They are different rows of one time; each but the first was counted then.
    return {
        "repeated_time": int(np.count_nonzero(repeated)) - max(known - 1, 0),
        "repeated_row": shared.height - shared.n_unique(),
    }


def _tail(content: SeriesContent, last: SeriesContent | None) -> SeriesContent:
    """Return what the next chunk must know: the last bar, or the different ticks of the last time."""
    if content.frame != TICK:
        return _rows(content, content.rows - 1)
    import polars as pl

    first = int(np.searchsorted(content.times_ns, content.times_ns[-1]))
    tail = _rows(content, first)
    columns = tail.columns
    if first == 0 and last is not None and last.times_ns[-1] == content.times_ns[0]:
        columns = _behind(last, columns)
    different = pl.DataFrame(columns).unique(maintain_order=True)
    kept: dict[str, Column] = {name: different[name].to_numpy() for name in columns}
    return SeriesContent(symbol=tail.symbol, frame=tail.frame, price_basis=tail.price_basis, columns=kept)


def _behind(last: SeriesContent, columns: dict[str, Column]) -> dict[str, Column]:
    return {
        name: np.concatenate((last.times_ns, values.view(np.int64)))
        if name == "time_ns"
        else np.concatenate((last.columns[name].view(np.float64), values.view(np.float64)))
        for name, values in columns.items()
    }


def _rows(content: SeriesContent, first: int) -> SeriesContent:
    columns: dict[str, Column] = {name: values[first:].copy() for name, values in content.columns.items()}
    return SeriesContent(symbol=content.symbol, frame=content.frame, price_basis=content.price_basis, columns=columns)
