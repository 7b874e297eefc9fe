"""What must not be: sizes that come from the clock."""

import time

from boxgate_sdk import Bar, Signal, Strategy, serve


class ClockReader(Strategy):
    name = "clock_reader"
    version = "1"

    def on_event(self, event: Bar) -> Signal | None:
        return Signal.buy(1.0 + time.time_ns() // 1000 % 9973) if event.seq % 20 == 3 else None


if __name__ == "__main__":
    serve(ClockReader)
