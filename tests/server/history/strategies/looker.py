"""Decides by what ctx.data.history says and reports a hash of everything that it saw."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from boxgate_sdk import IntParameter, Signal, Strategy, serve


class Looker(Strategy):
    name = "looker"
    need = IntParameter(5, min=1)
    more = IntParameter(0, min=0, doc="History that is asked for in on_init.")

    def supports(self) -> list[str]:
        return ["HISTORY_HANDLES"]

    def history_events(self) -> int:
        return self.need

    def on_init(self, ctx: Any) -> None:
        if self.more:
            ctx.require_history(self.more)
        self.seen = hashlib.sha256()
        view = ctx.data.history("EURUSD", "M1", ctx.start_ns + 1, 1500)
        self.add(view)

    def add(self, view: Any) -> None:
        for values in view.to_numpy().values():
            self.seen.update(values.tobytes())

    def on_event(self, event: Any) -> Any:
        if event.warmup:
            return None
        view = self.ctx.data.history(event.symbol, "M1", event.time_ns + 1, 300)
        self.add(view)
        if event.seq % 10:
            return None
        return Signal.buy(1000.0) if event.close > view["close"].mean() else Signal.flat()

    def on_stop(self) -> dict[str, Any]:
        mapped = "slices" in Path("/proc/self/maps").read_text()
        return {"seen": self.seen.hexdigest(), "mapped": mapped}


if __name__ == "__main__":
    serve(Looker)
