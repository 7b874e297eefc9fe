"""The quality report of funding rates: the interval between them, its changes, and rates that are missing."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.manifest import JsonObject

Times = npt.NDArray[np.int64]

_RUN_STEPS_MIN: Final = 3
"""So many equal steps in a row are an interval; fewer are rates that are missing."""

_LISTED_MAX: Final = 50
"""So many of the longest gaps are listed; all are counted."""


class FundingReport:
    """The report of one series of rates, made chunk by chunk. It holds the times, eight bytes for each rate."""

    def __init__(self) -> None:
        self._times: list[Times] = []
        self._counts = {"negative_rates": 0, "zero_rates": 0}

    def add(self, content: SeriesContent) -> None:
        """Take the next rows of the series."""
        rates = content.columns["rate"]
        self._times.append(content.times_ns.copy())
        self._counts["negative_rates"] += int(np.count_nonzero(rates < 0))
        self._counts["zero_rates"] += int(np.count_nonzero(rates == 0))

    def gaps(self) -> tuple[Times, Times, Times]:
        """Return (from_ns, to_ns, missing): the rates around each hole, and how many it lacks."""
        times_ns = np.concatenate(self._times)
        from_ns, to_ns, missing = times_ns[:-1], times_ns[1:], np.zeros(len(times_ns) - 1, dtype=np.int64)
        for first, end, interval_ns in _intervals(np.diff(times_ns)):
            missing[first:end] = (to_ns - from_ns)[first:end] // interval_ns - 1
        lacking = missing > 0
        return from_ns[lacking], to_ns[lacking], missing[lacking]

    def result(self) -> JsonObject:
        """Return the report as JSON values.

        counts: negative_rates, zero_rates, only those that are not zero. interval_ns: the most common distance of
        rates, None of a single one. intervals: {from_ns, interval_ns} of each time from which another one holds.
        gaps: count, missing_bars (rates that are missing), closures (always 0), longest.
        """
        times_ns = np.concatenate(self._times)
        steps_ns = np.diff(times_ns)
        from_ns, to_ns, missing = self.gaps()
        longest = np.argsort(-missing, kind="stable")[:_LISTED_MAX]
        return {
            "counts": {name: count for name, count in self._counts.items() if count},
            "interval_ns": _most_common(steps_ns) if len(steps_ns) else None,
            "intervals": [
                {"from_ns": int(times_ns[first]), "interval_ns": interval_ns}
                for first, _, interval_ns in _intervals(steps_ns)
            ],
            "gaps": {
                "count": len(missing),
                "missing_bars": int(missing.sum()),
                "closures": 0,
                "longest": [
                    {"from_ns": int(from_ns[i]), "to_ns": int(to_ns[i]), "missing_bars": int(missing[i])}
                    for i in longest
                ],
            },
        }


def missing_rates(times_ns: Times, start_ns: int, end_ns: int) -> list[int]:
    """Return the stamps in (start_ns, end_ns] at which a rate is missing, rising. times_ns: of all rates, rising.

    Before the first rate and after the last one the interval next to it goes on; a single rate has no interval.
    """
    if len(times_ns) < 2:
        return []
    steps_ns = np.diff(times_ns)
    missing: list[int] = []
    stretches = _intervals(steps_ns)
    for first, end, interval_ns in stretches:
        for number in first + np.flatnonzero(steps_ns[first:end] >= 2 * interval_ns):
            missing += range(int(times_ns[number]) + interval_ns, int(times_ns[number + 1]), interval_ns)
    begin_ns, last_ns = int(times_ns[0]), int(times_ns[-1])
    before = range(begin_ns - stretches[0][2], start_ns, -stretches[0][2])
    after = range(last_ns + stretches[-1][2], end_ns + 1, stretches[-1][2])
    return [stamp for stamp in (*reversed(before), *missing, *after) if start_ns < stamp <= end_ns]


def _intervals(steps_ns: Times) -> list[tuple[int, int, int]]:
    """Return (first step, end, interval in ns) of the stretches in which one interval holds, in order, without holes.

    An interval begins with a run of equal steps; what lies between two runs belongs to the first of them, before all
    runs to the first, and without a run the most common step is the interval.
    """
    if not len(steps_ns):
        return []
    starts = np.flatnonzero(np.concatenate(([True], steps_ns[1:] != steps_ns[:-1])))
    lengths = np.diff(np.concatenate((starts, [len(steps_ns)])))
    runs = [(int(start), int(steps_ns[start])) for start in starts[lengths >= _RUN_STEPS_MIN]]
    changes = [one for number, one in enumerate(runs) if number == 0 or one[1] != runs[number - 1][1]]
    changes = [(0, changes[0][1] if changes else _most_common(steps_ns)), *changes[1:]]
    ends = [first for first, _ in changes[1:]] + [len(steps_ns)]
    return [(first, end, interval_ns) for (first, interval_ns), end in zip(changes, ends, strict=True)]


def _most_common(steps_ns: Times) -> int:
    values, counts = np.unique(steps_ns, return_counts=True)
    return int(values[np.argmax(counts)])
