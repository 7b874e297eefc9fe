"""Hedged grid: longs and shorts of one pair beside each other, each entry a ticket with a stop and a target of its own.

Lines lie `step` apart on round prices: at multiples of it. Whenever the close comes to another line, the strategy buys
one clip and sells one clip there, as two tickets: the long has its target one line above and its stop `stop_steps`
lines below, the short the other way round. A market that swings between lines pays the targets of both; one that runs
away pays one target after the other and, at the other end, one stop after the other. At most `tickets_max` tickets of
a side are open at a time, and a line that has a ticket of a side already gets no second one.

A ticket that has been open for `hold_bars` bars is closed at market by its name, whatever it has earned; with
`day_loss_max` all tickets are closed, and nothing is opened for the rest of the UTC day, once the equity has fallen by
that fraction of what it was at the first bar of the day.

Each ticket is a named position (HEDGING), called `L7` or `S7` with a number that grows. It is what a ticket of a
hedging account of MetaTrader is: with its own entry, stop, target and profit, and closed by its name.

What it is not: a way to earn money. Grids earn often and little, and lose seldom and much; margin is needed for both
sides in full, for nothing is set off; and the spread is paid twice at each line.
"""

from __future__ import annotations

from math import floor

from boxgate_sdk import Bar, FloatParameter, IntentStrategy, IntParameter, Side, errors, serve
from boxgate_sdk.account import Update

_DAY_NS = 86_400 * 10**9


class Ticket:
    """One entry. line: where it was opened, in steps. bars: how long it has been open or waiting to be."""

    def __init__(self, symbol: str, side: Side, line: int) -> None:
        self.symbol = symbol
        self.side = side
        self.line = line
        self.bars = 0
        self.closing = False


class HedgedGrid(IntentStrategy):
    name = "hedged_grid"
    version = "1.0.0"
    description = "A grid of longs and shorts beside each other, each entry with its own stop and target."

    hedging = True

    step = FloatParameter(0.001, min=0.000001, doc="Distance of the lines, quote currency.")
    qty = FloatParameter(10_000.0, min=0.000001, doc="Size of one ticket, base units.")
    stop_steps = IntParameter(5, min=1, max=1000, doc="Distance of the stop of a ticket, steps.")
    tickets_max = IntParameter(8, min=1, max=32, doc="Open tickets of one side of one instrument.")
    hold_bars = IntParameter(0, min=0, doc="Bars after which a ticket is closed at market; 0 for never.")
    day_loss_max = FloatParameter(0.02, min=0.0, max=1.0, doc="Loss that ends a day, part of the equity; 0 for none.")

    def on_start(self) -> None:
        for symbol, instrument in self.ctx.instruments.items():
            if instrument.round_qty(self.qty) == 0.0:
                raise errors.Refusal(f"qty {self.qty:g} is below one lot of {symbol}, {instrument.lot_size:g}")
            if instrument.round_price(self.step) < 2 * instrument.tick_size:
                raise errors.Refusal(f"step {self.step:g} is below two ticks of {symbol}, {instrument.tick_size:g}")
        self.frame = self.ctx.series[0].frame
        self.tickets: dict[str, Ticket] = {}
        self.lines: dict[str, int] = {}
        self.number = 0
        self.day = -1
        self.day_equity = 0.0
        self.stopped = False

    def on_bar(self, bar: Bar) -> None:
        if bar.frame != self.frame or bar.warmup:
            return
        self.watch_the_day(bar)
        self.close_old_ones(bar)
        line = floor(bar.close / self.step + 0.5)
        before, self.lines[bar.symbol] = self.lines.get(bar.symbol), line
        if before is None or line == before or self.stopped:
            return
        for side in (Side.BUY, Side.SELL):
            self.open(bar, side, line)

    def on_order_update(self, update: Update) -> None:
        """Forget a ticket whose position was closed or never came to be; a refused close is tried again."""
        name = update.position
        ticket = self.tickets.get(name)
        if ticket is None:
            return
        if update.kind == "REJECTION":
            ticket.closing = False
            self.ctx.log("refused", ticket=name, reason=update.reject_reason)
        if not self.ctx.position(ticket.symbol, position=name) and not self.ctx.orders(ticket.symbol, position=name):
            del self.tickets[name]

    def open(self, bar: Bar, side: Side, line: int) -> None:
        """Open a ticket at a line, unless it has one of the side already or the side has as many as it may."""
        mine = [t for t in self.tickets.values() if t.symbol == bar.symbol and t.side is side]
        if len(mine) >= self.tickets_max or any(t.line == line for t in mine):
            return
        up = 1 if side is Side.BUY else -1
        # From the line and not from the close: tickets of one side then end on lines, and so apart from one another.
        sl, tp = (line - up * self.stop_steps) * self.step, (line + up) * self.step
        if min(sl, tp) <= 0.0:
            return
        self.number += 1
        name = f"{'L' if side is Side.BUY else 'S'}{self.number}"
        self.tickets[name] = Ticket(bar.symbol, side, line)
        self.ctx.market(side, self.qty, bar.symbol, position=name, sl=sl, tp=tp)

    def close_old_ones(self, bar: Bar) -> None:
        for name, ticket in self.tickets.items():
            if ticket.symbol == bar.symbol:
                ticket.bars += 1
                if self.hold_bars and ticket.bars > self.hold_bars:
                    self.close(name, ticket)

    def watch_the_day(self, bar: Bar) -> None:
        """Close all tickets where the day has lost too much; a new day begins anew."""
        if bar.time_ns // _DAY_NS != self.day:
            self.day, self.day_equity, self.stopped = bar.time_ns // _DAY_NS, self.ctx.equity, False
        lost = self.day_loss_max > 0.0 and self.ctx.equity <= self.day_equity * (1.0 - self.day_loss_max)
        if lost and not self.stopped:
            self.stopped = True
            self.ctx.log("the day is over", equity=self.ctx.equity)
        if self.stopped:
            for name, ticket in self.tickets.items():
                self.close(name, ticket)

    def close(self, name: str, ticket: Ticket) -> None:
        """Close a ticket by its name, once; one that is not open yet is tried again at the next bar."""
        if not ticket.closing:
            ticket.closing = self.ctx.close(ticket.symbol, position=name) is not None


if __name__ == "__main__":
    serve(HedgedGrid)
