"""Translation at the border: what gRPC or the kernel says about a sidecar becomes one of the gateway's errors.

The text of a status, and what the sidecar wrote to stderr, are shown in debug only.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from boxgate_engine.errors import BoxgateError, RunFailed
from boxgate_proto.transport import grpc
from boxgate_server.errors import (
    CookieRefused,
    GuardLost,
    HandshakeTimeout,
    MessageTooLarge,
    ReplyTimeout,
    RpcMissing,
    SidecarExit,
    SidecarFailed,
    StrategyRefused,
    StreamBroken,
    UndecodableMessage,
    Unsolicited,
    WaitBudget,
)
from boxgate_server.sidecars.capture import printable
from boxgate_server.sidecars.process import SidecarProcess

_TEXT_MAX = 2_000
_STDERR_MAX = 8_000
_GZIP_OR_ZLIB = 47
_EXIT_WAIT_S = 1.0
"""A connection breaks a little before the kernel reports the end of the process behind it."""

_LIMITS = {
    "event": ", or raise limits.reply_base_s or limits.reply_per_event_s",
    "stop": ", or raise limits.stop_grace_s",
}
"""Keys of the run config that lengthen the deadline of a phase; the other phases have none."""

_TOO_LARGE = re.compile(r"message larger than max \((\d+) vs\. (\d+)\)|metadata size exceeds", re.ASCII)


@dataclass
class Scene:
    """Where in a session something happened."""

    mode: str
    process: SidecarProcess | None
    phase: str = "start"
    seq: int | None = None
    acked_seq: int | None = None

    @property
    def where(self) -> str:
        """Return phase, event and last answered window."""
        parts = [f"phase={self.phase}"]
        if self.seq is not None:
            parts.append(f"seq={self.seq}")
        if self.phase == "event":
            parts.append(f"last answered window={'none' if self.acked_seq is None else self.acked_seq}")
        return " ".join(parts)

    def told(self, details: str | None = None, *, stderr: bool = True) -> str:
        """Return what the sidecar said, to append to `what`; nothing in prod. With stderr, its tree is killed."""
        if self.mode != "debug":
            return ""
        said = []
        if details:
            said.append(f"; it said: {printable(details)[:_TEXT_MAX]}")
        end = self.process.end_of_stderr() if self.process and stderr else ""
        if end:
            said.append(f"; its stderr ends:\n{end[-_STDERR_MAX:]}\n")
        return "".join(said)


def from_status(
    status: grpc.RpcError, scene: Scene, *, deadline_s: float | None, message_bytes_max: int
) -> BoxgateError:
    """Return the error for a call or stream that gRPC ended; deadline_s: None if gRPC was given none."""
    code, details = status.code(), status.details() or ""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and deadline_s is not None:
        return reply_timeout(scene, deadline_s)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE.search(details):
        return too_large(scene, details, message_bytes_max)
    # UNAVAILABLE is a broken connection, most often because the process ended: give the kernel a moment to say so.
    if ended := exited(scene, _EXIT_WAIT_S if code in _CONNECTION_CODES else 0.0):
        return ended
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return CookieRefused(
            f"the sidecar refused the call{scene.told(details)}",
            where=scene.where,
            expected="the cookie of the metadata key boxgate-cookie to be accepted",
            remedy="compare it with BOXGATE_COOKIE; with --attach, give the cookie that the sidecar was started with",
            seq=scene.seq,
        )
    if code is grpc.StatusCode.INVALID_ARGUMENT and scene.phase in ("describe", "init"):
        return StrategyRefused(
            f"the strategy refuses its parameters{scene.told(details, stderr=False)}",
            where="strategy.params",
            expected="values that the strategy accepts together",
            remedy="change the parameters; the strategy's documentation says which fit together",
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return RpcMissing(
            f"the sidecar does not implement what was called{scene.told(details)}",
            where=scene.where,
            expected="all RPCs of boxgate.strategy.v1.Strategy, without compression",
            remedy="implement it, or build the strategy with a current SDK",
            seq=scene.seq,
        )
    if code in _CONNECTION_CODES:
        return stream_broken(scene, details)
    return SidecarFailed(
        f"the sidecar answered with status {code.name}{scene.told(details)}",
        where=scene.where,
        expected="an answer",
        remedy="look at the strategy's own error" if scene.mode == "debug" else "run it in debug to see its own error",
        seq=scene.seq,
    )


_CONNECTION_CODES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL)


def exited(scene: Scene, timeout_s: float) -> RunFailed | None:
    """Return the error for a process that ended, or None if it lives."""
    process = scene.process
    if process is None:
        return None
    end = process.wait_exited(timeout_s)
    if process.guard_lost:
        return GuardLost(
            "the guard of the sidecars ended, and every sidecar with it",
            where=scene.where,
            expected="one guard process for the whole life of the host",
            remedy="look for what ended it, for example a limit on memory or processes, then run again",
            seq=scene.seq,
        )
    if end is None:
        return None
    how = f"with {end}" if scene.mode == "debug" else f"({end.outcome})"
    if scene.phase == "start" and end.code == 0:
        return SidecarExit(
            f"the sidecar's process ended before serving{scene.told()}",
            where=scene.where,
            expected="a process that serves until it is stopped",
            remedy="does the script call serve()? its last lines are: if __name__ == '__main__': serve(MyStrategy)",
        )
    return SidecarExit(
        f"the sidecar's process ended {how}{scene.told()}",
        where=scene.where,
        expected="a process that lives until the session is stopped",
        remedy="look at the strategy's own error" if scene.mode == "debug" else "run it in debug to see its own error",
        seq=scene.seq,
    )


def handshake_timeout(scene: Scene, state: str, handshake_s: float) -> HandshakeTimeout:
    """Return the error for a sidecar that is not ready in time; state: what it did instead, a clause."""
    return HandshakeTimeout(
        f"the sidecar {state} within {handshake_s:g} s{scene.told()}",
        where=scene.where,
        expected="SERVING from its health service at BOXGATE_ENDPOINT",
        remedy="bind the endpoint and serve grpc.health.v1.Health before anything that takes long, "
        "or raise limits.handshake_s",
        seq=scene.seq,
    )


def reply_timeout(scene: Scene, deadline_s: float) -> ReplyTimeout:
    """Return the error for an answer that did not come in time."""
    return ReplyTimeout(
        f"no answer within {deadline_s:g} s{scene.told()}",
        where=scene.where,
        expected="an answer before the deadline",
        remedy=f"make the strategy faster{_LIMITS.get(scene.phase, '')}",
        seq=scene.seq,
    )


def wait_budget(scene: Scene, wait_s_max: float) -> WaitBudget:
    """Return the error for a session that waited too long in all."""
    return WaitBudget(
        f"the answers of the session took more than {wait_s_max:g} s in all",
        where=scene.where,
        expected="a strategy that stays well below its deadlines",
        remedy="make the strategy faster",
        seq=scene.seq,
    )


def too_large(scene: Scene, details: str, message_bytes_max: int) -> MessageTooLarge:
    """Return the error for a message above the limit; its size is shown in debug."""
    match = _TOO_LARGE.search(details)
    # The numbers are read from a text that could be the sidecar's: shown in debug only.
    numbers = match if match and match[1] and scene.mode == "debug" else None
    size = f" of {numbers[1]} bytes" if numbers else ""
    return MessageTooLarge(
        f"a message{size} is larger than allowed",
        where=scene.where,
        expected=f"at most {numbers[2] if numbers else message_bytes_max} bytes, and 4 KiB of metadata",
        remedy="send fewer or smaller fields, meta counts as well; or lower execution.window_events",
        seq=scene.seq,
    )


def unsolicited(scene: Scene) -> Unsolicited:
    """Return the error for an answer that no window waits for."""
    return Unsolicited(
        "the sidecar sent an answer that nobody asked for",
        where=scene.where,
        expected="exactly one answer for each window, none for the message that opens the stream",
        remedy="answer each window once",
        seq=scene.seq,
    )


def undecodable(scene: Scene, answer: bytes, message_bytes_max: int) -> UndecodableMessage | MessageTooLarge:
    """Return the error for bytes that are no message; for a compression bomb it is MessageTooLarge."""
    if _unpacks_beyond(answer, message_bytes_max):
        return too_large(scene, "", message_bytes_max)
    return UndecodableMessage(
        f"an answer of {len(answer)} bytes cannot be decoded",
        where=scene.where,
        expected="a message of boxgate.strategy.v1",
        remedy="send what the generated code serialises, uncompressed",
        seq=scene.seq,
    )


def _unpacks_beyond(data: bytes, bytes_max: int) -> bool:
    try:
        return len(zlib.decompressobj(_GZIP_OR_ZLIB).decompress(data, bytes_max + 1)) > bytes_max
    except zlib.error:
        return False


def stream_broken(scene: Scene, details: str = "") -> StreamBroken:
    """Return the error for a stream that ended early while the process lives."""
    return StreamBroken(
        f"the sidecar ended the connection{scene.told(details)}",
        where=scene.where,
        expected="a stream that stays open until the gateway closes it",
        remedy="keep the handler of OnEvent running while requests come",
        seq=scene.seq,
    )
