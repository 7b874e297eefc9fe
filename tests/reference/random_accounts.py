"""Random cases of accounts: tariffs, slippage, hours' spreads, conversion, margin, liquidation, funding and swap.

`random_account_case(seed)` draws instruments, tape and signals as `random_case` does, and rules that reach into
everything that an account has. The same seed gives the same case.

As a command, `python tests/reference/random_accounts.py [SEEDS]`, it prints in how many cases each feature occurs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from grids import grid_value
from loop import sort_tape
from random_tapes import (
    FIVE_MINUTES_NS,
    LAYOUTS,
    MINUTE_NS,
    START_NS,
    Case,
    draw_events,
    draw_rules,
    draw_signals,
    draw_spec,
    run_case,
)
from terms import Event, Fees, FundingStamps, Rules, Slippage, Spec, Spread, SwapStamps, SwapTerms

MARKETS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("USDJPY", "JPY"),),
    (("USDJPY", "JPY"), ("EURUSD", "USD")),
    (("EURGBP", "GBP"), ("GBPUSD", "USD")),
    (("DAX", "EUR"), ("EURUSD", "USD")),
    (("NIKKEI", "JPY"), ("USDJPY", "JPY")),
    (("EURJPY", "JPY"), ("EURUSD", "USD")),
    (("DAX", "EUR"), ("EURGBP", "GBP"), ("GBPUSD", "USD")),
    (("CADJPY", "JPY"), ("EURJPY", "JPY"), ("EURUSD", "USD"), ("USDCAD", "CAD")),
    (("BTCUSDT", "USDT"), ("ETHBTC", "BTC"), ("SOLUSD", "USD")),
    (("SMI", "CHF"), ("EURCHF", "CHF"), ("EURUSD", "USD"), ("USDCHF", "CHF")),
    (("A", ""), ("B", ""), ("C", "")),
    (("A", ""), ("B", "")),
    (("A", ""),),
)
"""Symbols and quote currencies in a USD account: direct, inverse, cross, the own rate, and one currency only."""

FEATURES = (
    "FUNDING",
    "FUNDING_before_bar",
    "FUNDING_several_per_bar",
    "FUNDING_without_position",
    "SWAP",
    "SWAP_annual_rate",
    "SWAP_money_per_lot",
    "SWAP_points",
    "fee_minimum",
    "fee_rebate",
    "fill_LIQUIDATION",
    "gap_LIQUIDATION",
    "inside_touch_LIQUIDATION",
    "isolated",
    "isolated_liquidation",
    "leverages",
    "liquidated_at_marks",
    "liquidation_fee",
    "margin_call",
    "rate_direct",
    "rate_inverse",
    "rate_of_its_own",
    "rate_two_legs",
    "rejected_at_fill_INSUFFICIENT_MARGIN",
    "rejected_at_fill_RATE_UNKNOWN",
    "slipped_impact",
    "slipped_on_no_volume",
    "slipped_ticks",
    "slipped_volume_share",
    "spread_hours",
    "three_instruments",
)
"""What must occur in a few percent of the cases; a test holds the generator to it."""


def random_account_case(seed: int) -> Case:
    """Draw one run of an account; everything comes from `random.Random(seed)`."""
    rng = Random(f"account {seed}")
    market = list(rng.choice(MARKETS))
    rng.shuffle(market)
    specs = [replace(draw_spec(rng, symbol), quote=quote) for symbol, quote in market]
    levels = [rng.choice((40, 100, 1000)) for _ in specs]
    has_ask = rng.random() < 0.7
    storm = rng.random() < 0.3
    layouts = ["minutes" if storm else rng.choice(LAYOUTS) for _ in specs]
    events: list[Event] = []
    for instrument, spec in enumerate(specs):
        minutes = rng.randint(150, 240) // len(specs) * (4 if layouts[instrument] == "five_minutes" else 1)
        series = draw_events(rng, instrument, spec.tick, levels[instrument], has_ask, layouts[instrument], minutes)
        if rng.random() < 0.25:
            # It begins later than the others, which are converted by it.
            late_ns = FIVE_MINUTES_NS * rng.randint(2, 8)
            series = [
                replace(event, time_ns=event.time_ns + late_ns, open_ns=event.open_ns + late_ns) for event in series
            ]
        events += [replace(event, volume=rng.choice((0.0, 1.0, 2.5, 7.0, 40.0))) for event in series]
    events = sort_tape(events)
    rules = draw_account_rules(rng, draw_rules(rng, specs, levels, has_ask), specs, levels, events)
    if any(terms.model in ("volume_share", "impact") for terms in rules.slippage):
        # A short series might draw zeros only: the last event of each never does.
        last = {event.instrument: place for place, event in enumerate(events) if event.execution}
        events = [replace(event, volume=3.0) if place in last.values() else event for place, event in enumerate(events)]
    signals = draw_signals(rng, specs, events)
    if storm:
        # Nothing closes the positions but signals and the account itself.
        rules = replace(rules, margin_mode="cross", maintenance=0.95, margin_call=rng.choice((0.0, 1.0, 1.3)))
        signals = {
            seq: [replace(signal, sl=None, tp=None, price=None) for signal in answer] for seq, answer in signals.items()
        }
    return Case(seed, specs, rules, events, START_NS, signals, layouts)


def occurrences(seeds: Sequence[int]) -> Counter[str]:
    """Return in how many of these cases each feature occurs."""
    found: Counter[str] = Counter()
    for seed in seeds:
        case = random_account_case(seed)
        result = run_case(case)
        rules = case.rules
        names = {name for name, count in result.rules_fired.items() if count}
        if any(flow.kind == "FUNDING" for flow in result.flows):
            times = Counter((flow.instrument, flow.seq) for flow in result.flows if flow.kind == "FUNDING")
            names |= {"FUNDING_several_per_bar"} if max(times.values()) > 1 else set()
        opens = {(event.instrument, event.time_ns): event.open_ns for event in case.events if event.execution}
        for flow in result.flows:
            close_ns = min(
                time_ns for instrument, time_ns in opens if instrument == flow.instrument and time_ns >= flow.time_ns
            )
            if flow.kind == "FUNDING" and flow.time_ns <= opens[flow.instrument, close_ns]:
                names.add("FUNDING_before_bar")
        names |= (
            {"rate_two_legs"} if any(name.count("direct") + name.count("inverse") == 2 for name in names) else set()
        )
        names |= {"isolated"} if rules.margin_mode == "isolated" else set()
        names |= {"isolated_liquidation"} if {"isolated", "fill_LIQUIDATION"} <= names else set()
        names |= {"liquidation_fee"} if rules.liquidation_fee_bps and "fill_LIQUIDATION" in names else set()
        names |= {"leverages"} if rules.leverages else set()
        names |= {"three_instruments"} if len(case.specs) >= 3 else set()
        names |= {f"spread_{rules.spread[0]}"}
        found.update(names)
    return found


def draw_account_rules(
    rng: Random, rules: Rules, specs: Sequence[Spec], levels: Sequence[int], events: Sequence[Event]
) -> Rules:
    """Replace the account's rules; the cash holds a few positions, so that margin is short and lost at times."""
    leverage = rng.choice((1.0, 3.3, 10.0, 30.0, 30.0))
    leverages = tuple(rng.choice((3.3, 10.0, 30.0)) for _ in specs) if rng.random() < 0.5 else ()
    maintenance = rng.choice((0.0, 0.5, 0.95, 0.95))
    call = rng.choice((0.0, 1.0, 1.5)) if maintenance else rng.choice((0.0, 0.0, 1.2))
    worth = max(
        grid_value(level, spec.tick)
        * grid_value(1, spec.lot)
        * grid_value(1, spec.contract)
        * _rough_rate(specs, levels, place)
        for place, (spec, level) in enumerate(zip(specs, levels, strict=True))
    )
    used = min(leverages, default=leverage)
    return replace(
        rules,
        spread=_spread(rng, rules.spread),
        leverage=leverage,
        leverages=leverages,
        cash=max(worth * rng.choice((2.0, 4.0, 6.0, 8.0, 60.0)) / used, 1e-6),
        cash_account=rng.random() < 0.04,
        fees=tuple(_fees(rng, worth) for _ in specs) if rng.random() < 0.7 else (),
        slippage=tuple(_slippage(rng) for _ in specs) if rng.random() < 0.7 else (),
        equivalents=(("USD", "USDT"),),
        margin_mode=rng.choice(("cross", "cross", "cross", "isolated")),
        maintenance=maintenance,
        margin_call=call,
        liquidation_fee_bps=rng.choice((0.0, 0.0, 25.0)),
        funding=tuple(_funding(rng, events) for _ in specs) if rng.random() < 0.6 else (),
        swap_terms=tuple(_swap_terms(rng, worth) for _ in specs),
        swap_stamps=tuple(_swap_stamps(rng, events) for _ in specs),
    )


