"""A sidecar on bare gRPC that breaks the contract in one way: `python bad_answers.py NAME [ARGUMENT]`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from boxgate_proto.strategy.v1 import signal_pb2, strategy_pb2

NAME = sys.argv[1]
ARGUMENT = sys.argv[2] if len(sys.argv) > 2 else ""
AT_SEQ = 10


def describe(_: bytes, context: Any) -> bytes:
    answer = strategy_pb2.DescribeResponse(name="bad", version="1", contract_versions=[1])
    if NAME == "versions":
        del answer.contract_versions[:]
        answer.contract_versions.extend(int(part) for part in ARGUMENT.split(",") if part != "0")
    if NAME == "requires":
        answer.requires.append(ARGUMENT)
    return answer.SerializeToString()


def on_init(_: bytes, context: Any) -> bytes:
    return strategy_pb2.OnInitResponse(accepted=strategy_pb2.Accepted()).SerializeToString()


def on_event(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    for raw in requests:
        request = strategy_pb2.OnEventRequest.FromString(raw)
        if request.HasField("open"):
            continue
        window = request.window
        answer = strategy_pb2.OnEventResponse(
            signals=signal_pb2.SignalWindow(first_seq=window.first_seq, consumed=window.count)
        )
        if window.first_seq == AT_SEQ and not window.warmup:
            if NAME == "garbage":
                yield b"\xff\xff\xff"
                continue
            if NAME == "wrong_seq":
                answer.signals.first_seq += 1
            if NAME == "foreign_instrument":
                answer.signals.signals.add(instrument=5, side=signal_pb2.SIDE_FLAT)
        yield answer.SerializeToString()


def on_stop(_: bytes, context: Any) -> bytes:
    return strategy_pb2.OnStopResponse().SerializeToString()


def main() -> None:
    unary: Callable[..., Any] = grpc.unary_unary_rpc_method_handler
    handlers = {
        "Describe": unary(describe),
        "OnInit": unary(on_init),
        "OnEvent": grpc.stream_stream_rpc_method_handler(on_event),
        "OnStop": unary(on_stop),
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("boxgate.strategy.v1.Strategy", handlers),))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    server.add_insecure_port(os.environ["BOXGATE_ENDPOINT"])
    server.start()
    server.wait_for_termination(60)


main()
