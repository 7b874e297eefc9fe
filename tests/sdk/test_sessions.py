"""Where a session stops, what it reports, and what it sees of the account."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from boxgate_proto.strategy.v1 import account_pb2, instrument_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import Bar, Side, Signal, Strategy, Tick, errors
from boxgate_sdk._contract import open_session
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request

Answers = dict[int, Any]


def _session(on_event: Callable[[Any, Any], Any], *, feedback: bool, symbols: int = 2, ticks: bool = False) -> Session:
    class Scripted(Strategy):
        def requires(self) -> tuple[str, ...]:
            return ("FEEDBACK",) if feedback else ()

        def on_event(self, event: Any) -> Any:
            return on_event(self, event)

    def ratio(numerator: int, denominator: int) -> instrument_pb2.Ratio:
        return instrument_pb2.Ratio(numerator=numerator, denominator=denominator)

    series = [instrument_pb2.Series(instrument=i, frame="M1") for i in range(symbols)]
    if ticks:
        series.append(instrument_pb2.Series(instrument=0, frame="tick"))
    request = strategy_pb2.OnInitRequest(
        session_id="s",
        contract_version=1,
        capabilities=["FEEDBACK"] if feedback else [],
        instruments=[
            instrument_pb2.Instrument(symbol=f"S{i}", tick_size=ratio(1, 100), lot_size=ratio(1, 10))
            for i in range(symbols)
        ],
        series=series,
        account=account_pb2.Account(cash=500.0),
    )
    session = open_session(Scripted, request).session
    assert session is not None
    return session


def _window(
    times: list[int],
    series: list[int],
    *,
    first_seq: int = 0,
    targets: list[account_pb2.StandingTarget] | None = None,
    positions: list[account_pb2.Position] | None = None,
    updates: list[account_pb2.AccountUpdate] | None = None,
    tick_series: int = 2,
    warmup: bool = False,
    account: bool = True,
) -> Window:
    message = window_pb2.EventWindow(first_seq=first_seq, count=len(times), time_ns=times, series=series, warmup=warmup)
    for s in series:
        if s == tick_series:
            for name in ("bid", "ask"):
                getattr(message.ticks, name).append(1.0)
        else:
            message.bars.open_ns.append(1)
            for name in ("open", "high", "low", "close", "volume"):
                getattr(message.bars, name).append(1.0)
    if account and not warmup:
        message.account.CopyFrom(
            account_pb2.Account(version=1, cash=1000.0, targets=targets, positions=positions, updates=updates)
        )
        message.marks.equity.extend([1000.0 + i for i in range(len(times))])
        message.marks.free_margin.extend([900.0 + i for i in range(len(times))])
        for p in positions or []:
            message.marks.instruments.add(instrument=p.instrument, unrealised_pnl=[float(i) for i in range(len(times))])
    window = decode_request(strategy_pb2.OnEventRequest(window=message).SerializeToString())
    assert isinstance(window, Window)
    return window


def _answer(session: Session, window: Window) -> tuple[int, list[tuple[int, int, int]]]:
    answer = strategy_pb2.OnEventResponse.FromString(session.answer(window)).signals
    assert answer.first_seq == window.first_seq
    return answer.consumed, [(s.event_index, s.instrument, int(s.side)) for s in answer.signals]


def _scripted(answers: Answers, seen: list[int]) -> Callable[[Any, Any], Any]:
    def on_event(_: Any, event: Any) -> Any:
        seen.append(event.seq)
        return answers.get(event.seq)

    return on_event


_LONG = account_pb2.StandingTarget(instrument=0, side=signal_pb2.SIDE_BUY, qty_requested=2.0, sl=0.9)
_LONG_POSITION = account_pb2.Position(position_id=1, instrument=0, side=signal_pb2.SIDE_BUY, qty=2.0, entry_price=1.0)

_FOUR_MOMENTS = ([10, 10, 20, 20, 30, 40, 40], [0, 1, 0, 1, 0, 0, 1])


@pytest.mark.parametrize(
    ("answers", "consumed"),
    [
        ({}, 7),
        ({0: Signal.buy(1.0)}, 2),
        ({1: Signal.buy(1.0)}, 2),
        ({2: Signal.buy(1.0)}, 4),
        ({4: Signal.sell(1.0)}, 5),
        ({6: Signal.sell(1.0)}, 7),
        # Equal to the standing target, also after rounding to the grid: nothing stops.
        ({0: Signal.flat()}, 7),
        ({2: Signal.flat(instrument="S1"), 5: Signal.buy(1.0)}, 7),
        # The last of a moment counts: effective, then taken back in the same moment.
        ({0: [Signal.buy(1.0), Signal.flat()]}, 7),
        ({0: Signal.buy(1.0), 1: Signal.flat(instrument="S0")}, 7),
        ({0: Signal.flat(), 1: Signal.buy(1.0, instrument="S0")}, 2),
        # adjust_only without a position of its side does nothing.
        ({0: Signal.buy(1.0, adjust_only=True), 2: Signal.sell(1.0, adjust_only=True)}, 7),
        # Below the smallest quantity: rejected, which changes the account.
        ({0: Signal.buy(0.01)}, 2),
        ({2: Signal.buy(float("nan"))}, 4),
        ({0: Signal.flat(price=2.0)}, 2),
        ({0: Signal.flat(valid_until_ns=5)}, 2),
    ],
)
def test_with_feedback_a_session_stops_behind_the_first_moment_with_an_effective_signal(
    answers: Answers, consumed: int
) -> None:
    seen: list[int] = []
    session = _session(_scripted(answers, seen), feedback=True)
    got, signals = _answer(session, _window(*_FOUR_MOMENTS))
    assert got == consumed
    assert seen == list(range(consumed))
    reported = sum(len(a) if isinstance(a, list) else 1 for seq, a in answers.items() if seq < consumed)
    assert len(signals) == reported


@pytest.mark.parametrize(
    ("signal", "consumed"),
    [
        (Signal.buy(2.0, sl=0.9), 7),
        (Signal.buy(2.09, sl=0.8951), 7),
        (Signal.buy(2.1, sl=0.9), 2),
        (Signal.buy(2.0), 2),
        (Signal.buy(2.0, sl=0.91), 2),
        (Signal.buy(2.0, sl=0.9, tp=1.2), 2),
        (Signal.buy(2.0, price=1.0, sl=0.9), 2),
        (Signal.buy(2.0, sl=0.9, valid_until_ns=9), 2),
        (Signal.sell(2.0, sl=0.9), 2),
        (Signal.flat(), 2),
        (Signal.buy(2.0, sl=0.9, adjust_only=True), 7),
        (Signal.buy(2.0, sl=0.95, adjust_only=True), 2),
        (Signal.sell(2.0, adjust_only=True), 7),
    ],
)
def test_effective_is_what_differs_from_the_standing_target_on_the_grid(signal: Signal, consumed: int) -> None:
    session = _session(_scripted({0: signal}, []), feedback=True)
    window = _window(*_FOUR_MOMENTS, targets=[_LONG], positions=[_LONG_POSITION])
    assert _answer(session, window)[0] == consumed


def test_each_tick_is_a_moment_of_its_own() -> None:
    seen: list[int] = []
    session = _session(_scripted({2: Signal.buy(1.0)}, seen), feedback=True, ticks=True)
    consumed, _ = _answer(session, _window([10, 10, 10, 10], [0, 1, 2, 2]))
    assert (consumed, seen) == (3, [0, 1, 2])
    session = _session(_scripted({0: Signal.buy(1.0)}, []), feedback=True, ticks=True)
    assert _answer(session, _window([10, 10, 10, 10], [0, 1, 2, 2]))[0] == 2


def test_what_lies_behind_consumed_is_delivered_again_and_seen_once() -> None:
    seen: list[int] = []
    session = _session(_scripted({1: Signal.buy(1.0)}, seen), feedback=True)
    assert _answer(session, _window(*_FOUR_MOMENTS))[0] == 2
    again = _window([20, 20, 30], [0, 1, 0], first_seq=2)
    assert _answer(session, again)[0] == 3
    assert seen == [0, 1, 2, 3, 4]


def test_without_feedback_everything_is_answered() -> None:
    session = _session(
        _scripted({0: Signal.buy(1.0), 3: [Signal.sell(2.0), Signal.flat(instrument="S0")]}, []), feedback=False
    )
    window = _window(*_FOUR_MOMENTS, account=False)
    assert _answer(session, window) == (7, [(0, 0, 1), (3, 1, 2), (3, 0, 3)])


def test_in_warm_up_everything_is_consumed_also_with_feedback() -> None:
    seen: list[tuple[int, bool, float]] = []

    def on_event(strategy: Any, event: Any) -> Signal:
        seen.append((event.seq, event.warmup, strategy.ctx.equity))
        assert strategy.ctx.account.positions == {}
        return Signal.buy(1.0)

    session = _session(on_event, feedback=True)
    consumed, signals = _answer(session, _window([1, 2], [0, 0], first_seq=-2, warmup=True))
    assert (consumed, len(signals)) == (2, 2)
    assert seen == [(-2, True, 500.0), (-1, True, 500.0)]


def test_the_account_holds_for_the_window_marks_move_and_updates_are_news_once() -> None:
    update = account_pb2.AccountUpdate(
        kind=account_pb2.ACCOUNT_UPDATE_KIND_FILL,
        instrument=0,
        side=signal_pb2.SIDE_BUY,
        qty=2.0,
        price=1.0,
        fill_reason=account_pb2.FILL_REASON_ENTRY,
    )
    rows: list[Any] = []

    def on_event(strategy: Any, event: Any) -> None:
        ctx = strategy.ctx
        account = ctx.account
        rows.append((ctx.equity, ctx.free_margin, ctx.unrealised("S0"), ctx.unrealised("S1"), len(account.updates)))
        assert account.positions["S0"].side is Side.BUY
        assert account.targets["S1"].side is Side.FLAT
        assert account.cash == 1000.0
        for fill in account.updates:
            assert (fill.kind, fill.symbol, fill.fill_reason, fill.reject_reason) == ("FILL", "S0", "ENTRY", None)

    session = _session(on_event, feedback=True)
    _answer(session, _window([10, 10, 20], [0, 1, 0], targets=[_LONG], positions=[_LONG_POSITION], updates=[update]))
    assert rows == [(1000.0, 900.0, 0.0, 0.0, 1), (1001.0, 901.0, 1.0, 0.0, 1), (1002.0, 902.0, 2.0, 0.0, 0)]


@pytest.mark.parametrize("name", ["account", "equity", "free_margin"])
def test_the_account_is_hidden_without_feedback(name: str) -> None:
    session = _session(lambda strategy, _: getattr(strategy.ctx, name), feedback=False)
    with pytest.raises(errors.FeedbackNotGranted, match=name):
        session.answer(_window([10], [0], account=False))
    with pytest.raises(errors.FeedbackNotGranted):
        session.ctx.unrealised("S0")


def test_bars_and_ticks_arrive_in_order_with_their_own_fields() -> None:
    seen: list[Bar | Tick] = []
    session = _session(lambda _, event: seen.append(event), feedback=False, ticks=True)
    times = list(range(200))
    series = [(i * 7) % 3 for i in range(200)]
    session.answer(_window(times, series, account=False))
    assert [event.seq for event in seen] == times
    assert [event.time_ns for event in seen] == times
    assert [event.series for event in seen] == series
    assert [event.is_tick for event in seen] == [s == 2 for s in series]
    assert {(event.symbol, event.frame) for event in seen} == {("S0", "M1"), ("S1", "M1"), ("S0", "tick")}


@pytest.mark.parametrize(
    ("window", "error"),
    [
        (lambda: _window([5], [0], first_seq=8, account=False), errors.WindowOutOfOrder),
        (lambda: _window([5], [9], first_seq=1, account=False), errors.WindowMalformed),
        (lambda: _window([5], [], first_seq=1, account=False), errors.WindowMalformed),
    ],
)
def test_a_window_that_does_not_fit_the_session_is_refused(
    window: Callable[[], Window], error: type[Exception]
) -> None:
    session = _session(lambda *_: None, feedback=False)
    session.answer(_window([4], [0], account=False))
    with pytest.raises(error):
        session.answer(window())


def test_with_feedback_a_window_without_account_is_refused() -> None:
    with pytest.raises(errors.WindowMalformed, match="no account"):
        _session(lambda *_: None, feedback=True).answer(_window([4], [0], account=False))


@pytest.mark.parametrize("answer", [5, "BUY", [Signal.flat(), None], {"side": "BUY"}])
def test_an_answer_that_is_no_signal_is_refused(answer: object) -> None:
    session = _session(lambda *_: answer, feedback=False)
    with pytest.raises(errors.AnswerMistyped):
        session.answer(_window([4], [0], account=False))


def test_a_signal_for_an_unknown_instrument_is_refused() -> None:
    session = _session(lambda *_: Signal.buy(1.0, instrument="XYZ"), feedback=False)
    with pytest.raises(errors.InstrumentUnknown, match="S0, S1"):
        session.answer(_window([4], [0], account=False))