def _rough_rate(specs: Sequence[Spec], levels: Sequence[int], place: int) -> float:
    """Return what its quote currency is worth at the start where one leg gives it, else 1."""
    quote = specs[place].quote
    for spec, level in zip(specs, levels, strict=True):
        if quote not in ("", "USD") and spec.symbol == f"USD{quote}":
            return 1 / grid_value(level, spec.tick)
        if quote not in ("", "USD") and spec.symbol == f"{quote}USD":
            return grid_value(level, spec.tick)
    return 1.0


def _spread(rng: Random, spread: Spread) -> Spread:
    if rng.random() < 0.7:
        return spread
    return ("hours", tuple(rng.choice((0.0, 1.0, 1.5, 2.0, 0.3)) for _ in range(168)))


def _fees(rng: Random, worth: float) -> Fees:
    """Draw a tariff; the maker gets a rebate at times, which goes without minimum and parts that outweigh it."""
    maker_bps = rng.choice((-2.0, 0.0, 1.5, 5.0))
    return Fees(
        maker_bps=maker_bps,
        taker_bps=rng.choice((0.0, 3.0, 10.0)),
        per_lot=rng.choice((0.0, worth * 1e-3)),
        lot_qty=rng.choice((1.0, 100_000.0)),
        per_fill=rng.choice((0.0, 0.0, worth * 1e-4)),
        minimum=0.0 if maker_bps < 0 else rng.choice((0.0, worth * 2e-3)),
    )


