"""A minimal sidecar on bare gRPC: answers every window with one FLAT signal on its last event."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from boxgate_proto.strategy.v1 import signal_pb2, strategy_pb2

SERVICE = "boxgate.strategy.v1.Strategy"
SECRET = "canary-5d1c9e7a"  # what a prod run must not show


class Plain:
    """Does what the contract says. Answers are bytes, so that others can say what is no message."""

    compression: Any = grpc.Compression.NoCompression
    ended = False

    def describe(self) -> bytes:
        return strategy_pb2.DescribeResponse(
            name="raw", version="1", contract_versions=[1], supports=["TICKS", "NEWER"]
        ).SerializeToString()

    def on_init(self) -> bytes:
        return strategy_pb2.OnInitResponse(accepted=strategy_pb2.Accepted()).SerializeToString()

    def on_open(self) -> Iterator[bytes]:
        yield from ()

    def on_window(self, first_seq: int, count: int, context: Any) -> Iterator[bytes]:
        yield answer(first_seq, count)

    def at_end(self) -> Iterator[bytes]:
        yield from ()

    def on_stop(self) -> bytes:
        return strategy_pb2.OnStopResponse().SerializeToString()


def answer(first_seq: int, count: int) -> bytes:
    signal = signal_pb2.Signal(event_index=max(0, count - 1), side=signal_pb2.SIDE_FLAT)
    window = signal_pb2.SignalWindow(first_seq=first_seq, consumed=count, signals=[signal])
    return strategy_pb2.OnEventResponse(signals=window).SerializeToString()


def serve(
    strategy: Plain,
    *,
    cookie: str | None = None,
    serving: bool = True,
    healthy: bool = True,
    describe_status: grpc.StatusCode | None = None,
) -> None:
    expected = ("boxgate-cookie", os.environ["BOXGATE_COOKIE"] if cookie is None else cookie)

    def unary(work: Callable[[], bytes], status: grpc.StatusCode | None = None) -> Any:
        def handle(_: bytes, context: Any) -> bytes:
            _check_cookie(expected, context)
            if status is not None:
                context.abort(status, SECRET)
            return work()

        return grpc.unary_unary_rpc_method_handler(handle)

    def on_event(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        _check_cookie(expected, context)
        for raw in requests:
            request = strategy_pb2.OnEventRequest.FromString(raw)
            if request.HasField("open"):
                yield from strategy.on_open()
            else:
                yield from strategy.on_window(request.window.first_seq, request.window.count, context)
            if strategy.ended:
                return
        yield from strategy.at_end()

    handlers = {
        "Describe": unary(strategy.describe, describe_status),
        "OnInit": unary(strategy.on_init),
        "OnEvent": grpc.stream_stream_rpc_method_handler(on_event),
        "OnStop": unary(strategy.on_stop),
    }
    server = grpc.server(
        futures.ThreadPoolExecutor(8),
        options=[("grpc.max_send_message_length", -1)],
        compression=strategy.compression,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    if healthy:
        checks = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        state = health_pb2.HealthCheckResponse
        checks.set("", state.SERVING if serving else state.NOT_SERVING)
    server.add_insecure_port(os.environ["BOXGATE_ENDPOINT"])
    server.start()
    server.wait_for_termination(60)  # a sidecar that nobody ends still ends


def _check_cookie(expected: tuple[str, str], context: Any) -> None:
    if expected not in context.invocation_metadata():
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "the cookie is wrong")


if __name__ == "__main__":
    serve(Plain())
