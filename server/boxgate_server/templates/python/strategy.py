"""my_strategy: long while the price is clearly above its mean, flat once it is back at it.

A place to begin. `boxgate run my_strategy.yaml` tests it, `python -m pytest` tests the code.
"""

from __future__ import annotations

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, serve
from boxgate_sdk.context import Context
from boxgate_sdk.rolling import RollingMean


class MyStrategy(Strategy):
    """What is declared here can be set in the config, and is checked before a run."""

    name = "my_strategy"
    version = "0.1.0"
    description = "Long above a moving average."

    length = IntParameter(120, min=2, max=5000, doc="Bars of the mean.")
    band = FloatParameter(0.0005, min=0.0, max=0.1, doc="How far above the mean a rise begins, as a fraction.")
    stop = FloatParameter(0.003, min=0.0001, max=0.5, doc="Distance of the stop loss, as a fraction of the price.")
    qty = FloatParameter(10_000.0, min=0.0, doc="Size of the position, base units.")

    def history_events(self) -> int:
        """Bars needed before the first decision: the run delivers them in advance."""
        return self.length

    def on_init(self, ctx: Context) -> None:
        """Once, before the first bar. State is kept per series, so that any number of instruments works."""
        self.means = [RollingMean(self.length) for _ in ctx.series]
        self.long = [False for _ in ctx.series]

    def on_event(self, bar: Bar) -> Signal | None:
        """At every closed bar: a new target, or None to leave everything as it is."""
        mean = self.means[bar.series].push(bar.close)
        if bar.warmup:
            return None
        long = self.long[bar.series]
        if not long and bar.close > mean * (1 + self.band):
            self.long[bar.series] = True
            return Signal.buy(self.qty, sl=bar.close * (1 - self.stop))
        if long and bar.close < mean:
            self.long[bar.series] = False
            return Signal.flat()
        return None


if __name__ == "__main__":
    serve(MyStrategy)
