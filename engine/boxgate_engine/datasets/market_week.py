"""When a market is open, as far as the quality report needs it: crypto always, everything else in the FX week.

The FX week is taken as Sunday 21:00 to Friday 22:00 UTC, which holds the session in summer and in winter; holidays
and daily breaks are not known here and show up as gaps.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_HOUR_NS: Final = 3_600_000_000_000
_WEEK_NS: Final = 168 * _HOUR_NS
_CLOSE_NS: Final = 22 * _HOUR_NS
"""Friday 22:00 UTC, counted from Friday 1970-01-02 00:00 UTC."""
_FRIDAY_NS: Final = 24 * _HOUR_NS
_CLOSED_NS: Final = 47 * _HOUR_NS
"""From Friday 22:00 to Sunday 21:00."""


def closed_ns_between(from_ns: NDArray[np.int64], to_ns: NDArray[np.int64], *, weekends: bool) -> NDArray[np.int64]:
    """Return for each pair how many nanoseconds of [from, to) the market was closed. weekends: it trades on them."""
    if weekends:
        return np.zeros(len(from_ns), dtype=np.int64)
    return _closed_ns_before(to_ns) - _closed_ns_before(from_ns)


def is_open(times_ns: NDArray[np.int64], *, weekends: bool) -> NDArray[np.bool_]:
    """Return for each time whether the market is open."""
    if weekends:
        return np.ones(len(times_ns), dtype=np.bool_)
    return (times_ns - _FRIDAY_NS - _CLOSE_NS) % _WEEK_NS >= _CLOSED_NS


def _closed_ns_before(times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    since_close = times_ns - _FRIDAY_NS - _CLOSE_NS
    weeks = since_close // _WEEK_NS
    return np.asarray(weeks * _CLOSED_NS + np.minimum(since_close - weeks * _WEEK_NS, _CLOSED_NS), dtype=np.int64)
