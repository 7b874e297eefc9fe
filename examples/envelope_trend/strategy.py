"""Envelope with trend: buy strength in an up trend, sell weakness in a down trend.

The envelope is the mean of the last `env_len` closes, plus and minus `env_dev` standard deviations (Bollinger). A close
above it while the price is above its slow exponential mean opens a long position, the mirror image a short one. The
position ends where the price is back at the mean of the envelope, or at its bracket: the stop loss lies `sl_atr`
average true ranges away, the take profit `tp_atr`.

Two limits read the account and need FEEDBACK, which is required only where one of them is set: `risk_max` sizes a
position so that its stop loss costs at most this part of the equity, `daily_loss_max` closes everything for the rest of
the UTC day once the day has lost this part of its first equity. Both take the quote currency to be the account's.

Without limits nothing of the account is read, and `on_window` answers whole windows by column arithmetic; its signals
equal those of `on_event`. A debug run is answered bar by bar all the same: there each signal tells its indicators.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import fsum, isnan, nan, sqrt
from typing import TYPE_CHECKING, Any

from boxgate_sdk import Bar, FloatParameter, IntParameter, Side, Signal, Signals, Strategy, serve
from boxgate_sdk.indicators import Atr, Ema

if TYPE_CHECKING:
    from boxgate_sdk.columns import Columns, SeriesBars

DAY_NS = 86_400_000_000_000
WHOLE_INT = 2**160
WHOLE = float(WHOLE_INT)


class State:
    """What is known of one instrument. side: +1 or −1 while a position was asked for, else 0."""

    def __init__(self, envelope: Any, trend: Any, atr: Any) -> None:
        self.envelope, self.trend, self.atr = envelope, trend, atr  # of bars, or of columns
        self.side = 0

    def turn(self, wanted: int, offset: float) -> int | None:
        """Return the side to take now, None to change nothing. offset: of the close from the mean of the envelope."""
        if wanted and wanted != self.side:
            return wanted
        return 0 if self.side and offset * self.side <= 0.0 else None


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

    def supports(self) -> tuple[str, ...]:
        is_debug = hasattr(self, "ctx") and self.ctx.mode == "debug"  # the mode is not known before on_init
        return ("RESET",) if is_debug or self.requires() else ("RESET", "VECTOR")

    def history_events(self) -> int:
        return max(self.env_len, 4 * self.trend_len, 4 * self.atr_len)

    def on_init(self, ctx: object) -> None:
        kinds: tuple[Any, Any, Any] = (Deviation, Ema, Atr)
        if "VECTOR" in self.supports():  # the same numbers, for whole columns
            from boxgate_sdk.indicators import vector

            kinds = (ColumnDeviation, vector.Ema, vector.Atr)
        lengths = (self.env_len, self.trend_len, self.atr_len)
        self.frame = self.ctx.series[0].frame
        self.states = {
            symbol: State(*(kind(n) for kind, n in zip(kinds, lengths, strict=True))) for symbol in self.ctx.instruments
        }
        self.day = -1
        self.day_equity = 0.0
        self.halted = False

    def on_event(self, bar: Bar) -> Signal | list[Signal] | None:
        if bar.frame != self.frame:
            return None
        state, close = self.states[bar.symbol], bar.close
        mean = state.envelope.push(close)
        trend = state.trend.push(close)
        atr = state.atr.push(bar)
        if bar.warmup or isnan(mean) or not (atr > 0.0 and trend > 0.0):  # NaN: not ready
            return None
        if self.daily_loss_max > 0.0 and self.day_is_lost(bar):
            return self.close_all()

        wanted = 1 if close > mean and close > trend else -1 if close < mean and close < trend else 0
        if wanted and wanted != state.side:  # else it does not matter where the edge of the envelope is
            wanted = wanted if state.envelope.is_beyond(close, wanted, self.env_dev) else 0
        side = state.turn(wanted, close - mean)
        if side is None or (side and self.halted):
            return None
        signal = self.entry(bar, side, atr) if side else Signal.flat()
        if signal is not None:
            state.side = side
            if self.ctx.mode == "debug":
                width = self.env_dev * state.envelope.deviation()
                shown = {"mean": mean, "upper": mean + width, "lower": mean - width, "trend": trend, "atr": atr}
                signal.meta = {"indicators": shown, "params": dict(self.ctx.parameters)}
        return signal

    def on_window(self, columns: Columns) -> Signals | None:
        import numpy as np

        found = [self.turns(bars, columns.warmup) for bars in columns.bars() if bars.frame == self.frame]
        if not any(len(events) for events, *_ in found):
            return None
        events, sides, sizes, stops, targets = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Signals(event_index=events, side=sides, qty=sizes, sl=stops, tp=targets)

    def turns(self, bars: SeriesBars, warmup: bool) -> tuple[Any, ...]:
        """Return the signals of one instrument in a window: events, sides, sizes, stop losses and take profits."""
        import numpy as np

        state, instrument, close = self.states[bars.symbol], self.ctx.instruments[bars.symbol], bars.close
        mean, deviation = state.envelope.push(close)
        upper, lower = mean + self.env_dev * deviation, mean - self.env_dev * deviation
        trend = state.trend.push(close)
        atr = state.atr.push(bars)
        ready = (deviation >= 0.0) & (atr > 0.0) & (trend > 0.0) & (not warmup)  # NaN: not ready
        wanted = (close > np.maximum(upper, trend)).astype(int) - (close < np.minimum(lower, trend))
        rows, sides = [], []
        at = np.flatnonzero(ready)
        for row, side, offset in zip(at.tolist(), wanted[at].tolist(), (close - mean)[at].tolist(), strict=True):
            turned = state.turn(side, offset)
            if turned is None or (turned and instrument.round_qty(self.size(close[row])) <= 0.0):
                continue
            state.side = turned
            rows.append(row)
            sides.append(turned)
        side, close, atr = np.array(sides), close[rows], atr[rows]
        flat = side == 0
        stops = np.maximum(instrument.tick_size, close - side * self.sl_atr * atr)
        targets = np.maximum(instrument.tick_size, close + side * self.tp_atr * atr)
        return (
            bars.event_index[rows],
            np.select([flat, side > 0], [Side.FLAT, Side.BUY], Side.SELL),
            np.broadcast_to(self.size(close), len(rows)),
            np.where(flat, np.nan, stops),
            np.where(flat, np.nan, targets),
        )

    def size(self, close: Any) -> Any:
        """Return the size of a position without limits, for one close or many."""
        return self.notional / close if self.notional else self.qty

    def entry(self, bar: Bar, side: int, atr: float) -> Signal | None:
        """Open a position with its bracket; None where the risk allows less than one lot."""
        instrument, qty = self.ctx.instruments[bar.symbol], self.size(bar.close)
        if self.risk_max > 0.0:
            qty = min(qty, self.risk_max * self.ctx.equity / (self.sl_atr * atr))
        if instrument.round_qty(qty) <= 0.0:
            return None
        lowest = instrument.tick_size  # a price is positive, however wide the ranges are
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


class Deviation:
    """Mean and standard deviation (divisor n) of the last n values by exact sums, NaN until there are n.

    The sums are kept as whole numbers of 2^-160, in which every price is exact: what comes is added, what goes is
    taken away, and nothing is rounded but the mean.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.values: deque[int] = deque(maxlen=n)
        self.sum = self.squares = 0
        self.mean = nan

    def push(self, value: float) -> float:
        """Take the next value and return the mean."""
        values, whole = self.values, int(value * WHOLE)
        if len(values) == self.n:
            oldest = values[0]
            self.sum -= oldest
            self.squares -= oldest * oldest
        values.append(whole)
        self.sum += whole
        self.squares += whole * whole
        if len(values) == self.n:
            self.mean = self.sum / WHOLE_INT / self.n
        return self.mean

    def deviation(self) -> float:
        """Return the deviation, rounded as over columns. It takes n steps: ask only where it matters."""
        mean, values = self.mean, [whole / WHOLE_INT for whole in self.values]
        return sqrt(fsum([(value - mean) * (value - mean) for value in values]) / self.n)

    def is_beyond(self, value: float, side: int, width: float) -> bool:
        """Return whether a value lies more than `width` deviations above (side 1) or below (-1) the mean."""
        quick = width * sqrt((self.n * self.squares - self.sum * self.sum) / (self.n * WHOLE_INT) ** 2)
        distance = (value - self.mean) * side
        if abs(distance - quick) > 1e-9 * quick + 1e-12 * value:  # else rounding decides, and must be that of columns
            return distance > quick
        edge = self.mean + side * (width * self.deviation())
        return (value - edge) * side > 0.0


class ColumnDeviation:
    """The same over columns: equal numbers, wherever the windows are cut."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.tail: list[float] = [nan] * (n - 1)

    def push(self, values: Any) -> tuple[Any, Any]:
        """Take the next values, shape (m,), and return the means and the deviations up to each, shape (m,)."""
        import numpy as np

        block = np.concatenate((self.tail, values))
        self.tail = block[len(values) :].tolist()
        lagged = [block[k : k + len(values)] for k in range(self.n)]
        mean = exact_sum(lagged) / self.n
        return mean, np.sqrt(exact_sum(np.square(values - mean) for values in lagged) / self.n)


def exact_sum(columns: Iterable[Any]) -> Any:
    """Return the sum of columns as math.fsum rounds it: what an addition loses is added up beside the sum.

    Source: Ogita, Rump and Oishi, Accurate sum and dot product, 2005, algorithm 4.4.
    """
    total = lost = 0.0
    for column in columns:
        before, total = total, total + column
        kept = total - before
        lost = lost + ((before - (total - kept)) + (column - kept))
    return total + lost


if __name__ == "__main__":
    serve(EnvelopeTrend)
