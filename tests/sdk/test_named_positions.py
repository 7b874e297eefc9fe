"""Several positions per instrument by name: what an IntentStrategy sends, and what it reads back."""

from __future__ import annotations

from typing import Any

import pytest

from boxgate_proto.strategy.v1 import account_pb2, order_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import Bar, Intent, IntentKind, IntentStrategy, OrderType, Side, Strategy, errors
from boxgate_sdk._contract import describe, open_session
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request, encode_intent
from boxgate_sdk.testing import bars
from boxgate_sdk.testing.runs import InProcess
from boxgate_sdk.testing.tape import Tape

BUY, SELL = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL
ALL = ("FEEDBACK", "HEDGING", "ORDERS")
BARS = bars([1.1, 1.2, 1.3])


def opened(strategy: type[Strategy], capabilities: tuple[str, ...] = ALL) -> tuple[Session, Tape]:
    tape = Tape(BARS, ["EURUSD", "GBPUSD"], 0)
    session = open_session(strategy, InProcess(strategy)._on_init(tape, capabilities)).session
    assert session is not None
    return session, tape


def say(session: Session, window: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
    message = decode_request(strategy_pb2.OnEventRequest(window=window).SerializeToString())
    assert isinstance(message, Window)
    return strategy_pb2.OnEventResponse.FromString(session.answer(message)).signals


def told(
    tape: Tape, moment: int, account: account_pb2.Account | None = None, **profits: float
) -> window_pb2.EventWindow:
    """Return the window of one moment with an account, and the profit of each position of EURUSD by name."""
    window = tape.window(moment, moment + 1)
    window.account.CopyFrom(account or account_pb2.Account(version=1, cash=1000.0))
    window.marks.equity.append(1000.0)
    window.marks.free_margin.append(1000.0)
    for name, profit in profits.items():
        window.marks.instruments.add(position=name.strip("_"), unrealised_pnl=[profit], trail_level=[profit + 1.0])
    return window


def three_positions() -> account_pb2.Account:
    account = account_pb2.Account(version=2, cash=1000.0)
    account.positions.add(position_id=1, side=BUY, qty=5.0, entry_price=1.1)
    account.positions.add(position_id=4, instrument=1, side=SELL, qty=7.0, entry_price=1.3)
    account.positions.add(position_id=2, side=BUY, qty=1.0, entry_price=1.1, sl=1.0, position="t1")
    account.positions.add(position_id=3, side=SELL, qty=2.0, entry_price=1.2, position="t2")
    return account


class Hedged(IntentStrategy):
    """Does what a test puts into `steps`, one at each event."""

    hedging = True

    def on_start(self) -> None:
        self.steps: list[Any] = []
        self.results: list[Any] = []
        self.heard: list[tuple[str, str]] = []

    def on_bar(self, bar: Bar) -> None:
        if self.steps:
            self.results.append(self.steps.pop(0)(self.ctx))

    def on_order_update(self, update: Any) -> None:
        self.heard.append((update.kind, update.position))


def test_hedging_is_required_by_a_declaration() -> None:
    class Plain(IntentStrategy):
        def on_bar(self, bar: Bar) -> None: ...

    assert set(describe(Hedged, strategy_pb2.DescribeRequest()).requires) == {*ALL}
    assert set(describe(Plain, strategy_pb2.DescribeRequest()).requires) == {"ORDERS", "FEEDBACK"}


def test_every_kind_of_order_names_its_position() -> None:
    session, tape = opened(Hedged)
    strategy: Any = session.strategy

    def all_of_them(ctx: Any) -> None:
        ctx.market(Side.BUY, 1.0, position="t1")
        ctx.limit(Side.BUY, 1.0, 1.0, position="t2")
        ctx.stop(Side.SELL, 1.0, 1.0, position="t3")
        ctx.stop_limit(Side.SELL, 1.0, 1.0, 1.0, position="t4")
        ctx.trailing_stop(Side.SELL, 1.0, 0.1, position="t5")
        ctx.protect(sl=0.9, position="t6")
        ctx.market(Side.BUY, 1.0)

    strategy.steps = [all_of_them]
    said = say(session, told(tape, 0)).intents
    assert [i.position for i in said] == ["t1", "t2", "t3", "t4", "t5", "t6", ""]
    assert said[5].kind == order_pb2.ORDER_INTENT_KIND_PROTECT
    assert [order.position for order in session.ctx.orders()] == ["t1", "t2", "t3", "t4", "t5", ""]  # type: ignore[attr-defined]  # an IntentContext
    session.close()


def test_an_intent_with_a_position_is_written_as_the_generated_code_writes_it() -> None:
    intent = Intent(
        kind=IntentKind.SUBMIT, client_id="o1", side=Side.BUY, type=OrderType.MARKET, qty=1.5, oco="x", position="t:1"
    )
    message = signal_pb2.OrderIntent(
        event_index=3, kind=order_pb2.ORDER_INTENT_KIND_SUBMIT, instrument=2, client_id="o1", side=BUY,
        type=order_pb2.ORDER_TYPE_MARKET, qty=1.5, oco="x", position="t:1",
    )  # fmt: skip
    expected = signal_pb2.SignalWindow(intents=[message]).SerializeToString(deterministic=True)
    assert encode_intent(3, 2, intent, None) == expected


def test_positions_of_all_names_are_read_back_with_their_marks() -> None:
    session, tape = opened(Hedged)
    strategy: Any = session.strategy
    strategy.steps = [
        lambda ctx: [(p.symbol, p.name, p.side, p.qty) for p in ctx.positions()],
        lambda ctx: [
            [p.name for p in ctx.positions("EURUSD")],
            [p.name for p in ctx.positions("GBPUSD")],
            [ctx.position(), ctx.position(position="t1"), ctx.position(position="t2"), ctx.position(position="t9")],
            [ctx.unrealised("EURUSD"), ctx.unrealised("EURUSD", "t1"), ctx.unrealised("EURUSD", "t2")],
            [ctx.trail_level("EURUSD", "t2"), ctx.unrealised("EURUSD", "t9"), ctx.trail_level("EURUSD", "t9")],
            ctx.account.positions["EURUSD"].qty,
        ],
    ]
    for moment in range(2):
        say(session, told(tape, moment, three_positions(), _=10.0, t1=11.0, t2=-12.0))
    assert strategy.results == [
        [
            ("EURUSD", "", Side.BUY, 5.0),
            ("GBPUSD", "", Side.SELL, 7.0),
            ("EURUSD", "t1", Side.BUY, 1.0),
            ("EURUSD", "t2", Side.SELL, 2.0),
        ],
        [["", "t1", "t2"], [""], [5.0, 1.0, -2.0, 0.0], [10.0, 11.0, -12.0], [-11.0, 0.0, None], 5.0],
    ]
    session.close()


def test_a_position_is_closed_by_its_name_and_no_other_is_touched() -> None:
    session, tape = opened(Hedged)
    strategy: Any = session.strategy
    strategy.steps = [lambda ctx: [ctx.close(position="t2"), ctx.close(position="t9"), ctx.close()]]
    said = say(session, told(tape, 0, three_positions())).intents
    assert [(i.position, i.side, i.qty, i.reduce_only) for i in said] == [("t2", BUY, 2.0, True), ("", SELL, 5.0, True)]
    assert strategy.results[0][1] is None
    session.close()


def test_the_orders_of_one_position_are_listed_and_cancelled_alone() -> None:
    session, tape = opened(Hedged)
    strategy: Any = session.strategy

    def orders(ctx: Any) -> Any:
        for name in ("a", "b", "a", ""):
            ctx.limit(Side.BUY, 1.0, 1.0, position=name)
        ctx.cancel_all(position="a")
        return [[o.client_id for o in ctx.orders(position=name)] for name in ("a", "b", "", None)]

    strategy.steps = [orders]
    said = say(session, told(tape, 0)).intents
    assert strategy.results == [[["o1", "o3"], ["o2"], ["o4"], ["o1", "o2", "o3", "o4"]]]
    assert [i.client_id for i in said if i.kind == order_pb2.ORDER_INTENT_KIND_CANCEL] == ["o1", "o3"]
    session.close()


def test_an_update_tells_its_position() -> None:
    session, tape = opened(Hedged)
    strategy: Any = session.strategy
    say(session, told(tape, 0))
    account = account_pb2.Account(version=2)
    account.updates.add(kind=account_pb2.ACCOUNT_UPDATE_KIND_FILL, seq=1, qty=1.0, price=1.0, position="t1")
    account.updates.add(kind=account_pb2.ACCOUNT_UPDATE_KIND_SWAP, seq=1, amount=-0.1)
    account.updates.add(
        kind=account_pb2.ACCOUNT_UPDATE_KIND_REJECTION,
        seq=1,
        client_id="o1",
        position="t65",
        intent_kind=order_pb2.ORDER_INTENT_KIND_SUBMIT,
        reject_reason=account_pb2.REJECT_REASON_TOO_MANY_POSITIONS,
    )
    strategy.steps = [lambda ctx: ctx.account.updates[2].reject_reason]
    say(session, told(tape, 1, account))
    assert strategy.heard == [("FILL", "t1"), ("SWAP", ""), ("REJECTION", "t65")]
    assert strategy.results == ["TOO_MANY_POSITIONS"]
    session.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda ctx: ctx.market(Side.BUY, 1.0, position="t1"),
        lambda ctx: ctx.protect(sl=1.0, position="t1"),
        lambda ctx: ctx.close(position="t1"),
        lambda ctx: ctx.position(position="t1"),
        lambda ctx: ctx.unrealised("EURUSD", "t1"),
        lambda ctx: ctx.trail_level("EURUSD", "t1"),
    ],
)
def test_a_name_without_hedging_is_an_error_that_says_what_to_do(call: Any) -> None:
    session, tape = opened(Hedged, ("FEEDBACK", "ORDERS"))
    strategy: Any = session.strategy
    strategy.steps = [call]
    with pytest.raises(errors.HedgingNotGranted, match="hedging = True"):
        say(session, told(tape, 0))
    session.close()


