"""Trades now and then, and leaves a mark for each run that it begins, so that a test knows what was computed when."""

from __future__ import annotations

import os
import time
from itertools import count
from pathlib import Path

from boxgate_sdk import Bar, IntParameter, Signal, Strategy, serve

MARKS = Path("marks")
"""Symbol, parameter, time of the first event; process, by its number and what that counts in, and when it was started;
number of the run in this process."""
HURRY = Path("hurry")
"""While it is not there a run takes a while."""


def _process() -> str:
    """Return who this is: two strategies that start at once in name spaces of their own have the same number."""
    space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return f"{os.getpid()}-{space}.{Path('/proc/self/stat').read_text().rpartition(')')[2].split()[19]}"


class Marking(Strategy):
    name = "marking"

    every = IntParameter(20, min=1, max=100_000, doc="Bars between two decisions.")

    numbers = count()

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "HISTORY_HANDLES")

    def history_events(self) -> int:
        return 50

    def on_event(self, event: Bar) -> Signal | None:
        if event.seq == 0 and not HURRY.exists():
            what = f"{event.symbol}.{self.every}.{event.time_ns}"
            (MARKS / f"{what}.{_process()}.{next(self.numbers)}").touch()
            time.sleep(0.05)
        if event.seq % self.every:
            return None
        return (Signal.buy(1000.0), Signal.sell(1000.0), Signal.flat())[event.seq // self.every % 3]


if __name__ == "__main__":
    serve(Marking)
