"""The market of a run: which series are delivered, which execute, where the window lies, what the warm-up holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np

from boxgate_engine.account_rules import account_rules, funding_problems, is_funded, rate_problems
from boxgate_engine.config import RunConfig, SpreadHours, SpreadPrice, SpreadTicks
from boxgate_engine.config.account import DEFAULT
from boxgate_engine.datasets import Dataset, Series
from boxgate_engine.errors import BoxgateError, ConfigInvalid, Problem, UserMistake
from boxgate_engine.frames import FRAME_NS, TICK
from boxgate_engine.hours import MarketHours, run_hours
from boxgate_engine.instruments import Instrument
from boxgate_engine.intent_intake import utc_day_end
from boxgate_engine.kernel.records import Floats, Integers
from boxgate_engine.rules import AccountRules
from boxgate_engine.series_problems import series_problems
from boxgate_engine.tape import Source, Tape

_FINEST_FIRST = (TICK, *FRAME_NS)
_FAR_NS = 2**63 - 1

_LONG_WEEKEND_NS = 4 * 86_400_000_000_000
"""A series that ends this much before the window does is no weekend's doing."""


@dataclass(frozen=True, eq=False)
class Feed:
    """One delivered series of a run. index: its place in the session."""

    index: int
    instrument: int
    series: Series

    @property
    def key(self) -> str:
        """Symbol and frame, for messages."""
        return f"{self.series.symbol} {self.series.frame}"


