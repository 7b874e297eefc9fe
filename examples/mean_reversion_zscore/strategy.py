"""Mean reversion: buy what has fallen far in a market that rises, sell what has risen far in one that falls.

How far is measured by the z-score, the distance of the close from the mean of the last `z_len` closes in standard
deviations. Two filters ask for the direction: the close against its slow exponential mean, and the last closed bar of a
higher timeframe against its own. The position ends where the z-score is back near zero, at its bracket of average true
ranges, or after `hold_bars` bars. It reads the account, so it requires FEEDBACK.

The higher timeframe is read from the run if `frames` has it, and else aggregated here from the smaller bars.
"""

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, StringParameter, errors, serve
from boxgate_sdk.frames import FRAME_NS
from boxgate_sdk.indicators import Atr, Ema
from boxgate_sdk.rolling import RollingDeviation


class HigherFrame:
    """Exponential mean of the closes of a higher timeframe. Only closed bars count."""

    def __init__(self, n: int, frame: str) -> None:
        self.mean = Ema(n)
        self.close = float("nan")
        self.frame_ns = FRAME_NS[frame]
        self.bucket = -1
        self.last_close = float("nan")

    def push(self, close: float) -> None:
        """Take a closed bar of the higher timeframe."""
        self.close = close
        self.mean.push(close)

    def aggregate(self, bar: Bar) -> None:
        """Take a smaller bar; the larger one closes with the bar that ends it, or with the first after a gap."""
        bucket = bar.open_ns // self.frame_ns
        if bucket != self.bucket and self.bucket >= 0:
            self.push(self.last_close)
        self.bucket, self.last_close = bucket, bar.close
        if bar.time_ns >= (bucket + 1) * self.frame_ns:
            self.push(bar.close)
            self.bucket = -1

    def direction(self) -> int:
        """Return +1 above the mean, −1 below it, 0 where nothing is known."""
        return (self.close > self.mean.value) - (self.close < self.mean.value)


class State:
    """What is known of one instrument, and of its open position."""

    def __init__(self, strategy: "MeanReversionZscore") -> None:
        self.values = RollingDeviation(strategy.z_len)
        self.trend = Ema(strategy.ema_len)
        self.atr = Atr(strategy.atr_len)
        self.higher = HigherFrame(strategy.htf_ema_len, strategy.htf)
        self.position_id = 0
        self.held_bars = 0


class MeanReversionZscore(Strategy):
    name = "mean_reversion_zscore"
    version = "1.0.0"
    description = "Trades back to the mean in the direction of two trends, with a bracket and a longest holding time."

    z_len = IntParameter(50, min=2, max=5000, doc="Bars of the z-score.")
    z_entry = FloatParameter(2.0, min=0.1, max=20.0, doc="Distance at which a position is opened, deviations.")
    z_exit = FloatParameter(0.25, min=0.0, max=20.0, doc="Distance at which it is closed, deviations.")
    ema_len = IntParameter(200, min=1, max=5000, doc="Bars of the exponential mean that filters.")
    htf = StringParameter("H1", choices=("M5", "M15", "M30", "H1", "H4", "D1"), doc="The higher timeframe.")
    htf_ema_len = IntParameter(20, min=1, max=500, doc="Bars of its exponential mean.")
    atr_len = IntParameter(14, min=1, max=5000, doc="Bars of the average true range.")
    sl_atr = FloatParameter(4.0, min=0.1, max=100.0, doc="Distance of the stop loss, average true ranges.")
    tp_atr = FloatParameter(6.0, min=0.1, max=100.0, doc="Distance of the take profit, average true ranges.")
    hold_bars = IntParameter(120, min=1, max=100_000, doc="Longest holding time, bars.")
    qty = FloatParameter(10_000.0, min=0.0, doc="Size of each position, base units.")
    notional = FloatParameter(0.0, min=0.0, doc="Size of each position, quote currency; 0 to use qty.")

    def check_parameters(self) -> None:
        if self.z_exit >= self.z_entry:
            raise errors.ParameterConflict(
                f"z_exit is {self.z_exit:g} and z_entry is {self.z_entry:g}",
                where="z_exit",
                expected="z_exit smaller than z_entry",
            )

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def history_events(self) -> int:
        return max(self.z_len, 4 * self.ema_len, 4 * self.atr_len)

    def on_init(self, ctx: object) -> None:
        series = self.ctx.series
        self.frame = min((s.frame for s in series), key=FRAME_NS.__getitem__)
        if FRAME_NS[self.htf] <= FRAME_NS[self.frame]:
            raise errors.Refusal(f"htf is {self.htf}, which is not higher than the bars of the run, {self.frame}")
        self.from_run = {s.symbol for s in series if s.frame == self.htf}
        self.states = {symbol: State(self) for symbol in self.ctx.instruments}
        # What the mean of the higher timeframe needs is known only here, where the bars of the run are.
        bars_of_one = FRAME_NS[self.htf] // FRAME_NS[self.frame]
        for symbol in self.states:
            if symbol in self.from_run:
                self.ctx.require_history(4 * self.htf_ema_len, symbol, self.htf)
            else:
                self.ctx.require_history(4 * self.htf_ema_len * bars_of_one, symbol, self.frame)

    def on_event(self, bar: Bar) -> Signal | None:
        state = self.states[bar.symbol]
        if bar.frame == self.htf and bar.symbol in self.from_run:
            state.higher.push(bar.close)
        if bar.frame != self.frame:
            return None
        if bar.symbol not in self.from_run:
            state.higher.aggregate(bar)
        mean, deviation = state.values.push(bar.close)
        trend = state.trend.push(bar.close)
        atr = state.atr.push(bar)
        if bar.warmup or not deviation > 0.0 or not atr > 0.0:  # NaN: not ready
            return None

        z = (bar.close - mean) / deviation
        account = self.ctx.account
        position = account.positions.get(bar.symbol)
        if position is not None:
            state.held_bars = state.held_bars + 1 if position.position_id == state.position_id else 1
            state.position_id = position.position_id
            up = 1 if position.side.name == "BUY" else -1
            reverted = z * up >= -self.z_exit
            signal = Signal.flat() if reverted or state.held_bars >= self.hold_bars else None
        elif any(order.symbol == bar.symbol for order in account.orders):
            return None
        else:
            signal = self.entry(bar, state, z, trend, atr)
        if signal is not None and self.ctx.mode == "debug":
            indicators = {"z": z, "mean": mean, "trend": trend, "higher": state.higher.mean.value, "atr": atr}
            signal.meta = {"indicators": indicators, "params": dict(self.ctx.parameters), "held_bars": state.held_bars}
        return signal

    def entry(self, bar: Bar, state: State, z: float, trend: float, atr: float) -> Signal | None:
        """Open a position against the deviation, where both filters point the same way."""
        side = 1 if z <= -self.z_entry else -1 if z >= self.z_entry else 0
        if not side or not (bar.close - trend) * side > 0.0 or state.higher.direction() != side:
            return None
        state.held_bars = 0
        qty = self.notional / bar.close if self.notional else self.qty
        lowest = self.ctx.instruments[bar.symbol].tick_size  # a price is positive, however wide the ranges are
        stop_loss = max(lowest, bar.close - side * self.sl_atr * atr)
        take_profit = max(lowest, bar.close + side * self.tp_atr * atr)
        return (Signal.buy if side > 0 else Signal.sell)(qty, sl=stop_loss, tp=take_profit)


if __name__ == "__main__":
    serve(MeanReversionZscore)
