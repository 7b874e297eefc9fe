"""Driving a strategy over a list of events and collecting what it answers."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from boxgate_proto.strategy.v1 import account_pb2, instrument_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import _contract
from boxgate_sdk._wire import Window, decode_request
from boxgate_sdk.account import Position, Update, read_account
from boxgate_sdk.errors import Refusal
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.intents import Intent
from boxgate_sdk.strategy import Strategy
from boxgate_sdk.testing.paper import PaperAccount
from boxgate_sdk.testing.paper_orders import PaperBook
from boxgate_sdk.testing.sent import Ratio, Sent, check_signal, on_grid, read_signal
from boxgate_sdk.testing.sent_intents import IntentCheck, intent_on_grid, read_intent
from boxgate_sdk.testing.slices import write_handles
from boxgate_sdk.testing.socket_server import COOKIE, serve_in_thread
from boxgate_sdk.testing.tape import Tape

_OFFERED = {"FEEDBACK", "TICKS", "VECTOR", "RESET", "HISTORY_HANDLES", "ORDERS", "HEDGING"}

Exchange = Callable[[window_pb2.EventWindow], signal_pb2.SignalWindow]


@dataclass(slots=True)
class Run:
    """What came of a run.

    signals: of the tape, in order. discarded: number of signals and intents in the warm-up. intents: of a strategy with
    ORDERS, in order, as (number of the event, intent with its values on the grid). With FEEDBACK also updates: what the
    paper account told; positions: those open at the end; final_cash: account currency.
    """

    signals: list[Sent] = field(default_factory=list)
    discarded: int = 0
    windows: int = 0
    report: dict[str, Any] | None = None
    final_cash: float = 0.0
    intents: list[tuple[int, Intent]] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)


class InProcess:
    """A strategy in this process, driven through the bytes of the contract.

    params: values that differ from their defaults. instruments: symbols in the order of the config, by default that of
    the events. tick_size, lot_size: (numerator, denominator) of every instrument. warmup: how many of the first events
    precede the tape. seed, mode: as in a run. history: events before the warm-up, which a strategy with
    HISTORY_HANDLES finds in ctx.data.history and nowhere else.
    """

    def __init__(
        self,
        strategy_class: type[Strategy],
        params: Mapping[str, object] | None = None,
        *,
        instruments: Sequence[str] | None = None,
        tick_size: Ratio = (1, 100_000),
        lot_size: Ratio = (1, 100),
        warmup: int = 0,
        seed: int = 1,
        mode: str = "debug",
        cash: float = 100_000.0,
        history: Sequence[Bar | Tick] = (),
    ) -> None:
        self.strategy_class = strategy_class
        self.params = dict(params or {})
        self.instruments = instruments
        self.tick_size = tick_size
        self.lot_size = lot_size
        self.warmup = warmup
        self.seed = seed
        self.mode = mode
        self.cash = cash
        self.history = history

    def run(self, events: Sequence[Bar | Tick], *, windows: int | Sequence[int] = 4096) -> Run:
        """Deliver the events and return what was answered.

        events: in the order of the tape; they are numbered here. windows: events per window, 1 for moment by moment,
        several sizes to be used in turn; a window always ends with a moment.
        Raises what the strategy raises, Refusal if it refuses, and SignalInvalid for a signal that fails a run.
        """
        tape = Tape(events, self.instruments, self.warmup)
        described = self._describe(strategy_pb2.DescribeRequest(parameters=self._parameters(), contract_versions=[1]))
        granted = sorted(_OFFERED & {*described.requires, *described.supports})
        if "ORDERS" not in granted:
            granted = [name for name in granted if name != "HEDGING"]
        missing = sorted({*described.requires} - {*granted})
        if missing:
            raise Refusal(f"the strategy requires {', '.join(missing)}, which is not offered here")
        run = Run()
        # The files may go once the session is open: what is mapped stays.
        with TemporaryDirectory(prefix="boxgate-") as folder, ExitStack() as stack:
            request = self._on_init(tape, granted)
            if "HISTORY_HANDLES" in granted:
                before = [*self.history, *tape.events[: self.warmup]]
                request.history.extend(write_handles(tape.series, before, Path(folder), has_ask=tape.has_ask))
            exchange = stack.enter_context(self._session(request, run))
            self._deliver(tape, exchange, run, granted, windows)
        return run

    def _deliver(
        self, tape: Tape, exchange: Exchange, run: Run, granted: Sequence[str], windows: int | Sequence[int]
    ) -> None:
        sizes = cycle([windows] if isinstance(windows, int) else windows)
        account = self._account(tape, granted)
        feedback, intent_check = "FEEDBACK" in granted, IntentCheck(len(tape.symbols))
        at = settled = 0
        while at < len(tape.moments):
            warmup = tape.first_seq(at) < 0
            events_max = next(sizes)
            feeds = feedback and not warmup
            if feeds and settled == at:
                account.settle(tape.moment(at))
                settled += 1
            end, marks = self._extent(tape, at, events_max, account if feeds else None)
            message = tape.window(at, end)
            if feeds:
                message.account.CopyFrom(account.message(updates=True))
                message.marks.CopyFrom(marks)
                run.updates += read_account(message.account.SerializeToString(), tape.symbols).updates
            answer = exchange(message)
            run.windows += 1
            stop = self._check(tape, at, end, feeds, message, answer)
            if isinstance(account, PaperBook):
                if feeds:
                    for i in range(settled, stop):
                        assert not account.settle(tape.moment(i))
                self._take_intents(tape, stop, account, message, answer, exchange, run, intent_check)
                at = settled = stop
                continue
            signals = [on_grid(signal, self.tick_size, self.lot_size) for signal in answer.signals]
            if warmup:
                run.discarded += len(signals)
            else:
                run.signals += [
                    read_signal(signal, message.first_seq + signal.event_index, tape.symbols[signal.instrument])
                    for signal in signals
                ]
            if feeds:
                for i in range(settled, stop):
                    assert not account.settle(tape.moment(i))
                settled = stop
                last = tape.begins[stop - 1] - tape.begins[at]
                account.accept([signal for signal in signals if signal.event_index >= last])
            at = stop
        run.final_cash = account.cash
        run.positions = _open_positions(account, tape)

    def _take_intents(
        self,
        tape: Tape,
        stop: int,
        book: PaperBook,
        message: window_pb2.EventWindow,
        answer: signal_pb2.SignalWindow,
        exchange: Exchange,
        run: Run,
        check: IntentCheck,
    ) -> None:
        """Take the intents of an answer that ends before moment `stop`, and of those that go on with it."""
        moment = tape.moment(stop - 1)
        while True:
            intents = [intent_on_grid(intent, self.tick_size, self.lot_size) for intent in answer.intents]
            if message.warmup:
                run.discarded += len(intents)
                return
            for sent, intent in zip(answer.intents, intents, strict=True):
                seq = message.first_seq + intent.event_index
                check.check(sent, seq)
                run.intents.append((seq, read_intent(intent, tape.symbols)))
            if not message.HasField("account"):
                return
            book.accept(intents, message.first_seq, moment[-1][1].time_ns)
            if not answer.more:
                return
            if isinstance(moment[-1][1], Tick):
                book.settle(moment)
            news = window_pb2.EventWindow(first_seq=message.first_seq, account=book.message(updates=True))
            _append_marks(news.marks, book)
            run.updates += read_account(news.account.SerializeToString(), tape.symbols).updates
            answer = exchange(news)

    def _account(self, tape: Tape, granted: Sequence[str]) -> PaperAccount | PaperBook:
        if "ORDERS" in granted:
            return PaperBook(len(tape.symbols), self.lot_size, self.cash)
        return PaperAccount(len(tape.symbols), self.cash)

    def _extent(
        self, tape: Tape, at: int, events_max: int, account: PaperAccount | PaperBook | None
    ) -> tuple[int, account_pb2.Marks]:
        """Return the moment at which the window ends, and its marks. The account is settled for moment `at`."""
        marks = account_pb2.Marks()
        state = None if account is None else account.copy()
        end = at
        while end < len(tape.moments):
            if end > at and (tape.begins[end + 1] - tape.begins[at] > events_max or (tape.first_seq(end) == 0)):
                break
            if state is not None:
                if end > at and state.settle(tape.moment(end)):
                    break
                for _ in tape.moments[end]:
                    _append_marks(marks, state)
            end += 1
        return end, marks

    def _check(
        self,
        tape: Tape,
        at: int,
        end: int,
        feedback: bool,
        message: window_pb2.EventWindow,
        answer: signal_pb2.SignalWindow,
    ) -> int:
        """Return the moment at which the answer ends."""
        assert answer.first_seq == message.first_seq
        ends = [tape.begins[i + 1] - tape.begins[at] for i in range(at, end)]
        assert answer.consumed in (ends if feedback else ends[-1:])
        assert all(signal.event_index < answer.consumed for signal in answer.signals)
        assert all(intent.event_index < answer.consumed for intent in answer.intents)
        if not message.warmup:
            for signal in answer.signals:
                check_signal(signal, message.first_seq + signal.event_index)
        return at + 1 + ends.index(answer.consumed)

    def _parameters(self) -> list[strategy_pb2.Parameter]:
        return [strategy_pb2.Parameter(name=name, value=_value(value)) for name, value in self.params.items()]

    def _on_init(self, tape: Tape, granted: Sequence[str]) -> strategy_pb2.OnInitRequest:
        def ratio(pair: Ratio) -> instrument_pb2.Ratio:
            return instrument_pb2.Ratio(numerator=pair[0], denominator=pair[1])

        return strategy_pb2.OnInitRequest(
            session_id="test",
            seed=self.seed,
            mode=strategy_pb2.MODE_PROD if self.mode == "prod" else strategy_pb2.MODE_DEBUG,
            capabilities=granted,
            parameters=self._parameters(),
            instruments=[
                instrument_pb2.Instrument(
                    symbol=symbol,
                    tick_size=ratio(self.tick_size),
                    lot_size=ratio(self.lot_size),
                    contract_size=ratio((1, 1)),
                    quote_currency="USD",
                    contract_kind=instrument_pb2.CONTRACT_KIND_LINEAR,
                )
                for symbol in tape.symbols
            ],
            series=[
                instrument_pb2.Series(
                    instrument=tape.symbols.index(symbol),
                    frame=frame,
                    price_basis=instrument_pb2.PRICE_BASIS_BID,
                    has_ask=tape.has_ask,
                    warmup_events=sum(e.warmup for e in tape.events if (e.symbol, e.frame) == (symbol, frame)),
                )
                for symbol, frame in tape.series
            ],
            start_ns=tape.start_ns,
            account=self._account(tape, granted).message(updates=False),
            account_currency="USD",
            leverage=30.0,
            contract_version=_contract.CONTRACT_VERSION,
        )

    def _describe(self, request: strategy_pb2.DescribeRequest) -> strategy_pb2.DescribeResponse:
        return _contract.describe(self.strategy_class, request)

    @contextmanager
    def _session(self, request: strategy_pb2.OnInitRequest, run: Run) -> Iterator[Exchange]:
        opening = _contract.open_session(self.strategy_class, request)
        session = opening.session
        if session is None:
            raise _refusal(opening.response)

        def exchange(window: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
            message = decode_request(strategy_pb2.OnEventRequest(window=window).SerializeToString())
            assert isinstance(message, Window)
            return strategy_pb2.OnEventResponse.FromString(session.answer(message)).signals

        try:
            yield exchange
        finally:
            session.close()
        run.report = session.strategy.on_stop()


class OverSocket(InProcess):
    """The same strategy behind a real socket: slower, and everything that a gateway meets is in play."""

    def run(self, events: Sequence[Bar | Tick], *, windows: int | Sequence[int] = 4096) -> Run:
        """As InProcess.run; a failing strategy shows as grpc.RpcError, as the gateway sees it."""
        with serve_in_thread(self.strategy_class) as endpoint, grpc.insecure_channel(endpoint) as channel:
            self._channel = channel
            return super().run(events, windows=windows)

    def _call(self, method: str, request: Any, response: Any) -> Any:
        call = self._channel.unary_unary(f"/boxgate.strategy.v1.Strategy/{method}")
        metadata = (("boxgate-cookie", COOKIE),)
        return response.FromString(call(request.SerializeToString(), metadata=metadata, timeout=30))

    def _describe(self, request: strategy_pb2.DescribeRequest) -> strategy_pb2.DescribeResponse:
        described: strategy_pb2.DescribeResponse = self._call("Describe", request, strategy_pb2.DescribeResponse)
        return described

    @contextmanager
    def _session(self, request: strategy_pb2.OnInitRequest, run: Run) -> Iterator[Exchange]:
        opening = self._call("OnInit", request, strategy_pb2.OnInitResponse)
        if not opening.HasField("accepted"):
            raise _refusal(opening)
        requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        stream = self._channel.stream_stream("/boxgate.strategy.v1.Strategy/OnEvent")(
            iter(requests.get, None), metadata=(("boxgate-cookie", COOKIE),)
        )
        open_stream = strategy_pb2.OpenStream(session_id=request.session_id)
        requests.put(strategy_pb2.OnEventRequest(open=open_stream).SerializeToString())

        def exchange(window: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
            requests.put(strategy_pb2.OnEventRequest(window=window).SerializeToString())
            return strategy_pb2.OnEventResponse.FromString(next(stream)).signals

        try:
            yield exchange
        finally:
            requests.put(None)
        assert list(stream) == []
        stop = strategy_pb2.OnStopRequest(session_id=request.session_id, reason=strategy_pb2.STOP_REASON_COMPLETED)
        stopped = self._call("OnStop", stop, strategy_pb2.OnStopResponse)
        run.report = MessageToDict(stopped.report) if stopped.HasField("report") else None


def _append_marks(marks: account_pb2.Marks, account: PaperAccount | PaperBook) -> None:
    """Add one entry of each: as things are now."""
    worth = account.marks()
    equity = account.cash + sum(mark.unrealised for mark in worth)
    marks.equity.append(equity)
    marks.free_margin.append(equity)
    known = {(entry.instrument, entry.position): entry for entry in marks.instruments}
    for mark in worth:
        entry = known.get((mark.instrument, mark.position))
        if entry is None:
            entry = marks.instruments.add(instrument=mark.instrument, position=mark.position)
        entry.unrealised_pnl.append(mark.unrealised)
        if mark.level is not None:
            entry.trail_level.append(mark.level)
    stops = {stop.client_id: stop for stop in marks.orders}
    for client_id, level in account.levels().items():
        stop = stops.get(client_id)
        (marks.orders.add(client_id=client_id) if stop is None else stop).level.append(level)


def _open_positions(account: PaperAccount | PaperBook, tape: Tape) -> list[Position]:
    last = read_account(account.message(updates=False).SerializeToString(), tape.symbols)
    return [*last.positions.values(), *last.named]


def _value(value: object) -> strategy_pb2.ParameterValue:
    if isinstance(value, bool):
        return strategy_pb2.ParameterValue(bool_value=value)
    if isinstance(value, int):
        return strategy_pb2.ParameterValue(int_value=value)
    if isinstance(value, float):
        return strategy_pb2.ParameterValue(float_value=value)
    if isinstance(value, str):
        return strategy_pb2.ParameterValue(string_value=value)
    if isinstance(value, (list, tuple)):
        return strategy_pb2.ParameterValue(string_list_value=strategy_pb2.StringList(values=value))
    raise TypeError(f"a parameter is a bool, a number, a text or a list of texts, not {value!r}")


def _refusal(response: strategy_pb2.OnInitResponse) -> Refusal:
    if response.HasField("need_history"):
        needs = [f"{n.symbol} {n.frame}: {n.history_events}" for n in response.need_history.series]
        return Refusal(f"the strategy needs more history ({', '.join(needs)}): give the run more warm-up events")
    return Refusal(response.refused.reason)
