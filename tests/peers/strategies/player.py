"""Plays decisions that were made beforehand: a JSON list of open_ns of the bar, side, qty, sl, tp; 0 for none."""

import json
from pathlib import Path

from boxgate_sdk import Bar, Signal, Strategy, StringParameter, serve


class Player(Strategy):
    name = "player"
    version = "1.0.0"

    decisions = StringParameter("", doc="File of the decisions.")

    def on_init(self, ctx: object) -> None:
        rows = json.loads(Path(self.decisions).read_text(encoding="utf-8"))
        self.due = {open_ns: rest for open_ns, *rest in rows}

    def on_event(self, bar: Bar) -> Signal | None:
        if bar.open_ns not in self.due:
            return None
        side, qty, sl, tp = self.due[bar.open_ns]
        if side == 0:
            return Signal.flat()
        return (Signal.buy if side > 0 else Signal.sell)(float(qty), sl=sl or None, tp=tp or None)


if __name__ == "__main__":
    serve(Player)
