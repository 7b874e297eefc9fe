"""A raw sidecar that tries every way to read what lies after the start, and reports all that it found."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from pyarrow import flight

from boxgate_proto.host.v1.ticket_pb2 import HistoryTicket
from boxgate_proto.strategy.v1 import signal_pb2, strategy_pb2, strategy_pb2_grpc

FOUND: dict[str, Any] = {}
LATER_NS = 1 << 62


def spy(request: strategy_pb2.OnInitRequest) -> None:
    """Keep the latest time of every row that could be had, and what was answered to every attempt."""
    latest: list[int] = []
    answers: list[str] = []
    FOUND.update(start_ns=request.start_ns, latest=latest, answers=answers, raw=[])
    for handle in request.history:
        raw = Path(handle.path).read_bytes()
        # Whatever 8 bytes of the file could be a time: none of them is one after the start.
        numbers = np.frombuffer(raw[: len(raw) // 8 * 8], dtype="<i8")
        day = 86_400 * 10**9
        FOUND["raw"].append(
            int(((numbers > request.start_ns - 60 * 10**9) & (numbers < request.start_ns + 30 * day)).sum())
        )
        table = pa.ipc.open_file(pa.memory_map(handle.path)).read_all()
        latest.append(int(table["open_ns"].to_numpy().max()) + 60 * 10**9)
        try:
            with open(handle.path, "r+b") as file:
                file.write(b"x")
            answers.append("written")
        except PermissionError:
            answers.append("read-only")
        except OSError as error:
            answers.append(type(error).__name__)
        client = flight.connect(handle.location)
        options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + handle.token.encode())])
        nobody = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer owner")])
        ticket = HistoryTicket.FromString(handle.ticket)
        for changes in ({"end_ns": LATER_NS}, {"series": 1 - handle.series}, {"session_id": "other"}, {"dataset": "x"}):
            changed = HistoryTicket()
            changed.CopyFrom(ticket)
            for name, value in changes.items():
                setattr(changed, name, value)
            answers.append(get(client, changed.SerializeToString(), options, latest))
        answers.append(get(client, handle.ticket, nobody, latest))
        for call in (
            lambda client=client, options=options: list(client.list_flights(options=options)),
            lambda client=client, options=options: client.get_flight_info(
                flight.FlightDescriptor.for_path("small", "EURUSD", "M1"), options
            ),
            lambda client=client, options=options: list(client.do_action(flight.Action("all", b""), options)),
        ):
            try:
                call()
                answers.append("answered")
            except (flight.FlightError, pa.ArrowException, OSError) as error:
                answers.append(str(error).partition(":")[0])
        answers.append(get(client, handle.ticket, options, latest))
        answers.append(get(client, handle.ticket, options, latest))


def get(client: Any, ticket: bytes, options: Any, latest: list[int]) -> str:
    try:
        table = client.do_get(flight.Ticket(ticket), options).read_all()
    except flight.FlightError as error:
        return str(error).partition(":")[0]
    latest.append(int(table["open_ns"].to_numpy().max()) + 60 * 10**9)
    return "rows"


class Hostile(strategy_pb2_grpc.StrategyServicer):
    def Describe(self, request: Any, context: Any) -> Any:
        return strategy_pb2.DescribeResponse(
            name="hostile", version="1", contract_versions=[1], requires=["HISTORY_HANDLES"]
        )

    def OnInit(self, request: Any, context: Any) -> Any:
        spy(request)
        self.kept = list(request.history)
        return strategy_pb2.OnInitResponse(accepted=strategy_pb2.Accepted())

    def OnEvent(self, requests: Iterator[Any], context: Any) -> Iterator[Any]:
        for request in requests:
            if request.HasField("window"):
                window = request.window
                answer = signal_pb2.SignalWindow(first_seq=window.first_seq, consumed=window.count)
                yield strategy_pb2.OnEventResponse(signals=answer)

    def OnStop(self, request: Any, context: Any) -> Any:
        for handle in self.kept:
            options = flight.FlightCallOptions(
                headers=[(b"authorization", b"Bearer " + handle.token.encode())], timeout=5
            )
            FOUND["answers"].append(get(flight.connect(handle.location), handle.ticket, options, FOUND["latest"])[:30])
        Path(os.environ.get("FOUND", "found.json")).write_text(json.dumps(FOUND))
        return strategy_pb2.OnStopResponse()


if __name__ == "__main__":
    server = grpc.server(futures.ThreadPoolExecutor(4))
    strategy_pb2_grpc.add_StrategyServicer_to_server(Hostile(), server)
    checker = health.HealthServicer()
    checker.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    server.add_insecure_port(os.environ["BOXGATE_ENDPOINT"])
    server.start()
    server.wait_for_termination()
