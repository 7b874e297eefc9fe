"""Buying and holding on the thinned tape against the same purchase settled event by event, on random tapes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from boxgate_engine.benchmark import Held, benchmarks
from boxgate_engine.frames import frame_duration_ns
from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.records import NO_EXPIRY, QUOTE, SIGNAL_ROW, Quotes
from boxgate_engine.rules import AccountRules, Latency, RateLegs, SwapTerms, TradingCosts
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Source, Tape

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
START_NS = 1_704_067_200_000_000_000 + 5 * HOUR_NS
SPAN_NS = 6 * DAY_NS
LOT = Fraction(1, 10_000)


def instrument(symbol: str, quote: str) -> Instrument:
    return Instrument(symbol=symbol, asset_class="crypto", quote_currency=quote, tick_size=Fraction(1, 4), lot_size=LOT)


INSTRUMENTS = [instrument("EURUSD", "USD"), instrument("AAA", "EUR"), instrument("BBB", "USD")]


def bars(random: np.random.Generator, number: int, frame: str, *, executes: bool, delivered: int) -> Source:
    step = frame_duration_ns(frame)
    opens_ns = START_NS + np.arange(0, SPAN_NS, step)
    opens_ns = opens_ns[random.random(len(opens_ns)) < 0.7]
    close = 100.0 + 0.25 * np.cumsum(random.integers(-3, 4, len(opens_ns)))
    open_ = close + 0.25 * random.integers(-2, 3, len(close))
    whole = executes and random.random() < 0.7
    return Source(
        instrument=number,
        frame=frame,
        columns={
            "open_ns": opens_ns,
            "open": open_,
            "high": np.maximum(open_, close) + 0.5,
            "low": np.minimum(open_, close) - 0.5,
            "close": close,
            "volume": np.ones(len(close)),
        },
        rows=slice(0, len(close)),
        executes=whole or (random.random(len(close)) < 0.6 if executes else False),
        spread=0.25,
        tick_size=Fraction(1, 4),
        delivered=delivered,
    )


def ticks(random: np.random.Generator, number: int, *, delivered: int) -> Source:
    # Whole quarters of an hour, so that ticks and bars often come at one time.
    times_ns = START_NS + np.sort(random.integers(0, SPAN_NS // (15 * MINUTE_NS), 300)) * 15 * MINUTE_NS
    bid = 100.0 + 0.25 * np.cumsum(random.integers(-3, 4, len(times_ns)))
    return Source(
        instrument=number,
        frame="tick",
        columns={"time_ns": times_ns, "bid": bid, "ask": bid + 0.5},
        rows=np.arange(0, len(bid), 2) if random.random() < 0.3 else slice(3, len(bid)),
        executes=True,
        spread=None,
        tick_size=Fraction(1, 4),
        delivered=delivered,
    )


def random_tape(random: np.random.Generator) -> tuple[Tape, int]:
    """A tape of one to three instruments, each filled by bars or by ticks; the ticks are often not delivered."""
    count, sources = int(random.integers(1, 4)), []
    for number in range(count):
        by_ticks = random.random() < 0.4
        sources.append(bars(random, number, "H1", executes=not by_ticks, delivered=2 * number))
        if by_ticks:
            sources.append(ticks(random, number, delivered=2 * number + 1 if random.random() < 0.3 else -1))
        if random.random() < 0.4:
            sources.append(bars(random, number, "H4", executes=False, delivered=6 + number))
    return Tape(sources), count


def random_rules(random: np.random.Generator, count: int) -> AccountRules:
    def stamps() -> tuple[np.ndarray, np.ndarray]:
        times = START_NS + np.unique(random.integers(0, SPAN_NS // (30 * MINUTE_NS), 12)) * 30 * MINUTE_NS
        return times, random.normal(0, 1e-3, len(times))

    def nights() -> tuple[np.ndarray, np.ndarray]:
        times = START_NS - 5 * HOUR_NS + np.arange(1, 6) * DAY_NS - random.integers(0, 2) * 3 * HOUR_NS
        return times, np.array([1, 1, 3, 1, 1])

    terms = SwapTerms(model="annual_rate", long=-0.05, short=0.01)
    return AccountRules(
        cash=10_000.0,
        leverage=30.0,
        costs=TradingCosts(taker_bps=2.0, slippage=1.0),
        rates=[None, RateLegs(first=0), None][:count] if count > 1 else (),
        funding=[stamps() for _ in range(count)] if random.random() < 0.5 else (),
        swap=[terms] * count if random.random() < 0.5 else (),
        swap_stamps=[nights() for _ in range(count)],
        latency=Latency(fixed_ns=int(random.integers(0, 3)) * HOUR_NS),
    )


def held_in_full(rules: AccountRules, tape: Tape, count: int, index: int, lots: int) -> Simulation:
    """Settle every moment of the tape, one by one until the decision is made."""
    own = AccountRules(**{**vars(rules), "leverage": 1e9})
    simulation = Simulation(INSTRUMENTS[:count], own, start_ns=START_NS)
    decision = np.zeros(1, SIGNAL_ROW)
    decision["instrument"], decision["side"], decision["lots"] = index, 1, lots
    decision["valid_until_ns"] = NO_EXPIRY
    nothing = np.zeros(0, SIGNAL_ROW)
    decided = False

    def decide(quotes: Quotes, moment: int) -> bool:
        if not simulation.sim.book["unit"][index]:
            return False
        decision["event"] = quotes.moment_start[moment + 1] - 1
        simulation.advance(quotes, decision, moment, moment + 1, settled=1)
        return True

    begin = np.zeros(1, QUOTE)
    begin["time_ns"] = begin["open_ns"] = START_NS
    begin["seq"], begin["instrument"] = -1, index
    if simulation.sim.book["unit"][index]:
        decision["event"] = 0
        simulation.advance(Quotes(begin, np.array([0, 1]), np.zeros(1, np.uint8)), decision, 0, 1)
        decided = True
    start = 0
    while start < tape.merged_events:
        quotes = tape.chunk(start, 37).quotes
        for moment in range(len(quotes.delivered)):
            simulation.advance(quotes, nothing, moment, moment + 1)
            decided = decided or decide(quotes, moment)
        start += len(quotes.events)
    return simulation


def day_ends(simulation: Simulation) -> tuple[list[int], list[float]]:
    curve = simulation.curve
    last = {int(time_ns) // DAY_NS: k for k, time_ns in enumerate(curve["time_ns"])}
    shown = sorted({0, *last.values()})
    return [int(curve["time_ns"][k]) for k in shown], [float(curve["equity"][k]) for k in shown]


def checked(held: Held, simulation: Simulation) -> None:
    account, fills = simulation.sim.account[0], simulation.sim.fills[: int(simulation.sim.account["fills"][0])]
    times_ns, equity = day_ends(simulation)
    assert held.times_ns.tolist() == times_ns
    assert held.equity.tolist() == equity
    assert (held.funding, held.swap) == (-float(account["funding_sum"]), -float(account["swap_sum"]))
    assert (held.fees, held.spread) == (float(account["fee_sum"]), float(account["spread_sum"]))
    bought = fills[fills["direction"] > 0]
    assert held.entry_time_ns == int(bought["time_ns"][0])
    assert held.entry_price == pytest.approx(float(bought["price"][0]))


@pytest.mark.parametrize("key", range(60))
@pytest.mark.parametrize("sold", [False, True])
def test_days_costs_and_stamps_are_those_of_every_event_settled(key: int, sold: bool) -> None:
    random = np.random.Generator(np.random.Philox(key=key))
    tape, count = random_tape(random)
    rules = random_rules(random, count)
    found = benchmarks(INSTRUMENTS[:count], rules, tape, start_ns=START_NS, close_at_end=sold)
    for held in found:
        index = [one.symbol for one in INSTRUMENTS].index(held.instrument)
        bought = held.qty
        simulation = held_in_full(rules, tape, count, index, round(bought / float(LOT)))
        if sold:
            simulation.close_all(tape.events - 1)
        checked(held, simulation)


def test_the_random_tapes_pay_funding_and_swap_and_hold_every_instrument() -> None:
    paid, names = set(), set()
    for key in range(40):
        random = np.random.Generator(np.random.Philox(key=key))
        tape, count = random_tape(random)
        rules = random_rules(random, count)
        for held in benchmarks(INSTRUMENTS[:count], rules, tape, start_ns=START_NS, close_at_end=False):
            names.add(held.instrument)
            paid |= {name for name in ("funding", "swap") if getattr(held, name)}
    assert (paid, names) == ({"funding", "swap"}, {"EURUSD", "AAA", "BBB"})