class Market:
    """The series of a run, checked against its config.

    feeds: delivered series, instrument by instrument, frames in config order. executing: per instrument the series
    that fills.
    """

    def __init__(self, config: RunConfig, dataset: Dataset, *, folder: Path = Path()) -> None:
        """Open the series. Raises ConfigInvalid with everything that does not fit, or what a series raises.

        folder: working directory, where the paths of calendars start.
        """
        problems: list[Problem] = []
        self._config = config
        self._dataset = dataset
        self.instruments: list[Instrument] = []
        self.feeds: list[Feed] = []
        self.executing: list[Series] = []
        for i, symbol in enumerate(config.instruments):
            try:
                self._open(i, symbol)
            except UserMistake as error:
                problems.append(_problem(f"instruments[{i}]", error))
        if not problems:
            problems += funding_problems(config, dataset)
        problems += rate_problems(config, self.instruments)
        problems += _contract_problems(self.instruments)
        problems += series_problems(config, self.executing)
        problems += self._foreign_symbols()
        problems += self._window_problems()
        self._hours: list[MarketHours] = []
        if self.feeds and not problems:
            self._hours, problems = run_hours(config, dataset, self.executing, folder, *self._span())
        if problems:
            raise ConfigInvalid(problems)

    def _open(self, i: int, symbol: str) -> None:
        frames = self._config.frames
        opened = [self._dataset.series(symbol, frame) for frame in frames]
        self.instruments.append(self._dataset.instruments[symbol])
        self.feeds += [Feed(len(self.feeds) + k, i, series) for k, series in enumerate(opened)]
        override = self._config.execution.series
        wanted = override.get(symbol) if isinstance(override, Mapping) else override
        finest = min(frames, key=_FINEST_FIRST.index)
        self.executing.append(self._dataset.series(symbol, wanted or finest))

    def _foreign_symbols(self) -> list[Problem]:
        known = self._config.instruments
        leverage = self._config.account.leverage
        named = [("costs.instruments", symbol) for symbol in self._config.costs.instruments]
        if isinstance(leverage, Mapping):
            named += [("account.leverage", symbol) for symbol in leverage if symbol != DEFAULT]
        return [
            Problem(
                path=f"{section}.{symbol}",
                source="",
                what=f"{symbol} is not traded in this run",
                expected=f"one of {', '.join(known)}",
                remedy="correct the symbol or remove the entry",
            )
            for section, symbol in named
            if symbol not in known
        ]

    def account_rules(self, start_ns: int, end_ns: int, *, seed: int) -> AccountRules:
        """Return the rules of the account in a window. Raises ConfigInvalid where a funding rate is missing in it."""
        return account_rules(self._config, self._dataset, self.instruments, start_ns=start_ns, end_ns=end_ns, seed=seed)

    def is_open(self, instrument: int, time_ns: int) -> bool:
        """Return whether orders of an instrument may fill at a time of the run: always without a filter."""
        return not self._hours or self._hours[instrument].is_open(time_ns)

    def day_end(self, instrument: int, time_ns: int) -> int:
        """Return the first end of a trading day of an instrument after a time of the run, NO_EXPIRY for none."""
        return self._hours[instrument].day_end(time_ns) if self._hours else utc_day_end(instrument, time_ns)

    @property
    def stated_calendars(self) -> dict[str, str]:
        """The calendars that the config names, by symbol, as they enter the identity of a run."""
        named = self._config.execution.calendars
        symbols = [one.symbol for one in self.instruments]
        return {symbol: hours.identity for symbol, hours in zip(symbols, self._hours, strict=False) if symbol in named}

    def is_funded(self, symbol: str) -> bool:
        """Return whether positions of an instrument pay and receive funding."""
        return is_funded(self._config, self._dataset, symbol)

    def window(self, warmup_events: Sequence[int]) -> tuple[int, int]:
        """Return (start_ns, end_ns). warmup_events: per feed, history that `first` must leave before the start.

        Raises ConfigInvalid WINDOW_EMPTY where an instrument has no event of its execution series in the window,
        WARMUP_SHORT if `first` cannot leave the warm-up.
        """
        start = self._config.window.start_ns
        end = self._config.window.end_ns
        if start is None:
            start = self._first_start(warmup_events)
        if end is None:
            end = max(available_ns(feed.series, -1) for feed in self.feeds)
        if self._is_empty(start, end):
            raise ConfigInvalid([self._window_empty()])
        return start, end

    def _window_problems(self) -> list[Problem]:
        """Return the problem of a window that holds no event, as far as it can be told without the warm-up."""
        window = self._config.window
        if not self.feeds or window.start_ns is None:
            return []
        empty = self._is_empty(window.start_ns, _FAR_NS if window.end_ns is None else window.end_ns)
        return [self._window_empty()] if empty else []

    def _span(self) -> tuple[int, int]:
        """Return [start, end) in which all times of a run lie."""
        window = self._config.window
        series = [*self.executing, *(feed.series for feed in self.feeds)]
        start = min(int(one.times_ns[0]) for one in series)
        end = max(available_ns(one, -1) for one in series)
        if window.start_ns is not None:
            start = max(start, window.start_ns - max(one.duration_ns for one in series))
        return start, (end if window.end_ns is None else min(end, window.end_ns)) + 1

    def _is_empty(self, start_ns: int, end_ns: int) -> bool:
        """Return whether any instrument could not be traded at all: no event of its execution series."""
        return not all(len(_tape_rows(series, start_ns, end_ns)) for series in self.executing)

    def uncovered(self, start_ns: int, end_ns: int) -> list[str]:
        """Return a clause for each execution series that begins or ends more than a long weekend inside the window."""
        clauses = []
        for series in self.executing:
            first_ns, last_ns = available_ns(series, 0), available_ns(series, -1)
            if first_ns > start_ns + _LONG_WEEKEND_NS or last_ns < end_ns - _LONG_WEEKEND_NS:
                clauses.append(f"{series.symbol} {series.frame} has data from {_span(series)} only")
        return clauses

    def _window_empty(self) -> Problem:
        spans = "; ".join(f"{series.symbol} {series.frame}: {_span(series)}" for series in self.executing)
        return Problem(
            path="window",
            source="",
            what="an instrument has no event of its execution series in the window",
            expected=f"a window within the data ({spans})",
            remedy="correct window.start and window.end, or import more data",
            code="WINDOW_EMPTY",
        )

    def _first_start(self, warmup_events: Sequence[int]) -> int:
        starts = []
        for feed, need in zip(self.feeds, warmup_events, strict=True):
            if need > feed.series.rows:
                raise warmup_short(feed, told_need(need, self._config.mode), feed.series.rows)
            if need:
                starts.append(available_ns(feed.series, need - 1))
        if starts:
            return max(starts)
        # Without warm-up the first event is on the tape: available after the start.
        first = min(self.feeds, key=lambda feed: available_ns(feed.series, 0)).series
        return int(first.times_ns[0]) - (1 if first.frame == TICK else 0)

    def warmup_tape(self, start_ns: int, events: Sequence[int]) -> Tape:
        """Return the last `events` of each feed that are available at or before the start, numbered up to -1."""
        sources = []
        for feed, count in zip(self.feeds, events, strict=True):
            have = history_events(feed.series, start_ns)
            assert count <= have, (feed.key, count, have)
            rows = slice(have - count, have)
            sources.append(
                self._source(feed.instrument, feed.series, rows, executes=False, spread=0.0, delivered=feed.index)
            )
        return Tape(sources, first_seq=-sum(events))

    def tape(self, start_ns: int, end_ns: int) -> Tape:
        """Return the events available after the start, up to and including the end."""
        sources = []
        real = self._config.execution.path == "real"
        for i, executing in enumerate(self.executing):
            spread = self._spread(i)
            parts: list[tuple[Series, range | Integers]] = [(executing, _tape_rows(executing, start_ns, end_ns))]
            if real and executing.frame != TICK:
                parts = self._finer_parts(executing, start_ns, end_ns)
            executing_rows = {id(series): rows for series, rows in parts}
            for feed in self.feeds:
                if feed.instrument != i:
                    continue
                rows = _tape_rows(feed.series, start_ns, end_ns)
                executes: bool | np.ndarray = False
                if id(feed.series) in executing_rows:
                    filling = executing_rows.pop(id(feed.series))
                    executes = len(filling) == len(rows) or np.isin(rows, filling)
                window = slice(rows.start, rows.stop)
                sources.append(
                    self._source(i, feed.series, window, executes=executes, spread=spread, delivered=feed.index)
                )
            for series, hidden in parts:
                if id(series) in executing_rows:
                    picked = slice(hidden.start, hidden.stop) if isinstance(hidden, range) else hidden
                    sources.append(self._source(i, series, picked, executes=True, spread=spread, delivered=-1))
        return Tape(sources)

    def _finer_parts(self, bars: Series, start_ns: int, end_ns: int) -> list[tuple[Series, range | Integers]]:
        """Return what the dataset has of each bar in finer form: [(series, rows)], together every bar once."""
        rows = np.asarray(_tape_rows(bars, start_ns, end_ns))
        parts: list[tuple[Series, range | Integers]] = []
        for frame in _finer_frames(self._dataset, bars):
            finer = self._dataset.series(bars.symbol, frame)
            opens = bars.times_ns[rows]
            closes = opens + bars.duration_ns
            # A finer bar lies inside if it opens at or after the open and is available at the close; a tick if it is
            # before the close.
            low = np.searchsorted(finer.times_ns, opens, side="left")
            high = np.searchsorted(finer.times_ns, closes - max(finer.duration_ns, 1), side="right")
            covered = high > low
            if covered.any():
                spans = [np.arange(a, b) for a, b in zip(low[covered], high[covered], strict=True)]
                parts.append((finer, np.concatenate(spans)))
            rows = rows[~covered]
        return [*parts, (bars, rows)]

    def _source(
        self,
        i: int,
        series: Series,
        rows: slice | Integers,
        *,
        executes: bool | np.ndarray,
        spread: float | Floats | None,
        delivered: int,
    ) -> Source:
        return Source(
            instrument=i,
            frame=series.frame,
            columns=series.columns,
            rows=rows,
            executes=executes,
            spread=spread,
            tick_size=self.instruments[i].tick_size,
            delivered=delivered,
            hours=self._hours[i].sessions if self._hours else None,
        )

    def _spread(self, i: int) -> float | Floats | None:
        spread = self._config.costs.spread_of(self.instruments[i].symbol)
        tick = self.instruments[i].tick_size
        if isinstance(spread, SpreadPrice):
            return spread.price
        if isinstance(spread, SpreadTicks):
            return spread.ticks * tick.numerator / tick.denominator
        if isinstance(spread, SpreadHours):
            hours: Floats = np.array(spread.hours) * tick.numerator / tick.denominator
            return hours
        return None if spread == "data" else 0.0


