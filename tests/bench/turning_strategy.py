"""Reads its account at every bar and turns it around at each fiftieth: one effective signal and one fill in 50 bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boxgate_sdk import Bar, IntParameter, Side, Signal, Strategy, serve

if TYPE_CHECKING:
    from boxgate_sdk.context import Context


class Turning(Strategy):
    name = "turning"
    every = IntParameter(50, min=1, max=100_000, doc="Bars between two signals.")

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def on_init(self, ctx: Context) -> None:
        self.ctx: Any = ctx
        self.lowest = float("inf")

    def on_event(self, event: Bar) -> Signal | None:
        self.lowest = min(self.lowest, self.ctx.equity)
        if event.seq % self.every:
            return None
        position = self.ctx.account.positions.get(event.symbol)
        long = position is not None and position.side == Side.BUY
        return Signal.sell(1000.0) if long else Signal.buy(1000.0)


if __name__ == "__main__":
    serve(Turning)