def test_a_plain_strategy_without_hedging_hears_it_too() -> None:
    class Plain(Strategy):
        def on_event(self, event: Any) -> Intent:
            return Intent(kind=IntentKind.PROTECT, sl=1.0, position="t1")

    session, tape = opened(Plain, ("ORDERS",))
    with pytest.raises(errors.HedgingNotGranted):
        say(session, tape.window(0, 1))


@pytest.mark.parametrize("name", [7, "a b", "x" * 65, "ü"])
def test_a_name_is_made_of_few_characters(name: Any) -> None:
    session, tape = opened(Hedged)
    strategy: Any = session.strategy
    strategy.steps = [lambda ctx: ctx.market(Side.BUY, 1.0, position=name)]
    with pytest.raises(errors.OrderInvalid, match="name of a position"):
        say(session, told(tape, 0))
    session.close()


def test_without_hedging_all_positions_are_the_unnamed_ones() -> None:
    session, tape = opened(Hedged, ("FEEDBACK", "ORDERS"))
    strategy: Any = session.strategy
    strategy.steps = [lambda ctx: [(p.symbol, p.name) for p in ctx.positions()]]
    account = account_pb2.Account(version=2)
    account.positions.add(position_id=1, side=BUY, qty=5.0, entry_price=1.1)
    say(session, told(tape, 0, account))
    assert strategy.results == [[("EURUSD", "")]]
    session.close()
