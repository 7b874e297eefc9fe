"""Crossing averages: long while the fast average is above the slow one, short while it is below.

A signal is sent where the side changes, and at no other bar. The strategy is written twice: `on_event` answers bar by
bar, `on_window` answers a whole window by column arithmetic and is many times faster. Both give equal signals, because
both averages add the same numbers in the same order; the parameter `form` chooses.
"""

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
    errors,
    rolling,
    serve,
)

if TYPE_CHECKING:
    from boxgate_sdk.columns import Columns


class SmaCross(Strategy):
    name = "sma_cross"
    version = "1.0.0"
    description = "Follows the side of a fast against a slow moving average."

    fast = IntParameter(10, min=1, max=5000, doc="Bars of the fast average.")
    slow = IntParameter(30, min=2, max=5000, doc="Bars of the slow average.")
    qty = FloatParameter(10_000.0, min=0.0, doc="Size of each position, base units.")
    notional = FloatParameter(0.0, min=0.0, doc="Size of each position, quote currency; 0 to use qty.")
    form = StringParameter("vector", choices=("vector", "bar"), doc="How windows are answered; the signals are equal.")

    def check_parameters(self) -> None:
        if self.fast >= self.slow:
            raise errors.ParameterConflict(
                f"fast is {self.fast} and slow is {self.slow}", where="fast", expected="fast smaller than slow"
            )

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "VECTOR") if self.form == "vector" else ("RESET",)

    def history_events(self) -> int:
        return self.slow

    def on_init(self, ctx: object) -> None:
        self.side = [0] * len(self.ctx.series)
        if self.form == "vector":
            from boxgate_sdk import vector

            self.means_of_columns = [(vector.RollingMean(self.fast), vector.RollingMean(self.slow)) for _ in self.side]
        self.means = [(rolling.RollingMean(self.fast), rolling.RollingMean(self.slow)) for _ in self.side]

    def on_event(self, event: Bar) -> Signal | None:
        series, close = event.series, event.close
        fast, slow = self.means[series]
        difference = fast.push(close) - slow.push(close)
        side = 1 if difference > 0.0 else -1 if difference < 0.0 else 0
        if side == 0 or side == self.side[series]:
            return None
        self.side[series] = side
        qty = self.notional / close if self.notional else self.qty
        return Signal.buy(qty) if side > 0 else Signal.sell(qty)

    def on_window(self, columns: Columns) -> Signals | None:
        import numpy as np

        events, sides, sizes = [], [], []
        for bars in columns.bars():
            fast, slow = self.means_of_columns[bars.series]
            # NaN while an average is not whole: its sign is NaN too and no decision.
            side = np.sign(fast.push(bars.close) - slow.push(bars.close))
            moved = np.concatenate(([0], np.flatnonzero(side[1:] != side[:-1]) + 1))
            decided = moved[np.abs(side[moved]) == 1.0]
            if not len(decided):
                continue
            chosen = side[decided]
            changes = chosen != np.concatenate(([self.side[bars.series]], chosen[:-1]))
            self.side[bars.series] = int(chosen[-1])
            rows = decided[changes]
            events.append(bars.event_index[rows])
            sides.append(np.where(chosen[changes] > 0.0, Side.BUY, Side.SELL))
            sizes.append(self.notional / bars.close[rows] if self.notional else np.full(len(rows), self.qty))
        if not events:
            return None
        return Signals(event_index=np.concatenate(events), side=np.concatenate(sides), qty=np.concatenate(sizes))


if __name__ == "__main__":
    serve(SmaCross)
