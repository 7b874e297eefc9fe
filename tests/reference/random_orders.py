"""Random sessions with order intents, and sessions with targets under trails, volume limits, latency and hours.

`random_order_case(seed)` draws a tape of three instruments or more as `random_account_case` does, and intents that are
made while it runs through the reference loop, so that they name orders that work and positions that are there; what
was answered is kept in the case, by event and round. `random_limited_case(seed)` is a case of signals. The same seed
gives the same case.

As a command, `python tests/reference/random_orders.py [SEEDS]`, it prints how often each rule fired.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from grids import grid_value
from loop import run, run_with_intents, run_with_signals, sort_tape
from random_accounts import MARKETS, draw_account_rules
from random_tapes import LAYOUTS, MINUTE_NS, START_NS, Case, draw_events, draw_rules, draw_signals, draw_spec
from terms import Answer, Event, Hours, Intent, MomentView, OrderView, Result, Rules, SignalIn, Spec

RULES_OF_ORDERS = (
    "CANCEL_too_late",
    "FOK_filled",
    "FOK_killed",
    "IOC_after_part",
    "PROTECT_too_late",
    "REPLACE_below_filled_at_promotion",
    "REPLACE_of_partly_filled",
    "REPLACE_of_triggered",
    "REPLACE_too_late",
    "REPLACE_trail_anew",
    "REPLACE_trail_kept",
    "accepted_CANCEL",
    "accepted_PROTECT",
    "accepted_REPLACE",
    "accepted_SUBMIT_LIMIT",
    "accepted_SUBMIT_MARKET",
    "accepted_SUBMIT_STOP",
    "accepted_SUBMIT_STOP_LIMIT",
    "accepted_SUBMIT_TRAILING_STOP",
    "cancelled_FOK",
    "cancelled_INTENT",
    "cancelled_IOC",
    "cancelled_OCO",
    "cancelled_REDUCE_ONLY",
    "enlarged_LIMIT",
    "enlarged_MARKET",
    "enlarged_STOP",
    "event_while_closed",
    "expired_at_promotion_REPLACE",
    "expired_at_promotion_SUBMIT",
    "expired_queued",
    "expired_working_DAY",
    "expired_working_GTD",
    "fill_ENTRY",
    "fill_LIQUIDATION",
    "fill_SIGNAL",
    "fill_STOP_LOSS",
    "fill_TAKE_PROFIT",
    "gap_LIQUIDATION",
    "gap_STOP_LOSS",
    "gap_TAKE_PROFIT",
    "gap_order_LIMIT",
    "gap_order_STOP",
    "gap_order_STOP_LIMIT",
    "gap_order_TRAILING_STOP",
    "inside_at_open_LIMIT",
    "inside_at_open_LIQUIDATION",
    "inside_at_open_STOP_LOSS",
    "inside_at_open_TAKE_PROFIT",
    "inside_at_point_LIMIT",
    "inside_at_point_LIQUIDATION",
    "inside_at_point_STOP",
    "inside_at_point_STOP_LIMIT",
    "inside_at_point_STOP_LOSS",
    "inside_at_point_TAKE_PROFIT",
    "inside_at_point_TRAILING_STOP",
    "inside_touch_LIMIT",
    "inside_touch_LIQUIDATION",
    "inside_touch_STOP",
    "inside_touch_STOP_LIMIT",
    "inside_touch_STOP_LOSS",
    "inside_touch_TAKE_PROFIT",
    "inside_touch_TRAILING_STOP",
    "intent_deferred",
    "intent_queued_at_end",
    "latency_kept_in_order",
    "line_a",
    "line_d_after_part",
    "liquidated_at_marks",
    "met_STOP",
    "met_TRAILING_STOP",
    "more_fills",
    "more_on_bars",
    "more_on_tick",
    "oco_queued",
    "oco_working",
    "opened_LIMIT",
    "opened_MARKET",
    "opened_STOP",
    "order_increase_LIMIT",
    "order_increase_MARKET",
    "order_increase_STOP",
    "order_increase_STOP_LIMIT",
    "order_increase_TRAILING_STOP",
    "order_reduction_LIMIT",
    "order_reduction_MARKET",
    "order_reduction_STOP",
    "order_reduction_STOP_LIMIT",
    "order_reduction_TRAILING_STOP",
    "order_refused_INSUFFICIENT_MARGIN",
    "order_refused_RATE_UNKNOWN",
    "order_refused_SHORT_NOT_ALLOWED",
    "order_refused_after_reduction",
    "order_reversal",
    "post_only_REPLACE_rejected_at_promotion",
    "post_only_rejected_at_promotion",
    "promoted_CANCEL",
    "promoted_PROTECT",
    "promoted_REPLACE",
    "promoted_SUBMIT",
    "reduce_only_after_forced_close",
    "reduce_only_more_than_position",
    "reduce_only_nothing",
    "rejected_CANCEL_ORDER_NOT_WORKING",
    "rejected_PROTECT_NO_POSITION",
    "rejected_PROTECT_STOP_LOSS_SIDE",
    "rejected_PROTECT_TAKE_PROFIT_SIDE",
    "rejected_REPLACE_ORDER_NOT_WORKING",
    "rejected_REPLACE_POST_ONLY",
    "rejected_REPLACE_QTY_BELOW_MINIMUM",
    "rejected_REPLACE_STOP_PRICE_SIDE",
    "rejected_SUBMIT_MARKET_CLOSED",
    "rejected_SUBMIT_POST_ONLY",
    "rejected_SUBMIT_QTY_BELOW_MINIMUM",
    "rejected_SUBMIT_STOP_LOSS_SIDE",
    "rejected_SUBMIT_STOP_PRICE_SIDE",
    "rejected_SUBMIT_TAKE_PROFIT_SIDE",
    "rejected_SUBMIT_TOO_MANY_ORDERS",
    "stop_goes_on_as_market",
    "stop_limit_triggered",
    "stopped_by_trail",
    "trail_begun_anew",
    "trail_kept",
    "trail_of_order_moved",
    "trail_of_position_moved",
    "volume_cut",
    "volume_cut_to_nothing",
    "working_at_end",
)
"""What must fire over a few hundred seeds; a test holds the generator to it."""

RULES_OF_LIMITED = (
    "bracket_replaced_at_promotion",
    "decision_deferred",
    "event_while_closed",
    "fill_END",
    "fill_ENTRY",
    "fill_LIQUIDATION",
    "fill_SIGNAL",
    "fill_STOP_LOSS",
    "fill_TAKE_PROFIT",
    "gap_LIMIT",
    "gap_LIQUIDATION",
    "gap_STOP_LOSS",
    "gap_TAKE_PROFIT",
    "latency_kept_in_order",
    "opened_LIMIT",
    "opened_MARKET",
    "other_side_survives_queued",
    "other_side_survives_working",
    "reduction_LIMIT_part",
    "reduction_LIMIT_whole",
    "reduction_MARKET_part",
    "reduction_MARKET_whole",
    "stopped_by_trail",
    "target_decided_while_closed",
    "trail_begun_anew",
    "trail_kept",
    "trail_of_position_moved",
    "volume_cut",
    "volume_cut_to_nothing",
)
"""The same for sessions of targets."""


@dataclass(frozen=True)
class OrderCase:
    """One random run. intents: by the number of the event that they answer, in rounds."""

    seed: int
    specs: list[Spec]
    rules: Rules
    events: list[Event]
    start_ns: int
    intents: dict[int, list[list[Intent]]]
    layouts: list[str]


def random_order_case(seed: int) -> OrderCase:
    """Draw one session with orders; everything comes from `random.Random(seed)`."""
    return draw_case(seed)[0]


def run_order_case(case: OrderCase) -> Result:
    """Run a case through the reference loop."""
    return run_with_intents(case.specs, case.rules, case.events, case.start_ns, case.intents)


def random_limited_case(seed: int) -> Case:
    """Draw one session with targets: trails, volume limits, latency or hours."""
    rng = Random(f"limited {seed}")
    specs, rules, events, layouts = draw_market(rng)
    signals = {
        seq: [_with_trail(rng, signal, specs[signal.instrument]) for signal in answer]
        for seq, answer in draw_signals(rng, specs, events).items()
    }
    return Case(seed, specs, rules, events, START_NS, signals, layouts)


def coverage(seeds: Sequence[int]) -> tuple[Counter[str], Counter[str]]:
    """Return how often each rule fired over these seeds: in sessions of orders, and in those of targets."""
    orders: Counter[str] = Counter()
    limited: Counter[str] = Counter()
    for seed in seeds:
        orders.update(draw_case(seed)[1].rules_fired)
        case = random_limited_case(seed)
        limited.update(run_with_signals(case.specs, case.rules, case.events, START_NS, case.signals).rules_fired)
    return orders, limited


def draw_case(seed: int) -> tuple[OrderCase, Result]:
    """Draw a session with orders and run it, which is how its intents are made."""
    rng = Random(f"orders {seed}")
    specs, rules, events, layouts = draw_market(rng)
    rules = replace(rules, orders=True)
    trader = Trader(rng, specs, rules)
    result = run(specs, rules, events, START_NS, trader.answer)
    return OrderCase(seed, specs, rules, events, START_NS, trader.intents, layouts), result


# ---------------------------------------------------------------------------------------------------------------------
# Markets and rules


def draw_market(rng: Random) -> tuple[list[Spec], Rules, list[Event], list[str]]:
    """Draw instruments, their tape and the rules; one instrument alone may be quoted in the account's currency."""
    market = list(rng.choice([each for each in MARKETS if len(each) >= 3]))
    if rng.random() < 0.5:
        market = [("A", ""), ("B", ""), ("C", "")]
    rng.shuffle(market)
    specs = [replace(draw_spec(rng, symbol), quote=quote) for symbol, quote in market]
    levels = [rng.choice((40, 100, 1000)) for _ in specs]
    has_ask = rng.random() < 0.7
    late = rng.random() < 0.2
    limited = rng.random() < 0.45
    layouts = [rng.choice(("ticks", "ticks_with_info") if late else LAYOUTS) for _ in specs]
    events: list[Event] = []
    for place, spec in enumerate(specs):
        minutes = rng.randint(110, 180) // len(specs) * (4 if layouts[place] == "five_minutes" else 1)
        series = draw_events(rng, place, spec.tick, levels[place], has_ask, layouts[place], minutes)
        shares = (0.0, 1.0, 2.0, 2.6, 4.0, 9.0, 40.0)
        events += [replace(event, volume=grid_value(1, spec.lot) * rng.choice(shares)) for event in series]
    events = sort_tape(events)
    last = {event.instrument: place for place, event in enumerate(events) if event.execution}
    events = [
        replace(event, volume=grid_value(3, specs[event.instrument].lot)) if place in last.values() else event
        for place, event in enumerate(events)
    ]
    rules = draw_account_rules(rng, draw_rules(rng, specs, levels, has_ask), specs, levels, events)
    if rng.random() < 0.5:
        rules = replace(rules, cash=rules.cash * 20, cash_account=False)
    filtered = rng.random() < 0.3
    return (
        specs,
        replace(
            rules,
            volume_limit=rng.choice((0.3, 0.5, 1.0)) if limited else None,
            latency_ns=rng.choice((0, 1, MINUTE_NS // 6, MINUTE_NS)) if late else 0,
            jitter_ns=rng.choice((1, MINUTE_NS // 2, MINUTE_NS * 2)) if late else 0,
            seed=rng.randrange(2**53),
            hours=tuple(_hours(rng, events) for _ in specs) if filtered else (),
            day_ends=tuple(_day_ends(rng, events) for _ in specs) if rng.random() < 0.8 else (),
        ),
        events,
        layouts,
    )


def _hours(rng: Random, events: Sequence[Event]) -> Hours:
    """Draw open stretches that end and begin at minutes, some inside of bars."""
    found: list[tuple[int, int]] = []
    time_ns = START_NS - MINUTE_NS + rng.choice((0, 5 * MINUTE_NS))
    while time_ns < events[-1].time_ns:
        closed_ns = time_ns + MINUTE_NS * rng.randint(5, 40) + rng.choice((0, 0, 1, MINUTE_NS // 2))
        found.append((time_ns, closed_ns))
        time_ns = closed_ns + MINUTE_NS * rng.randint(1, 12)
    return tuple(found)


def _day_ends(rng: Random, events: Sequence[Event]) -> tuple[int, ...]:
    """Draw the ends of short days; the last of them may come before the tape ends."""
    ends: list[int] = []
    time_ns = START_NS
    while time_ns < events[-1].time_ns:
        time_ns += MINUTE_NS * rng.randint(3, 40)
        ends.append(time_ns)
    return tuple(ends)


def _with_trail(rng: Random, signal: SignalIn, spec: Spec) -> SignalIn:
    """Give half of the signals a trail of few ticks, off the grid at times."""
    if signal.side == "FLAT" or rng.random() < 0.5:
        return signal
    return replace(signal, trail=grid_value(1, spec.tick) * rng.choice((1, 2, 2, 3, 4, 1.3, 2.5)))


# ---------------------------------------------------------------------------------------------------------------------
# Intents


@dataclass
class Trader:
    """Answers moments at random and keeps what it answered."""

    rng: Random
    specs: Sequence[Spec]
    rules: Rules
    intents: dict[int, list[list[Intent]]] = field(default_factory=dict)
    quotes: dict[int, tuple[float, float]] = field(default_factory=dict)
    submitted: list[Intent] = field(default_factory=list)
    calm: bool = False

    def __post_init__(self) -> None:
        self.eagerness = self.rng.choice((0.3, 0.45, 0.6))
        self.crowded = self.rng.random() < 0.1
        late = self.rules.latency_ns or self.rules.jitter_ns
        self.goes_on = 0.0 if late else self.rng.choice((0.0, 0.2, 0.6))

    def answer(self, view: MomentView) -> Answer:
        """Draw the intents of each event of the moment, and whether more follow."""
        rng = self.rng
        for event in view.events:
            ask = event.bid if event.ask is None else event.ask
            self.quotes[event.instrument] = (event.bid[3], ask[3])
        self.calm = self.calm != (rng.random() < 0.08)
        given: list[Intent] = []
        for place in range(len(view.events)):
            chance = self.eagerness / 6 if self.calm else self.eagerness
            while rng.random() < chance:
                chance = 0.6
                drawn = [replace(intent, event_index_in_moment=place) for intent in self.draw(view)]
                given += drawn
                rounds = self.intents.setdefault(view.seq + place, [])
                rounds += [[] for _ in range(view.round + 1 - len(rounds))]
                rounds[view.round] += [replace(intent, event_index_in_moment=0) for intent in drawn]
        more = bool(given) and view.round < 4 and rng.random() < self.goes_on
        if more:
            rounds = self.intents.setdefault(view.seq, [])
            rounds += [[] for _ in range(view.round + 2 - len(rounds))]
        return Answer(tuple(given), more)

    def draw(self, view: MomentView) -> list[Intent]:
        """Draw one intent; in a crowd many orders that stand far away."""
        rng = self.rng
        chosen = rng.random()
        if self.crowded and chosen < 0.3:
            instrument = rng.choice(sorted(self.quotes))
            bid, tick = self.quotes[instrument][0], grid_value(1, self.specs[instrument].tick)
            price = max(bid - tick * rng.randint(8, 12), tick)
            orders = [self.order(instrument, "BUY", "LIMIT", price=price) for _ in range(rng.randint(8, 16))]
            return orders
        if chosen < 0.14 and self.submitted:
            return [self.replacement(view)]
        if chosen < 0.22 and self.submitted:
            return [Intent("CANCEL", rng.randrange(len(self.specs)), self.known(view).client_id)]
        if chosen < 0.34 and (view.positions or rng.random() < 0.3):
            return [self.protection(view)]
        instrument = rng.randrange(len(self.specs))
        if view.events[0].kind == "tick" and rng.random() < 0.6:
            # What meets this very tick where the answer goes on.
            instrument = view.events[0].instrument
        group = f"g{len(self.submitted)}" if rng.random() < 0.15 else ""
        if not group:
            return [self.submission(view, instrument, rng.choice(("", "", "", "", "again")))]
        return [self.submission(view, instrument, group) for _ in range(rng.randint(2, 3))]

    def submission(self, view: MomentView, instrument: int, oco: str) -> Intent:
        """Draw a SUBMIT near the market, its levels such as others have at times."""
        rng, tick = self.rng, grid_value(1, self.specs[instrument].tick)
        if instrument not in self.quotes:
            # Its first event is still to come: nothing can be checked against.
            return self.order(instrument, rng.choice(("BUY", "SELL")), "MARKET")
        bid, ask = self.quotes[instrument]
        held = next((position.side for position in view.positions if position.instrument == instrument), None)
        side = rng.choice(("BUY", "SELL"))
        reduce_only = rng.random() < 0.22
        if reduce_only and held is not None and rng.random() < 0.8:
            side = "SELL" if held == "BUY" else "BUY"
        sign = 1 if side == "BUY" else -1
        kind = rng.choice(
            ("MARKET", "MARKET", "LIMIT", "LIMIT", "LIMIT", "STOP", "STOP", "STOP_LIMIT", "TRAILING_STOP")
        )
        watched = ask if side == "BUY" else bid
        price = stop_price = trail = None
        if kind == "LIMIT":
            price = watched - sign * tick * rng.choice((-1, 0, 0, 1, 1, 2, 3))
        if kind in ("STOP", "STOP_LIMIT"):
            stop_price = watched + sign * tick * rng.choice((-2, 0, 1, 1, 2, 2, 3, 4))
        if kind == "STOP_LIMIT":
            assert stop_price is not None
            price = stop_price + sign * tick * rng.choice((-2, -1, 0, 1, 2))
        if kind == "TRAILING_STOP":
            trail = tick * rng.choice((1, 2, 2, 3, 4, 60))
        levels = [order.price or order.stop_price for order in view.orders if order.instrument == instrument]
        levels += [level for p in view.positions if p.instrument == instrument for level in (p.sl, p.tp)]
        same = [level for level in levels if level is not None]
        if same and rng.random() < 0.25:
            if kind == "LIMIT":
                price = rng.choice(same)
            elif kind in ("STOP", "STOP_LIMIT"):
                stop_price = rng.choice(same)
        tif = rng.choice(("GTC", "GTC", "GTC", "GTC", "DAY", "GTD", "GTD", "IOC", "FOK", "FOK"))
        post_only = kind == "LIMIT" and rng.random() < 0.2
        if tif in ("IOC", "FOK") and (kind not in ("MARKET", "LIMIT") or post_only or oco):
            tif = "GTC"
        intent = self.order(
            instrument,
            side,
            kind,
            price=positive(price, tick),
            stop_price=positive(stop_price, tick),
            trail=trail,
            tif=tif,
            valid_until_ns=self.until(view) if tif == "GTD" else None,
            reduce_only=reduce_only,
            post_only=post_only,
            oco=oco,
        )
        risk = self.risk(instrument, side, intent.price or intent.stop_price or watched)
        self.submitted[-1] = replace(intent, **risk)  # type: ignore[arg-type]  # fields by name
        return self.submitted[-1]

    def order(self, instrument: int, side: str, kind: str, **fields: object) -> Intent:
        """Give the order a name and a quantity."""
        rng, lot = self.rng, self.specs[instrument].lot
        qty = grid_value(rng.choice((1, 1, 2, 2, 3, 4, 6, 15)), lot)
        qty *= rng.choice((1, 1, 1, 1, 1, 1, 1, 1.3, 0.7))
        intent = Intent("SUBMIT", instrument, f"o{len(self.submitted)}", side, kind, qty)
        intent = replace(intent, **fields)  # type: ignore[arg-type]  # fields by name
        self.submitted.append(intent)
        return intent

    def risk(self, instrument: int, side: str, reference: float) -> dict[str, float | None]:
        """Draw a bracket about a price; one level may stand on the wrong side of it."""
        rng, tick = self.rng, grid_value(1, self.specs[instrument].tick)
        if rng.random() < 0.4:
            return {}
        sign = 1 if side == "BUY" else -1
        if rng.random() < 0.08:
            reference += tick * rng.choice((-6, 6))
        sl = positive(reference - sign * tick * rng.randint(1, 5), tick) if rng.random() < 0.6 else None
        tp = positive(reference + sign * tick * rng.randint(1, 5), tick) if rng.random() < 0.6 else None
        trail = tick * rng.choice((1, 2, 2, 3, 4)) if rng.random() < 0.4 else None
        if sl is not None and tp is not None and (sl >= tp if side == "BUY" else sl <= tp):
            tp = None
        return {"sl": sl, "tp": tp, "risk_trail": trail}

    def replacement(self, view: MomentView) -> Intent:
        """Draw other values for an order: a price some ticks away, the same or another trail, any quantity."""
        rng, order = self.rng, self.known(view)
        tick, lot = grid_value(1, self.specs[order.instrument].tick), self.specs[order.instrument].lot

        def shifted(price: float | None) -> float | None:
            return None if price is None else positive(price + tick * rng.choice((-3, -1, 0, 0, 1, 3)), tick)

        price = shifted(order.price)
        if order.post_only and order.instrument in self.quotes and rng.random() < 0.7:
            bid, ask = self.quotes[order.instrument]
            price = positive(ask - tick if order.side == "BUY" else bid + tick, tick)
        qty = grid_value(rng.choice((1, 2, 3, 5, 8)), lot) * rng.choice((1, 1, 1, 1, 1, 1, 0.7))
        filled = next((each.filled_qty for each in view.orders if each.client_id == order.client_id), 0.0)
        if filled > 0 and rng.random() < 0.6:
            # It may have filled by the time at which this is taken up.
            qty = filled + grid_value(1, lot)
        tif = rng.choice(("GTC", "GTC", "DAY", "GTD", "IOC"))
        if tif == "IOC" and (order.type not in ("MARKET", "LIMIT") or order.post_only or order.oco):
            tif = "GTC"
        trail = order.trail if order.trail is None or rng.random() < 0.5 else tick * rng.randint(1, 4)
        return Intent(
            "REPLACE",
            rng.randrange(len(self.specs)),
            order.client_id,
            qty=qty,
            price=price,
            stop_price=shifted(order.stop_price),
            trail=trail,
            tif=tif,
            valid_until_ns=self.until(view) if tif == "GTD" else None,
        )

    def known(self, view: MomentView) -> Intent:
        """Choose an order: mostly one that works or waits, also partly filled, at times one of some time ago."""
        alive: list[OrderView] = view.orders
        partly = [order for order in alive if order.filled_qty > 0]
        if partly and self.rng.random() < 0.6:
            alive = partly
        if alive and self.rng.random() < 0.85:
            name = self.rng.choice(alive).client_id
            return next(intent for intent in self.submitted if intent.client_id == name)
        return self.rng.choice(self.submitted[-12:])

    def protection(self, view: MomentView) -> Intent:
        """Draw a PROTECT for a position, or where there is none."""
        rng = self.rng
        if not view.positions or rng.random() < 0.05:
            instrument = rng.choice(sorted(self.quotes))
            return Intent("PROTECT", instrument, risk_trail=grid_value(2, self.specs[instrument].tick))
        position = rng.choice(view.positions)
        bid, ask = self.quotes.get(position.instrument, (position.entry_price,) * 2)
        risk = self.risk(position.instrument, position.side, bid if position.side == "BUY" else ask)
        if position.trail is not None and rng.random() < 0.5:
            risk["risk_trail"] = position.trail
        intent = Intent("PROTECT", position.instrument, position=position.name)
        return replace(intent, **risk)  # type: ignore[arg-type]  # fields by name

    def until(self, view: MomentView) -> int:
        """Draw an expiry, some of them at the end of a bar, some in the past."""
        rng = self.rng
        minutes = max(rng.randint(-1, 15), 0)
        return view.time_ns + MINUTE_NS * minutes + rng.randint(-2, 1) // 2


def positive(price: float | None, tick: float) -> float | None:
    return None if price is None else max(price, tick)


def main(arguments: Sequence[str]) -> None:
    """Print the coverage over as many seeds as the first argument says, 300 by default."""
    count = int(arguments[0]) if arguments else 300
    for title, fired, names in zip(
        ("orders", "limited"), coverage(range(count)), (RULES_OF_ORDERS, RULES_OF_LIMITED), strict=True
    ):
        print(title)
        for name in sorted({*fired, *names}):
            print(f"{fired[name]:8d}  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
