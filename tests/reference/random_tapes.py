"""Random tapes with random signals for property tests, and a count of which rules they reach.

`random_case(seed)` draws everything from `random.Random(seed)`: the same seed gives the same case. Prices move by few
ticks on a coarse grid, so that touches, ties and equal highs and lows are common.

As a command, `python tests/reference/random_tapes.py [SEEDS]`, it prints how often each rule fired.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random

from grids import grid_value
from loop import run_with_signals, sort_tape
from tape import moments_of
from terms import Event, Prices, Ratio, Result, Rules, SignalIn, Spec

MINUTE_NS = 60_000_000_000
FIVE_MINUTES_NS = 5 * MINUTE_NS
START_NS = 1_700_000_100_000_000_000
"""A multiple of five minutes: every frame has a bar that opens at the start."""

LAYOUTS = (
    "minutes",
    "minutes_with_info",
    "five_minutes",
    "five_minutes_with_minute_info",
    "hidden_minutes",
    "hidden_ticks",
    "ticks",
    "ticks_with_info",
)
"""What an instrument has on the tape: which series executes, which is delivered, which is information only."""

ALWAYS_REACHED = (
    "adjust_only_effective",
    "adjust_only_without_position",
    "bracket_replaced_at_promotion",
    "decision_deferred",
    "effective_signal",
    "enlarged_LIMIT",
    "enlarged_MARKET",
    "expiry_queued",
    "expiry_working",
    "fill_END",
    "fill_ENTRY",
    "fill_SIGNAL",
    "fill_STOP_LOSS",
    "fill_TAKE_PROFIT",
    "gap_LIMIT",
    "gap_STOP_LOSS",
    "gap_TAKE_PROFIT",
    "hold_promoted",
    "inside_at_open_STOP_LOSS",
    "inside_at_open_TAKE_PROFIT",
    "inside_at_point_LIMIT",
    "inside_at_point_STOP_LOSS",
    "inside_at_point_TAKE_PROFIT",
    "inside_touch_LIMIT",
    "inside_touch_STOP_LOSS",
    "inside_touch_TAKE_PROFIT",
    "no_op_equal_target",
    "opened_LIMIT",
    "opened_MARKET",
    "other_side_survives_queued",
    "other_side_survives_working",
    "path_dependent_adaptive_ohlc",
    "path_dependent_adaptive_olhc",
    "path_dependent_ohlc_ohlc",
    "path_dependent_olhc_olhc",
    "path_dependent_optimistic_ohlc",
    "path_dependent_optimistic_olhc",
    "path_dependent_pessimistic_ohlc",
    "path_dependent_pessimistic_olhc",
    "queued_at_end",
    "queued_turned_to_hold_by_bracket",
    "reduction_LIMIT_part",
    "reduction_LIMIT_whole",
    "reduction_MARKET_part",
    "reduction_MARKET_whole",
    "rejected_QTY_BELOW_MINIMUM",
    "rejected_STOP_LOSS_SIDE",
    "rejected_TAKE_PROFIT_SIDE",
    "rejected_at_fill_INSUFFICIENT_MARGIN",
    "rejected_at_fill_SHORT_NOT_ALLOWED",
    "resting_at_end",
    "signal_superseded_in_moment",
    "tie_on_segment",
    "working_target_replaced",
)
"""Rules that a few hundred seeds must reach; a test holds the generator to it."""


@dataclass(frozen=True)
class Case:
    """One random run. signals: by the number of the event that they answer."""

    seed: int
    specs: list[Spec]
    rules: Rules
    events: list[Event]
    start_ns: int
    signals: dict[int, list[SignalIn]]
    layouts: list[str]


def random_case(seed: int) -> Case:
    """Draw one case: 1 to 3 instruments, about 200 to 400 events, signals on a quarter of the moments."""
    rng = Random(seed)
    specs = [draw_spec(rng, name) for name in "ABC"[: rng.choice((1, 1, 2, 3))]]
    has_ask = rng.random() < 0.6
    price_levels = [rng.choice((60, 150, 1100)) for _ in specs]
    events: list[Event] = []
    layouts: list[str] = []
    for instrument, spec in enumerate(specs):
        layout = rng.choice(LAYOUTS)
        minutes = rng.randint(200, 320) // len(specs)
        if layout == "five_minutes":
            minutes *= 4
        series = _Walk(rng, instrument, spec.tick, price_levels[instrument], has_ask)
        events += series.events(layout, minutes)
        layouts.append(layout)
    events = sort_tape(events)
    rules = draw_rules(rng, specs, price_levels, has_ask)
    return Case(seed, specs, rules, events, START_NS, draw_signals(rng, specs, events), layouts)


def run_case(case: Case) -> Result:
    """Run a case through the reference loop."""
    return run_with_signals(case.specs, case.rules, case.events, case.start_ns, case.signals)


def coverage(seeds: Sequence[int]) -> tuple[Counter[str], list[int]]:
    """Return how often each rule fired over these seeds, and the number of fills of each seed."""
    fired: Counter[str] = Counter()
    fills: list[int] = []
    for seed in seeds:
        case = random_case(seed)
        result = run_case(case)
        fired.update(result.rules_fired)
        fired.update(f"layout_{layout}" for layout in case.layouts)
        fired[f"spread_{case.rules.spread[0]}"] += 1
        fired["trades_path_dependent"] += sum(trade.path_dependent for trade in result.trades)
        fired["fills_of_several_instruments_at_once"] += _simultaneous(result)
        fills.append(len(result.fills))
    return fired, fills


def _simultaneous(result: Result) -> int:
    """Count the times at which more than one instrument has fills."""
    pairs = {(fill.time_ns, fill.instrument) for fill in result.fills}
    return sum(count > 1 for count in Counter(time_ns for time_ns, _ in pairs).values())


# ---------------------------------------------------------------------------------------------------------------------
# Instruments and rules


def draw_spec(rng: Random, symbol: str) -> Spec:
    """Draw the grids and the contract size."""
    tick = rng.choice(((1, 1), (1, 100), (1, 4), (1, 100_000), (1, 200), (5, 2)))
    lot = rng.choice(((1, 1), (1, 10), (1, 100), (1000, 1)))
    contract = rng.choice(((1, 1), (1, 1), (10, 1), (1, 10), (3, 7)))
    return Spec(symbol, tick, lot, contract)


def draw_rules(rng: Random, specs: Sequence[Spec], levels: Sequence[int], has_ask: bool) -> Rules:
    """Draw costs, an account that holds few or many lots, and a path."""
    spread: tuple[str] | tuple[str, float] = ("data",)
    if not has_ask or rng.random() < 0.3:
        tick = grid_value(1, specs[0].tick)
        spread = rng.choice(
            (("none",), ("ticks", rng.randint(0, 3)), ("price", tick * rng.randint(0, 3)), ("price", tick * 0.7))
        )
    # One lot of every instrument costs this much; accounts hold many of them, or so few that margin is short.
    lot_cost = max(
        grid_value(level, spec.tick) * grid_value(1, spec.lot) * grid_value(1, spec.contract)
        for spec, level in zip(specs, levels, strict=True)
    )
    leverage = rng.choice((1.0, 1.0, 2.0, 3.3, 30.0))
    room = rng.choice((2.5, 4.0, 6.0, 200.0, 200.0, 200.0))
    return Rules(
        fees_bps=rng.choice((0.0, 1.5, 10.0)),
        slippage_bps=rng.choice((0.0, 2.0, 20.0, 120.0)),
        spread=spread,
        leverage=leverage,
        cash=max(lot_cost * room / leverage, 1e-6),
        path=rng.choice(("ohlc", "olhc", "adaptive", "pessimistic", "pessimistic", "optimistic")),
        cash_account=rng.random() < 0.07,
        close_at_end=rng.random() < 0.4,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Prices


def draw_events(
    rng: Random, instrument: int, tick: Ratio, level: int, has_ask: bool, layout: str, minutes: int
) -> list[Event]:
    """Draw what one instrument has on the tape, in no particular order. level: first price in ticks."""
    return list(_Walk(rng, instrument, tick, level, has_ask).events(layout, minutes))


@dataclass(frozen=True)
class _Bar:
    """A bar in half ticks. ask: None where the data have no ask."""

    open_ns: int
    bid: tuple[int, int, int, int]
    ask: tuple[int, int, int, int]


class _Walk:
    """A random walk in whole ticks (half ticks where the data are finer than the tick size)."""

    def __init__(self, rng: Random, instrument: int, tick: Ratio, level: int, has_ask: bool) -> None:
        self.rng = rng
        self.instrument = instrument
        self.half_tick = (tick[0], tick[1] * 2)
        self.level = 2 * level
        self.floor = max(20, level)
        self.step = 1 if rng.random() < 0.15 else 2
        self.has_ask = has_ask
        self.move = rng.choice((1, 2, 3, 4))
        self.crossed = rng.random() < 0.3
        self.width = rng.choice((None, 0, 1, 2))

    def events(self, layout: str, minutes: int) -> Iterator[Event]:
        """Yield what the layout has on the tape, in no particular order."""
        rows = list(self._minutes(minutes))
        if layout in ("minutes", "minutes_with_info"):
            yield from (self._bar(row, MINUTE_NS) for row in rows)
        if layout == "minutes_with_info":
            yield from (self._bar(row, FIVE_MINUTES_NS, execution=False) for row in _in_fives(rows))
        if layout in ("five_minutes", "five_minutes_with_minute_info"):
            yield from (self._bar(row, FIVE_MINUTES_NS) for row in _in_fives(rows))
        if layout == "five_minutes_with_minute_info":
            yield from (self._bar(row, MINUTE_NS, execution=False) for row in rows)
        if layout == "hidden_minutes":
            yield from (self._bar(row, MINUTE_NS, delivered=False) for row in rows)
            yield from (self._bar(row, FIVE_MINUTES_NS, execution=False) for row in _in_fives(rows))
        if layout == "hidden_ticks":
            yield from self._replaced_by_ticks(rows)
        if layout in ("ticks", "ticks_with_info"):
            for row in rows:
                yield from self._ticks(row, delivered=True)
        if layout == "ticks_with_info":
            yield from (self._bar(row, MINUTE_NS, execution=False) for row in rows)

    def _minutes(self, count: int) -> Iterator[_Bar]:
        rng, step = self.rng, self.step
        price = self.level
        open_ns = START_NS
        for _ in range(count):
            if rng.random() < 0.04:
                open_ns += MINUTE_NS * rng.randint(1, 4)
            if rng.random() < 0.12:
                price += step * rng.randint(-6, 6)
            price += step * rng.choice((-1, 0, 0, 1))
            price = max(price, self.floor)
            closed = max(price + step * rng.randint(-self.move, self.move), self.floor)
            high = max(price, closed) + step * rng.randint(0, self.move)
            low = max(min(price, closed) - step * rng.randint(0, self.move), self.floor - 2 * step)
            bid = (price, high, low, closed)
            yield _Bar(open_ns, bid, self._ask_of(bid))
            price = closed
            open_ns += MINUTE_NS

    def _ask_of(self, bid: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        widths = (0, 1, 1, 2) if self.width is None else (self.width,)
        if self.crossed and self.rng.random() < 0.25:
            widths = (-2, -1, 0, 1)
        opened, high, low, closed = (price + self.step * self.rng.choice(widths) for price in bid)
        return (opened, max(opened, high, closed), min(opened, low, closed), closed)

    def _replaced_by_ticks(self, rows: Sequence[_Bar]) -> Iterator[Event]:
        """As execution.path real: hidden ticks execute where there are any, the bar itself where there are none."""
        for row in rows:
            finer = self.rng.random() < 0.7
            if finer:
                yield from self._ticks(row, delivered=False)
            yield self._bar(row, MINUTE_NS, execution=not finer)

    def _ticks(self, row: _Bar, delivered: bool) -> Iterator[Event]:
        corners = [0, 2, 1, 3] if self.rng.random() < 0.5 else [0, 1, 2, 3]
        corners = corners if not delivered else self.rng.sample(corners, self.rng.randint(0, 2))
        time_ns = row.open_ns
        for corner in corners:
            # Several ticks may share a nanosecond, and the first may stand at the open of its bar.
            time_ns += self.rng.choice((0, 0, 1, MINUTE_NS // 6, MINUTE_NS // 5))
            bid = (row.bid[corner],) * 4
            ask = (row.ask[corner],) * 4
            yield Event(
                "tick",
                self.instrument,
                time_ns,
                time_ns,
                self._prices(bid),
                self._prices(ask) if self.has_ask else None,
                delivered=delivered,
            )

    def _bar(self, row: _Bar, frame_ns: int, execution: bool = True, delivered: bool = True) -> Event:
        return Event(
            "bar",
            self.instrument,
            row.open_ns + frame_ns,
            row.open_ns,
            self._prices(row.bid),
            self._prices(row.ask) if self.has_ask else None,
            execution=execution,
            delivered=delivered,
            frame_ns=frame_ns,
        )

    def _prices(self, half_ticks: tuple[int, int, int, int]) -> Prices:
        opened, high, low, closed = (grid_value(n, self.half_tick) for n in half_ticks)
        return (opened, high, low, closed)


def _in_fives(rows: Sequence[_Bar]) -> Iterator[_Bar]:
    """Aggregate minutes to bars of five minutes; bars without a minute are absent."""
    fives: dict[int, list[_Bar]] = {}
    for row in rows:
        fives.setdefault(row.open_ns - (row.open_ns - START_NS) % FIVE_MINUTES_NS, []).append(row)
    for open_ns, parts in fives.items():
        bids = [part.bid for part in parts]
        asks = [part.ask for part in parts]
        yield _Bar(open_ns, _joined(bids), _joined(asks))


def _joined(parts: Sequence[tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    return (parts[0][0], max(part[1] for part in parts), min(part[2] for part in parts), parts[-1][3])


# ---------------------------------------------------------------------------------------------------------------------
# Signals


def draw_signals(rng: Random, specs: Sequence[Spec], events: Sequence[Event]) -> dict[int, list[SignalIn]]:
    """Draw signals that lie near the last close each instrument had when they were made."""
    signals: dict[int, list[SignalIn]] = {}
    closes: dict[int, float] = {}
    last: dict[int, SignalIn] = {}
    eagerness = rng.choice((0.3, 0.4, 0.5, 0.6))
    calm = False
    for moment in moments_of(events):
        # Calm stretches let orders work and brackets be reached before the next signal replaces them.
        calm = calm != (rng.random() < 0.12)
        for event in moment.events:
            closes[event.instrument] = event.bid[3]
        for seq in moment.seqs:
            if seq is None:
                continue
            chance = eagerness / 6 if calm else eagerness
            while rng.random() < chance:
                chance = 0.25
                instrument = rng.randrange(len(specs))
                if instrument not in closes:
                    # Its first event is still to come: a market signal that nothing can be checked against.
                    signal = SignalIn(instrument, rng.choice(("BUY", "SELL")), grid_value(1, specs[instrument].lot))
                elif instrument in last and rng.random() < 0.12:
                    signal = last[instrument]
                else:
                    previous = last.get(instrument)
                    signal = _signal(rng, specs[instrument], instrument, closes[instrument], moment.time_ns, previous)
                last[instrument] = signal
                signals.setdefault(seq, []).append(signal)
    return signals


def _signal(
    rng: Random, spec: Spec, instrument: int, close: float, time_ns: int, previous: SignalIn | None
) -> SignalIn:
    side = rng.choice(("BUY", "BUY", "SELL", "SELL", "FLAT"))
    tick = grid_value(1, spec.tick)
    adjust_only = rng.random() < 0.12
    if (adjust_only or rng.random() < 0.4) and previous is not None and previous.side != "FLAT":
        side = previous.side
    price: float | None = None
    if rng.random() < 0.45:
        price = max(close + tick * rng.randint(-3, 3), tick)
        if previous is not None and previous.tp is not None and rng.random() < 0.3:
            # A reversal where the old position takes its profit: target and limit tie.
            price, side = previous.tp, rng.choice(("SELL" if previous.side == "BUY" else "BUY", side))
    valid_until_ns: int | None = None
    if rng.random() < 0.25:
        valid_until_ns = time_ns + MINUTE_NS * rng.randint(0, 12) + rng.choice((-1, 0, 0, 1))
    signal = SignalIn(instrument, side, price=price, valid_until_ns=valid_until_ns, adjust_only=adjust_only)
    if side != "FLAT":
        sign = 1 if side == "BUY" else -1
        reference = close if price is None else price
        if rng.random() < 0.04:
            reference += tick * rng.choice((-8, 8))
        distance = rng.choice((2, 5))
        sl = reference - sign * tick * rng.randint(1, distance) if rng.random() < 0.6 else None
        tp = reference + sign * tick * rng.randint(1, distance) if rng.random() < 0.6 else None
        signal = replace(signal, qty=_qty(rng, spec.lot), sl=_positive(sl, tick), tp=_positive(tp, tick))
        if previous is not None and previous.side == side and previous.sl is not None and rng.random() < 0.15:
            # More of the same beside its stop: where the spread is as wide, the entry and the stop tie.
            entry = previous.sl + sign * tick * rng.randint(0, 2)
            signal = replace(signal, qty=grid_value(6, spec.lot), price=entry, sl=previous.sl - sign * tick, tp=None)
            signal = replace(signal, sl=_positive(rng.choice((signal.sl, entry - sign * tick)), tick))
        if signal.sl is not None and signal.sl == signal.tp:
            signal = replace(signal, tp=None)
    return _off_grid(rng, signal, tick) if rng.random() < 0.12 else signal


def _qty(rng: Random, lot: Ratio) -> float:
    if rng.random() < 0.03:
        return grid_value(1, lot) * 0.4
    qty = grid_value(rng.choice((1, 1, 1, 2, 2, 3, 5)), lot)
    return qty * rng.choice((1.07, 1.6, 1.99)) if rng.random() < 0.1 else qty


def _positive(price: float | None, tick: float) -> float | None:
    return None if price is None or price < tick else price


def _off_grid(rng: Random, signal: SignalIn, tick: float) -> SignalIn:
    """Move a price by less than a tick, sometimes by exactly half a tick: the tie of the grid."""
    shift = tick * rng.choice((0.5, 0.5, 0.3, 0.7))
    if signal.price is not None:
        return replace(signal, price=signal.price + shift)
    if signal.sl is not None:
        return replace(signal, sl=signal.sl + shift if signal.tp is None or signal.side == "BUY" else signal.sl)
    return signal


def main(arguments: Sequence[str]) -> None:
    """Print the coverage over as many seeds as the first argument says, 300 by default."""
    seeds = range(int(arguments[0]) if arguments else 300)
    fired, fills = coverage(seeds)
    for name in sorted({*fired, *ALWAYS_REACHED}):
        print(f"{fired[name]:8d}  {name}")
    enough = sum(count >= 20 for count in fills)
    print(f"{len(fills)} tapes, fills per tape: median {statistics.median(fills)}, at least 20 in {enough}")


if __name__ == "__main__":
    main(sys.argv[1:])
