"""Mean reversion: buy what has fallen far in a market that rises, sell what has risen far in one that falls.

How far is told by the scenarios that the list `scenarios` switches on (scenarios.py): the z-score of a rolling mean,
Bollinger bands, the return into them, the distance from a Kalman-filtered level, or a distance measured in the
volatility that GARCH(1,1) expects. The first in the list that wants a side and passes all filters opens the position:

- `direction`: long, short or both;
- the close against its slow exponential mean (`ema_len`), and the last closed bars of one or two higher timeframes
  against theirs (`htf`, `htf2`), all pointing the way of the trade;
- the mean is at least `target_min_bps` away, so that the way back pays its costs;
- the market moves neither less nor more than is usual at this hour (`intraday_days`, intraday_volatility.py).

The position ends where the scenario that opened it is back within `z_exit` deviations, at its bracket of average true
ranges, or after `hold_bars` (position_manager.py). It reads the account, so it requires FEEDBACK. A higher timeframe is
read from the run if `frames` has it, and else aggregated from the smaller bars.

What it is not: a proof that prices revert. Six families of parameters fit any past; keep a part of the data for the
end. The position size does not depend on the scenario or the volatility.
"""

from __future__ import annotations

from math import isnan

from garch import memory_bars as garch_memory
from higher_frame import HigherFrame
from intraday_volatility import IntradayVolatility
from kalman import memory_bars as kalman_memory
from position_manager import HOLD, PositionManager
from scenarios import SCENARIOS, Reading, make_scenario

from boxgate_sdk import (
    Bar,
    BoolParameter,
    FloatParameter,
    IntParameter,
    Signal,
    Strategy,
    StringListParameter,
    StringParameter,
    errors,
    serve,
)
from boxgate_sdk.frames import FRAME_NS
from boxgate_sdk.indicators import Atr, Ema

OFF = "off"
HIGHER_FRAMES = ("M5", "M15", "M30", "H1", "H4", "D1")
MEMORY_BARS_MAX = 100_000
DAY_NS = 86_400_000_000_000


class State:
    """What is known of one instrument."""

    def __init__(self, strategy: MeanReversionZscore, symbol: str) -> None:
        self.scenarios = {name: make_scenario(name, strategy) for name in strategy.scenarios}
        self.trend = Ema(strategy.ema_len) if strategy.ema_len else None
        self.atr = Atr(strategy.atr_len)
        self.higher = {frame: HigherFrame(n, frame) for frame, n in strategy.higher_frames().items()}
        self.intraday = (
            IntradayVolatility(strategy.intraday_len, strategy.intraday_days) if strategy.intraday_days else None
        )
        self.manager = PositionManager(symbol, hold_bars=strategy.hold_bars, z_exit=strategy.z_exit)


