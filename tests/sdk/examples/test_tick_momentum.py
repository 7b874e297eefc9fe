"""Tick momentum: its entries against a plain loop, its filters, its exits by time, and every cut of the tape."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from boxgate_sdk import Side, Tick, errors
from boxgate_sdk.testing import InProcess, Run, bar, tick

Example = Callable[[str], ModuleType]

SECOND_NS = 1_000_000_000
START_NS = 1_704_067_200_000_000_000
PARAMS = {
    "length": 3,
    "span_seconds": 10.0,
    "entry_bps": 2.0,
    "spread_max_bps": 1.5,
    "hold_seconds": 4.0,
    "fill_seconds": 2.0,
    "stop_bps": 10.0,
}


def run(example: Example, ticks: list[Tick], *, windows: Any = 4096, warmup: int = 0, **params: Any) -> Run:
    strategy = example("tick_momentum").TickMomentum
    return InProcess(strategy, {**PARAMS, **params}, warmup=warmup).run(ticks, windows=windows)


def quotes(bids: list[float], *, spread: float = 0.0001, seconds: float = 1.0) -> list[Tick]:
    step_ns = round(seconds * SECOND_NS)
    return [tick(bid, bid + spread, time_ns=START_NS + i * step_ns) for i, bid in enumerate(bids)]


def walk(n: int, seed: int = 1, symbol: str = "EURUSD") -> list[Tick]:
    """Return ticks at random times with random spreads, some of them at one instant and some without a quote."""
    generator = random.Random(seed)
    time_ns, price, made = START_NS, 1.1, []
    for _ in range(n):
        time_ns += generator.choice([0, 100_000_000, SECOND_NS, 9 * SECOND_NS])
        price = round(price + generator.gauss(0.0, 8e-5), 5)
        spread = generator.choice([0.0, 0.00005, 0.0001, 0.0003])
        ask = float("nan") if generator.random() < 0.01 else round(price + spread, 5)
        made.append(tick(price, ask, time_ns=time_ns, symbol=symbol))
    return made


def test_a_quick_move_is_followed_for_its_time(example: Example) -> None:
    done = run(example, quotes([1.0, 1.0, 1.0, 1.0, 1.0005, 1.0006, 1.0007, 1.0008, 1.0009, 1.001]))
    assert [(s.seq, s.side) for s in done.signals] == [(4, Side.BUY), (8, Side.FLAT)]
    entry = done.signals[0]
    assert entry.sl == pytest.approx(1.0005 * (1 - 0.001), abs=1e-5)
    assert entry.valid_until_ns == START_NS + (4 + 2) * SECOND_NS


def test_a_fall_is_sold_with_its_stop_above_the_ask(example: Example) -> None:
    entry = run(example, quotes([1.0, 1.0, 1.0, 1.0, 0.9995])).signals[0]
    assert entry.side is Side.SELL
    assert entry.sl == pytest.approx(0.9996 * (1 + 0.001), abs=1e-5)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (quotes([1.0, 1.0, 1.0, 1.0, 1.0005], spread=0.0002), "the spread is wide"),
        (quotes([1.0, 1.0, 1.0, 1.0, 1.0005], seconds=4.0), "it took too long"),
        (quotes([1.0, 1.0, 1.0, 1.0, 1.00015]), "the move is small"),
        (quotes([1.0, 1.0005, 1.0005]), "there are too few ticks"),
        (quotes([1.0, 1.0005, 1.001, 1.0015, 1.002]), "the move was there before the strategy was"),
    ],
)
def test_nothing_is_done_where(example: Example, made: list[Tick], why: str) -> None:
    assert run(example, made).signals == [], why


def test_a_move_is_traded_once(example: Example) -> None:
    on_and_on = [1.0] * 4 + [round(1.0 + 0.0004 * i, 5) for i in range(1, 30)]
    assert [s.side for s in run(example, quotes(on_and_on)).signals] == [Side.BUY, Side.FLAT]


def test_entries_and_exits_are_those_of_a_plain_loop(example: Example) -> None:
    ticks = walk(4000)
    valid = [(i, t) for i, t in enumerate(ticks) if t.ask >= t.bid]
    expected: list[tuple[int, Side]] = []
    until: int | None = None
    armed = False
    for k in range(3, len(valid)):
        i, now = valid[k]
        then = valid[k - 3][1]
        middle, before = (now.bid + now.ask) / 2, (then.bid + then.ask) / 2
        large = abs((middle - before) / before * 1e4) >= 2.0
        if until is not None:
            if now.time_ns >= until:
                expected.append((i, Side.FLAT))
                until = None
        elif (
            large
            and armed
            and now.time_ns - then.time_ns <= 10 * SECOND_NS
            and (now.ask - now.bid) / middle * 1e4 <= 1.5
        ):
            expected.append((i, Side.BUY if middle > before else Side.SELL))
            until, armed = now.time_ns + 4 * SECOND_NS, False
        armed = armed or not large
    assert len(expected) > 100
    assert [(s.seq, s.side) for s in run(example, ticks).signals] == expected


def test_every_cut_of_two_instruments_is_answered_equally(example: Example) -> None:
    both = sorted(walk(1500) + walk(1500, 2, "GBPUSD"), key=lambda t: (t.time_ns, t.symbol))
    runs = [run(example, both, windows=windows, warmup=100).signals for windows in (1, [1, 2, 3, 50], 4096)]
    assert runs[0] == runs[1] == runs[2]
    assert {signal.symbol for signal in runs[0]} == {"EURUSD", "GBPUSD"}
    assert len(runs[0]) > 50


def test_bars_alone_are_refused_and_so_are_moves_that_do_not_pay(example: Example) -> None:
    strategy = example("tick_momentum").TickMomentum
    with pytest.raises(errors.Refusal, match="no ticks"):
        InProcess(strategy).run([bar(1.0)])
    with pytest.raises(errors.ParameterConflict, match="spread_max_bps"):
        run(example, quotes([1.0]), entry_bps=1.5)
    with pytest.raises(errors.ParameterConflict, match="hold_seconds"):
        run(example, quotes([1.0]), fill_seconds=5.0)
