"""Breakout by stop orders: they wait at both edges of the channel, and the first that fills cancels the other.

The channel is the highest high and the lowest low of the last `channel_len` bars (Donchian). While nothing is held a
buy stop waits above it and a sell stop below it, as one group (oco); with each bar they move to the new edges. A
breakout is met inside the bar in which it happens, at the edge and not at the close behind it. The position that comes
of it has a stop loss that follows the market at `trail_atr` average true ranges. The size is such that this distance
costs the fraction `risk` of the equity, and no larger than `weight_max` of it.

A change that comes too late, when its order is filled already, is refused and does no harm; one that the market has
overtaken is refused too and leaves the order where it was.

What it is not: the distance of the stop loss is that of the hour in which the orders were sent; later bars move the
edges alone.
"""

from __future__ import annotations

from boxgate_sdk import Bar, FloatParameter, IntentStrategy, IntParameter, OrderState, Side, serve, sizing
from boxgate_sdk.account import Update
from boxgate_sdk.indicators import Atr, Donchian


class State:
    """What is known of one instrument. orders: the buy stop and the sell stop that were sent last."""

    def __init__(self, strategy: OrderBreakout) -> None:
        self.channel = Donchian(strategy.channel_len)
        self.atr = Atr(strategy.atr_len)
        self.orders: tuple[OrderState, ...] = ()


class OrderBreakout(IntentStrategy):
    name = "order_breakout"
    version = "1.0.0"
    description = "Stop orders at both edges of a Donchian channel, one cancels the other, with a trailing stop loss."

    channel_len = IntParameter(48, min=2, max=5000, doc="Bars of the channel.")
    atr_len = IntParameter(24, min=1, max=5000, doc="Bars of the average true range.")
    trail_atr = FloatParameter(4.0, min=0.1, max=100.0, doc="Distance of the stop loss, average true ranges.")
    risk = FloatParameter(0.005, min=0.00001, max=1.0, doc="What this distance costs, fraction of the equity.")
    weight_max = FloatParameter(2.0, min=0.001, max=100.0, doc="Largest size of a position, part of the equity.")

    def history_events(self) -> int:
        return max(self.channel_len, 8 * self.atr_len)

    def on_start(self) -> None:
        self.frame = self.ctx.series[0].frame
        self.states = {symbol: State(self) for symbol in self.ctx.instruments}

    def on_bar(self, bar: Bar) -> None:
        if bar.frame != self.frame:
            return
        state = self.states[bar.symbol]
        channel, atr = state.channel.push(bar), state.atr.push(bar)
        if bar.warmup or not atr > 0.0 or self.ctx.position():
            return
        instrument = self.ctx.instruments[bar.symbol]
        tick = instrument.tick_size
        edges = {
            Side.BUY: instrument.round_price(channel.upper + tick),
            Side.SELL: instrument.round_price(channel.lower - tick),
        }
        working = [order for order in state.orders if order.is_open]
        if not working:
            state.orders = self.pair(bar, edges, instrument.round_price(self.trail_atr * atr))
        for order in working:
            if order.stop_price != edges[order.side]:
                self.ctx.replace(order, stop_price=edges[order.side])

    def on_order_update(self, update: Update) -> None:
        if update.kind == "REJECTION":
            self.ctx.log("refused", order=update.client_id, reason=update.reject_reason)

    def pair(self, bar: Bar, edges: dict[Side, float], trail: float) -> tuple[OrderState, ...]:
        """Send a stop order for each edge; none where the risk allows less than one lot."""
        if not 0.0 < trail < min(edges.values()):
            return ()
        sent = []
        for side, edge in edges.items():
            stop = edge - trail if side is Side.BUY else edge + trail
            qty = min(
                sizing.by_risk(self.ctx, bar.symbol, risk=self.risk, entry=edge, stop=stop),
                sizing.by_equity(self.ctx, bar.symbol, fraction=self.weight_max, price=edge),
            )
            if qty > 0.0:
                sent.append(self.ctx.stop(side, qty, edge, risk_trail=trail, oco=f"{bar.symbol}-{bar.seq}"))
        return tuple(sent)


if __name__ == "__main__":
    serve(OrderBreakout)
