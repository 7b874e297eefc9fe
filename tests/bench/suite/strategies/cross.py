"""Long from the close at which the mean of 10 closes crosses above the mean of 30, flat from where it crosses below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from boxgate_sdk import (
    Bar,
    FloatParameter,
    IntParameter,
    Side,
    Signal,
    Signals,
    Strategy,
    StringParameter,
    rolling,
    serve,
    vector,
)

if TYPE_CHECKING:
    from boxgate_sdk.columns import Columns


class Cross(Strategy):
    name = "bench_cross"
    version = "1.0.0"

    fast = IntParameter(10, min=1, max=5000, doc="Bars of the fast mean.")
    slow = IntParameter(30, min=2, max=5000, doc="Bars of the slow mean.")
    qty = FloatParameter(1_000.0, min=0.0, doc="Size of a position, base units.")
    form = StringParameter("vector", choices=("vector", "bar"), doc="How windows are answered; the signals are equal.")

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "VECTOR") if self.form == "vector" else ("RESET",)

    def on_init(self, ctx: object) -> None:
        # A side is known from the first whole mean on; only a change from one side to the other is a cross.
        self.side = 0.0
        form = vector if self.form == "vector" else rolling
        self.fast_mean, self.slow_mean = form.RollingMean(self.fast), form.RollingMean(self.slow)

    def on_event(self, event: Bar) -> Signal | None:
        difference = self.fast_mean.push(event.close) - self.slow_mean.push(event.close)
        side = 1.0 if difference > 0.0 else -1.0 if difference < 0.0 else 0.0
        before = self.side
        if side in (0.0, before):
            return None
        self.side = side
        if before == 0.0:
            return None
        return Signal.buy(self.qty) if side > 0.0 else Signal.flat()

    def on_window(self, columns: Columns) -> Signals | None:
        import numpy as np

        (bars,) = columns.bars()
        side = np.sign(self.fast_mean.push(bars.close) - self.slow_mean.push(bars.close))
        decided = np.flatnonzero((side == 1.0) | (side == -1.0))
        if not len(decided):
            return None
        chosen = side[decided]
        before = np.concatenate(([self.side], chosen[:-1]))
        crossed = chosen * before < 0.0
        self.side = float(chosen[-1])
        rows = decided[crossed]
        buys = chosen[crossed] > 0.0
        return Signals(
            event_index=bars.event_index[rows],
            side=np.where(buys, Side.BUY, Side.FLAT),
            qty=self.qty,
        )


if __name__ == "__main__":
    serve(Cross)
