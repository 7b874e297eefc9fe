"""The stream of one session: windows out, answers in, each with a deadline."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_server.sidecars import faults
from boxgate_server.sidecars.faults import Scene
from boxgate_server.sidecars.limits import SidecarLimits


class EventStream:
    """Messages are bytes, both ways: the session writes and reads them as arrays.

    One thread sends and receives; several windows may be sent before the first answer is received. A reader thread
    takes answers as they come, so that one which nobody asked for is noticed at once, and at most `windows in flight`
    of them are held.
    """

    def __init__(self, stream_stream: Any, session_id: str, scene: Scene, limits: SidecarLimits, kill: Any) -> None:
        """Open the stream and name its session."""
        self.wait_s = 0.0
        self._scene = scene
        self._limits = limits
        self._kill = kill
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._sent = 0
        self._received = 0
        self._status: grpc.RpcError | None = None
        self._unsolicited = False
        self._failure: BoxgateError | None = None
        self.closed = False
        opening = strategy_pb2.OnEventRequest(open=strategy_pb2.OpenStream(session_id=session_id))
        self._requests.put(opening.SerializeToString())
        self._call = stream_stream(iter(self._requests.get, None))
        self._reader = threading.Thread(target=self._read, name="boxgate-answers", daemon=True)
        self._reader.start()

    def send(self, payload: bytes) -> None:
        """Send a serialised OnEventRequest. Never blocks; a fault is raised by the next receive."""
        assert not self.closed, "the stream is closed"
        assert self._sent - self._received < self._limits.windows_in_flight_max, "too many windows in flight"
        self._sent += 1  # before the sidecar can see it: its answer must never count as unasked
        self._requests.put(payload)

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
        try:
            answer = self._answers.get(timeout=max(0.0, min(deadline_s, left)))
        except queue.Empty:
            late = faults.reply_timeout if deadline_s < left else faults.wait_budget
            limit = deadline_s if deadline_s < left else self._limits.wait_s_max
            raise self._fail(faults.exited(self._scene, 0.0) or late(self._scene, limit)) from None
        self.wait_s += time.monotonic() - began
        if answer is None or self._unsolicited:
            raise self._fail(self._fault())
        self._scene.acked_seq = seq
        return answer

    def unsolicited(self, wait_s: float = 0.1) -> BoxgateError | None:
        """Return the error if there are more answers than windows, else None after `wait_s`.

        For a caller that received an answer to the wrong window: it tells a flood from a wrong number.
        """
        self._reader.join(wait_s)
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
        self._reader.join(self._limits.stop_s)
        if self._unsolicited:
            raise self._fail(faults.unsolicited(self._scene))
        self._call.cancel()

    def abort(self) -> None:
        """End the stream at once, whatever is in flight. Idempotent."""
        self.closed = True
        self._requests.put(None)
        self._call.cancel()

    def _read(self) -> None:
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
