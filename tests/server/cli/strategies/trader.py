"""Trades now and then; the parameter `fault` chooses what goes wrong at the event `at`."""

from __future__ import annotations

import math
import os
import sys
import time

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, StringParameter, errors, serve


class Trader(Strategy):
    name = "trader"

    every = IntParameter(20, min=1, max=1000, doc="Bars between two decisions.")
    qty = FloatParameter(10_000.0, min=0.0, doc="Size of each position.")
    history = IntParameter(5, min=0, doc="Bars of history needed.")
    fault = StringParameter("none", doc="What goes wrong.")
    at = IntParameter(100, min=0, doc="The event at which it does.")

    def check_parameters(self) -> None:
        if self.fault == "conflict":
            raise errors.ParameterConflict("fault and at do not fit", where="fault", expected="another fault")

    def history_events(self) -> int:
        return self.history

    def on_init(self, ctx: object) -> None:
        if self.fault == "raise_in_init":
            raise ValueError("no such model file")
        if self.fault == "exit_in_init":
            sys.stderr.write("Traceback (most recent call last):\n  File 'x'\nRuntimeError: gave up\n")
            os._exit(3)
        if self.fault == "refuse":
            raise errors.Refusal("gold only")
        if self.fault == "more_history":
            self.ctx.require_history(self.history + 40)

    def on_event(self, event: Bar) -> Signal | None:
        if event.seq == self.at and self.fault != "none":
            return self.misbehave(event.close)
        if event.seq % self.every:
            return None
        turn = event.seq // self.every % 3
        return (Signal.buy(self.qty, meta={"turn": turn}), Signal.sell(self.qty), Signal.flat())[turn]

    def misbehave(self, close: float) -> Signal | None:
        if self.fault == "crash":
            os._exit(7)
        if self.fault == "raise":
            raise RuntimeError("lost the plot")
        if self.fault == "hang":
            time.sleep(60)
        if self.fault == "clock":
            return Signal.buy(1000.0 + time.time_ns() // 1000 % 50_000)
        signal = Signal.buy(self.qty)
        for name, value in FAULTS.get(self.fault, {}).items():
            setattr(signal, name, close * value if name in ("sl", "tp") else value)
        return signal


FAULTS: dict[str, dict[str, float]] = {
    "qty_nan": {"qty": math.nan},
    "qty_infinite": {"qty": math.inf},
    "qty_negative": {"qty": -1.0},
    "qty_zero": {"qty": 0.0},
    "qty_huge": {"qty": 1e308},
    "price_nan": {"price": math.nan},
    "price_negative": {"price": -1.0},
    "side_unknown": {"side": 99},
    "side_missing": {"side": 0},
    "sl_zero": {"sl": 0.0},
    "sl_above_tp": {"sl": 1.01, "tp": 0.99},
    "sl_above_market": {"sl": 1.01, "tp": 1.02},
    "off_grid": {"qty": 12_345.678, "sl": 0.9876543},
}
"""What is set to what in the signal at the event; sl and tp as multiples of the price."""


if __name__ == "__main__":
    serve(Trader)
