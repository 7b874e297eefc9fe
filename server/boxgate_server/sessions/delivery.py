"""Delivery: the tape goes to the sidecar, its signals come back and meet the next moments.

LOCKSTEP has one moment in flight. WINDOW has many events in one message: without FEEDBACK several messages are in
flight; with FEEDBACK one, which ends before the next change of the account and is answered up to the first effective
signal. Both give the same results (docs/spec/strategy-protocol.md, "Delivery").
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from google.protobuf.message import DecodeError

from boxgate_engine.errors import BoxgateError
from boxgate_engine.kernel.records import SIGNAL_ROW, Records
from boxgate_engine.signal_intake import take_signals
from boxgate_engine.simulation import Marks, Simulation
from boxgate_engine.tape import Chunk, Tape
from boxgate_server.sessions._wire import Answer, protocol_error, read_answer, window_message
from boxgate_server.sessions.account_view import account_message, held_instruments

WINDOWS_IN_FLIGHT_MAX: Final = 4
"""Windows that a plain session may have unanswered: enough for both sides to be busy."""
_CHUNK_EVENTS: Final = 16_384
_EVENT_BYTES_MAX: Final = 8 * 12
_WINDOW_BYTES_MAX: Final = 3 << 20


class Stream(Protocol):
    """The session's stream: raw messages both ways."""

    def send(self, payload: bytes) -> None:
        """Send one OnEventRequest."""

    def receive(self, deadline_s: float, *, seq: int) -> bytes:
        """Return the next OnEventResponse, or raise. seq: first event of the window that it answers."""

    def unsolicited(self) -> BoxgateError | None:
        """Return the error of a sidecar that sent more answers than it was asked for, if it did."""

    def undecodable(self, answer: bytes) -> BoxgateError:
        """Return the error of an answer that is no message of the contract."""


