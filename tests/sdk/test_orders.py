"""Orders, call by call, in a session of the SDK: what each turns into, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from boxgate_sdk import Bar, OrderStrategy, Side, errors
from boxgate_sdk.testing import InProcess, bars

Act = Callable[[Any, int], object]


def answers(act: Act, closes: list[float] | None = None, *, warmup: int = 0, **options: Any) -> list[tuple[Any, ...]]:
    """Return what comes of calls: act(ctx, n) at bar n. The paper account fills at the next bar's open."""

    class Acting(OrderStrategy):
        def on_start(self) -> None:
            self.n = -1

        def on_bar(self, bar: Bar) -> None:
            self.n += 1
            act(self.ctx, self.n)

    tape = bars(closes or [100.0] * 8)
    run = InProcess(Acting, tick_size=(1, 100), lot_size=(1, 10), warmup=warmup, **options).run(tape)
    assert not run.discarded
    return [(s.seq, s.side, s.qty or None, s.price, s.sl, s.tp) for s in run.signals]


def test_an_order_adds_to_what_is_held_and_the_bracket_stays() -> None:
    def act(ctx: Any, n: int) -> None:
        if n == 0:
            ctx.buy(1.0, sl=90.0, tp=120.0)
        elif n == 2:
            assert ctx.position() == 1.0
            assert ctx.buy(0.79) == 0.7
            assert ctx.position() == 1.0, "nothing has happened yet"

    assert answers(act) == [(0, Side.BUY, 1.0, None, 90.0, 120.0), (2, Side.BUY, 1.7, None, 90.0, 120.0)]


def test_a_sale_reduces_closes_or_reverses() -> None:
    def act(ctx: Any, n: int) -> None:
        if n == 0:
            ctx.buy(1.0, sl=90.0)
        elif n == 2:
            ctx.sell(0.4)
        elif n == 4:
            ctx.sell(1.0, sl=110.0)
        elif n == 6:
            ctx.buy(0.4)

    assert answers(act) == [
        (0, Side.BUY, 1.0, None, 90.0, None),
        (2, Side.BUY, 0.6, None, 90.0, None),
        (4, Side.SELL, 0.4, None, 110.0, None),
        (6, Side.FLAT, None, None, None, None),
    ]


def test_calls_of_one_event_are_one_target() -> None:
    def act(ctx: Any, n: int) -> None:
        if n == 0:
            ctx.buy(0.1)
            ctx.buy(0.2)
            ctx.buy(0.4)
            ctx.protect(sl=95.0)

    assert answers(act) == [(0, Side.BUY, 0.7, None, 95.0, None)]


def test_a_resting_order_is_replaced_by_cancelling_it_first() -> None:
    def act(ctx: Any, n: int) -> None:
        if n == 0:
            ctx.buy(1.0, price=90.0)
        elif n == 2:
            assert [order.price for order in ctx.orders] == [90.0]
            with pytest.raises(errors.OrderConflict, match="cancel"):
                ctx.buy(1.0, price=91.0)
            with pytest.raises(errors.OrderConflict):
                ctx.buy(1.0)
            ctx.cancel()
            ctx.buy(1.0, price=92.0)
        elif n == 4:
            ctx.cancel()

    assert answers(act) == [
        (0, Side.BUY, 1.0, 90.0, None, None),
        (2, Side.BUY, 1.0, 92.0, None, None),
        (4, Side.FLAT, None, None, None, None),
    ]


def test_a_limit_beside_a_market_order_of_one_event_is_refused() -> None:
    def act(ctx: Any, n: int) -> None:
        if n == 0:
            ctx.buy(1.0)
            with pytest.raises(errors.OrderConflict):
                ctx.buy(1.0, price=90.0)

    assert answers(act) == [(0, Side.BUY, 1.0, None, None, None)]


def test_closing_is_flat_and_says_nothing_where_nothing_is() -> None:
    def act(ctx: Any, n: int) -> None:
        if n in (0, 5):
            ctx.close_all()
        elif n == 1:
            ctx.sell(1.0)
        elif n == 3:
            ctx.close_all()

    assert answers(act) == [(1, Side.SELL, 1.0, None, None, None), (3, Side.FLAT, None, None, None, None)]


def test_a_bracket_is_moved_and_taken_away() -> None:
    def act(ctx: Any, n: int) -> None:
        if n == 0:
            ctx.buy(1.0, sl=90.0, tp=120.0)
        elif n == 2:
            ctx.protect(sl=95.0)
        elif n == 4:
            ctx.protect(tp=None)

    assert answers(act)[1:] == [(2, Side.BUY, 1.0, None, 95.0, 120.0), (4, Side.BUY, 1.0, None, 95.0, None)]


def test_profit_is_that_since_the_start() -> None:
    seen = []

    def act(ctx: Any, n: int) -> None:
        seen.append(ctx.pnl)
        if n == 0:
            ctx.buy(2.0)

    answers(act, [100.0, 100.0, 103.0, 101.0])
    assert seen == pytest.approx([0.0, 0.0, 6.0, 2.0])


def test_nothing_is_ordered_in_the_warm_up_or_below_the_smallest_lot() -> None:
    given = []

    def act(ctx: Any, n: int) -> None:
        given.append(ctx.buy(1.0 if n < 3 else 0.09))

    assert answers(act, warmup=3) == []
    assert set(given) == {0.0}


REFUSED: list[tuple[Act, type[errors.SdkError], str]] = [
    (lambda ctx, n: ctx.buy(-1.0), errors.OrderInvalid, "no sign"),
    (lambda ctx, n: ctx.buy(float("nan")), errors.OrderInvalid, "finite"),
    (lambda ctx, n: ctx.buy(1.0, "NZDCAD"), errors.InstrumentUnknown, "NZDCAD"),
    (lambda ctx, n: ctx.protect(sl=90.0), errors.OrderInvalid, "nothing in EURUSD"),
    (lambda ctx, n: ctx.buy(1.0, price=100.0, sl=100.0), errors.OrderConflict, "limit 100 is not above the stop loss"),
    (lambda ctx, n: ctx.sell(1.0, sl=100.0, tp=101.0), errors.OrderConflict, "not below"),
    (lambda ctx, n: (ctx.buy(2.0), ctx.sell(1.0, sl=110.0)), errors.OrderInvalid, "only reduces"),
]


@pytest.mark.parametrize(("act", "error", "words"), REFUSED)
def test_what_cannot_be_said_is_a_named_error(act: Act, error: type[errors.SdkError], words: str) -> None:
    with pytest.raises(error, match=words):
        answers(act)


def test_signals_are_no_answer_of_an_order_strategy_and_an_empty_one_is_refused() -> None:
    class Mixed(OrderStrategy):
        def on_bar(self, bar: Bar) -> Any:
            return 1

    class Empty(OrderStrategy):
        pass

    for wrong, words in ((Mixed, "on_bar returned int"), (Empty, "handles nothing")):
        with pytest.raises(errors.StrategyMistake, match=words):
            InProcess(wrong).run(bars([1.0, 1.1]))


def test_an_order_before_the_first_event_is_refused() -> None:
    class Early(OrderStrategy):
        def on_start(self) -> None:
            self.ctx.buy(1.0)

        def on_bar(self, bar: Bar) -> None:
            return None

    with pytest.raises(errors.OutsideEvent):
        InProcess(Early).run(bars([1.0, 1.1]))
