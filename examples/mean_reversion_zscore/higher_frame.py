"""The trend of a higher timeframe: the side of its last closed bar from its exponential mean."""

from __future__ import annotations

from boxgate_sdk import Bar
from boxgate_sdk.frames import FRAME_NS
from boxgate_sdk.indicators import Ema


class HigherFrame:
    """Exponential mean of the closes of a higher timeframe. Only closed bars count.

    Its bars are pushed where the run has them, and else aggregated from the smaller bars.
    """

    def __init__(self, n: int, frame: str) -> None:
        self.mean = Ema(n)
        self.close = float("nan")
        self.frame_ns = FRAME_NS[frame]
        self.bucket = -1
        self.last_close = float("nan")

    def push(self, close: float) -> None:
        """Take a closed bar of the higher timeframe."""
        self.close = close
        self.mean.push(close)

    def aggregate(self, bar: Bar) -> None:
        """Take a smaller bar; the larger one closes with the bar that ends it, or with the first after a gap."""
        bucket = bar.open_ns // self.frame_ns
        if bucket != self.bucket and self.bucket >= 0:
            self.push(self.last_close)
        self.bucket, self.last_close = bucket, bar.close
        if bar.time_ns >= (bucket + 1) * self.frame_ns:
            self.push(bar.close)
            self.bucket = -1

    def direction(self) -> int:
        """Return +1 above the mean, −1 below it, 0 where nothing is known."""
        return (self.close > self.mean.value) - (self.close < self.mean.value)