class MeanReversionZscore(Strategy):
    name = "mean_reversion_zscore"
    version = "1.0.0"
    description = "Trades back to the mean, told by several scenarios, in the direction of the trends above."

    scenarios = StringListParameter(["zscore"], choices=SCENARIOS, doc="What opens positions, the first wins.")
    direction = StringParameter("both", choices=("both", "long", "short"), doc="Sides that are traded.")

    z_len = IntParameter(50, min=2, max=5000, doc="Bars of the mean of zscore and garch.")
    z_entry = FloatParameter(2.0, min=0.1, max=20.0, doc="Distance at which a position is opened, deviations.")
    z_exit = FloatParameter(0.25, min=0.0, max=20.0, doc="Distance at which it is closed, deviations.")
    bb_len = IntParameter(20, min=2, max=5000, doc="Bars of the Bollinger bands.")
    bb_dev = FloatParameter(2.0, min=0.1, max=20.0, doc="Half width of the bands, deviations.")
    kalman_q = FloatParameter(0.001, min=1e-12, max=1e12, doc="Variance of the level's steps; only q / r counts.")
    kalman_r = FloatParameter(1.0, min=1e-12, max=1e12, doc="Variance of the price around the level.")
    local_z_len = IntParameter(100, min=2, max=5000, doc="Bars that standardise the distance from the Kalman level.")
    garch_alpha = FloatParameter(0.05, min=0.0, max=1.0, doc="Weight of the last squared return.")
    garch_beta = FloatParameter(0.93, min=0.0, max=1.0, doc="Weight of the last variance.")
    garch_omega = FloatParameter(0.02, min=1e-12, max=1e12, doc="Constant of the variance, scaled returns squared.")
    garch_log_returns = BoolParameter(True, doc="Logarithmic returns; false: relative ones.")
    garch_scale = FloatParameter(10_000.0, min=1e-6, max=1e9, doc="What returns are multiplied by: 10000 is bps.")
    garch_min_periods = IntParameter(100, min=2, max=10_000, doc="Returns whose mean square is the first variance.")
    garch_floor = FloatParameter(0.1, min=0.0, max=1e9, doc="Smallest standard deviation, scaled returns.")

    ema_len = IntParameter(200, min=0, max=5000, doc="Bars of the exponential mean that filters; 0 = off.")
    htf = StringParameter("H1", choices=(OFF, *HIGHER_FRAMES), doc="The higher timeframe that filters.")
    htf_ema_len = IntParameter(20, min=1, max=500, doc="Bars of its exponential mean.")
    htf2 = StringParameter(OFF, choices=(OFF, *HIGHER_FRAMES), doc="A second one, higher than the first.")
    htf2_ema_len = IntParameter(20, min=1, max=500, doc="Bars of its exponential mean.")
    target_min_bps = FloatParameter(0.0, min=0.0, max=10_000.0, doc="Least distance of the mean, parts in 10,000.")
    intraday_days = IntParameter(0, min=0, max=250, doc="Days that tell the usual range of an hour; 0 = no filter.")
    intraday_len = IntParameter(15, min=1, max=5000, doc="Bars whose range is compared with it.")
    intraday_vol_min = FloatParameter(0.0, min=0.0, max=1000.0, doc="Least range, parts of the usual one.")
    intraday_vol_max = FloatParameter(2.5, min=0.0, max=1000.0, doc="Largest range, parts of the usual one.")

    atr_len = IntParameter(14, min=1, max=5000, doc="Bars of the average true range.")
    sl_atr = FloatParameter(4.0, min=0.1, max=100.0, doc="Distance of the stop loss, average true ranges.")
    tp_atr = FloatParameter(6.0, min=0.1, max=100.0, doc="Distance of the take profit, average true ranges.")
    hold_bars = IntParameter(120, min=1, max=100_000, doc="Longest holding time, bars.")
    qty = FloatParameter(10_000.0, min=0.0, max=1e12, doc="Size of each position, base units.")
    notional = FloatParameter(0.0, min=0.0, max=1e12, doc="Size of each position, quote currency; 0 to use qty.")

    def check_parameters(self) -> None:
        entry = min(self.z_entry, self.bb_dev)
        conflicts = {
            "scenarios": (
                not self.scenarios or len(set(self.scenarios)) < len(self.scenarios),
                f"scenarios is {list(self.scenarios)}",
                "at least one, and each only once",
            ),
            "z_exit": (
                self.z_exit >= entry,
                f"z_exit is {self.z_exit:g}, z_entry {self.z_entry:g} and bb_dev {self.bb_dev:g}",
                "z_exit smaller than both",
            ),
            "garch_alpha": (
                self.garch_alpha + self.garch_beta >= 1.0,
                f"garch_alpha is {self.garch_alpha:g} and garch_beta is {self.garch_beta:g}",
                "a sum below 1: else the variance has no mean to come back to",
            ),
            "kalman_q": (
                kalman_memory(self.kalman_q, self.kalman_r) > MEMORY_BARS_MAX,
                f"kalman_q is {self.kalman_q:g} and kalman_r is {self.kalman_r:g}",
                f"a level that forgets within {MEMORY_BARS_MAX:,} bars: a larger q beside r",
            ),
            "htf2": (
                self.htf2 != OFF and (self.htf == OFF or FRAME_NS[self.htf2] <= FRAME_NS[self.htf]),
                f"htf2 is {self.htf2} and htf is {self.htf}",
                "htf2 higher than htf, or off",
            ),
            "intraday_vol_min": (
                self.intraday_vol_min >= self.intraday_vol_max,
                f"intraday_vol_min is {self.intraday_vol_min:g} and intraday_vol_max is {self.intraday_vol_max:g}",
                "intraday_vol_min smaller than intraday_vol_max",
            ),
            "qty": (self.qty == 0.0 and self.notional == 0.0, "qty and notional are 0", "one of them above 0"),
        }
        for where, (wrong, what, expected) in conflicts.items():
            if wrong:
                raise errors.ParameterConflict(what, where=where, expected=expected)

    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def history_events(self) -> int:
        scenarios = {
            "zscore": self.z_len,
            "bollinger": self.bb_len,
            "band_return": self.bb_len + 1,
            "kalman": kalman_memory(self.kalman_q, self.kalman_r) + self.local_z_len,
            "garch": max(self.z_len, garch_memory(self.garch_beta, self.garch_min_periods)),
        }
        return max(4 * self.ema_len, 8 * self.atr_len, *(scenarios[name] for name in self.scenarios))

    def higher_frames(self) -> dict[str, int]:
        """Return the higher timeframes that filter, each with the length of its mean."""
        lengths = ((self.htf, self.htf_ema_len), (self.htf2, self.htf2_ema_len))
        return {frame: n for frame, n in lengths if frame != OFF}

    def on_init(self, ctx: object) -> None:
        series = self.ctx.series
        self.frame = min((s.frame for s in series), key=FRAME_NS.__getitem__)
        frame_ns = FRAME_NS[self.frame]
        self.from_run = {(s.symbol, s.frame) for s in series}
        self.states = {symbol: State(self, symbol) for symbol in self.ctx.instruments}
        for frame, n in self.higher_frames().items():
            if FRAME_NS[frame] <= frame_ns:
                raise errors.Refusal(f"htf is {frame}, which is not higher than the bars of the run, {self.frame}")
            # What the mean of a higher timeframe needs is known only here, where the bars of the run are.
            for symbol in self.states:
                if (symbol, frame) in self.from_run:
                    self.ctx.require_history(4 * n, symbol, frame)
                else:
                    self.ctx.require_history(4 * n * (FRAME_NS[frame] // frame_ns), symbol, self.frame)
        if self.intraday_days:
            if frame_ns > FRAME_NS["H1"]:
                raise errors.Refusal(
                    f"intraday_days needs bars of an hour or less, and those of the run are {self.frame}"
                )
            for symbol in self.states:
                self.ctx.require_history((self.intraday_days + 1) * (DAY_NS // frame_ns), symbol, self.frame)

    def on_event(self, bar: Bar) -> Signal | None:
        state = self.states[bar.symbol]
        if bar.frame != self.frame:
            if bar.frame in state.higher:
                state.higher[bar.frame].push(bar.close)
            return None
        for frame, higher in state.higher.items():
            if (bar.symbol, frame) not in self.from_run:
                higher.aggregate(bar)
        readings = {name: scenario.push(bar.close) for name, scenario in state.scenarios.items()}
        trend = state.trend.push(bar.close) if state.trend else float("nan")
        atr = state.atr.push(bar)
        ratio = state.intraday.push(bar) if state.intraday else float("nan")
        if bar.warmup or not atr > 0.0:  # NaN: not ready
            return None

        manager = state.manager
        account = self.ctx.account
        manager.follow(account.positions.get(bar.symbol))
        why, signal = HOLD, None
        if manager.side:
            why = manager.verdict(readings[manager.scenario].z)
            signal = Signal.flat() if why != HOLD else None
        elif not manager.waits(account.orders):
            for name, reading in readings.items():
                if self.passes(bar, state, reading, trend, ratio):
                    why, signal = name, self.entry(bar, reading.side, atr)
                    manager.ask(name)
                    break
        if signal is not None and self.ctx.mode == "debug":
            reading = readings[manager.scenario if manager.side else why]
            higher_means = {frame: higher.mean.value for frame, higher in state.higher.items()}
            indicators = {"z": reading.z, "mean": reading.mean, "trend": trend, "atr": atr, "intraday": ratio}
            known = {name: value for name, value in (indicators | higher_means).items() if not isnan(value)}
            signal.meta = {
                "indicators": known,
                "params": dict(self.ctx.parameters),
                "held_bars": manager.held_bars,
                "why": why,
            }
        return signal

    def passes(self, bar: Bar, state: State, reading: Reading, trend: float, ratio: float) -> bool:
        """Return True where a scenario wants a side and no filter is against it. What is not known is against it."""
        side = reading.side
        if not side or self.direction == ("short" if side > 0 else "long"):
            return False
        if not -reading.z * side > self.z_exit:  # it would be closed at once
            return False
        if not (reading.mean - bar.close) * side / bar.close * 1e4 >= self.target_min_bps:
            return False
        if state.trend and not (bar.close - trend) * side > 0.0:
            return False
        if any(higher.direction() != side for higher in state.higher.values()):
            return False
        return state.intraday is None or self.intraday_vol_min <= ratio <= self.intraday_vol_max

    def entry(self, bar: Bar, side: int, atr: float) -> Signal:
        """Open a position with its bracket."""
        qty = self.notional / bar.close if self.notional else self.qty
        lowest = self.ctx.instruments[bar.symbol].tick_size  # a price is positive, however wide the ranges are
        stop_loss = max(lowest, bar.close - side * self.sl_atr * atr)
        take_profit = max(lowest, bar.close + side * self.tp_atr * atr)
        return (Signal.buy if side > 0 else Signal.sell)(qty, sl=stop_loss, tp=take_profit)


if __name__ == "__main__":
    serve(MeanReversionZscore)
