"""Portfolio rotation: hold the strongest of several instruments, with equal risk, and look again every week or month.

The strength of an instrument is its logarithmic change over `momentum_len` bars, divided by the standard deviation of
its changes over `vol_len` bars. At the first bars of a new period all instruments are ranked; the `top` strongest that
have a strength above `strength_min` are held, the others are not. Each position is made as large as lets one standard
deviation of a bar move it by `risk` of `capital`, but no larger than `weight_max` of `capital`. A size that has changed
by less than `band` is left alone, so that no fees are paid for trifles.

It is made for daily bars of five instruments or so; weeks begin on Monday and months on the first, UTC. If an
instrument has no bar when the period begins, the decision waits for the next moment and takes the last close it had.

What it is not: only long positions are taken, `capital` is a number that does not follow the account, and correlations
are not looked at: two euros and a pound are one bet.
"""

from __future__ import annotations

from collections import deque
from datetime import date
from math import log, nan

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, StringParameter, serve, sizing
from boxgate_sdk.rolling import RollingDeviation

DAY_NS = 86_400_000_000_000
EPOCH = date(1970, 1, 1).toordinal()


class State:
    """What is known of one instrument. qty: what was last asked for."""

    def __init__(self, strategy: PortfolioRotation) -> None:
        self.momentum_len = strategy.momentum_len
        self.closes: deque[float] = deque(maxlen=strategy.momentum_len + 1)
        self.changes = RollingDeviation(strategy.vol_len)
        self.volatility = nan
        self.qty = 0.0

    def push(self, close: float) -> None:
        """Take the next close."""
        if self.closes:
            self.volatility = self.changes.push(log(close / self.closes[-1]))[1]
        self.closes.append(close)

    def strength(self) -> float:
        """Return the change over the lookback in standard deviations of a bar; NaN where it is not known."""
        if len(self.closes) <= self.momentum_len or not self.volatility > 0.0:
            return nan
        return log(self.closes[-1] / self.closes[0]) / self.volatility


class PortfolioRotation(Strategy):
    name = "portfolio_rotation"
    version = "1.0.0"
    description = "Holds the strongest instruments with equal risk and ranks them anew each week or month."

    momentum_len = IntParameter(60, min=1, max=5000, doc="Bars over which the change is measured.")
    vol_len = IntParameter(20, min=2, max=5000, doc="Bars of the standard deviation.")
    top = IntParameter(2, min=1, max=100, doc="How many instruments are held.")
    strength_min = FloatParameter(0.0, min=-1000.0, max=1000.0, doc="Strength that a held instrument must exceed.")
    rebalance = StringParameter("monthly", choices=("daily", "weekly", "monthly"), doc="How often is ranked anew.")
    capital = FloatParameter(100_000.0, min=0.01, doc="What the sizes are fractions of, account currency.")
    risk = FloatParameter(0.003, min=0.00001, max=1.0, doc="One deviation of a bar of a position, part of capital.")
    weight_max = FloatParameter(1.0, min=0.001, max=100.0, doc="Largest size of a position, part of capital.")
    band = FloatParameter(0.1, min=0.0, max=10.0, doc="Change of a size that is not traded, part of the size.")

    def history_events(self) -> int:
        return max(self.momentum_len, self.vol_len) + 1

    def on_init(self, ctx: object) -> None:
        self.frame = self.ctx.series[0].frame
        self.states = {symbol: State(self) for symbol in self.ctx.instruments}
        self.moment_ns = -1
        self.arrived = 0
        self.period: object = None
        self.due = False

    def on_event(self, bar: Bar) -> list[Signal] | None:
        if bar.frame != self.frame:
            return None
        signals = None
        if bar.time_ns != self.moment_ns:
            if self.due:  # an instrument had no bar in the moment before
                signals = self.rank()
            self.moment_ns, self.arrived = bar.time_ns, 0
            period = self.period_of(bar.open_ns)
            # The tape begins with a decision; in the warm-up there is none.
            self.due = not bar.warmup and period != self.period
            self.period = None if bar.warmup else period
        self.states[bar.symbol].push(bar.close)
        self.arrived += 1
        if self.due and self.arrived == len(self.states):
            signals = self.rank()
        return signals

    def rank(self) -> list[Signal]:
        """Return the targets of all instruments whose size changes."""
        self.due = False
        strengths = {symbol: state.strength() for symbol, state in self.states.items()}
        strong = [symbol for symbol, strength in strengths.items() if strength > self.strength_min]
        strong.sort(key=lambda symbol: -strengths[symbol])  # equal ones stay in the order of the config
        signals = []
        for symbol, state in self.states.items():
            qty = self.size(symbol, state) if symbol in strong[: self.top] else 0.0
            if qty == state.qty or (qty > 0.0 and abs(qty - state.qty) <= self.band * state.qty):
                continue
            state.qty = qty
            signal = Signal.buy(qty, instrument=symbol) if qty > 0.0 else Signal.flat(instrument=symbol)
            if self.ctx.mode == "debug":
                signal.meta = {"strengths": {name: s if s == s else None for name, s in strengths.items()}}  # noqa: PLR0124  # NaN is no JSON
            signals.append(signal)
        return signals

    def size(self, symbol: str, state: State) -> float:
        """Return the quantity of equal risk, base units, 0.0 where it is less than a lot."""
        weight = min(self.risk / state.volatility, self.weight_max)
        return sizing.by_equity(self.ctx, symbol, fraction=weight, price=state.closes[-1], equity=self.capital)

    def period_of(self, time_ns: int) -> object:
        """Return what tells the day, week or month of a time from the next one."""
        day = time_ns // DAY_NS
        if self.rebalance == "daily":
            return day
        if self.rebalance == "weekly":
            return (day + 3) // 7  # 1970-01-01 was a Thursday
        month = date.fromordinal(EPOCH + day)
        return month.year, month.month


if __name__ == "__main__":
    serve(PortfolioRotation)
