"""The stream of one session: windows out, answers in, each with a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_proto.transport import grpc
from boxgate_server.sidecars import faults
from boxgate_server.sidecars.faults import Scene
from boxgate_server.sidecars.limits import SidecarLimits

_WATCH_S = 0.05
"""How often the deadline of driven steps is looked at, and how much later than it they may end."""
_EVENT_BYTES_MIN = 16
"""Of an event in a message: bounds the number of events that a message holds."""


class EventStream:
    """Messages are bytes, both ways: the session writes and reads them as arrays.

    Either one thread sends and receives, and several windows may be sent before the first answer is received: a reader
    thread takes answers as they come, so that one which nobody asked for is noticed at once, and at most `windows in
    flight` of them are held. Or `drive` takes whole steps, one window in flight, and no message changes threads: an
    answer that nobody asked for is then met in place of the next one, or at the end.
    """

    def __init__(self, stream_stream: Any, session_id: str, scene: Scene, limits: SidecarLimits, kill: Any) -> None:
        """Open the stream and name its session."""
        self.wait_s = 0.0
        self._scene = scene
        self._limits = limits
        self._kill = kill
        self._requests: queue.SimpleQueue[bytes | Iterator[bytes] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._sent = 0
        self._received = 0
        self._status: grpc.RpcError | None = None
        self._unsolicited = False
        self._failure: BoxgateError | None = None
        self.closed = False
        self._reader: threading.Thread | None = None
        # What follows belongs to driven steps: who sends, how they ended, and until when what they wait for may take.
        self._sender: threading.Thread | None = None
        self._ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._due: _Due | None = None
        self._verdict = threading.Lock()
        opening = strategy_pb2.OnEventRequest(open=strategy_pb2.OpenStream(session_id=session_id))
        self._call = stream_stream(self._feed(opening.SerializeToString()))

    def send(self, payload: bytes) -> None:
        """Send a serialised OnEventRequest. Never blocks; a fault is raised by the next receive."""
        assert not self.closed, "the stream is closed"
        assert self._sent - self._received < self._limits.windows_in_flight_max, "too many windows in flight"
        self._sent += 1  # before the sidecar can see it: its answer must never count as unasked
        self._requests.put(payload)
        self._read_ahead()

    def receive(self, deadline_s: float, *, seq: int) -> bytes:
        """Return the next answer, a serialised OnEventResponse.

        seq: number of the first event of the window that is answered next; for messages only, nothing is compared.
        Raises ReplyTimeout, SidecarExit, SidecarFailed, Unsolicited, MessageTooLarge, StreamBroken, WaitBudget ...
        After any of them the tree is dead and the stream is of no more use.
        """
        if self._failure is not None:
            raise self._failure
        self._scene.seq = seq
        began = time.monotonic()
        left = self._limits.wait_s_max - self.wait_s
        due = _Due(began, deadline_s, left)
        answer = self._next(due) if self._reader is None else self._read(due)
        self.wait_s += time.monotonic() - began
        if answer is None or self._unsolicited:
            with self._verdict:
                raise self._found()
        self._scene.acked_seq = seq
        return answer

    def drive(self, steps: Iterator[bytes]) -> None:
        """Send each message of the steps, which receive its answer themselves before they go on to the next.

        They run in the thread that sends, while this one looks after the deadline. Raises what they raise.
        """
        assert self._reader is None, "windows were sent beside the steps"
        assert not self.closed, "the stream is closed"
        self._requests.put(steps)
        while True:
            due = self._due
            try:
                failure = self._ended.get(timeout=_WATCH_S if due is None else due.patience_s())
                break
            except queue.Empty:
                pass
            if due is not None and due.passed():
                with self._verdict:  # which kills, so that the steps see the end of the stream before it is found
                    if self._failure is None and due is self._due:
                        self._late(due)
            if self._sender is not None and not self._sender.is_alive() and self._ended.empty():
                # gRPC takes no more messages. The last answer may be here all the same; else receiving says why not.
                failure = self._run(steps)
                break
        if failure is not None:
            raise failure

    def unsolicited(self, wait_s: float = 0.1) -> BoxgateError | None:
        """Return the error if there are more answers than windows, else None after `wait_s`.

        For a caller that received an answer to the wrong window: it tells a flood from a wrong number.
        """
        self._read_ahead().join(wait_s)
        return self._fail(faults.unsolicited(self._scene)) if self._unsolicited else None

    def undecodable(self, answer: bytes) -> BoxgateError:
        """Return the error for an answer that the caller could not decode; the sidecar's tree is killed."""
        return self._fail(faults.undecodable(self._scene, answer, self._limits.message_bytes_max))

    def close(self) -> None:
        """End the stream after the last answer was received. Idempotent.

        Raises Unsolicited if there was one answer too many. A sidecar that does not end its side is cancelled.
        """
        if self.closed:
            return
        self.closed = True
        self._requests.put(None)
        self._read_ahead().join(self._limits.stop_s)
        if self._unsolicited:
            raise self._fail(faults.unsolicited(self._scene))
        self._call.cancel()

    def abort(self) -> None:
        """End the stream at once, whatever is in flight. Idempotent."""
        self.closed = True
        self._requests.put(None)
        self._call.cancel()

    def _feed(self, opening: bytes) -> Iterator[bytes]:
        """Yield what gRPC is to send; it asks for one after the other in a thread of its own."""
        self._sender = threading.current_thread()
        yield opening
        while (item := self._requests.get()) is not None:
            if isinstance(item, bytes):
                yield item
                continue
            failure: BaseException | None = None
            try:
                for payload in item:
                    self._sent += 1
                    events_max = len(payload) // _EVENT_BYTES_MIN
                    # A sidecar that stops reading lets nothing be sent.
                    self._due = _Due(time.monotonic(), self._limits.reply_deadline_s(events_max), None)
                    yield payload
                    self._due = None
            except GeneratorExit:
                return  # the thread ends as well, and `drive` sees it
            except BaseException as error:  # handed to the thread that asked
                failure = error
            self._due = None
            self._ended.put(failure)

    def _run(self, steps: Iterator[bytes]) -> BaseException | None:
        try:
            for _ in steps:
                self._sent += 1
        except BaseException as error:  # raised by the caller
            return error
        return None

    def _next(self, due: _Due) -> bytes | None:
        """Return the next answer in the thread that called, None for none."""
        self._due = due
        try:
            answer: bytes = next(self._call)
        except StopIteration:
            return None
        except grpc.RpcError as status:
            self._status = status
            return None
        finally:
            self._due = None
        self._received += 1
        return answer

    def _read(self, due: _Due) -> bytes | None:
        """Return the next answer that the reader has taken, None for none."""
        try:
            return self._answers.get(timeout=max(0.0, due.left_s()))
        except queue.Empty:
            raise self._late(due) from None

    def _late(self, due: _Due) -> BoxgateError:
        """End the stream for an answer that did not come in time."""
        late = faults.wait_budget if due.of_session else faults.reply_timeout
        limit = self._limits.wait_s_max if due.of_session else due.deadline_s
        return self._fail(faults.exited(self._scene, 0.0) or late(self._scene, limit))

    def _read_ahead(self) -> threading.Thread:
        """Take answers as they come from now on; the thread that does."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._take, name="boxgate-answers", daemon=True)
            self._reader.start()
        return self._reader

    def _take(self) -> None:
        answers: Iterator[bytes] = self._call
        try:
            for answer in answers:
                self._received += 1
                if self._received > self._sent:
                    self._unsolicited = True
                    self._call.cancel()
                    break
                self._answers.put(answer)
        except grpc.RpcError as status:
            self._status = status
        self._answers.put(None)

    def _found(self) -> BoxgateError:
        """Return the error that is known already, or the one that the stream ended with."""
        return self._fail(self._fault()) if self._failure is None else self._failure

    def _fault(self) -> BoxgateError:
        if self._unsolicited:
            return faults.unsolicited(self._scene)
        if self._status is None:  # the sidecar ended its side with status OK
            return faults.exited(self._scene, 0.0) or faults.stream_broken(self._scene)
        return faults.from_status(
            self._status, self._scene, deadline_s=None, message_bytes_max=self._limits.message_bytes_max
        )

    def _fail(self, fault: BoxgateError) -> BoxgateError:
        self._failure = fault
        self._requests.put(None)
        self._call.cancel()
        self._kill()
        return fault


class _Due:
    """Until when something may take: a deadline of its own, or what the session has left to wait where that is less."""

    __slots__ = ("at", "deadline_s", "of_session")

    def __init__(self, began: float, deadline_s: float, left_s: float | None) -> None:
        self.deadline_s = deadline_s
        self.of_session = left_s is not None and left_s <= deadline_s
        self.at = began + (left_s if left_s is not None and self.of_session else deadline_s)

    def left_s(self) -> float:
        """Return the time left, negative when it has passed."""
        return self.at - time.monotonic()

    def passed(self) -> bool:
        """Return whether it is over."""
        return self.left_s() <= 0.0

    def patience_s(self) -> float:
        """Return how long to wait before looking again."""
        return min(max(self.left_s(), 0.001), _WATCH_S)
