"""Crossing averages made wrong on purpose: its sums begin anew in every window.

The averages are differences of prefix sums over the window, with the last rows of the window before in front. Where
both averages are equal in exact arithmetic, the rounding of the sums decides, and that depends on where windows begin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxgate_sdk import Side, Signals, Strategy, serve

if TYPE_CHECKING:
    from boxgate_sdk.columns import Columns

FAST = 2
SLOW = 4


class CutDependent(Strategy):
    name = "cut_dependent"

    def history_events(self) -> int:
        return SLOW

    def on_init(self, ctx: object) -> None:
        self.tail = np.empty(0)

    def on_window(self, columns: Columns) -> Signals | None:
        (bars,) = columns.bars()
        before = len(self.tail)
        close = np.concatenate((self.tail, bars.close))
        sums = np.concatenate(([0.0], np.cumsum(close)))
        self.tail = close[-(SLOW - 1) :]
        ends = np.arange(max(SLOW, before + 1), len(close) + 1)
        difference = (sums[ends] - sums[ends - FAST]) / FAST - (sums[ends] - sums[ends - SLOW]) / SLOW
        decided = np.flatnonzero(difference)
        if not len(decided):
            return None
        rows = ends[decided] - 1 - before
        sides = np.where(difference[decided] > 0.0, Side.BUY, Side.SELL)
        return Signals(event_index=bars.event_index[rows], side=sides, qty=np.full(len(rows), 10_000.0))


if __name__ == "__main__":
    serve(CutDependent)
