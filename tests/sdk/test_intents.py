"""Strategies with orders of their own: what they send, what they read back, and calls that wait for the gateway."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from boxgate_proto.strategy.v1 import account_pb2, order_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import (
    Bar,
    Intent,
    IntentKind,
    IntentStrategy,
    OrderState,
    OrderType,
    Side,
    Signal,
    Strategy,
    TimeInForce,
)
from boxgate_sdk import errors as sdk_errors
from boxgate_sdk._contract import describe, open_session
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request
from boxgate_sdk.account import Update
from boxgate_sdk.testing import bars, serve_in_thread
from boxgate_sdk.testing.runs import InProcess
from boxgate_sdk.testing.socket_server import COOKIE
from boxgate_sdk.testing.tape import Tape

Answer = Callable[[window_pb2.EventWindow], signal_pb2.SignalWindow]
BARS = bars([1.1, 1.2, 1.3, 1.4])
TWO = [bar for pair in zip(bars([1.1, 1.2], symbol="AAA"), bars([2.1, 2.2], symbol="BBB"), strict=True) for bar in pair]


def init_of(tape: Tape, strategy: type[Strategy], capabilities: tuple[str, ...]) -> strategy_pb2.OnInitRequest:
    return InProcess(strategy)._on_init(tape, sorted(capabilities))


def opened(
    strategy: type[Strategy],
    events: list[Bar],
    *,
    capabilities: tuple[str, ...] = ("ORDERS", "FEEDBACK"),
    warmup: int = 0,
) -> tuple[Session, Tape]:
    tape = Tape(events, None, warmup)
    opening = open_session(strategy, init_of(tape, strategy, capabilities))
    assert opening.session is not None
    return opening.session, tape


def window_of(tape: Tape, begin: int, end: int, account: account_pb2.Account | None = None) -> window_pb2.EventWindow:
    window = tape.window(begin, end)
    if not window.warmup:
        window.account.CopyFrom(account or account_pb2.Account(version=1, cash=1000.0))
        window.marks.equity.extend([1000.0] * window.count)
        window.marks.free_margin.extend([1000.0] * window.count)
    return window


def continuation(first_seq: int, account: account_pb2.Account) -> window_pb2.EventWindow:
    window = window_pb2.EventWindow(first_seq=first_seq, account=account)
    window.marks.equity.append(990.0)
    window.marks.free_margin.append(890.0)
    return window


def say(session: Session, window: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
    message = decode_request(strategy_pb2.OnEventRequest(window=window).SerializeToString())
    assert isinstance(message, Window)
    return strategy_pb2.OnEventResponse.FromString(session.answer(message)).signals


def working(client_id: str, **changes: Any) -> account_pb2.Order:
    plain: dict[str, Any] = {
        "side": signal_pb2.SIDE_BUY,
        "qty": 1.0,
        "type": order_pb2.ORDER_TYPE_LIMIT,
        "price": 1.0,
        "tif": order_pb2.TIME_IN_FORCE_GTC,
    }
    return account_pb2.Order(client_id=client_id, **{**plain, **changes})


def update(kind: str, client_id: str, **facts: Any) -> account_pb2.AccountUpdate:
    number = account_pb2.AccountUpdateKind.Value(f"ACCOUNT_UPDATE_KIND_{kind}")
    return account_pb2.AccountUpdate(kind=number, client_id=client_id, seq=1, **facts)


class Everything(IntentStrategy):
    """Says one of each at its first event."""

    def on_bar(self, bar: Bar) -> None:
        ctx = self.ctx
        if bar.seq:
            return
        ctx.market(Side.BUY, 1.5, sl=1.0, tp=2.0, risk_trail=0.1, meta={"why": "so"})
        ctx.limit(Side.SELL, 2.0, 1.25, post_only=True, oco="pair", client_id="mine")
        ctx.stop(Side.BUY, 3.0, 1.5, tif=TimeInForce.GTD, valid_until_ns=77)
        ctx.stop_limit(Side.BUY, 3.0, 1.5, 1.6, reduce_only=True, tif=TimeInForce.DAY)
        ctx.trailing_stop(Side.SELL, 3.0, 0.05)
        ctx.replace("mine", qty=1.0)
        ctx.cancel("mine")
        ctx.protect(sl=0.9, trail=0.2)


def test_each_call_is_one_intent() -> None:
    session, tape = opened(Everything, BARS)
    said = say(session, window_of(tape, 0, 4)).intents
    risk = signal_pb2.Risk(sl=1.0, tp=2.0, trail=0.1)
    buy, sell = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL
    submit, gtc = order_pb2.ORDER_INTENT_KIND_SUBMIT, order_pb2.TIME_IN_FORCE_GTC
    first = signal_pb2.OrderIntent(
        kind=submit, client_id="o1", side=buy, type=order_pb2.ORDER_TYPE_MARKET, qty=1.5, tif=gtc, risk=risk
    )
    first.meta.update({"why": "so"})
    assert list(said) == [
        first,
        signal_pb2.OrderIntent(
            kind=submit, client_id="mine", side=sell, type=order_pb2.ORDER_TYPE_LIMIT, qty=2.0, price=1.25, tif=gtc,
            post_only=True, oco="pair",
        ),
        signal_pb2.OrderIntent(
            kind=submit, client_id="o2", side=buy, type=order_pb2.ORDER_TYPE_STOP, qty=3.0, stop_price=1.5,
            tif=order_pb2.TIME_IN_FORCE_GTD, valid_until_ns=77,
        ),
        signal_pb2.OrderIntent(
            kind=submit, client_id="o3", side=buy, type=order_pb2.ORDER_TYPE_STOP_LIMIT, qty=3.0, stop_price=1.5,
            price=1.6, tif=order_pb2.TIME_IN_FORCE_DAY, reduce_only=True,
        ),
        signal_pb2.OrderIntent(
            kind=submit, client_id="o4", side=sell, type=order_pb2.ORDER_TYPE_TRAILING_STOP, qty=3.0, trail=0.05,
            tif=gtc,
        ),
        signal_pb2.OrderIntent(
            kind=order_pb2.ORDER_INTENT_KIND_REPLACE, client_id="mine", qty=1.0, price=1.25, tif=gtc
        ),
        signal_pb2.OrderIntent(kind=order_pb2.ORDER_INTENT_KIND_CANCEL, client_id="mine"),
        signal_pb2.OrderIntent(
            kind=order_pb2.ORDER_INTENT_KIND_PROTECT, risk=signal_pb2.Risk(sl=0.9, trail=0.2)
        ),
    ]  # fmt: skip
    session.close()


def test_it_requires_orders_and_feedback() -> None:
    described = describe(Everything, strategy_pb2.DescribeRequest())
    assert set(described.requires) == {"ORDERS", "FEEDBACK"}


def test_prod_leaves_meta_out() -> None:
    tape = Tape(BARS, None, 0)
    init = init_of(tape, Everything, ("ORDERS", "FEEDBACK"))
    init.mode = strategy_pb2.MODE_PROD
    session = open_session(Everything, init).session
    assert session is not None
    assert not any(i.HasField("meta") for i in say(session, window_of(tape, 0, 1)).intents)
    session.close()


def test_a_window_ends_with_the_first_moment_that_has_an_intent() -> None:
    class Late(IntentStrategy):
        def on_bar(self, bar: Bar) -> None:
            if bar.seq == 2:
                self.ctx.market(Side.BUY, 1.0)

    session, tape = opened(Late, TWO * 1)
    answer = say(session, window_of(tape, 0, 2))
    assert (answer.consumed, [i.event_index for i in answer.intents], answer.more) == (4, [2], False)
    session.close()
    session, tape = opened(Late, BARS)
    answer = say(session, window_of(tape, 0, 4))
    assert (answer.consumed, [i.event_index for i in answer.intents]) == (3, [2])
    session.close()


class Follower(IntentStrategy):
    """Keeps an order and what it hears of it."""

    order: OrderState
    heard: list[tuple[int | None, str, str]]
    seen: list[tuple[str, float, float | None, str | None]]

    def on_start(self) -> None:
        self.heard, self.seen = [], []

    def on_bar(self, bar: Bar) -> None:
        if bar.seq == 0:
            self.order = self.ctx.limit(Side.BUY, 2.0, 1.0)
        self.seen.append((self.order.status, self.order.filled, self.order.average_price, self.order.reason))

    def on_order_update(self, update: Update) -> None:
        self.heard.append((self.ctx.seq, update.kind, update.client_id))


def test_the_state_of_an_order_follows_the_account() -> None:
    session, tape = opened(Follower, BARS)
    strategy: Any = session.strategy
    say(session, window_of(tape, 0, 1))
    part = account_pb2.Account(version=2, cash=1000.0, orders=[working("o1", qty=1.5, filled=0.5, average_price=0.9)])
    part.updates.append(update("FILL", "o1", qty=0.5, price=0.9, side=signal_pb2.SIDE_BUY))
    say(session, window_of(tape, 1, 3, part))
    whole = account_pb2.Account(version=3, cash=1000.0)
    whole.updates.append(update("FILL", "o1", qty=1.5, price=1.0, side=signal_pb2.SIDE_BUY))
    whole.updates.append(update("FILL", "", qty=2.0, price=0.8, side=signal_pb2.SIDE_SELL))
    say(session, window_of(tape, 3, 4, whole))
    assert strategy.seen == [
        ("SENT", 0.0, None, None),
        ("WORKING", 0.5, 0.9, None),
        ("WORKING", 0.5, 0.9, None),
        ("FILLED", 2.0, (0.5 * 0.9 + 1.5) / 2.0, None),
    ]
    assert strategy.heard == [(1, "FILL", "o1"), (3, "FILL", "o1"), (3, "FILL", "")]
    assert session.ctx.orders() == []  # type: ignore[attr-defined]  # an IntentContext
    session.close()


@pytest.mark.parametrize(
    ("news", "status", "reason"),
    [
        (update("EXPIRY", "o1"), "EXPIRED", None),
        (update("CANCELLATION", "o1", cancel_reason=order_pb2.CANCEL_REASON_OCO), "CANCELLED", "OCO"),
        (
            update(
                "REJECTION",
                "o1",
                intent_kind=order_pb2.ORDER_INTENT_KIND_SUBMIT,
                reject_reason=account_pb2.REJECT_REASON_STOP_PRICE_SIDE,
            ),
            "REJECTED",
            "STOP_PRICE_SIDE",
        ),
    ],
)
def test_an_order_ends_with_its_reason(news: account_pb2.AccountUpdate, status: str, reason: str | None) -> None:
    session, tape = opened(Follower, BARS)
    strategy: Any = session.strategy
    say(session, window_of(tape, 0, 1))
    say(session, window_of(tape, 1, 2, account_pb2.Account(version=2, updates=[news])))
    assert (strategy.order.status, strategy.order.reason, strategy.order.is_open) == (status, reason, False)
    session.close()


def test_a_refused_change_leaves_the_order_as_it_is() -> None:
    session, tape = opened(Follower, BARS)
    strategy: Any = session.strategy
    say(session, window_of(tape, 0, 1))
    refused = update(
        "REJECTION",
        "o1",
        intent_kind=order_pb2.ORDER_INTENT_KIND_REPLACE,
        reject_reason=account_pb2.REJECT_REASON_POST_ONLY,
    )
    say(session, window_of(tape, 1, 2, account_pb2.Account(version=2, orders=[working("o1")], updates=[refused])))
    assert (strategy.order.status, strategy.order.refusal, strategy.order.is_open) == ("WORKING", "POST_ONLY", True)
    session.close()


class Waiting(IntentStrategy):
    """Waits for two orders at the second event of a moment, and speaks before and after."""

    def on_start(self) -> None:
        self.seen: list[Any] = []
        self.heard: list[str] = []

    def on_bar(self, bar: Bar) -> None:
        if bar.seq == 0:
            self.ctx.limit(Side.BUY, 1.0, 0.5, client_id="before")
        if bar.seq == 1:
            for name in ("first", "second"):
                order = self.ctx.market(Side.BUY, 1.0, client_id=name, wait=True)
                self.seen.append((order.status, order.average_price, self.ctx.position(), self.ctx.equity))
            self.ctx.cancel("before")

    def on_order_update(self, update: Update) -> None:
        self.heard.append(f"{update.kind} {update.client_id}")
        if update.client_id == "second":
            self.ctx.protect(sl=0.4)


def _answers_to_waiting() -> Iterator[account_pb2.Account]:
    before = working("before", price=0.5)
    account = account_pb2.Account(version=2, orders=[before])
    account.positions.add(position_id=1, instrument=1, side=signal_pb2.SIDE_BUY, qty=1.0, entry_price=2.1)
    account.updates.append(update("FILL", "first", qty=1.0, price=2.1, side=signal_pb2.SIDE_BUY))
    yield account
    account = account_pb2.Account(version=2, orders=[before])
    account.positions.add(position_id=1, instrument=1, side=signal_pb2.SIDE_BUY, qty=1.0, entry_price=2.1)
    reason = account_pb2.REJECT_REASON_INSUFFICIENT_MARGIN
    kind = order_pb2.ORDER_INTENT_KIND_SUBMIT
    account.updates.append(update("REJECTION", "second", reject_reason=reason, intent_kind=kind))
    yield account


def converse(exchange: Answer, tape: Tape) -> list[signal_pb2.SignalWindow]:
    """Deliver a window of two moments of two events to Waiting and go on with it."""
    said = [exchange(window_of(tape, 0, 2))]
    for account in _answers_to_waiting():
        said.append(exchange(continuation(0, account)))
    return said


def check_conversation(said: list[signal_pb2.SignalWindow]) -> None:
    assert [(a.first_seq, a.consumed, a.more) for a in said] == [(0, 2, True), (0, 2, True), (0, 2, False)]
    assert [[(i.event_index, i.client_id) for i in a.intents] for a in said] == [
        [(0, "before"), (1, "first")],
        [(1, "second")],
        [(1, "before"), (1, "")],
    ]


def test_a_call_that_waits_sends_what_was_said_and_returns_with_the_answer() -> None:
    session, tape = opened(Waiting, TWO)
    check_conversation(converse(lambda window: say(session, window), tape))
    strategy: Any = session.strategy
    assert strategy.seen == [("FILLED", 2.1, 1.0, 990.0), ("REJECTED", None, 1.0, 990.0)]
    # What a waiting call tells comes behind the handler that made it.
    assert strategy.heard == ["FILL first", "REJECTION second"]
    after = window_of(tape, 1, 2, account_pb2.Account(version=3))
    assert say(session, after).consumed == 2
    session.close()


@contextmanager
def over_socket(strategy: type[Strategy], tape: Tape) -> Iterator[Answer]:
    """Serve a strategy and yield what exchanges one message for one."""
    with serve_in_thread(strategy) as endpoint, grpc.insecure_channel(endpoint) as channel:
        metadata = (("boxgate-cookie", COOKIE),)
        service = "/boxgate.strategy.v1.Strategy"
        init = init_of(tape, strategy, ("ORDERS", "FEEDBACK"))
        channel.unary_unary(f"{service}/OnInit")(init.SerializeToString(), metadata=metadata, timeout=30)
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        stream = channel.stream_stream(f"{service}/OnEvent")(iter(requests.get, None), metadata=metadata)
        opening = strategy_pb2.OpenStream(session_id=init.session_id)
        requests.put(strategy_pb2.OnEventRequest(open=opening).SerializeToString())

        def exchange(window: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
            requests.put(strategy_pb2.OnEventRequest(window=window).SerializeToString())
            return strategy_pb2.OnEventResponse.FromString(next(stream)).signals

        yield exchange
        requests.put(None)
        stream.cancel()


def strategy_threads() -> int:
    return sum(thread.name == "boxgate-strategy" for thread in threading.enumerate())


def test_the_conversation_is_the_same_over_a_socket() -> None:
    tape = Tape(TWO, None, 0)
    with over_socket(Waiting, tape) as exchange:
        check_conversation(converse(exchange, tape))


def test_a_session_that_ends_in_the_middle_of_an_answer_leaves_no_thread() -> None:
    before = strategy_threads()
    session, tape = opened(Waiting, TWO)
    assert say(session, window_of(tape, 0, 2)).more
    assert session._conversation is not None
    session.close()
    session._conversation._thread.join(10.0)
    assert strategy_threads() == before


def test_what_a_strategy_raises_behind_a_waiting_call_reaches_the_gateway() -> None:
    class Failing(IntentStrategy):
        def on_bar(self, bar: Bar) -> None:
            self.ctx.market(Side.BUY, 1.0, wait=True)
            raise ValueError("behind the call")

    session, tape = opened(Failing, BARS)
    assert say(session, window_of(tape, 0, 1)).more
    with pytest.raises(ValueError, match="behind the call"):
        say(session, continuation(0, account_pb2.Account()))
    session.close()


def test_nothing_is_ordered_in_the_warm_up() -> None:
    class Eager(Follower):
        def on_bar(self, bar: Bar) -> None:
            self.order = self.ctx.limit(Side.BUY, 2.0, 1.0, wait=True)
            self.ctx.cancel(self.order)

    session, tape = opened(Eager, BARS, warmup=1)
    strategy: Any = session.strategy
    assert not say(session, window_of(tape, 0, 1)).intents
    assert (strategy.order.status, strategy.order.reason) == ("REJECTED", "WARMUP")
    session.close()


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (lambda ctx: ctx.market(Side.BUY, 0.0), sdk_errors.OrderInvalid),
        (lambda ctx: ctx.limit(Side.BUY, 1.0, math.nan), sdk_errors.OrderInvalid),
        (lambda ctx: ctx.cancel("nobody"), sdk_errors.OrderInvalid),
        (lambda ctx: [ctx.market(Side.BUY, 1.0, client_id="a") for _ in range(2)], sdk_errors.OrderInvalid),
        (lambda ctx: ctx.market(Side.BUY, 1.0, "GBPUSD"), sdk_errors.InstrumentUnknown),
    ],
)
def test_what_can_never_be_right_is_said_where_it_is_ordered(order: Any, error: type[Exception]) -> None:
    class Wrong(IntentStrategy):
        def on_bar(self, bar: Bar) -> None:
            order(self.ctx)

    session, tape = opened(Wrong, BARS)
    with pytest.raises(error):
        say(session, window_of(tape, 0, 1))
    session.close()


def test_made_names_do_not_meet_given_ones() -> None:
    class Named(IntentStrategy):
        def on_bar(self, bar: Bar) -> None:
            self.ctx.market(Side.BUY, 1.0, client_id="o1")
            self.ctx.market(Side.BUY, 1.0)

    session, tape = opened(Named, BARS)
    assert [i.client_id for i in say(session, window_of(tape, 0, 1)).intents] == ["o1", "o2"]
    session.close()


def test_plain_strategies_answer_with_intents_too() -> None:
    class Plain(Strategy):
        def on_event(self, event: Any) -> Intent:
            return Intent(
                kind=IntentKind.SUBMIT, client_id=f"n{event.seq}", side=Side.SELL, type=OrderType.MARKET, qty=1.0
            )

    session, tape = opened(Plain, BARS, capabilities=("ORDERS",))
    window = tape.window(0, 4)
    answer = say(session, window)
    assert (answer.consumed, [i.client_id for i in answer.intents]) == (4, ["n0", "n1", "n2", "n3"])
    assert not answer.signals


def test_signals_are_not_mixed_with_intents() -> None:
    class Mixed(Strategy):
        def on_event(self, event: Any) -> Signal:
            return Signal.buy(1.0)

    session, tape = opened(Mixed, BARS, capabilities=("ORDERS",))
    with pytest.raises(sdk_errors.AnswerMistyped):
        say(session, tape.window(0, 1))


def test_trailing_stops_of_targets_stop_a_window_only_where_they_are_new() -> None:
    class Trailing(Strategy):
        def on_event(self, event: Any) -> Signal:
            return Signal.buy(1.0, trail=0.1)

    session, tape = opened(Trailing, BARS, capabilities=("FEEDBACK",))
    account = account_pb2.Account(version=1)
    account.targets.add(instrument=0, side=signal_pb2.SIDE_BUY, qty_requested=1.0)
    answer = say(session, window_of(tape, 0, 2, account))
    assert (answer.consumed, answer.signals[0].risk.trail) == (1, 0.1)
    account.targets[0].trail = 0.1
    assert say(session, window_of(tape, 1, 4, account)).consumed == 3
