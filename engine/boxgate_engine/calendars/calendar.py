"""What every market calendar answers: is the market open, for how long was it closed, where do its days end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Times: TypeAlias = NDArray[np.int64]
"""int64 nanoseconds since 1970-01-01 UTC."""

DAY_NS: Final = 86_400_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Sessions:
    """Open hours. opens, closes: equally long, each session is [open, close), they rise and do not touch."""

    opens: Times
    closes: Times

    def hold(self, times_ns: Times) -> NDArray[np.bool_]:
        """Return for each time whether it lies in a session."""
        if not len(self.opens):
            return np.zeros(len(times_ns), dtype=np.bool_)
        index = np.searchsorted(self.opens, times_ns, side="right") - 1
        return np.asarray((index >= 0) & (times_ns < self.closes[np.maximum(index, 0)]), dtype=np.bool_)


class Calendar(ABC):
    """When one market is open. Times are arrays of int64 nanoseconds UTC; equal questions have equal answers.

    name: as it is given to `--calendar` and kept in the quality report.
    """

    name: str

    @abstractmethod
    def sessions(self, start_ns: int, end_ns: int) -> Sessions:
        """Return the whole sessions that overlap [start_ns, end_ns); the first and last may reach out of it."""

    @abstractmethod
    def day_boundaries(self, start_ns: int, end_ns: int) -> Times:
        """Return the moments in [start_ns, end_ns) at which a trading day ends, rising: swaps are booked there."""

    def facts(self) -> dict[str, Any]:
        """Return what the quality report keeps, JSON values: enough for `calendar_of` to make this calendar again."""
        return {"name": self.name}

    def closed_ns_between(self, from_ns: Times, to_ns: Times) -> Times:
        """Return for how many nanoseconds of each [from, to) the market was closed. from_ns <= to_ns, any order."""
        if not len(from_ns):
            return np.zeros(0, dtype=np.int64)
        sessions = self.sessions(int(from_ns.min()), int(to_ns.max()))
        opened = _open_ns_before(sessions, to_ns) - _open_ns_before(sessions, from_ns)
        return np.asarray(to_ns - from_ns - opened, dtype=np.int64)

    def is_open(self, times_ns: Times) -> NDArray[np.bool_]:
        """Return for each time whether the market is open at it."""
        if not len(times_ns):
            return np.zeros(0, dtype=np.bool_)
        return self.sessions(int(times_ns.min()), int(times_ns.max()) + 1).hold(times_ns)


def merged(opens: list[int] | Times, closes: list[int] | Times, start_ns: int, end_ns: int) -> Sessions:
    """Return the sessions that overlap [start_ns, end_ns), those that touch or overlap joined to one.

    opens, closes: one entry per session, rising by open.
    """
    first, last = np.asarray(opens, dtype=np.int64), np.asarray(closes, dtype=np.int64)
    some = last > first
    first, last = first[some], np.maximum.accumulate(last[some])
    if len(first):
        begins = np.concatenate(([True], first[1:] > last[:-1]))
        first, last = first[begins], last[np.append(np.flatnonzero(begins)[1:], len(first)) - 1]
    near = (last > start_ns) & (first < end_ns)
    return Sessions(opens=first[near], closes=last[near])


def _open_ns_before(sessions: Sessions, times_ns: Times) -> Times:
    """Return how much of the sessions lies before each time."""
    if not len(sessions.opens):
        return np.zeros(len(times_ns), dtype=np.int64)
    lengths = sessions.closes - sessions.opens
    before = np.concatenate(([0], np.cumsum(lengths)))
    index = np.searchsorted(sessions.opens, times_ns, side="right") - 1
    inside = np.maximum(index, 0)
    part = np.minimum(times_ns - sessions.opens[inside], lengths[inside])
    return np.asarray(np.where(index >= 0, before[inside] + part, 0), dtype=np.int64)