def _slippage(rng: Random) -> Slippage:
    model = rng.choice(("bps", "ticks", "volume_share", "impact"))
    value = {"bps": 20.0, "ticks": float(rng.randint(0, 3)), "volume_share": 0.02, "impact": 0.03}[model]
    return Slippage(model, value)


def _funding(rng: Random, events: Sequence[Event]) -> FundingStamps:
    """Draw stamps: some at or before the start, at opens and closes, in gaps and inside bars."""
    return tuple((time_ns, rng.choice((-0.03, 0.0001, 0.003, 0.03))) for time_ns in _times(rng, events, 0.12))


def _swap_stamps(rng: Random, events: Sequence[Event]) -> SwapStamps:
    return tuple((time_ns, rng.choice((1, 1, 1, 3))) for time_ns in _times(rng, events, 0.05))


def _swap_terms(rng: Random, worth: float) -> SwapTerms | None:
    model = rng.choice(("points", "money_per_lot", "annual_rate", None))
    if model is None:
        return None
    scale = {"points": 0.3, "money_per_lot": worth * 1e-3, "annual_rate": 0.05}[model]
    long, short = (scale * rng.choice((-1.0, 0.7, -0.4, 0.0)) for _ in range(2))
    return SwapTerms(model, long, short, rng.choice((1.0, 100_000.0)))


def _times(rng: Random, events: Sequence[Event], share: float) -> list[int]:
    first_ns, last_ns = START_NS - MINUTE_NS, events[-1].time_ns
    minutes = range(first_ns, last_ns, MINUTE_NS)
    return sorted(
        minute + rng.choice((0, 0, 1, MINUTE_NS // 2, MINUTE_NS - 1))
        for minute in minutes
        for _ in range(2)
        if rng.random() < share / 2
    )


def main(arguments: Sequence[str]) -> None:
    """Print in how many cases each feature occurs, of as many seeds as the first argument says, 500 by default."""
    count = int(arguments[0]) if arguments else 500
    found = occurrences(range(count))
    for name in sorted({*found, *FEATURES}):
        print(f"{found[name] / count:7.1%}  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
