"""Where windows are cut must not show: lockstep equals windows, on random strategies with and without FEEDBACK."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxgate_sdk import Bar, Signal, Strategy, Tick
from boxgate_sdk.testing import InProcess, OverSocket, Run, tick

_MINUTE_NS = 60_000_000_000


class Dice(Strategy):
    """Reads all that it may at every event, draws, and answers at random."""

    def supports(self) -> tuple[str, ...]:
        return ("RESET", "TICKS")

    def on_init(self, ctx: Any) -> None:
        self.seen: list[Any] = []
        self.state = 0.0

    def on_event(self, event: Bar | Tick) -> list[Signal] | None:
        ctx, rng = self.ctx, self.ctx.rng
        price = event.bid if isinstance(event, Tick) else event.close
        self.state = 0.9 * self.state + rng.random() * price
        self.seen.append((event.seq, self.state, *self.view(event)))
        if rng.random() < 0.7:
            return None
        signals = []
        for _ in range(rng.integers(1, 3)):
            symbol = rng.choice(list(ctx.instruments))
            up = rng.choice((1, -1))
            if rng.random() < 0.3:
                signals.append(Signal.flat(instrument=symbol))
                continue
            sl = price * (1 - up * 0.001 * rng.uniform(0.5, 1)) if rng.random() < 0.5 else None
            tp = price * (1 + up * 0.001 * rng.uniform(0.5, 1)) if rng.random() < 0.5 else None
            make = Signal.buy if up > 0 else Signal.sell
            signals.append(
                make(
                    rng.choice((1.0, 2.0)),
                    price=price * (1 - up * 0.0003) if rng.random() < 0.3 else None,
                    sl=sl,
                    tp=tp,
                    valid_until_ns=event.time_ns + 3 * _MINUTE_NS if rng.random() < 0.2 else None,
                    adjust_only=rng.random() < 0.2,
                    instrument=symbol,
                )
            )
        return signals

    def view(self, event: Bar | Tick) -> tuple[Any, ...]:
        return ()

    def on_stop(self) -> dict[str, Any]:
        return {"seen": [str(row) for row in self.seen]}


class FeedbackDice(Dice):
    def requires(self) -> tuple[str, ...]:
        return ("FEEDBACK",)

    def view(self, event: Bar | Tick) -> tuple[Any, ...]:
        ctx = self.ctx
        account = ctx.account
        profit = [ctx.unrealised(symbol) for symbol in ctx.instruments]
        if profit[0] < 0.0:
            ctx.rng.random()
        return (account, ctx.equity, ctx.free_margin, *profit)


@st.composite
def _tapes(draw: st.DrawFn) -> list[Bar | Tick]:
    from boxgate_sdk.testing import bar

    symbols = ["EURUSD", "GBPUSD", "XAUUSD"][: draw(st.integers(1, 3))]
    with_ticks = draw(st.booleans())
    prices = dict.fromkeys(symbols, 1.0)
    events: list[Bar | Tick] = []
    for minute in range(draw(st.integers(1, 40))):
        at = minute * _MINUTE_NS
        for symbol in symbols:
            if draw(st.integers(0, 9)) == 0 and len(events) > 0:
                continue
            move = draw(st.integers(-10, 10)) / 10_000
            prices[symbol] = round(prices[symbol] + move, 4)
            events.append(bar(prices[symbol], open=prices[symbol] - move, open_ns=at, symbol=symbol))
        if with_ticks:
            for _ in range(draw(st.integers(0, 2))):
                moved = prices[symbols[0]] + draw(st.integers(-5, 5)) / 10_000
                events.append(tick(moved, moved + 0.0001, time_ns=at + _MINUTE_NS, symbol=symbols[0]))
    return events


def _facts(run: Run) -> tuple[Any, ...]:
    return run.signals, run.report, run.final_cash, run.discarded


@given(tape=_tapes(), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=5), seed=st.integers(0, 2**53 - 1))
def test_windows_equal_lockstep_with_feedback(tape: list[Bar | Tick], cuts: list[int], seed: int) -> None:
    if not tape:
        return
    warmup = 0 if tape[0].is_tick else len([event for event in tape if event.time_ns == tape[0].time_ns]) % 2
    lockstep = InProcess(FeedbackDice, seed=seed, warmup=warmup).run(tape, windows=1)
    assert _facts(InProcess(FeedbackDice, seed=seed, warmup=warmup).run(tape, windows=cuts)) == _facts(lockstep)


@given(tape=_tapes(), cuts=st.lists(st.integers(1, 30), min_size=1, max_size=5), seed=st.integers(0, 2**53 - 1))
def test_windows_equal_lockstep_without_feedback(tape: list[Bar | Tick], cuts: list[int], seed: int) -> None:
    if not tape:
        return
    lockstep = InProcess(Dice, seed=seed).run(tape, windows=1)
    assert _facts(InProcess(Dice, seed=seed).run(tape, windows=cuts)) == _facts(lockstep)


@pytest.mark.parametrize("strategy", [Dice, FeedbackDice])
def test_a_real_socket_gives_what_the_process_gives(strategy: type[Strategy], two_symbols: list[Bar]) -> None:
    inside = InProcess(strategy, warmup=10).run(two_symbols[:400], windows=[5, 90])
    outside = OverSocket(strategy, warmup=10).run(two_symbols[:400], windows=[5, 90])
    assert _facts(outside) == _facts(inside)
    assert inside.windows == outside.windows


def test_the_account_changes_often_enough_to_matter(two_symbols: list[Bar]) -> None:
    run = InProcess(FeedbackDice).run(two_symbols[:500], windows=4096)
    assert run.windows > 100
    assert len(run.signals) > 100
