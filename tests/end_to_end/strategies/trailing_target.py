"""One target with a stop loss that follows the market; with `reads` it keeps what it sees of it at each event."""

from __future__ import annotations

from boxgate_sdk import Bar, BoolParameter, FloatParameter, Signal, Strategy, StringParameter, serve


class TrailingTarget(Strategy):
    name = "trailing_target"
    version = "1.0.0"

    side = StringParameter("BUY", choices=("BUY", "SELL"), doc="Of the target.")
    trail = FloatParameter(3.0, min=0.1, doc="Distance of the stop loss.")
    reads = BoolParameter(False, doc="Whether it asks for FEEDBACK.")

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",) if self.reads else ()

    def on_init(self, ctx: object) -> None:
        self.seen: list[list[object]] = []

    def on_event(self, bar: Bar) -> Signal | None:
        if bar.warmup:
            return None
        if self.reads:
            position = self.ctx.account.positions.get(bar.symbol)
            trail = None if position is None else position.trail
            self.seen.append([bar.seq, trail, self.ctx.trail_level(bar.symbol)])
        if bar.seq != 0:
            return None
        return (Signal.buy if self.side == "BUY" else Signal.sell)(1.0, trail=self.trail)

    def on_stop(self) -> dict[str, object]:
        return {"seen": self.seen}


if __name__ == "__main__":
    serve(TrailingTarget)
