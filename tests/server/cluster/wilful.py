"""Trades now and then; the parameter `will` says what else it does, in the middle of a run."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from boxgate_sdk import Bar, IntParameter, Signal, Strategy, StringParameter, serve


class Wilful(Strategy):
    name = "wilful"

    every = IntParameter(20, min=1, max=100_000, doc="Bars between two decisions.")
    will = StringParameter("", doc="pause: until the file witness/go is there. raise, grow, spin: as it says.")
    only = IntParameter(0, doc="The value of every that it is for, 0 for all.")

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "HISTORY_HANDLES")

    def history_events(self) -> int:
        return 50

    def on_event(self, event: Bar) -> Signal | None:
        if event.seq == 30 and self.will and self.only in (0, self.every):
            getattr(self, f"will_{self.will}")(event)
        if event.seq % self.every:
            return None
        return (Signal.buy(1000.0), Signal.sell(1000.0), Signal.flat())[event.seq // self.every % 3]

    def will_pause(self, event: Bar) -> None:
        place = Path("witness")
        (place / f"{event.symbol}-{self.every}-{event.time_ns}").touch()
        while not (place / "go").exists():
            time.sleep(0.02)

    def will_dawdle(self, event: Bar) -> None:
        place = Path("witness")
        if not (place / "hurry").exists():
            mark = place / f"{event.symbol}-{self.every}-{event.time_ns}"
            with suppress(OSError):  # on the node of a cluster there is no such place
                mark.touch()
            time.sleep(0.3)
            mark.unlink(missing_ok=True)

    def will_raise(self, event: Bar) -> None:
        raise RuntimeError("lost the plot")

    def will_grow(self, event: Bar) -> None:
        held = [bytes(range(256)) * 4096 * 20 for _ in range(20)]
        time.sleep(30)
        del held

    def will_spin(self, event: Bar) -> None:
        time.sleep(30)


if __name__ == "__main__":
    serve(Wilful)
