"""Random sessions with order intents that name positions: longs and shorts beside each other, closed by their names.

`random_hedging_case(seed)` draws market and rules as `random_order_case` does, and intents about a few positions by
name beside the unnamed ones; names are used again, and unknown ones are asked for. In a few cases each order has a name
of its own, so that an instrument runs out of places. The same seed gives the same case; `run_order_case` runs it.

As a command, `python tests/reference/random_hedging.py [SEEDS]`, it prints how often each rule fired.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from grids import grid_value
from loop import run
from random_orders import RULES_OF_ORDERS, OrderCase, Trader, draw_market, positive
from random_tapes import START_NS
from terms import Intent, MomentView, PositionView, Result

RULES_OF_HEDGING = (
    "FUNDING_named",
    "PROTECT_of_unknown_name",
    "SWAP_named",
    "cancelled_FOK_named",
    "cancelled_INTENT_named",
    "cancelled_IOC_named",
    "cancelled_OCO_named",
    "cancelled_REDUCE_ONLY_named",
    "expired_named",
    "fill_END_named",
    "fill_ENTRY_named",
    "fill_LIQUIDATION_named",
    "fill_SIGNAL_named",
    "fill_STOP_LOSS_named",
    "fill_TAKE_PROFIT_named",
    "latency_overtakes_another_position",
    "margin_call_names_position",
    "margin_refused_beside_opposite",
    "name_used_again",
    "named_liquidated_at_marks",
    "named_opened_cross",
    "named_opened_isolated",
    "named_path_dependent",
    "oco_of_another_position_stays",
    "opened_beside_opposite",
    "opened_beside_same_side",
    "order_reversal_named",
    "place_kept_by_changes_that_wait",
    "place_taken",
    "place_taken_below_others",
    "promoted_named_CANCEL",
    "promoted_named_PROTECT",
    "promoted_named_REPLACE",
    "promoted_named_SUBMIT",
    "rejected_SUBMIT_TOO_MANY_POSITIONS",
    "too_many_orders_of_a_name",
    "volume_taken_by_another_position",
)
"""What must fire over a few hundred seeds; a test holds the generator to it."""

EVENTS_OF_A_CROWD = 40
"""Length of a tape on which each order has a name of its own."""


def random_hedging_case(seed: int) -> OrderCase:
    """Draw one session with named positions; everything comes from `random.Random(seed)`."""
    return draw_hedging_case(seed)[0]


def draw_hedging_case(seed: int) -> tuple[OrderCase, Result]:
    """Draw a session with named positions and run it, which is how its intents are made."""
    rng = Random(f"hedging {seed}")
    specs, rules, events, layouts = draw_market(rng)
    rules = replace(rules, orders=True, cash_account=rules.cash_account and rng.random() < 0.5)
    crowd = rng.random() < 0.05
    if crowd:
        events = events[:EVENTS_OF_A_CROWD]
        # A short series of drawn volumes might be zero throughout.
        events = [replace(event, volume=grid_value(3, specs[event.instrument].lot)) for event in events]
    trader = HedgingTrader(rng, specs, rules, crowd=crowd)
    result = run(specs, rules, events, START_NS, trader.answer)
    return OrderCase(seed, specs, rules, events, START_NS, trader.intents, layouts), result


def coverage_of_hedging(seeds: Sequence[int]) -> Counter[str]:
    """Return how often each rule fired over these seeds."""
    fired: Counter[str] = Counter()
    for seed in seeds:
        fired.update(draw_hedging_case(seed)[1].rules_fired)
    return fired


@dataclass
class HedgingTrader(Trader):
    """Answers as its base does, about a position by name each time. crowd: each order has a name of its own."""

    crowd: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        pool = ("a", "b-2", "T:3", "4.x", "_5")
        self.names = ("", *pool[: self.rng.randint(2, 4)])
        self.name = ""
        self.by_ticket = self.rng.random() < 0.25
        self.crowded = self.crowd or (self.crowded and not self.by_ticket)
        if self.crowd:
            self.eagerness = 0.7

    def draw(self, view: MomentView) -> list[Intent]:
        """Draw what is asked of one position; at times it is closed."""
        rng = self.rng
        self.name = rng.choice(self.names)
        held = [position for position in view.positions if position.name]
        if held and rng.random() < 0.22:
            return [self.closing(rng.choice(held))]
        return super().draw(view)

    def submission(self, view: MomentView, instrument: int, oco: str) -> Intent:
        """Draw a SUBMIT for the position of this name; it sees that one only."""
        rng = self.rng
        if rng.random() < 0.12:
            self.name = rng.choice(self.names)
        positions = [position for position in view.positions if position.name == self.name]
        return super().submission(replace(view, positions=positions), instrument, oco)

    def order(self, instrument: int, side: str, kind: str, **fields: object) -> Intent:
        """Give the order the name of the position, or a new one that no other has."""
        own = 0.8 if self.crowd else 0.5 if self.by_ticket else 0.0
        if not fields.get("reduce_only") and self.rng.random() < own:
            self.name = f"t{len(self.submitted)}"
        return super().order(instrument, side, kind, **fields, position=self.name)

    def closing(self, position: PositionView) -> Intent:
        """Close a position, or a part of it, or more than it has, by its name."""
        rng, name = self.rng, self.name
        self.name = position.name
        tick, lot = (
            grid_value(1, self.specs[position.instrument].tick),
            grid_value(1, self.specs[position.instrument].lot),
        )
        buy = position.side == "SELL"
        bid, ask = self.quotes.get(position.instrument, (position.entry_price,) * 2)
        kind = rng.choice(("MARKET", "MARKET", "LIMIT"))
        price = positive(ask - tick if buy else bid + tick, tick) if kind == "LIMIT" else None
        side = "BUY" if buy else "SELL"
        intent = self.order(position.instrument, side, kind, price=price, reduce_only=True)
        self.submitted[-1] = replace(intent, qty=rng.choice((position.qty, position.qty, position.qty + lot, lot)))
        self.name = name
        return self.submitted[-1]

    def protection(self, view: MomentView) -> Intent:
        """Draw a PROTECT for a position by its name; at times by one that no position bears."""
        intent = super().protection(view)
        if self.rng.random() < 0.1:
            return replace(intent, position=self.rng.choice((*self.names, "nobody")))
        return intent


def main(arguments: Sequence[str]) -> None:
    """Print the coverage over as many seeds as the first argument says, 300 by default."""
    count = int(arguments[0]) if arguments else 300
    fired = coverage_of_hedging(range(count))
    for name in sorted({*fired, *RULES_OF_HEDGING, *RULES_OF_ORDERS}):
        print(f"{fired[name]:8d}  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
