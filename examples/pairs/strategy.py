"""Pairs: two instruments that belong together, one bought and one sold where they have come apart.

The spread is ln(first) − hedge · ln(second). The hedge ratio is the slope of a regression over the last `length` bars
that both have, or 1, which makes the spread the ratio of the prices. Where the spread is `z_entry` standard deviations
below its mean the first instrument is bought and the second sold, above it the other way round; both orders are given
at the same moment. Both are closed where the spread is back within `z_exit`, where it has run away beyond `z_stop`, or
after `hold_bars`. After the last two nothing is opened on that side until the spread has been back.

A bar that only one of them has changes nothing: the spread is measured where both have one. If one stays away for more
than `silent_bars` bars of the other, both are closed, the silent one as soon as it trades again.

What it is not: it does not test whether the two are cointegrated, and it does not read the account. If the margin is
enough for one leg only, that leg stays alone until the exit; so choose `notional` well below what the account carries.
"""

from __future__ import annotations

from collections import deque
from math import fsum, log, nan, sqrt

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, StringParameter, errors, serve


class Spread:
    """The distance of two values from their common line, over the last n pairs.

    Every sum is taken afresh over its n values (math.fsum), so it depends on them alone. O(n) per pair.
    """

    def __init__(self, n: int, *, regression: bool) -> None:
        self.n = n
        self.regression = regression
        self.first: deque[float] = deque(maxlen=n)
        self.second: deque[float] = deque(maxlen=n)

    def push(self, first: float, second: float) -> tuple[float, float]:
        """Take the next pair and return (hedge ratio, distance in standard deviations), NaN where there is none."""
        n = self.n
        self.first.append(first)
        self.second.append(second)
        if len(self.first) < n:
            return nan, nan
        first_mean, second_mean = fsum(self.first) / n, fsum(self.second) / n
        firsts = [value - first_mean for value in self.first]
        seconds = [value - second_mean for value in self.second]
        hedge = 1.0
        if self.regression:
            squares = fsum([b * b for b in seconds])
            if not squares > 0.0:
                return nan, nan
            hedge = fsum([a * b for a, b in zip(firsts, seconds, strict=True)]) / squares
        distances = [a - hedge * b for a, b in zip(firsts, seconds, strict=True)]
        deviation = sqrt(fsum([d * d for d in distances]) / n)
        return hedge, distances[-1] / deviation if deviation > 0.0 else nan


class Pairs(Strategy):
    name = "pairs"
    version = "1.0.0"
    description = "Trades the spread of two instruments back to its mean, with a rolling hedge ratio."

    length = IntParameter(240, min=3, max=5000, doc="Bars of both over which spread and hedge ratio are measured.")
    hedge = StringParameter("regression", choices=("regression", "one"), doc="Hedge ratio: the slope, or 1.")
    hedge_max = FloatParameter(3.0, min=0.01, max=100.0, doc="Largest hedge ratio at which a position is opened.")
    z_entry = FloatParameter(2.0, min=0.1, max=20.0, doc="Distance at which a position is opened, deviations.")
    z_exit = FloatParameter(0.5, min=0.0, max=20.0, doc="Distance at which it is closed, deviations.")
    z_stop = FloatParameter(4.5, min=0.1, max=100.0, doc="Distance at which it is given up, deviations.")
    hold_bars = IntParameter(480, min=1, max=1_000_000, doc="Longest holding time, bars that both have.")
    silent_bars = IntParameter(30, min=1, max=1_000_000, doc="Bars of one without the other before both are closed.")
    notional = FloatParameter(50_000.0, min=0.0, doc="Size of the first leg, quote currency; the second: times hedge.")

    def check_parameters(self) -> None:
        if not self.z_exit < self.z_entry < self.z_stop:
            raise errors.ParameterConflict(
                f"z_exit is {self.z_exit:g}, z_entry {self.z_entry:g} and z_stop {self.z_stop:g}",
                where="z_entry",
                expected="z_exit < z_entry < z_stop",
            )

    def history_events(self) -> int:
        return self.length

    def on_init(self, ctx: object) -> None:
        if len(self.ctx.instruments) != 2:
            raise errors.Refusal(f"a pair is two instruments, and the run has {len(self.ctx.instruments)}")
        self.symbols = tuple(self.ctx.instruments)
        self.frame = self.ctx.series[0].frame
        self.spread = Spread(self.length, regression=self.hedge == "regression")
        self.last: dict[str, Bar] = {}
        self.silent = dict.fromkeys(self.symbols, 0)
        self.side = 0
        self.held_bars = 0
        self.barred = 0

    def on_event(self, bar: Bar) -> list[Signal] | None:
        if bar.frame != self.frame:
            return None
        self.last[bar.symbol] = bar
        first, second = self.symbols
        other = second if bar.symbol == first else first
        self.silent[bar.symbol] = 0
        self.silent[other] += 1
        if other not in self.last or self.last[other].time_ns != bar.time_ns:
            return self.close(self.side) if self.side and self.silent[other] > self.silent_bars else None

        # Both bars of the moment are here: this is the second of them.
        closes = self.last[first].close, self.last[second].close
        hedge, z = self.spread.push(log(closes[0]), log(closes[1]))
        if bar.warmup:
            return None
        signals = self.exit(z) if self.side else self.entry(z, hedge, closes)
        if signals and self.ctx.mode == "debug":
            for signal in signals:
                signal.meta = {"indicators": {"z": z, "hedge": hedge}, "held_bars": self.held_bars}
        return signals

    def exit(self, z: float) -> list[Signal] | None:
        """Close both legs where the spread is back, has run away, or was held long enough."""
        self.held_bars += 1
        distance = z * self.side
        if distance >= -self.z_exit:
            return self.close(0)
        if distance <= -self.z_stop or self.held_bars >= self.hold_bars:
            return self.close(self.side)
        return None

    def entry(self, z: float, hedge: float, closes: tuple[float, float]) -> list[Signal] | None:
        """Open both legs, or none where one would be below the smallest lot."""
        if z * self.barred >= -self.z_exit:
            self.barred = 0
        side = 1 if -self.z_stop < z <= -self.z_entry else -1 if self.z_entry <= z < self.z_stop else 0
        if not side or side == self.barred or not 0.0 < hedge <= self.hedge_max:
            return None
        sizes = (self.notional / closes[0], hedge * self.notional / closes[1])
        if not all(
            self.ctx.instruments[symbol].round_qty(qty) > 0.0 for symbol, qty in zip(self.symbols, sizes, strict=True)
        ):
            return None
        self.side = side
        self.held_bars = 0
        targets = (Signal.buy, Signal.sell) if side > 0 else (Signal.sell, Signal.buy)
        return [
            target(qty, instrument=symbol) for target, qty, symbol in zip(targets, sizes, self.symbols, strict=True)
        ]

    def close(self, barred: int) -> list[Signal]:
        """Be flat in both. barred: side that is not opened again before the spread has been back, 0 for none."""
        self.side = 0
        self.barred = barred
        return [Signal.flat(instrument=symbol) for symbol in self.symbols]


if __name__ == "__main__":
    serve(Pairs)
