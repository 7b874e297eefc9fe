"""The gateway's end of one sidecar: every call carries the cookie and has a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_proto.transport import grpc
from boxgate_server.errors import HandshakeBad
from boxgate_server.sidecars import faults
from boxgate_server.sidecars.event_stream import EventStream
from boxgate_server.sidecars.faults import Scene
from boxgate_server.sidecars.limits import SidecarLimits
from boxgate_server.sidecars.process import SidecarProcess

COOKIE_KEY = "boxgate-cookie"
"""Metadata key in which the cookie is sent back."""

_SERVICE = "/boxgate.strategy.v1.Strategy/"
_HEALTH = "/grpc.health.v1.Health/Check"
_RETRY_S = 0.005

_Answer = TypeVar("_Answer", bound=Message)


class Connection:
    """Calls to one sidecar, in the order of the contract: describe, on_init, open_stream, on_stop."""

    def __init__(
        self,
        address: str,
        cookie: str,
        *,
        mode: str,
        limits: SidecarLimits,
        process: SidecarProcess | None,
        kill: Callable[[], None],
    ) -> None:
        """Make the channel; nothing is sent before the first call. mode: debug or prod."""
        self.limits = limits
        self.scene = Scene(mode, process)
        self.stop_fault: BoxgateError | None = None
        self._cookie = ((COOKIE_KEY, cookie),)
        self._kill = kill
        self._streams: list[EventStream] = []
        self._channel = grpc.insecure_channel(address, options=_options(limits))

    def wait_serving(self, deadline: float) -> None:
        """Wait until the health service says SERVING; `deadline` as of time.monotonic().

        Raises SidecarExit, HandshakeTimeout, HandshakeBad or CookieRefused.
        """
        self.scene.phase = "start"
        check = self._channel.unary_unary(_HEALTH)
        request = health_pb2.HealthCheckRequest().SerializeToString()
        state, garbled = "did not answer", False
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = health_pb2.HealthCheckResponse.FromString(
                    check(request, timeout=left, metadata=self._cookie, wait_for_ready=False)
                )
            except DecodeError:
                raise self._bad("answers health checks with something else") from None
            except grpc.RpcError as status:
                if status.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    if status.code() is grpc.StatusCode.UNIMPLEMENTED:
                        raise self._bad("does not implement grpc.health.v1.Health") from None
                    raise self._translate(status, left) from None
                if ended := faults.exited(self.scene, 0.0):
                    raise ended from None
                # With a process, somebody listens there already: what he says is no gRPC.
                garbled = status.code() is grpc.StatusCode.UNAVAILABLE and self.scene.process is not None
            else:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
                state, garbled = "says that it is not serving", False
            time.sleep(_RETRY_S)
        raise (
            self._bad("does not speak gRPC")
            if garbled
            else faults.handshake_timeout(self.scene, state, self.limits.handshake_s)
        )

    def describe(self, request: strategy_pb2.DescribeRequest) -> strategy_pb2.DescribeResponse:
        """Ask what the strategy is and needs."""
        return self._call("Describe", "describe", request, strategy_pb2.DescribeResponse, self.limits.describe_s)

    def on_init(self, request: strategy_pb2.OnInitRequest) -> strategy_pb2.OnInitResponse:
        """Open a session."""
        return self._call("OnInit", "init", request, strategy_pb2.OnInitResponse, self.limits.init_s)

    def open_stream(self, session_id: str) -> EventStream:
        """Open the event stream of a session that was accepted."""
        self.scene.phase, self.scene.seq, self.scene.acked_seq = "event", None, None
        method = self._channel.stream_stream(f"{_SERVICE}OnEvent")

        def start(requests: Any) -> Any:
            return method(requests, metadata=self._cookie, wait_for_ready=False)

        stream = EventStream(start, session_id, self.scene, self.limits, self._kill)
        self._streams = [*(other for other in self._streams if not other.closed), stream]
        return stream

    def on_stop(self, request: strategy_pb2.OnStopRequest) -> strategy_pb2.OnStopResponse | None:
        """End a session. A fault does not raise, because results stand: it is kept in `stop_fault`."""
        try:
            return self._call("OnStop", "stop", request, strategy_pb2.OnStopResponse, self.limits.stop_s)
        except BoxgateError as fault:
            self.stop_fault = fault
            return None

    def abort_streams(self) -> None:
        """End the streams at once, whatever is in flight. Idempotent."""
        for stream in self._streams:
            stream.abort()
        self._streams.clear()

    def close(self) -> None:
        """Close streams and channel. Idempotent."""
        self.abort_streams()
        self._channel.close()

    def _call(self, rpc: str, phase: str, request: Message, answer_type: type[_Answer], deadline_s: float) -> _Answer:
        """Call a unary RPC. Answers are decoded here, so that gRPC cannot log what they hold."""
        self.scene.phase, self.scene.seq = phase, None
        method = self._channel.unary_unary(_SERVICE + rpc)
        try:
            answer = method(request.SerializeToString(), timeout=deadline_s, metadata=self._cookie)
        except grpc.RpcError as status:
            raise self._translate(status, deadline_s) from None
        try:
            return answer_type.FromString(answer)
        except DecodeError:
            self._kill()
            raise faults.undecodable(self.scene, answer, self.limits.message_bytes_max) from None

    def _translate(self, status: grpc.RpcError, deadline_s: float) -> BoxgateError:
        fault = faults.from_status(
            status, self.scene, deadline_s=deadline_s, message_bytes_max=self.limits.message_bytes_max
        )
        self._kill()
        return fault

    def _bad(self, fault: str) -> HandshakeBad:
        return HandshakeBad(
            f"the sidecar {fault}",
            where=self.scene.where,
            expected="gRPC with the health service at BOXGATE_ENDPOINT",
            remedy="serve grpc.health.v1.Health beside boxgate.strategy.v1.Strategy",
        )


def _options(limits: SidecarLimits) -> list[tuple[str, int | str]]:
    return [
        ("grpc.max_receive_message_length", limits.message_bytes_max),
        ("grpc.max_send_message_length", limits.message_bytes_max),
        ("grpc.max_metadata_size", limits.metadata_bytes_max),
        ("grpc.absolute_max_metadata_size", limits.metadata_bytes_max),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        # A compressed answer is not unpacked: a bomb stays 4 MiB and is no message.
        ("grpc.per_message_decompression", 0),
        # Channels must not share connections: the number of a pinned descriptor is used again for another sidecar.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.default_authority", "localhost"),
        ("grpc.initial_reconnect_backoff_ms", 20),
        ("grpc.max_reconnect_backoff_ms", 100),
        # This one is the patience of a single attempt, until the peer's first frame.
        ("grpc.min_reconnect_backoff_ms", int(limits.handshake_s * 1000)),
    ]
