"""Sessions with order intents: what reaches the engine, what comes back, and answers that go on.

The engine here is a toy that fills market orders at once where it may and keeps the rest; the rules of orders are
tested with the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scripted import INSTRUMENTS, START_NS, Answer, ScriptedStream, bars_of, two_instruments

from boxgate_engine.errors import BoxgateError
from boxgate_engine.intent_intake import OrderNames, utc_day_end
from boxgate_engine.kernel.intent_records import (
    GTC,
    INTENT_ROW,
    MARKET,
    ORDER_QUEUED,
    ORDER_ROW,
    ORDER_WORKING,
    SUBMIT,
    UPDATE_CANCELLATION,
)
from boxgate_engine.kernel.records import (
    ACCOUNT,
    BOOK,
    FILL_ROW,
    NO_EXPIRY,
    UPDATE_EXPIRY,
    UPDATE_FILL,
    UPDATE_REJECTION,
    UPDATE_ROW,
)
from boxgate_engine.signal_intake import kernel_specs
from boxgate_engine.tape import Tape
from boxgate_proto.strategy.v1 import account_pb2, instrument_pb2, order_pb2, signal_pb2
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_proto.strategy.v1.signal_pb2 import OrderIntent, Signal, SignalWindow
from boxgate_proto.strategy.v1.window_pb2 import EventWindow
from boxgate_sdk import Bar, IntentStrategy, Side
from boxgate_sdk._contract import open_session
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request
from boxgate_sdk.replay import replay
from boxgate_server.sessions.account_view import OpenOrders, account_message
from boxgate_server.sessions.delivery import CONTINUATIONS_MAX, Delivery
from boxgate_server.sessions.recording import Recorder

_TOY_UPDATE = np.dtype(
    [*((name, UPDATE_ROW[name]) for name in UPDATE_ROW.names or ()), ("order", "i8"), ("intent_kind", "i8")]
    if "order" not in (UPDATE_ROW.names or ())
    else UPDATE_ROW.descr
)


class ToyEngine:
    """Fills a MARKET order of an intent that is applied at once, and others at the moment behind; keeps the rest."""

    def __init__(self) -> None:
        self.instruments = INSTRUMENTS
        self.specs = kernel_specs(INSTRUMENTS)
        self.rounded = 0
        self.delays = self.hedging = False
        self.positions = len(INSTRUMENTS)
        self.log: list[tuple[str, int, list[tuple[int, int]]]] = []
        self.orders: list[Any] = []
        account = np.zeros(1, ACCOUNT)
        account["cash"], account["version"] = 1000.0, 1
        book = np.zeros(len(INSTRUMENTS), BOOK)
        book["instrument"] = range(len(INSTRUMENTS))
        self.sim = SimpleNamespace(
            account=account,
            book=book,
            specs=self.specs,
            updates=np.zeros(1000, _TOY_UPDATE),
            fills=np.zeros(1000, FILL_ROW),
        )

    def advance(self, quotes: Any, incoming: Any, first: int, end: int, *, settled: int = 0) -> None:
        assert incoming.dtype == INTENT_ROW
        for m in range(first, end):
            if m >= first + settled:
                self._settle(int(quotes.events["seq"][quotes.moment_start[m]]))
            start, stop = quotes.moment_start[m], quotes.moment_start[m + 1]
            self._accept(incoming[(incoming["event"] >= start) & (incoming["event"] < stop)])
        if len(incoming):
            answered = int(np.searchsorted(quotes.moment_start, incoming["event"][-1], side="right")) - 1
            self.log.append(("advance", answered, _said(incoming)))

    def apply_now(self, quotes: Any, incoming: Any, moment: int) -> None:
        assert incoming.dtype == INTENT_ROW
        self.log.append(("now", moment, _said(incoming)))
        self._accept(incoming)
        self._settle(int(quotes.events["seq"][quotes.moment_start[moment]]))

    def plan(self, quotes: Any, first: int, end: int, marks: Any) -> int:
        marks.equity[:] = marks.free_margin[:] = float(self.sim.account["cash"][0])
        marks.profit[:] = 0.0
        return first if any(order["type"] == MARKET for order in self.orders) else end

    def trailing_orders(self) -> Any:
        return np.zeros(0, np.int64)

    def open_orders(self) -> Any:
        return np.array(self.orders, ORDER_ROW) if self.orders else np.zeros(0, ORDER_ROW)

    def _accept(self, incoming: Any) -> None:
        for intent in incoming:
            if intent["kind"] != SUBMIT:
                continue
            order = np.zeros((), ORDER_ROW)
            for name in ("instrument", "side", "type", "lots", "price", "tif", "valid_until_ns", "oco"):
                order[name] = intent[name]
            order["number"], order["state"] = intent["order"], ORDER_QUEUED
            self.orders.append(order)
            self.sim.account["version"] += 1

    def _settle(self, seq: int) -> None:
        for order in [order for order in self.orders if order["type"] == MARKET]:
            self.orders.remove(order)
            self.sim.book["lots"][order["instrument"]] += order["side"] * order["lots"]
            self.sim.account["cash"] -= 1.0
            self.sim.account["version"] += 1
            account = self.sim.account[0]
            fill = self.sim.fills[account["fills"]]
            fill["qty"], fill["price"] = order["lots"] / 100.0, 100.0
            fill["direction"], fill["reason"] = order["side"], 1
            update = self.sim.updates[account["updates"]]
            update["kind"], update["seq"], update["order"] = UPDATE_FILL, seq, order["number"]
            update["fill"] = account["fills"]
            account["fills"] += 1
            account["updates"] += 1


def _said(incoming: Any) -> list[tuple[int, int]]:
    return [(int(row["kind"]), int(row["order"])) for row in incoming]


def delivery_over(
    stream: Any, engine: ToyEngine, *, lockstep: bool = False, feedback: bool = True, window_events: int = 6
) -> Delivery:
    return Delivery(
        stream=stream,
        reply_deadline_s=lambda count: 1.0,
        simulation=engine,  # type: ignore[arg-type]  # a toy with what delivery calls
        window_events=window_events,
        lockstep=lockstep,
        feedback=feedback,
        keep_meta=True,
        orders=OrderNames(),
    )


def market(index: int, client_id: str, **changes: Any) -> OrderIntent:
    return OrderIntent(
        event_index=index,
        kind=order_pb2.ORDER_INTENT_KIND_SUBMIT,
        client_id=client_id,
        side=signal_pb2.SIDE_BUY,
        type=order_pb2.ORDER_TYPE_MARKET,
        qty=1.0,
        **changes,
    )


def script(answer: Callable[[EventWindow], SignalWindow | None], *, feedback: bool = True) -> Answer:
    """Return a script that says nothing where `answer` gives none."""

    def said(window: EventWindow) -> SignalWindow:
        quiet = SignalWindow(first_seq=window.first_seq, consumed=window.count)
        return answer(window) or quiet

    return said


def fails(answer: Callable[[EventWindow], SignalWindow | None], **way: Any) -> BoxgateError:
    with pytest.raises(BoxgateError) as caught:
        delivery_over(ScriptedStream(script(answer)), ToyEngine(), **way).run(two_instruments())
    error = caught.value
    assert all((error.what, error.where, error.expected, error.remedy))
    return error


ways = pytest.mark.parametrize(
    "way",
    [{"lockstep": lockstep, "feedback": feedback} for lockstep in (True, False) for feedback in (True, False)],
    ids=str,
)


@ways
def test_signals_are_not_mixed_with_intents(way: dict[str, bool]) -> None:
    def answer(window: EventWindow) -> SignalWindow:
        said = SignalWindow(first_seq=window.first_seq, consumed=window.count)
        said.signals.append(Signal(side=signal_pb2.SIDE_FLAT))
        return said

    assert fails(answer, **way).error_code == "SIGNAL_MIXED"


@ways
def test_intents_without_the_capability_are_refused(way: dict[str, bool]) -> None:
    def answer(window: EventWindow) -> SignalWindow:
        return SignalWindow(first_seq=window.first_seq, consumed=window.count, intents=[market(0, "a")])

    from scripted import Way, play

    with pytest.raises(BoxgateError) as caught:
        play(answer, Way(**way))
    assert caught.value.error_code == "CAPABILITY_NOT_GRANTED"


@ways
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": float("nan")}, "SIGNAL_NOT_FINITE"),
        ({"qty": -1.0}, "SIGNAL_RANGE"),
        ({"type": 77}, "SIGNAL_ENUM"),
        ({"price": 5.0}, "ORDER_FIELDS"),
        ({"client_id": "a b"}, "ORDER_ID"),
        ({"instrument": 9}, "PROTO_SCOPE"),
        ({"risk": signal_pb2.Risk(sl=5.0, tp=4.0)}, "SIGNAL_RISK_SIDE"),
    ],
)
def test_an_intent_that_can_never_be_right_fails_the_run(way: dict[str, bool], changes: Any, code: str) -> None:
    def answer(window: EventWindow) -> SignalWindow | None:
        if not window.first_seq <= 8 < window.first_seq + window.count:
            return None
        consumed = 10 - window.first_seq if way["feedback"] else window.count
        intent = market(8 - window.first_seq, "a")
        for name, value in changes.items():
            intent.risk.CopyFrom(value) if name == "risk" else setattr(intent, name, value)
        return SignalWindow(first_seq=window.first_seq, consumed=consumed, intents=[intent])

    error = fails(answer, **way)
    assert (error.error_code, error.as_dict()["seq"]) == (code, 8)


@ways
def test_an_unfinished_answer_needs_feedback(way: dict[str, bool]) -> None:
    def answer(window: EventWindow) -> SignalWindow:
        consumed = 2 if way["feedback"] else window.count
        return SignalWindow(first_seq=window.first_seq, consumed=consumed, more=True)

    error = fails(answer, **way)
    assert error.error_code == ("ORDER_LOOP" if way["feedback"] else "CAPABILITY_NOT_GRANTED")


def test_the_warm_up_is_answered_whole_and_its_intents_are_counted() -> None:
    tape = Tape([bars_of(k, 3) for k in range(2)], first_seq=-6)

    def answer(window: EventWindow) -> SignalWindow:
        return SignalWindow(first_seq=window.first_seq, consumed=window.count, intents=[market(0, "a")])

    delivery = delivery_over(ScriptedStream(answer), ToyEngine())
    delivery.warm_up(tape)
    assert delivery.warmup_signals == delivery.round_trips
    assert delivery.orders is not None
    assert not delivery.orders.client_ids
    with pytest.raises(BoxgateError) as caught:
        delivery_over(
            ScriptedStream(lambda w: SignalWindow(first_seq=w.first_seq, consumed=w.count, more=True)), ToyEngine()
        ).warm_up(tape)
    assert caught.value.error_code == "CAPABILITY_NOT_GRANTED"


def test_nothing_is_consumed_beyond_an_intent() -> None:
    def answer(window: EventWindow) -> SignalWindow:
        return SignalWindow(first_seq=window.first_seq, consumed=4, intents=[market(0, "a")])

    assert fails(answer).error_code == "PROTO_SEQ"


@pytest.mark.parametrize("lockstep", [True, False])
def test_an_answer_that_goes_on_keeps_its_frame(lockstep: bool) -> None:
    """first_seq and consumed stay; the events of its intents lie in the moment."""

    def other(**frame: int) -> Callable[[EventWindow], SignalWindow]:
        def answer(window: EventWindow) -> SignalWindow:
            if window.count:
                return SignalWindow(first_seq=window.first_seq, consumed=2, more=True, intents=[market(1, "a")])
            plain = {"first_seq": window.first_seq, "consumed": 2, **frame}
            return SignalWindow(first_seq=plain["first_seq"], consumed=plain["consumed"])

        return answer

    for frame in ({"consumed": 1}, {"consumed": 0}, {"consumed": 4}, {"first_seq": 1}):
        assert fails(other(**frame), lockstep=lockstep).error_code == "PROTO_SEQ"


@pytest.mark.parametrize("lockstep", [True, False])
def test_the_loop_of_orders_ends(lockstep: bool) -> None:
    trips = 0

    def answer(window: EventWindow) -> SignalWindow:
        nonlocal trips
        trips += 1
        return SignalWindow(first_seq=window.first_seq, consumed=window.count or 2, more=True)

    stream = ScriptedStream(script(answer))
    with pytest.raises(BoxgateError) as caught:
        delivery_over(stream, ToyEngine(), lockstep=lockstep, window_events=2).run(two_instruments())
    assert caught.value.error_code == "ORDER_LOOP"
    assert trips == CONTINUATIONS_MAX + 1


class Trading(IntentStrategy):
    """Some orders, some of which it waits for; remembers what it saw."""

    def on_start(self) -> None:
        self.seen: list[Any] = []

    def on_bar(self, bar: Bar) -> None:
        ctx = self.ctx
        if bar.seq == 3:
            first = ctx.market(Side.BUY, 1.0, client_id="first", wait=True)
            self.seen.append((first.status, ctx.position(), ctx.equity))
            ctx.limit(Side.SELL, 2.0, 101.0, client_id="limit")
        if bar.seq == 10:
            ctx.market(Side.SELL, 0.5, client_id="second")
        if bar.seq in (12, 20):
            self.seen.append([(o.client_id, o.status, o.filled) for o in ctx.orders()])
            self.seen.append((ctx.order("second").status, ctx.position("BBB"), ctx.position("AAA")))


def trading_session() -> tuple[Session, pb.OnInitRequest]:
    init = pb.OnInitRequest(
        session_id="test",
        mode=pb.MODE_DEBUG,
        capabilities=["FEEDBACK", "ORDERS"],
        instruments=[
            instrument_pb2.Instrument(
                symbol=i.symbol,
                tick_size=instrument_pb2.Ratio(numerator=1, denominator=1000),
                lot_size=instrument_pb2.Ratio(numerator=1, denominator=100),
                contract_size=instrument_pb2.Ratio(numerator=1, denominator=1),
                contract_kind=instrument_pb2.CONTRACT_KIND_LINEAR,
            )
            for i in INSTRUMENTS
        ],
        series=[
            instrument_pb2.Series(instrument=k, frame="M1", price_basis=instrument_pb2.PRICE_BASIS_BID)
            for k in range(2)
        ],
        start_ns=START_NS,
        account_currency="USD",
        leverage=30.0,
        contract_version=1,
    )
    session = open_session(Trading, init).session
    assert session is not None
    return session, init


class SessionStream(ScriptedStream):
    """Answers by a session of the SDK."""

    def __init__(self, session: Session) -> None:
        super().__init__(lambda window: SignalWindow())
        self._session = session

    def send(self, payload: bytes) -> None:
        window = decode_request(payload)
        assert isinstance(window, Window)
        self.windows.append(pb.OnEventRequest.FromString(payload).window)
        self._answers.append(self._session.answer(window))


def trade(*, lockstep: bool, window_events: int = 6, recorder: Recorder | None = None) -> tuple[ToyEngine, Any, Any]:
    session, init = trading_session()
    engine = ToyEngine()
    stream: Any = SessionStream(session)
    if recorder is not None:
        recorder.begin(name="Trading", version="0", init=init)
    delivery = delivery_over(
        stream if recorder is None else recorder.over(stream), engine, lockstep=lockstep, window_events=window_events
    )
    delivery.run(two_instruments())
    session.close()
    return engine, session.strategy, stream


def test_orders_are_the_same_in_every_delivery() -> None:
    engine, strategy, _ = trade(lockstep=True)
    assert engine.log == [
        ("now", 1, [(SUBMIT, 1)]),
        ("advance", 1, [(SUBMIT, 2)]),
        ("advance", 5, [(SUBMIT, 3)]),
    ]
    assert strategy.seen == [
        ("FILLED", 1.0, 999.0),
        [("limit", "QUEUED", 0.0)],
        ("FILLED", 1.0, -0.5),
        [("limit", "QUEUED", 0.0)],
        ("FILLED", 1.0, -0.5),
    ]
    for window_events in (2, 6, 100):
        other, again, _ = trade(lockstep=False, window_events=window_events)
        assert (sorted(other.log), again.seen) == (sorted(engine.log), strategy.seen)


def test_behind_an_unfinished_answer_comes_the_account_alone() -> None:
    _, _, stream = trade(lockstep=False)
    (news,) = [window for window in stream.windows if not window.count]
    assert news.first_seq == stream.windows[stream.windows.index(news) - 1].first_seq
    assert not news.time_ns
    assert not news.HasField("bars")
    assert [u.client_id for u in news.account.updates] == ["first"]
    assert (list(news.marks.equity), len(news.marks.free_margin)) == ([999.0], 1)
    assert [m.instrument for m in news.marks.instruments] == [1]
    updates = [u.client_id for window in stream.windows for u in window.account.updates]
    assert updates == ["first", "second"]


def test_a_recording_of_orders_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "session.boxgate"
    with Recorder(path, mode="debug") as recorder:
        trade(lockstep=False, recorder=recorder)
    replayed = replay(Trading, path)
    assert (replayed.events, replayed.signals, replayed.unanswered) == (24, 3, False)

    class Other(Trading):
        def on_bar(self, bar: Bar) -> None:
            super().on_bar(bar)
            if bar.seq == 3:
                self.ctx.cancel("limit")

    with pytest.raises(AssertionError) as caught:
        replay(Other, path)
    assert caught.value.seq == 3  # type: ignore[attr-defined]  # a ReplayDifference
    assert "CANCEL limit BBB" in str(caught.value)
    assert "SUBMIT limit SELL LIMIT BBB qty 2.0 price 101.0 GTC" in str(caught.value)


def test_an_account_shows_orders_by_their_names_and_why_they_ended() -> None:
    names = OrderNames()
    names.submit("mine", 1, MARKET, alone=True)
    order = np.zeros(1, ORDER_ROW)
    order["number"], order["instrument"], order["side"], order["type"], order["state"] = 1, 1, -1, 4, ORDER_WORKING
    order["lots"], order["filled"], order["average_price"] = 250, 100, 99.5
    order["price"], order["stop_price"], order["triggered"] = 100.25, 100.5, 1
    order["tif"], order["valid_until_ns"], order["oco"] = GTC, NO_EXPIRY, names.group(1, 0, "pair")
    order["sl"], order["risk_trail"], order["reduce_only"] = 101.0, 0.5, 1
    engine = ToyEngine()
    sim = engine.sim
    for row, (kind, number, reason, intent) in enumerate(
        [(UPDATE_CANCELLATION, 1, 3, 0), (UPDATE_REJECTION, 1, 10, SUBMIT), (UPDATE_EXPIRY, 1, 0, 0)]
    ):
        update = sim.updates[row]
        update["kind"], update["order"], update["reason"], update["intent_kind"] = kind, number, reason, intent
    sim.account["updates"] = 3
    account = account_pb2.Account.FromString(account_message(sim, 0, OpenOrders(order, names)))  # type: ignore[arg-type]
    assert not account.targets
    assert list(account.orders) == [
        account_pb2.Order(
            client_id="mine",
            instrument=1,
            side=signal_pb2.SIDE_SELL,
            qty=1.5,
            price=100.25,
            type=order_pb2.ORDER_TYPE_STOP_LIMIT,
            stop_price=100.5,
            filled=1.0,
            average_price=99.5,
            tif=order_pb2.TIME_IN_FORCE_GTC,
            reduce_only=True,
            oco="pair",
            risk=signal_pb2.Risk(sl=101.0, trail=0.5),
            triggered=True,
        )
    ]
    cancelled, rejected, expired = account.updates
    assert (cancelled.client_id, cancelled.cancel_reason) == ("mine", order_pb2.CANCEL_REASON_OCO)
    assert rejected.intent_kind == order_pb2.ORDER_INTENT_KIND_SUBMIT
    assert rejected.reject_reason == account_pb2.REJECT_REASON_STOP_PRICE_SIDE
    assert (expired.client_id, expired.kind) == ("mine", account_pb2.ACCOUNT_UPDATE_KIND_EXPIRY)


def test_numbers_of_the_records_are_those_of_the_contract() -> None:
    from boxgate_engine.kernel import intent_records as ours

    for enum, prefix, names in (
        (order_pb2.OrderIntentKind, "ORDER_INTENT_KIND_", ("SUBMIT", "REPLACE", "CANCEL", "PROTECT")),
        (order_pb2.OrderType, "ORDER_TYPE_", ("MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP")),
        (order_pb2.TimeInForce, "TIME_IN_FORCE_", ("GTC", "DAY", "GTD", "IOC", "FOK")),
    ):
        assert {n: getattr(ours, n) for n in names} == {n: enum.Value(prefix + n) for n in names}
    reasons = ("MARKET_CLOSED", "STOP_PRICE_SIDE", "POST_ONLY", "TOO_MANY_ORDERS", "ORDER_NOT_WORKING", "NO_POSITION")
    assert {n: getattr(ours, n) for n in reasons} == {
        n: account_pb2.RejectReason.Value(f"REJECT_REASON_{n}") for n in reasons
    }
    cancels = ("INTENT", "REDUCE_ONLY", "OCO", "IOC", "FOK")
    assert {n: getattr(ours, f"CANCEL_{n}") for n in cancels} == {
        n: order_pb2.CancelReason.Value(f"CANCEL_REASON_{n}") for n in cancels
    }
    assert account_pb2.ACCOUNT_UPDATE_KIND_CANCELLATION == UPDATE_CANCELLATION


def test_orders_of_a_day_end_where_the_delivery_says() -> None:
    ends: list[tuple[int, int]] = []

    def day_end(instrument: int, time_ns: int) -> int:
        ends.append((instrument, time_ns))
        return utc_day_end(instrument, time_ns)

    def answer(window: EventWindow) -> SignalWindow | None:
        if window.first_seq:
            return None
        intent = market(1, "a", instrument=1, tif=order_pb2.TIME_IN_FORCE_DAY)
        return SignalWindow(consumed=2, intents=[intent])

    engine = ToyEngine()
    delivery = delivery_over(ScriptedStream(script(answer)), engine)
    delivery.day_end = day_end
    delivery.run(two_instruments())
    assert ends == [(1, START_NS + 60_000_000_000)]
