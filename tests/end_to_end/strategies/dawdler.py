"""A strategy that takes its time: it is still busy with a window when the gateway has gone."""

from __future__ import annotations

import time

from boxgate_sdk import Bar, FloatParameter, Signal, Strategy, serve


class Dawdler(Strategy):
    name = "dawdler"

    pause_s = FloatParameter(0.0, min=0.0, doc="Pause at every 64th minute.")

    def on_event(self, event: Bar) -> Signal | None:
        if self.pause_s and event.open_ns % (64 * 60_000_000_000) == 0:
            time.sleep(self.pause_s)
        return None


if __name__ == "__main__":
    serve(Dawdler)
