"""Delivery: the tape goes to the sidecar, its signals or intents come back and meet the next moments.

LOCKSTEP has one moment in flight. WINDOW has many events in one message: without FEEDBACK several messages are in
flight; with FEEDBACK one, which ends before the next change of the account and is answered up to the first effective
signal, or the first intent. Both give the same results (docs/spec/strategy-protocol.md, "Delivery").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import numpy as np
from google.protobuf.message import DecodeError

from boxgate_engine.errors import BoxgateError, ConfigInvalid, Problem
from boxgate_engine.intent_intake import DayEnd, IsOpen, OrderNames, always_open, take_intents, utc_day_end
from boxgate_engine.kernel.intent_records import INTENT_ROW
from boxgate_engine.kernel.records import SIGNAL_ROW, Marks, Records
from boxgate_engine.signal_intake import take_signals
from boxgate_engine.simulation import Simulation
from boxgate_engine.tape import Chunk, Tape
from boxgate_server.sessions._feedback_answers import FeedbackAnswers
from boxgate_server.sessions._feedback_windows import FeedbackWindows
from boxgate_server.sessions._moment_rows import lockstep_messages
from boxgate_server.sessions._wire import (
    Answer,
    continuation_message,
    protocol_error,
    read_answer,
    window_message,
)
from boxgate_server.sessions.account_view import OpenOrders, account_message, held_positions, trail_levels
from boxgate_server.sessions.settling import Settle, settler
from boxgate_server.sessions.window_length import WindowLength

WINDOWS_IN_FLIGHT_MAX: Final = 4
"""Windows that a plain session may have unanswered: enough for both sides to be busy."""
CONTINUATIONS_MAX: Final = 1_000
"""Answers marked `more` at one moment."""
_CHUNK_EVENTS: Final = 16_384
_SETTLED_TOGETHER: Final = 256
"""Moments that are settled at a time in lockstep without FEEDBACK."""
_FEW_POSITIONS: Final = 8
"""So many positions may be taken as held where the room for their marks is counted."""
_EVENT_BYTES_MAX: Final = 8 * 12
_WINDOW_BYTES_MAX: Final = 3 << 20


class Stream(Protocol):
    """The session's stream: raw messages both ways."""

    def send(self, payload: bytes) -> None:
        """Send one OnEventRequest."""

    def receive(self, deadline_s: float, *, seq: int) -> bytes:
        """Return the next OnEventResponse, or raise. seq: first event of the window that it answers."""

    def drive(self, steps: Iterator[bytes]) -> None:
        """Send each message that the steps yield; they receive its answer before they go on. Raises what they raise."""
        for payload in steps:
            self.send(payload)

    def unsolicited(self) -> BoxgateError | None:
        """Return the error of a sidecar that sent more answers than it was asked for, if it did."""

    def undecodable(self, answer: bytes) -> BoxgateError:
        """Return the error of an answer that is no message of the contract."""