@dataclass(kw_only=True)
class Delivery:
    """Drives one session over a stream.

    reply_deadline_s: time allowed for the answer to a window of that many events. window_events: most events of a
    window. lockstep: one moment per message. feedback: the sidecar sees the account. keep_meta: debug mode.
    progress: called with the number of events done.
    """

    stream: Stream
    reply_deadline_s: Callable[[int], float]
    simulation: Simulation
    window_events: int
    lockstep: bool
    feedback: bool
    keep_meta: bool
    progress: Callable[[int], None] = lambda _: None
    round_trips: int = 0
    warmup_signals: int = 0
    meta: list[dict[str, Any] | None] = field(default_factory=list)

    def warm_up(self, tape: Tape) -> None:
        """Deliver the events before the tape; what the sidecar signals is counted and goes no further."""
        start = 0
        while start < tape.merged_events:
            chunk = tape.chunk(start, self._events_max())
            self.stream.send(window_message(chunk, 0, chunk.moments, warmup=True))
            count = int(chunk.event_offset[-1])
            answer = self._receive(chunk.first_seq, count)
            self._expect_all(answer, chunk.first_seq, count)
            self.warmup_signals += len(answer.signals)
            start += len(chunk.quotes.events)

    def run(self, tape: Tape) -> None:
        """Deliver the tape and settle every moment of it."""
        if self.feedback:
            self._run_feedback(tape)
        else:
            self._run_plain(tape)

    def _run_plain(self, tape: Tape) -> None:
        pending: deque[tuple[Chunk, int, int]] = deque()
        in_flight_max = 1 if self.lockstep else WINDOWS_IN_FLIGHT_MAX
        for chunk, first, end in self._windows(tape):
            self.stream.send(window_message(chunk, first, end))
            pending.append((chunk, first, end))
            if len(pending) == in_flight_max:
                self._settle_plain(*pending.popleft())
        while pending:
            self._settle_plain(*pending.popleft())

    def _windows(self, tape: Tape) -> Any:
        """Yield (chunk, first moment, end moment) of each window of a plain session."""
        start = 0
        while start < tape.merged_events:
            chunk = tape.chunk(start, _CHUNK_EVENTS if self.lockstep else self._events_max())
            if self.lockstep:
                first = 0
                for m in range(chunk.moments):
                    if chunk.quotes.delivered[m]:
                        yield chunk, first, m + 1
                        first = m + 1
            else:
                yield chunk, 0, chunk.moments
            start += len(chunk.quotes.events)

    def _settle_plain(self, chunk: Chunk, first: int, end: int) -> None:
        offset = int(chunk.event_offset[first])
        count = int(chunk.event_offset[end]) - offset
        seq = chunk.first_seq + offset
        answer = self._receive(seq, count)
        self._expect_all(answer, seq, count)
        incoming = self._take(answer, chunk, first, end)
        self.simulation.advance(chunk.quotes, incoming, first, end)
        self.progress(seq + count)

    def _run_feedback(self, tape: Tape) -> None:
        start = 0
        updates_sent = 0
        while start < tape.merged_events:
            chunk = tape.chunk(start, _CHUNK_EVENTS)
            marks = Marks.for_chunk(len(chunk.quotes.events), len(self.simulation.instruments))
            m = 0
            while m < chunk.moments:
                m, updates_sent = self._feedback_window(chunk, m, marks, updates_sent)
            self.progress(chunk.first_seq + int(chunk.event_offset[-1]))
            start += len(chunk.quotes.events)

    def _feedback_window(self, chunk: Chunk, m: int, marks: Marks, updates_sent: int) -> tuple[int, int]:
        """Settle the next delivered moment, deliver it with what cannot change, return (next moment, updates sent)."""
        simulation = self.simulation
        quotes = chunk.quotes
        first = m
        while not quotes.delivered[first]:
            first += 1
        simulation.advance(quotes, _NO_SIGNALS, m, first + 1)
        limit = first + 1
        if not self.lockstep:
            reach = int(chunk.event_offset[first]) + self._events_max()
            limit = max(limit, int(np.searchsorted(chunk.event_offset, reach, side="right")) - 1)
        end = simulation.plan(quotes, first + 1, limit, marks)
        sim = simulation.sim
        # The updates of the state that the window shows; later ones ride on the next window.
        account = account_message(sim, updates_sent)
        updates_sent = int(sim.account["updates"][0])
        payload = window_message(chunk, first, end, account=account, marks=marks, held=held_instruments(sim))
        self.stream.send(payload)
        offset = int(chunk.event_offset[first])
        seq = chunk.first_seq + offset
        count = int(chunk.event_offset[end]) - offset
        answer = self._receive(seq, count)
        consumed_end = self._consumed_moment(answer, chunk, first, end, seq, count)
        incoming = self._take(answer, chunk, first, consumed_end)
        self._settle_feedback(chunk, incoming, first, consumed_end, seq)
        return consumed_end, updates_sent

    def _settle_feedback(self, chunk: Chunk, incoming: Records, first: int, end: int, seq: int) -> None:
        simulation = self.simulation
        last = end - 1
        last_start = chunk.quotes.moment_start[last]
        before = incoming[incoming["event"] < last_start]
        if last > first:
            version = int(simulation.sim.account["version"][0])
            simulation.advance(chunk.quotes, before, first, last, settled=1)
            if int(simulation.sim.account["version"][0]) != version:
                raise protocol_error(
                    "PROTO_SEQ",
                    "events were consumed beyond an effective signal",
                    seq=seq,
                    expected="consumed = the end of the first moment with an effective signal",
                )
        after = incoming[incoming["event"] >= last_start]
        simulation.advance(chunk.quotes, after, last, end, settled=1 if last == first else 0)

    def _consumed_moment(self, answer: Answer, chunk: Chunk, first: int, end: int, seq: int, count: int) -> int:
        """Return the end of the moments that were consumed."""
        offset = int(chunk.event_offset[first])
        target = offset + answer.consumed
        # Undelivered moments share an offset with the moment before them: the first that reaches it counts.
        moment = int(np.searchsorted(chunk.event_offset, target, side="left"))
        if not 1 <= answer.consumed <= count or moment > end or int(chunk.event_offset[moment]) != target:
            raise protocol_error(
                "PROTO_SEQ",
                f"consumed is {answer.consumed}",
                seq=seq,
                expected=f"1 to {count}, at the end of a moment",
            )
        return moment

    def _take(self, answer: Answer, chunk: Chunk, first: int, end: int) -> Records:
        """Return the kernel's signals of an answer to moments [first, end)."""
        if len(answer.signals) == 0:
            return _NO_SIGNALS
        events = slice(int(chunk.event_offset[first]), int(chunk.event_offset[end]))
        index = chunk.quote_index[events]
        moment = np.searchsorted(chunk.quotes.moment_start, index, side="right")
        seq = chunk.quotes.events["seq"][index]
        simulation = self.simulation
        signals, rounded, order = take_signals(
            answer.signals, simulation.specs, simulation.instruments, seq=seq, moment=moment
        )
        trails = np.flatnonzero(signals["trail"] > 0)
        if len(trails):
            raise protocol_error(
                "TRAIL_NOT_OFFERED",
                "a signal asks for a trailing stop, which this engine does not have",
                seq=int(seq[signals["event"][trails[0]]]),
                expected="a risk of sl and tp",
            )
        simulation.rounded += rounded
        signals["event"] = index[signals["event"]]
        if answer.meta is not None:
            self.meta += [answer.meta[k] for k in order]
        return signals

    def _receive(self, seq: int, count: int) -> Answer:
        raw = self.stream.receive(self.reply_deadline_s(count), seq=seq)
        self.round_trips += 1
        try:
            answer = read_answer(raw, seq=seq, keep_meta=self.keep_meta)
        except DecodeError:
            raise self.stream.undecodable(raw) from None
        if answer.first_seq != seq:
            # A flood repeats itself: its second answer looks like a wrong number until the surplus is seen.
            raise self.stream.unsolicited() or protocol_error(
                "PROTO_SEQ", f"the answer is for event {answer.first_seq}", seq=seq, expected=f"first_seq = {seq}"
            )
        return answer

    def _expect_all(self, answer: Answer, seq: int, count: int) -> None:
        if answer.consumed != count:
            raise protocol_error(
                "PROTO_SEQ", f"consumed is {answer.consumed}", seq=seq, expected=f"{count}, the whole window"
            )

    def _events_max(self) -> int:
        marks = 8 * (2 + len(self.simulation.instruments)) if self.feedback else 0
        return min(self.window_events, _WINDOW_BYTES_MAX // (_EVENT_BYTES_MAX + marks))


_NO_SIGNALS: Final = np.zeros(0, SIGNAL_ROW)
