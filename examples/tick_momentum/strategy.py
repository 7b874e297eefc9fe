"""Tick momentum: go with a quick move of the quotes, for a short time.

A move is the change of the middle of bid and ask over the last `length` ticks. It counts if it is at least `entry_bps`,
took no longer than `span_seconds`, and the spread is not above `spread_max_bps` at that tick. The position is closed at
the first tick after `hold_seconds`, or at its stop loss before. Each move is traded once: the next entry needs a tick
at which the move was smaller than `entry_bps`.

An order is valid for `fill_seconds`. If no tick comes until then, the market has paused and the order is void. No
account is read: a void order and a stopped position are waited out, and closing what is not there changes nothing.

What it is not: fills are at the next tick with no latency, which flatters every strategy of this kind. Add
`costs.slippage_bps` before you believe a result.
"""

from __future__ import annotations

from collections import deque

from boxgate_sdk import Bar, FloatParameter, IntParameter, Signal, Strategy, Tick, errors, serve

SECOND_NS = 1_000_000_000


class State:
    """What is known of one instrument. side: +1 or −1 from an entry until its time is over, else 0."""

    def __init__(self, length: int) -> None:
        self.quotes: deque[tuple[int, float]] = deque(maxlen=length + 1)
        self.side = 0
        self.exit_ns = 0
        self.armed = False


class TickMomentum(Strategy):
    name = "tick_momentum"
    version = "1.0.0"
    description = "Follows quick moves of the quotes for a fixed time, where the spread is small."

    length = IntParameter(50, min=1, max=100_000, doc="Ticks over which a move is measured.")
    span_seconds = FloatParameter(60.0, min=0.001, max=86_400.0, doc="Longest time that these ticks may take, seconds.")
    entry_bps = FloatParameter(2.0, min=0.001, max=1000.0, doc="Smallest move, hundredths of a percent.")
    spread_max_bps = FloatParameter(1.5, min=0.0, max=1000.0, doc="Largest spread, hundredths of a percent.")
    hold_seconds = FloatParameter(120.0, min=0.001, max=86_400.0, doc="Time after which a position is closed, seconds.")
    fill_seconds = FloatParameter(5.0, min=0.001, max=86_400.0, doc="Time after which an unfilled order is void.")
    stop_bps = FloatParameter(5.0, min=0.01, max=1000.0, doc="Distance of the stop loss, hundredths of a percent.")
    qty = FloatParameter(10_000.0, min=0.0, doc="Size of each position, base units.")

    def check_parameters(self) -> None:
        if self.entry_bps <= self.spread_max_bps:
            raise errors.ParameterConflict(
                f"entry_bps is {self.entry_bps:g} and spread_max_bps is {self.spread_max_bps:g}",
                where="entry_bps",
                expected="entry_bps above spread_max_bps: a smaller move does not pay the spread",
            )
        if self.fill_seconds > self.hold_seconds:
            raise errors.ParameterConflict(
                f"fill_seconds is {self.fill_seconds:g} and hold_seconds is {self.hold_seconds:g}",
                where="fill_seconds",
                expected="fill_seconds at most hold_seconds",
            )

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "TICKS")

    def history_events(self) -> int:
        return self.length + 1

    def on_init(self, ctx: object) -> None:
        if not any(series.is_tick for series in self.ctx.series):
            raise errors.Refusal("the run has no ticks; set frames: [tick]")
        self.states = [State(self.length) for _ in self.ctx.series]
        self.span_ns = round(self.span_seconds * SECOND_NS)
        self.hold_ns = round(self.hold_seconds * SECOND_NS)
        self.fill_ns = round(self.fill_seconds * SECOND_NS)

    def on_event(self, tick: Tick | Bar) -> Signal | None:
        if isinstance(tick, Bar):
            return None
        bid, ask, now_ns = tick.bid, tick.ask, tick.time_ns
        if not ask >= bid:  # NaN, or crossed: no quote
            return None
        state = self.states[tick.series]
        quotes = state.quotes
        middle = (bid + ask) / 2.0
        quotes.append((now_ns, middle))
        if len(quotes) <= self.length:
            return None
        begun_ns, begun = quotes[0]
        move_bps = (middle - begun) / begun * 1e4
        moved = abs(move_bps) >= self.entry_bps
        signal = None
        if state.side:
            if now_ns >= state.exit_ns:
                state.side = 0
                signal = Signal.flat()
        elif (
            moved
            and state.armed
            and now_ns - begun_ns <= self.span_ns
            and (ask - bid) / middle * 1e4 <= self.spread_max_bps
            and not tick.warmup
        ):
            signal = self.entry(tick, state, 1 if move_bps > 0.0 else -1)
        if not moved:
            state.armed = True
        if signal is not None and self.ctx.mode == "debug":
            signal.meta = {"indicators": {"move_bps": move_bps, "spread_bps": (ask - bid) / middle * 1e4}}
        return signal

    def entry(self, tick: Tick, state: State, side: int) -> Signal:
        """Open a position in the direction of the move; the stop loss is measured from where it would be closed."""
        state.side = side
        state.exit_ns = tick.time_ns + self.hold_ns
        state.armed = False
        stop = self.stop_bps * 1e-4
        valid_until_ns = tick.time_ns + self.fill_ns
        if side > 0:
            return Signal.buy(self.qty, sl=tick.bid * (1.0 - stop), valid_until_ns=valid_until_ns)
        return Signal.sell(self.qty, sl=tick.ask * (1.0 + stop), valid_until_ns=valid_until_ns)


if __name__ == "__main__":
    serve(TickMomentum)
