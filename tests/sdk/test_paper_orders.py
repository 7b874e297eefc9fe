"""The paper account of orders: when what fills at which price, and positions of several names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from boxgate_sdk import Bar, Intent, IntentKind, IntentStrategy, OrderType, Side, Strategy, Tick, TimeInForce, errors
from boxgate_sdk.testing import InProcess, OverSocket, Run, bar, bars, tick
from boxgate_sdk.testing.events import START_NS

Steps = dict[int, Callable[[Any], object]]
MINUTE = 60_000_000_000


def scripted(steps: Steps, *, named: bool = True) -> type[IntentStrategy]:
    """Return a strategy that does steps[n] at the event n."""

    class Scripted(IntentStrategy):
        hedging = named

        def on_bar(self, bar: Bar) -> None:
            steps.get(bar.seq, lambda ctx: None)(self.ctx)

        def on_tick(self, tick: Tick) -> None:
            steps.get(tick.seq, lambda ctx: None)(self.ctx)

    return Scripted


def fills(run: Run) -> list[tuple[Any, ...]]:
    return [(u.seq, u.position, u.side, u.qty, u.price, u.fill_reason) for u in run.updates if u.kind == "FILL"]


def shaped(*shapes: tuple[float, float, float, float]) -> list[Bar]:
    """Return bars of (open, high, low, close), one after the other."""
    return [
        bar(close, open=first, high=high, low=low, open_ns=START_NS + i * MINUTE)
        for i, (first, high, low, close) in enumerate(shapes)
    ]


FLAT = (1.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("order", "shape", "price"),
    [
        (lambda c: c.market(Side.BUY, 1.0), (1.1, 1.2, 1.0, 1.1), 1.1),
        (lambda c: c.limit(Side.BUY, 1.0, 0.9), (1.0, 1.0, 0.89, 1.0), 0.9),
        (lambda c: c.limit(Side.BUY, 1.0, 0.9), (0.8, 1.0, 0.8, 1.0), 0.8),
        (lambda c: c.limit(Side.BUY, 1.0, 0.9), (1.0, 1.0, 0.91, 1.0), None),
        (lambda c: c.limit(Side.SELL, 1.0, 1.1), (1.0, 1.1, 1.0, 1.0), 1.1),
        (lambda c: c.stop(Side.BUY, 1.0, 1.1), (1.0, 1.2, 1.0, 1.0), 1.1),
        (lambda c: c.stop(Side.BUY, 1.0, 1.1), (1.15, 1.2, 1.0, 1.0), 1.15),
        (lambda c: c.stop(Side.SELL, 1.0, 0.9), (0.85, 1.2, 0.8, 1.0), 0.85),
        (lambda c: c.stop_limit(Side.BUY, 1.0, 1.1, 1.05), (1.0, 1.2, 1.0, 1.0), None),
        (lambda c: c.trailing_stop(Side.SELL, 1.0, 0.1), (1.0, 1.0, 0.9, 1.0), 0.9),
        (lambda c: c.limit(Side.BUY, 1.0, 0.9, tif=TimeInForce.IOC), (1.0, 1.0, 0.8, 0.8), None),
        (lambda c: c.limit(Side.BUY, 1.0, 0.9, tif=TimeInForce.FOK), (0.9, 1.0, 0.8, 0.8), 0.9),
        (lambda c: c.market(Side.BUY, 1.0, reduce_only=True), FLAT, None),
    ],
)
def test_an_order_fills_at_its_price_or_the_open(
    order: Callable[[Any], object], shape: tuple[float, float, float, float], price: float | None
) -> None:
    run = InProcess(scripted({0: order})).run([*shaped(FLAT, shape), bar(1.0, open_ns=START_NS + 2 * MINUTE)])
    expected = [] if price is None else [(1, price)]
    assert [(seq, at) for seq, _, _, _, at, _ in fills(run) if seq == 1] == expected


def test_a_stop_limit_is_a_limit_from_the_bar_behind_its_trigger() -> None:
    run = InProcess(scripted({0: lambda c: c.stop_limit(Side.BUY, 1.0, 1.1, 1.05)})).run(
        shaped(FLAT, (1.0, 1.2, 1.0, 1.2), (1.2, 1.2, 1.0, 1.1))
    )
    assert fills(run) == [(2, "", Side.BUY, 1.0, 1.05, "ENTRY")]


def test_a_trailing_stop_follows_the_closes() -> None:
    steps: Steps = {0: lambda c: c.market(Side.BUY, 1.0, risk_trail=0.1)}
    run = InProcess(scripted(steps)).run(
        shaped(FLAT, (1.0, 1.3, 1.0, 1.2), (1.2, 1.2, 1.15, 1.15), (1.15, 1.15, 1.0, 1.0))
    )
    assert fills(run)[1:] == [(3, "", Side.SELL, 1.0, pytest.approx(1.1), "STOP_LOSS")]


def test_longs_and_shorts_of_several_names_stand_beside_each_other() -> None:
    def opening(ctx: Any) -> None:
        ctx.market(Side.BUY, 1.0, position="a", sl=0.9, tp=1.2)
        ctx.market(Side.SELL, 2.0, position="b", sl=1.1, tp=0.5)
        ctx.market(Side.BUY, 4.0)

    seen: list[Any] = []

    def look(ctx: Any) -> None:
        seen.extend((p.name, p.side, p.qty, p.sl, p.tp, ctx.unrealised("EURUSD", p.name)) for p in ctx.positions())
        seen.append(ctx.equity)

    run = InProcess(scripted({0: opening, 1: look, 2: lambda c: c.close(position="b")})).run(
        shaped(FLAT, (1.0, 1.05, 1.0, 1.05), (1.05, 1.05, 1.05, 1.05), (1.0, 1.25, 1.0, 1.25))
    )
    assert seen == [
        ("", Side.BUY, 4.0, None, None, pytest.approx(0.2)),
        ("a", Side.BUY, 1.0, 0.9, 1.2, pytest.approx(0.05)),
        ("b", Side.SELL, 2.0, 1.1, 0.5, pytest.approx(-0.1)),
        pytest.approx(100_000.15),
    ]
    # "b" is closed by its name at the open, before its own stop; "a" by its own target.
    assert fills(run)[3:] == [(3, "a", Side.SELL, 1.0, 1.2, "TAKE_PROFIT"), (3, "b", Side.BUY, 2.0, 1.0, "SIGNAL")]
    assert [(p.name, p.qty) for p in run.positions] == [("", 4.0)]
    assert run.final_cash == pytest.approx(100_000.2)


def test_an_oco_group_is_that_of_one_position() -> None:
    def orders(ctx: Any) -> None:
        for name in ("a", "b"):
            ctx.stop(Side.BUY, 1.0, 1.1, position=name, oco="pair")
            ctx.stop(Side.SELL, 1.0, 0.9, position=name, oco="pair")
        ctx.cancel("o3")

    run = InProcess(scripted({0: orders})).run(shaped(FLAT, (1.0, 1.1, 1.0, 1.1), (1.1, 1.1, 0.8, 0.8)))
    assert [(p, side) for _, p, side, *_ in fills(run)] == [("a", Side.BUY), ("b", Side.SELL)]
    cancelled = [(u.client_id, u.cancel_reason) for u in run.updates if u.kind == "CANCELLATION"]
    assert cancelled == [("o2", "OCO"), ("o3", "INTENT")]


def test_there_are_64_places_and_a_free_one_takes_another_name() -> None:
    def fill_all(ctx: Any) -> None:
        for i in range(65):
            ctx.market(Side.BUY, 1.0, position=f"t{i}")
        ctx.market(Side.BUY, 1.0)

    steps: Steps = {
        0: fill_all,
        1: lambda c: c.close(position="t5"),
        2: lambda c: c.market(Side.SELL, 1.0, position="n"),
    }
    run = InProcess(scripted(steps)).run(bars([1.0] * 4))
    refused = [(u.position, u.reject_reason) for u in run.updates if u.kind == "REJECTION"]
    assert refused == [("t64", "TOO_MANY_POSITIONS")]
    assert [p.name for p in run.positions] == ["", *(f"t{i}" if i != 5 else "n" for i in range(64))]


def test_a_protect_without_its_position_is_refused() -> None:
    steps: Steps = {
        0: lambda c: c.market(Side.BUY, 1.0, position="a"),
        1: lambda c: [c.protect(sl=0.9, position="a"), c.protect(sl=0.9, position="b"), c.protect(sl=0.9)],
    }
    run = InProcess(scripted(steps)).run(bars([1.0] * 3))
    refused = [(u.position, u.intent_kind, u.reject_reason) for u in run.updates if u.kind == "REJECTION"]
    assert refused == [("b", "PROTECT", "NO_POSITION"), ("", "PROTECT", "NO_POSITION")]
    assert [(p.name, p.sl) for p in run.positions] == [("a", 0.9)]


def test_what_the_market_has_passed_is_refused() -> None:
    def wrong(ctx: Any) -> None:
        ctx.stop(Side.BUY, 1.0, 0.9)
        ctx.limit(Side.BUY, 1.0, 1.1, post_only=True)
        ctx.market(Side.BUY, 1.0, sl=1.1)
        ctx.market(Side.BUY, 1.0, tp=0.9)
        ctx.market(Side.BUY, 0.001)

    run = InProcess(scripted({0: wrong})).run(bars([1.0] * 3))
    assert [u.reject_reason for u in run.updates] == [
        "STOP_PRICE_SIDE", "POST_ONLY", "STOP_LOSS_SIDE", "TAKE_PROFIT_SIDE", "QTY_BELOW_MINIMUM",
    ]  # fmt: skip


def test_an_order_can_be_changed_and_ends_with_its_day() -> None:
    orders: list[Any] = []
    steps: Steps = {
        0: lambda c: orders.append(c.limit(Side.BUY, 1.0, 0.5, tif=TimeInForce.DAY)),
        1: lambda c: c.replace(orders[0], price=0.6, qty=2.0),
        3: lambda c: orders.append(c.order("o1").status),
        4: lambda c: c.cancel("o1"),
    }
    events = bars([1.0] * 4) + bars([1.0] * 3, start_ns=START_NS + 86_400_000_000_000)
    run = InProcess(scripted(steps)).run(events)
    assert (orders[0].price, orders[0].qty, orders[0].status, orders[1]) == (0.6, 2.0, "EXPIRED", "WORKING")
    assert orders[0].refusal == "ORDER_NOT_WORKING"
    assert [u.kind for u in run.updates] == ["EXPIRY", "REJECTION"]


def test_a_waiting_call_meets_the_very_tick_in_process_and_over_a_socket() -> None:
    seen: list[Any] = []

    def act(ctx: Any) -> None:
        order = ctx.market(Side.BUY, 1.0, position="a", wait=True)
        seen.append((order.status, order.average_price, ctx.position(position="a"), ctx.unrealised("EURUSD", "a")))

    ticks = [tick(1.0 + i / 10, 1.05 + i / 10, time_ns=START_NS + i) for i in range(3)]
    for harness in (InProcess, OverSocket):
        run = harness(scripted({1: act})).run(ticks)
        assert fills(run) == [(1, "a", Side.BUY, 1.0, pytest.approx(1.15), "ENTRY")]
    assert seen == [("FILLED", pytest.approx(1.15), 1.0, pytest.approx(-0.05))] * 2


def test_the_cuts_of_the_tape_do_not_show(walk: Callable[..., list[Bar]]) -> None:
    class Busy(IntentStrategy):
        hedging = True

        def on_bar(self, bar: Bar) -> None:
            if bar.warmup or bar.seq % 7:
                return
            for name, away in (("", 2e-4), (f"t{bar.seq % 5}", 3e-4)):
                self.ctx.stop(Side.BUY, 1.0, bar.close + away, position=name, oco="x", tif=TimeInForce.DAY)
                self.ctx.limit(Side.SELL, 2.0, bar.close + away / 2, position=name, oco="x", risk_trail=4e-4)
            for position in self.ctx.positions()[:1]:
                self.ctx.close(position=position.name)

    tape = walk(400)
    runs = [InProcess(Busy, warmup=20).run(tape, windows=windows) for windows in (1, [1, 2, 50], 4096)]
    assert len(fills(runs[0])) > 50
    for run in runs[1:]:
        assert (run.intents, run.updates, run.final_cash) == (runs[0].intents, runs[0].updates, runs[0].final_cash)


def test_hedging_without_orders_is_not_offered() -> None:
    class Alone(Strategy):
        def on_event(self, event: Any) -> None:
            assert self.ctx.granted == {"RESET"}

        def supports(self) -> list[str]:
            return ["RESET", "HEDGING"]

    class Needed(Alone):
        def requires(self) -> list[str]:
            return ["HEDGING"]

    InProcess(Alone).run(bars([1.0]))
    with pytest.raises(errors.Refusal, match="HEDGING"):
        InProcess(Needed).run(bars([1.0]))


@pytest.mark.parametrize(
    ("intent", "what"),
    [
        (
            Intent(kind=IntentKind.SUBMIT, client_id="a", side=Side.BUY, type=OrderType.LIMIT, qty=1.0),
            "price is missing",
        ),
        (
            Intent(kind=IntentKind.SUBMIT, client_id="", side=Side.BUY, type=OrderType.MARKET, qty=1.0),
            "empty or in use",
        ),
        (Intent(kind=IntentKind.SUBMIT, client_id="a", side=Side.FLAT, type=OrderType.MARKET, qty=1.0), "neither BUY"),
        (Intent(kind=IntentKind.CANCEL, client_id="a"), "no order"),
        (Intent(kind=IntentKind.PROTECT, sl=-1.0), "sl is -1.0"),
        (Intent(kind=IntentKind.PROTECT, sl=1.0, position="a b"), "no name"),
        (Intent(kind=IntentKind.PROTECT, sl=1.0, instrument="EURUSD", position="x" * 65), "no name"),
    ],
)
def test_what_would_fail_a_run_is_an_error_that_says_what(intent: Intent, what: str) -> None:
    class Wrong(Strategy):
        def requires(self) -> list[str]:
            return ["ORDERS", "HEDGING"]

        def on_event(self, event: Any) -> Intent:
            return intent

    with pytest.raises(errors.SignalInvalid, match=what):
        InProcess(Wrong).run(bars([1.0]))