def available_ns(series: Series, row: int) -> int:
    """Return when a row is available; of a negative one, counted from the end."""
    return int(series.times_ns[row]) + series.duration_ns


def history_events(series: Series, start_ns: int) -> int:
    """Return how many events of a series are available at or before the start."""
    return int(np.searchsorted(series.times_ns, start_ns - series.duration_ns, side="right"))


def warmup_events(declared: int, *, policy: str, min_bars: int, safety_margin: float) -> tuple[int, int]:
    """Return (events that must be there, events that are wanted) before the tape for one series.

    declared: what the strategy needs. Policy `auto` takes that plus the margin, or min_bars where nothing is
    declared; `min_bars` takes min_bars, and never less than what the strategy needs.
    """
    if policy == "auto" and declared:
        # The margin as it is written: a tenth of 400 is 40, not the 41 that the nearest double of a tenth makes of it.
        return declared, ceil(declared * (1 + Fraction(repr(safety_margin))))
    return max(declared, min_bars), max(declared, min_bars)


def told_need(events: int, mode: str) -> int:
    """Return a need of history as it may be told: in prod rounded up to a power of two."""
    return events if mode == "debug" or events == 0 else 1 << (events - 1).bit_length()


def warmup_short(feed: Feed, need: int, have: int) -> UserMistake:
    """Return the error for a series that begins too late."""
    return UserMistake(
        f"the warm-up is short: need {need} events of {feed.key}, have {have}",
        code="WARMUP_SHORT",
        where=f"{feed.key} before window.start",
        expected=f"{need} events available at or before the start",
        remedy="start the window later, lower the warm-up, or import earlier data",
    )


def _tape_rows(series: Series, start_ns: int, end_ns: int) -> range:
    low = history_events(series, start_ns)
    return range(low, max(low, history_events(series, end_ns)))


def _finer_frames(dataset: Dataset, bars: Series) -> list[str]:
    """Return ticks, if stored, and the next finer stored frame."""
    stored = dataset.frames(bars.symbol)
    finer = [frame for frame in FRAME_NS if frame in stored and FRAME_NS[frame] < bars.duration_ns]
    return [frame for frame in (TICK,) if frame in stored] + finer[-1:]


def _contract_problems(instruments: Sequence[Instrument]) -> list[Problem]:
    return [
        Problem(
            path="instruments",
            source="",
            what=f"{instrument.symbol} is an inverse contract",
            expected="linear contracts",
            remedy="choose another instrument",
        )
        for instrument in instruments
        if instrument.kind != "linear"
    ]


def _problem(path: str, error: BoxgateError) -> Problem:
    return Problem(
        path=path, source="", what=error.what, expected=error.expected, remedy=error.remedy, code=error.error_code
    )


def _span(series: Series) -> str:
    first, last = np.array([available_ns(series, 0), available_ns(series, -1)]).astype("datetime64[ns]").astype(str)
    return f"{first}Z to {last}Z"