@dataclass(kw_only=True)
class Delivery:
    """Drives one session over a stream.

    reply_deadline_s: time allowed for the answer to a window of that many events. window_events: most events of a
    window. lockstep: one moment per message. feedback: the sidecar sees the account. keep_meta: debug mode.
    orders: names of the orders of a session that answers with intents, None in one with targets. day_end: where trading
    days end, for orders of a day. is_open: when markets are open, for orders that do not wait. progress: called with
    the number of events done.
    """

    stream: Stream
    reply_deadline_s: Callable[[int], float]
    simulation: Simulation
    window_events: int
    lockstep: bool
    feedback: bool
    keep_meta: bool
    orders: OrderNames | None = None
    day_end: DayEnd = utc_day_end
    is_open: IsOpen = always_open
    progress: Callable[[int], None] = lambda _: None
    round_trips: int = 0
    warmup_signals: int = 0
    meta: list[dict[str, Any] | None] = field(default_factory=list)
    _unanswered: deque[Callable[[], None]] = field(default_factory=deque)
    _updates_sent: int = 0
    _writer: FeedbackWindows = field(default_factory=FeedbackWindows)

    def __post_init__(self) -> None:
        """Prepare for the answers of a session of targets."""
        self._answers = FeedbackAnswers(self.simulation.specs)

    def warm_up(self, tape: Tape) -> None:
        """Deliver the events before the tape; what the sidecar signals is counted and goes no further.

        Where several windows may be in flight, the last of them are answered while the tape begins.
        """
        if self.feedback or self.lockstep:
            self.stream.drive(self._warm_up_steps(tape))
            return
        for chunk in self._chunks(tape):
            self._send(_warm_up_message(chunk), partial(self._receive_warm_up, chunk))

    def _warm_up_steps(self, tape: Tape) -> Iterator[bytes]:
        for chunk in self._chunks(tape):
            yield _warm_up_message(chunk)
            self._receive_warm_up(chunk)

    def _receive_warm_up(self, chunk: Chunk) -> None:
        count = int(chunk.event_offset[-1])
        answer = self._receive(chunk.first_seq, count, warmup=True)
        self._expect_all(answer, chunk.first_seq, count)
        self.warmup_signals += len(answer.signals) + len(answer.intents)

    def run(self, tape: Tape) -> None:
        """Deliver the tape and settle every moment of it."""
        if self.feedback:
            self.stream.drive(self._feedback_steps(tape))
        elif self.lockstep:
            self.stream.drive(self._lockstep_steps(tape))
        else:
            self._run_plain(tape)

    def _lockstep_steps(self, tape: Tape) -> Iterator[bytes]:
        """Yield the message of each moment. What is not needed to write the next one is done while that is answered."""
        start = 0
        while start < tape.merged_events:
            chunk = tape.chunk(start, _CHUNK_EVENTS)
            taken: list[Records] = []
            settled = first = 0
            for last, payload in lockstep_messages(chunk):
                yield payload
                # The account is not shown, so settling may wait for several moments at once, as with windows.
                if first - settled >= _SETTLED_TOGETHER:
                    self._settle(chunk, taken, settled, first)
                    settled = first
                offset = int(chunk.event_offset[first])
                seq, count = chunk.first_seq + offset, int(chunk.event_offset[last]) - offset
                answer = self._receive(seq, count)
                self._expect_all(answer, seq, count)
                if len(answer.signals) or len(answer.intents):
                    taken.append(self._take(answer, chunk, first, last))
                first = last
            self._settle(chunk, taken, settled, first)
            start += len(chunk.quotes.events)

    def _settle(self, chunk: Chunk, taken: list[Records], first: int, end: int) -> None:
        """Settle moments [first, end) with what answered them; `taken` is empty afterwards."""
        incoming = self._nothing if not taken else taken[0] if len(taken) == 1 else np.concatenate(taken)
        taken.clear()
        self.simulation.advance(chunk.quotes, incoming, first, end)
        self.progress(chunk.first_seq + int(chunk.event_offset[end]))

    def _run_plain(self, tape: Tape) -> None:
        with settler(self.simulation, beside=tape.merged_events > self._events_max()) as settle:
            for chunk in self._chunks(tape):
                self._send(window_message(chunk, 0, chunk.moments), partial(self._settle_plain, chunk, settle))
            while self._unanswered:
                self._unanswered.popleft()()

    def _chunks(self, tape: Tape) -> Iterator[Chunk]:
        """Yield the chunks of a tape of which each is a window."""
        start = 0
        while start < tape.merged_events:
            chunk = tape.chunk(start, self._events_max())
            yield chunk
            start += len(chunk.quotes.events)

    def _send(self, payload: bytes, receive: Callable[[], None]) -> None:
        """Send a window and take the oldest answer where as many are awaited as may be. receive: takes its answer."""
        self.stream.send(payload)
        self._unanswered.append(receive)
        if len(self._unanswered) == WINDOWS_IN_FLIGHT_MAX:
            self._unanswered.popleft()()

    def _settle_plain(self, chunk: Chunk, settle: Settle) -> None:
        count = int(chunk.event_offset[-1])
        seq = chunk.first_seq
        answer = self._receive(seq, count)
        self._expect_all(answer, seq, count)
        incoming = self._take(answer, chunk, 0, chunk.moments)
        settle(chunk.quotes, incoming, 0, chunk.moments)
        self.progress(seq + count)

    def _feedback_steps(self, tape: Tape) -> Iterator[bytes]:
        start = 0
        marks = Marks.for_chunk(0, 0)
        length = WindowLength(self._events_max())
        while start < tape.merged_events:
            chunk = tape.chunk(start, _CHUNK_EVENTS)
            if len(marks.equity) < len(chunk.quotes.events):
                marks = Marks.for_chunk(len(chunk.quotes.events), self.simulation.positions)
            m = settled = 0
            while m < chunk.moments:
                m, settled = yield from self._feedback_window(chunk, m, settled, marks, length)
            self.progress(chunk.first_seq + int(chunk.event_offset[-1]))
            start += len(chunk.quotes.events)

    def _feedback_window(
        self, chunk: Chunk, m: int, settled: int, marks: Marks, length: WindowLength
    ) -> Generator[bytes, None, tuple[int, int]]:
        """Settle the next delivered moment, deliver it with what cannot change, and settle what was answered.

        m: the next moment. settled: how many are settled from it on. Returns both as they are afterwards.
        """
        simulation = self.simulation
        quotes = chunk.quotes
        first = self._delivered_from(chunk, m)
        if m + settled <= first:
            simulation.advance(quotes, self._nothing, m, first + 1, settled=settled)
        marks = self._with_trails(marks)
        limit = first + 1
        if not self.lockstep:
            held = simulation.positions
            if held > _FEW_POSITIONS:
                held = int(np.count_nonzero(simulation.sim.book["lots"]))
            columns = 2 + 2 * held + len(marks.trailing)
            reach = int(chunk.event_offset[first]) + min(length.events, self._events_max(columns))
            limit = max(limit, _last_within(chunk.event_offset, reach, first + length.events))
        end = simulation.plan(quotes, first + 1, limit, marks)
        yield self._feedback_message(chunk, first, end, marks)
        offset = int(chunk.event_offset[first])
        seq = chunk.first_seq + offset
        count = int(chunk.event_offset[end]) - offset
        raw = self._receive_raw(seq, count)
        version = simulation.sim.account[0]["version"]
        settled = 0
        taken = self._answers.take(raw, seq, count, chunk.quote_index, offset) if self.orders is None else None
        if taken is not None:
            consumed, incoming, rounded = taken
            simulation.rounded += rounded
            if self.keep_meta:
                self.meta += [None] * len(incoming)
            consumed_end = self._consumed_moment(consumed, chunk, first, end, seq, count)
            settled = self._settle_feedback(chunk, incoming, first, consumed_end, seq)
        else:
            answer = self._read(raw, seq)
            consumed = answer.consumed
            consumed_end = self._consumed_moment(consumed, chunk, first, end, seq, count)
            incoming = self._take(answer, chunk, first, consumed_end)
            if self.orders is not None:
                self._expect_last_moment(incoming, chunk, consumed_end, seq)
            if answer.more:
                yield from self._continue(answer, incoming, chunk, first, consumed_end, marks)
            else:
                settled = self._settle_feedback(chunk, incoming, first, consumed_end, seq)
        said = len(incoming) > 0 and simulation.sim.account[0]["version"] != version
        length.note(count, consumed, stopped=said or consumed < count)
        return consumed_end, settled

    @staticmethod
    def _delivered_from(chunk: Chunk, m: int) -> int:
        """Return the first delivered moment from m on."""
        while not chunk.quotes.delivered[m]:
            m += 1
        return m

    def _continue(
        self, answer: Answer, incoming: Records, chunk: Chunk, first: int, end: int, marks: Marks
    ) -> Iterator[bytes]:
        """Settle moments [first, end), the first of which is settled, and go on in the last until its answer is whole.

        answer: to the window, marked `more`. incoming: its intents, of the last moment.
        """
        assert self.orders is not None, "an answer in a session of targets is never unfinished"
        simulation = self.simulation
        quotes = chunk.quotes
        last = end - 1
        seq, consumed = answer.first_seq, answer.consumed
        simulation.advance(quotes, self._nothing, first, end, settled=1)
        continuations = 0
        while answer.more:
            continuations += 1
            if continuations > CONTINUATIONS_MAX:
                raise protocol_error(
                    "ORDER_LOOP",
                    f"the answer is unfinished for the {continuations:,}th time",
                    seq=seq,
                    expected=f"at most {CONTINUATIONS_MAX:,} answers with `more` at one moment",
                )
            simulation.apply_now(quotes, incoming, last)
            marks = self._with_trails(marks)
            simulation.plan(quotes, end, end, marks)  # the marks as they are now
            at, held = int(quotes.moment_start[last]), held_positions(simulation.sim, self.orders)
            levels = trail_levels(simulation.sim, held, marks, self.orders)
            yield continuation_message(seq, self._account(self.orders), marks, at, held=held, levels=levels)
            answer = self._receive(seq, 0)
            if answer.consumed != consumed:
                raise protocol_error(
                    "PROTO_SEQ",
                    f"consumed is {answer.consumed}",
                    seq=seq,
                    expected=f"{consumed}, as in the answer that goes on",
                )
            incoming = self._take(answer, chunk, first, end)
            self._expect_last_moment(incoming, chunk, end, seq)
        simulation.advance(quotes, incoming, last, end, settled=1)

    def _feedback_message(self, chunk: Chunk, first: int, end: int, marks: Marks) -> bytes:
        """Return the window of moments [first, end), with the account as it is now and its marks."""
        sim = self.simulation.sim
        if self.orders is None:
            return self._writer.message(chunk, first, end, self.simulation.state, self._news(), marks)
        held = held_positions(sim, self.orders)
        levels = trail_levels(sim, held, marks, self.orders)
        account = self._account(self.orders)
        return window_message(chunk, first, end, account=account, marks=marks, held=held, levels=levels)

    def _account(self, names: OrderNames) -> bytes:
        """Return the account of a session of orders as it is now."""
        return account_message(self.simulation.sim, self._news(), OpenOrders(self.simulation.open_orders(), names))

    def _news(self) -> int:
        """Return the first row of the account updates that were not sent before; from now on they are sent."""
        sent, self._updates_sent = self._updates_sent, int(self.simulation.sim.account[0]["updates"])
        return sent

    def _with_trails(self, marks: Marks) -> Marks:
        """Return the marks with room for the trailing stop orders that work now."""
        return marks if self.orders is None else marks.following(self.simulation.trailing_orders())

    @staticmethod
    def _expect_last_moment(incoming: Records, chunk: Chunk, end: int, seq: int) -> None:
        if (incoming["event"] < chunk.quotes.moment_start[end - 1]).any():
            raise protocol_error(
                "PROTO_SEQ",
                "events were consumed beyond an intent",
                seq=seq,
                expected="consumed = the end of the first moment with an intent, and none before it",
            )

    def _settle_feedback(self, chunk: Chunk, incoming: Records, first: int, end: int, seq: int) -> int:
        """Settle moments [first, end), the first of which is settled, and the next one that will be delivered.

        Returns how many are settled behind end.
        """
        simulation = self.simulation
        # The next window begins with that moment, so it is settled in the same breath.
        reach = end if end == chunk.moments else self._delivered_from(chunk, end) + 1
        if not len(incoming) or incoming["event"][0] >= chunk.quotes.moment_start[end - 1]:
            simulation.advance(chunk.quotes, incoming, first, reach, settled=1)
            return reach - end
        last = end - 1
        before = incoming["event"] < chunk.quotes.moment_start[last]
        version = int(simulation.sim.account["version"][0])
        simulation.advance(chunk.quotes, incoming[before], first, last, settled=1)
        if int(simulation.sim.account["version"][0]) != version:
            raise protocol_error(
                "PROTO_SEQ",
                "events were consumed beyond an effective signal",
                seq=seq,
                expected="consumed = the end of the first moment with an effective signal",
            )
        simulation.advance(chunk.quotes, incoming[~before], last, reach)
        return reach - end

    @staticmethod
    def _consumed_moment(consumed: int, chunk: Chunk, first: int, end: int, seq: int, count: int) -> int:
        """Return the end of the moments that were consumed."""
        offset = int(chunk.event_offset[first])
        target = offset + consumed
        # Undelivered moments share an offset with the moment before them: the first that reaches it counts.
        moment = first + consumed
        if moment > end or chunk.event_offset[moment] != target or chunk.event_offset[moment - 1] == target:
            moment = int(np.searchsorted(chunk.event_offset, target, side="left"))
        if not 1 <= consumed <= count or moment > end or int(chunk.event_offset[moment]) != target:
            raise protocol_error(
                "PROTO_SEQ",
                f"consumed is {consumed}",
                seq=seq,
                expected=f"1 to {count}, at the end of a moment",
            )
        return moment

    def _take(self, answer: Answer, chunk: Chunk, first: int, end: int) -> Records:
        """Return the kernel's signals or intents of an answer to moments [first, end)."""
        if len(answer.signals) == 0 and len(answer.intents) == 0:
            return self._nothing
        events = slice(int(chunk.event_offset[first]), int(chunk.event_offset[end]))
        index = chunk.quote_index[events]
        moment = chunk.moment_of_event[events]
        simulation = self.simulation
        if self.orders is not None:
            return self._keep(
                *take_intents(
                    answer.intents,
                    self.orders,
                    simulation.specs,
                    simulation.instruments,
                    seq=chunk.quotes.events["seq"][index],
                    moment=moment,
                    time_ns=chunk.quotes.events["time_ns"][index],
                    day_end=self.day_end,
                    is_open=self.is_open,
                    show_names=self.keep_meta,
                ),
                answer,
                index,
            )
        first_seq = chunk.first_seq + events.start
        seq = range(first_seq, first_seq + len(index))
        signals, rounded, order = take_signals(
            answer.signals, simulation.specs, simulation.instruments, seq=seq, moment=moment
        )
        return self._keep(signals, rounded, order, answer, index)

    def _keep(self, taken: Records, rounded: int, order: np.ndarray, answer: Answer, index: np.ndarray) -> Records:
        """Return what was taken with events as indices of the quotes; note what is kept beside it."""
        self.simulation.rounded += rounded
        taken["event"] = index[taken["event"]]
        if answer.meta is not None:
            self.meta += [answer.meta[k] for k in order]
        return taken

    @property
    def _nothing(self) -> Records:
        return _NO_SIGNALS if self.orders is None else _NO_INTENTS

    def _receive_raw(self, seq: int, count: int) -> bytes:
        raw = self.stream.receive(self.reply_deadline_s(count), seq=seq)
        self.round_trips += 1
        return raw

    def _receive(self, seq: int, count: int, *, warmup: bool = False) -> Answer:
        return self._read(self._receive_raw(seq, count), seq, warmup=warmup)

    def _read(self, raw: bytes, seq: int, *, warmup: bool = False) -> Answer:
        orders = self.orders is not None
        continues = orders and self.feedback and not warmup
        try:
            answer = read_answer(
                raw,
                seq=seq,
                keep_meta=self.keep_meta,
                orders=orders,
                hedging=self.simulation.hedging,
                continues=continues,
            )
        except DecodeError:
            raise self.stream.undecodable(raw) from None
        if answer.more and self.simulation.delays:
            raise _more_with_latency()
        if answer.first_seq != seq:
            # A flood repeats itself: its second answer looks like a wrong number until the surplus is seen.
            raise self.stream.unsolicited() or protocol_error(
                "PROTO_SEQ", f"the answer is for event {answer.first_seq}", seq=seq, expected=f"first_seq = {seq}"
            )
        return answer

    def _expect_all(self, answer: Answer, seq: int, count: int) -> None:
        if answer.consumed != count:
            raise self.stream.unsolicited() or protocol_error(
                "PROTO_SEQ", f"consumed is {answer.consumed}", seq=seq, expected=f"{count}, the whole window"
            )

    def _events_max(self, columns: int = 0) -> int:
        """Return how many events a window may have. columns: number of its columns of marks."""
        return min(self.window_events, _WINDOW_BYTES_MAX // (_EVENT_BYTES_MAX + 8 * columns))


def _last_within(offsets: np.ndarray, reach: int, guess: int) -> int:
    """Return the last index at which the offsets, which never fall, are at most `reach`. guess: where it may be."""
    if guess + 1 < len(offsets) and offsets[guess] == reach < offsets[guess + 1]:
        return guess
    return int(np.searchsorted(offsets, reach, side="right")) - 1


def _warm_up_message(chunk: Chunk) -> bytes:
    return window_message(chunk, 0, chunk.moments, warmup=True)


def _more_with_latency() -> ConfigInvalid:
    return ConfigInvalid(
        [
            Problem(
                path="execution.latency",
                source="",
                what="the strategy waits for its orders at the moment of its answer, where latency lets none arrive",
                expected="no latency for such a strategy",
                remedy="remove execution.latency, or let the strategy send its orders without waiting",
            )
        ]
    )


_NO_SIGNALS: Final = np.zeros(0, SIGNAL_ROW)
_NO_INTENTS: Final = np.zeros(0, INTENT_ROW)
