"""How wide the market moves now, beside what is usual at this hour of the day."""

from __future__ import annotations

from math import fsum, nan

from boxgate_sdk import Bar
from boxgate_sdk.rolling import RollingMean

HOUR_NS = 3_600_000_000_000


class IntradayVolatility:
    """The mean range of the last n bars over the usual range of a bar at this hour of the day, UTC.

    The usual range is the mean over the last `days` days that had bars in this hour, today not among them; NaN until
    there are so many. 1 is an ordinary hour, 2 one that moves twice as wide as usual.
    """

    def __init__(self, n: int, days: int) -> None:
        self.ranges = RollingMean(n)
        self.usual = [RollingMean(days) for _ in range(24)]
        self.usual_now = [nan] * 24
        self.hour = -1
        self.hour_ranges: list[float] = []

    def push(self, bar: Bar) -> float:
        """Take the next bar and return the ratio, NaN where it is not known."""
        hour = bar.open_ns // HOUR_NS
        if hour != self.hour:
            if self.hour_ranges:
                of_day = self.hour % 24
                mean = fsum(self.hour_ranges) / len(self.hour_ranges)
                self.usual_now[of_day] = self.usual[of_day].push(mean)
            self.hour, self.hour_ranges = hour, []
        height = bar.high - bar.low
        self.hour_ranges.append(height)
        usual = self.usual_now[hour % 24]
        now = self.ranges.push(height)
        return now / usual if usual > 0.0 else nan
