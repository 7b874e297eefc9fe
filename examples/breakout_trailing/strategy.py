"""Breakout with a trailing stop: enter where the price leaves its channel, and let a stop follow it.

The channel is the highest high and the lowest low of the last `channel_len` bars before this one (Donchian). A close
above it opens a long position, a close below it a short one, each with a stop loss `stop_atr` average true ranges away.
The stop follows the best close at a distance of `trail_atr` ranges and never goes back. The size is such that the first
stop costs the fraction `risk` of `capital`, and no larger than `weight_max` of it.

The stop is moved by signals with `adjust_only`: they change the bracket of a position that is there and do nothing
where there is none, so no account has to be read and no FEEDBACK is required. For deciding on the next entry the
strategy keeps its own view: it takes itself for stopped out once a bar has touched the stop. Where the account is of
another opinion (a rejected entry, a gap, another spread), the adjustments do nothing, and the next breakout sets a
whole new target.

What it is not: `capital` is a number and does not grow or fall with the account.
"""

from __future__ import annotations

from math import isnan

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, serve, sizing
from boxgate_sdk.indicators import Atr, Donchian


class State:
    """What is known of one instrument. side: +1 or −1 while a position is thought to be there, else 0."""

    def __init__(self, strategy: BreakoutTrailing) -> None:
        self.channel = Donchian(strategy.channel_len)
        self.atr = Atr(strategy.atr_len)
        self.side = 0
        self.qty = 0.0
        self.stop = 0.0
        self.best = 0.0


class BreakoutTrailing(Strategy):
    name = "breakout_trailing"
    version = "1.0.0"
    description = "Donchian breakouts with a stop loss of average true ranges that trails the best close."

    channel_len = IntParameter(40, min=1, max=5000, doc="Bars of the channel.")
    atr_len = IntParameter(20, min=1, max=5000, doc="Bars of the average true range.")
    stop_atr = FloatParameter(2.5, min=0.1, max=100.0, doc="Distance of the first stop loss, average true ranges.")
    trail_atr = FloatParameter(4.0, min=0.1, max=100.0, doc="Distance of the stop from the best close, ranges.")
    capital = FloatParameter(100_000.0, min=0.01, doc="What the risk is a fraction of, account currency.")
    risk = FloatParameter(0.005, min=0.00001, max=1.0, doc="What the first stop loss costs, fraction of capital.")
    weight_max = FloatParameter(2.0, min=0.001, max=100.0, doc="Largest size of a position, part of capital.")

    def history_events(self) -> int:
        return max(self.channel_len + 1, 8 * self.atr_len)

    def on_init(self, ctx: object) -> None:
        self.frame = self.ctx.series[0].frame
        self.states = {symbol: State(self) for symbol in self.ctx.instruments}

    def on_event(self, bar: Bar) -> Signal | None:
        if bar.frame != self.frame:
            return None
        state = self.states[bar.symbol]
        before = state.channel.value  # of the bars before this one
        state.channel.push(bar)
        atr = state.atr.push(bar)
        if bar.warmup or not atr > 0.0:
            return None
        if state.side and self.touched(bar, state):
            state.side = 0
        side = 1 if bar.close > before.upper else -1 if bar.close < before.lower else 0
        signal = self.entry(bar, state, side, atr) if side and side != state.side else None
        if signal is None and state.side:
            signal = self.trail(bar, state, atr)
        if signal is not None and self.ctx.mode == "debug":
            indicators = {"upper": before.upper, "lower": before.lower, "atr": atr, "stop": state.stop}
            signal.meta = {"indicators": indicators, "trailing": signal.adjust_only}
        return signal

    def entry(self, bar: Bar, state: State, side: int, atr: float) -> Signal | None:
        """Open or turn round; None where the risk allows less than one lot."""
        lowest = self.ctx.instruments[bar.symbol].tick_size  # a price is positive, however wide the ranges are
        stop = max(lowest, bar.close - side * self.stop_atr * atr)
        if not (bar.close - stop) * side > 0.0:
            return None
        capital, price = self.capital, bar.close
        qty = min(
            sizing.by_risk(self.ctx, bar.symbol, risk=self.risk, entry=price, stop=stop, equity=capital),
            sizing.by_equity(self.ctx, bar.symbol, fraction=self.weight_max, price=price, equity=capital),
        )
        if not qty > 0.0:
            return None
        state.side, state.qty, state.stop, state.best = side, qty, stop, bar.close
        return (Signal.buy if side > 0 else Signal.sell)(qty, sl=stop)

    def trail(self, bar: Bar, state: State, atr: float) -> Signal | None:
        """Move the stop after the best close, never back; close at once where the price is beyond the new one."""
        side = state.side
        if (bar.close - state.best) * side > 0.0:
            state.best = bar.close
        stop = self.ctx.instruments[bar.symbol].round_price(state.best - side * self.trail_atr * atr)
        if not (stop - state.stop) * side > 0.0:
            return None
        if not (bar.close - stop) * side > 0.0:
            state.side = 0
            return Signal.flat()
        state.stop = stop
        return (Signal.buy if side > 0 else Signal.sell)(state.qty, sl=stop, adjust_only=True)

    def touched(self, bar: Bar, state: State) -> bool:
        """Return True if the stop of the position was reached in this bar: by the bid of a long, the ask of a short."""
        if state.side > 0:
            return bar.low <= state.stop
        return (bar.high if isnan(bar.ask_high) else bar.ask_high) >= state.stop


if __name__ == "__main__":
    serve(BreakoutTrailing)
