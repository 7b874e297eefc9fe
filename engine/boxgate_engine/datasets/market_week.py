"""When a market is open, as far as the quality report needs it: crypto always, everything else in the FX week.

The FX week opens on Sunday at 21:00 UTC in summer and 22:00 in winter and closes on Friday at the same hours. So a
row between Friday 22:00 and Sunday 21:00 is surely outside the market, and an hour between Sunday 22:00 and Friday
21:00 is surely inside. Holidays and daily breaks are not known here and show up as gaps.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_HOUR_NS: Final = 3_600_000_000_000
_WEEK_NS: Final = 168 * _HOUR_NS
_FRIDAY_NS: Final = 24 * _HOUR_NS
"""Friday 1970-01-02 00:00 UTC."""
_SURELY_CLOSED: Final = (_FRIDAY_NS + 22 * _HOUR_NS, 47 * _HOUR_NS)
"""First close, and nanoseconds to the opening: Friday 22:00 to Sunday 21:00."""
_PERHAPS_CLOSED: Final = (_FRIDAY_NS + 21 * _HOUR_NS, 49 * _HOUR_NS)
"""Friday 21:00 to Sunday 22:00."""


def closed_ns_between(from_ns: NDArray[np.int64], to_ns: NDArray[np.int64], *, weekends: bool) -> NDArray[np.int64]:
    """Return how many nanoseconds of each [from, to) the market may have been closed. weekends: it trades on them."""
    if weekends:
        return np.zeros(len(from_ns), dtype=np.int64)
    return _closed_ns_before(to_ns) - _closed_ns_before(from_ns)


def is_open(times_ns: NDArray[np.int64], *, weekends: bool) -> NDArray[np.bool_]:
    """Return for each time whether the market may be open."""
    if weekends:
        return np.ones(len(times_ns), dtype=np.bool_)
    close_ns, pause_ns = _SURELY_CLOSED
    return (times_ns - close_ns) % _WEEK_NS >= pause_ns


def _closed_ns_before(times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    close_ns, pause_ns = _PERHAPS_CLOSED
    since_close = times_ns - close_ns
    weeks = since_close // _WEEK_NS
    return np.asarray(weeks * pause_ns + np.minimum(since_close - weeks * _WEEK_NS, pause_ns), dtype=np.int64)
