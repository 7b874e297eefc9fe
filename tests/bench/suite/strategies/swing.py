"""Long when the quote rose by more than `rise` over `length` ticks, flat when it fell by more than that."""

from __future__ import annotations

from collections import deque

from boxgate_sdk import FloatParameter, IntParameter, Signal, Strategy, Tick, serve


class Swing(Strategy):
    name = "bench_swing"
    version = "1.0.0"

    length = IntParameter(20, min=1, max=100_000, doc="Ticks over which a move is measured.")
    rise = FloatParameter(5.25e-5, min=0.0, doc="Size of a move, quote currency; between two prices, so never a tie.")
    qty = FloatParameter(1_000.0, min=0.0, doc="Size of a position, base units.")

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "TICKS")

    def on_init(self, ctx: object) -> None:
        self.middles: deque[float] = deque(maxlen=self.length + 1)
        self.long = False
        self.limit = self.rise

    def on_event(self, tick: Tick) -> Signal | None:
        middle = (tick.bid + tick.ask) / 2.0
        middles = self.middles
        middles.append(middle)
        if len(middles) <= self.length:
            return None
        move = middle - middles[0]
        if self.long:
            if move < -self.limit:
                self.long = False
                return Signal.flat()
        elif move > self.limit:
            self.long = True
            return Signal.buy(self.qty)
        return None


if __name__ == "__main__":
    serve(Swing)
