"""Envelope with trend: buy strength in an up trend, sell weakness in a down trend.

The envelope is the mean of the last `env_len` closes, plus and minus `env_dev` standard deviations (Bollinger). A close
above it while the price is above its slow exponential mean opens a long position, the mirror image a short one. The
position ends where the price is back at the mean of the envelope, or at its bracket: the stop loss lies `sl_atr`
average true ranges away, the take profit `tp_atr`.

Two limits read the account and need FEEDBACK, which is required only where one of them is set: `risk_max` sizes a
position so that its stop loss costs at most this part of the equity, `daily_loss_max` closes everything for the rest of
the UTC day once the day has lost this part of its first equity. Both take the quote currency to be the account's.
"""

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, serve
from boxgate_sdk.indicators import Atr, Ema
from boxgate_sdk.rolling import RollingDeviation

DAY_NS = 86_400_000_000_000


class State:
    """What is known of one instrument. side: +1 or −1 while a position was asked for, else 0."""

    def __init__(self, strategy: "EnvelopeTrend") -> None:
        self.envelope = RollingDeviation(strategy.env_len)
        self.trend = Ema(strategy.trend_len)
        self.atr = Atr(strategy.atr_len)
        self.side = 0


class EnvelopeTrend(Strategy):
    name = "envelope_trend"
    version = "1.0.0"
    description = "Breakouts of a Bollinger envelope in the direction of the trend, bracketed by the true range."

    env_len = IntParameter(20, min=2, max=5000, doc="Bars of the envelope.")
    env_dev = FloatParameter(1.5, min=0.0, max=10.0, doc="Half width of the envelope, standard deviations.")
    trend_len = IntParameter(100, min=1, max=5000, doc="Bars of the exponential mean that tells the trend.")
    atr_len = IntParameter(14, min=1, max=5000, doc="Bars of the average true range.")
    sl_atr = FloatParameter(3.0, min=0.1, max=100.0, doc="Distance of the stop loss, average true ranges.")
    tp_atr = FloatParameter(6.0, min=0.1, max=100.0, doc="Distance of the take profit, average true ranges.")
    qty = FloatParameter(10_000.0, min=0.0, doc="Size of each position, base units.")
    notional = FloatParameter(0.0, min=0.0, doc="Size of each position, quote currency; 0 to use qty.")
    risk_max = FloatParameter(0.0, min=0.0, max=1.0, doc="Most that a stop loss may cost, fraction of equity; 0 = off.")
    daily_loss_max = FloatParameter(0.0, min=0.0, max=1.0, doc="Most that a day may lose, fraction of equity; 0 = off.")

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",) if self.risk_max > 0.0 or self.daily_loss_max > 0.0 else ()

    def history_events(self) -> int:
        return max(self.env_len, 4 * self.trend_len, 4 * self.atr_len)

    def on_init(self, ctx: object) -> None:
        self.frame = self.ctx.series[0].frame
        self.states = {symbol: State(self) for symbol in self.ctx.instruments}
        self.day = -1
        self.day_equity = 0.0
        self.halted = False

    def on_event(self, bar: Bar) -> Signal | list[Signal] | None:
        if bar.frame != self.frame:
            return None
        state = self.states[bar.symbol]
        mean, deviation = state.envelope.push(bar.close)
        trend = state.trend.push(bar.close)
        atr = state.atr.push(bar)
        if bar.warmup or not (deviation >= 0.0 and atr > 0.0 and trend > 0.0):  # NaN: not ready
            return None
        if self.daily_loss_max > 0.0 and self.day_is_lost(bar):
            return self.close_all()

        width = self.env_dev * deviation
        side = 1 if bar.close > max(mean + width, trend) else -1 if bar.close < min(mean - width, trend) else 0
        if side and side != state.side and not self.halted:
            signal = self.entry(bar, side, atr)
        elif state.side and (bar.close - mean) * state.side <= 0.0:
            side, signal = 0, Signal.flat()
        else:
            return None
        if signal is not None:
            state.side = side
            if self.ctx.mode == "debug":
                indicators = {"mean": mean, "upper": mean + width, "lower": mean - width, "trend": trend, "atr": atr}
                signal.meta = {"indicators": indicators, "params": dict(self.ctx.parameters)}
        return signal

    def entry(self, bar: Bar, side: int, atr: float) -> Signal | None:
        """Open a position with its bracket; None where the risk allows less than one lot."""
        qty = self.notional / bar.close if self.notional else self.qty
        if self.risk_max > 0.0:
            qty = min(qty, self.risk_max * self.ctx.equity / (self.sl_atr * atr))
        if self.ctx.instruments[bar.symbol].round_qty(qty) <= 0.0:
            return None
        lowest = self.ctx.instruments[bar.symbol].tick_size  # a price is positive, however wide the ranges are
        stop_loss = max(lowest, bar.close - side * self.sl_atr * atr)
        take_profit = max(lowest, bar.close + side * self.tp_atr * atr)
        return (Signal.buy if side > 0 else Signal.sell)(qty, sl=stop_loss, tp=take_profit)

    def day_is_lost(self, bar: Bar) -> bool:
        """Return True at the event that takes the day beyond its limit."""
        equity = self.ctx.equity
        if bar.time_ns // DAY_NS != self.day:
            self.day = bar.time_ns // DAY_NS
            self.day_equity = equity
            self.halted = False
        lost = not self.halted and equity <= self.day_equity * (1.0 - self.daily_loss_max)
        self.halted = self.halted or lost
        return lost

    def close_all(self) -> list[Signal]:
        """Be flat everywhere."""
        for state in self.states.values():
            state.side = 0
        return [Signal.flat(instrument=symbol) for symbol in self.states]


if __name__ == "__main__":
    serve(EnvelopeTrend)
