"""A sidecar on the generated stubs alone: trades by the number of the event and writes down what it was sent.

What it saw goes to `.seen/<session>.jsonl` beside it: a folder with a leading dot is no part of the strategy's digest.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from boxgate_proto.strategy.v1 import account_pb2, signal_pb2, strategy_pb2, window_pb2

SEEN = Path(__file__).parent / ".seen"
BUY, SELL, FLAT = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL, signal_pb2.SIDE_FLAT


def schema(name: str, kind: str, **default: Any) -> strategy_pb2.ParameterSchema:
    return strategy_pb2.ParameterSchema(
        name=name,
        type=strategy_pb2.ParameterType.Value(f"PARAMETER_TYPE_{kind}"),
        default_value=strategy_pb2.ParameterValue(**default),
    )


SCHEMA = [
    schema("feedback", "BOOL", bool_value=False),
    schema("need", "INT", int_value=0),
    schema("odd", "BOOL", bool_value=False),
    schema("requires", "STRING", string_value=""),
    schema("scale", "FLOAT", float_value=2.0),
]


class Session:
    def __init__(self, request: strategy_pb2.OnInitRequest) -> None:
        self.request = request
        self.parameters = {p.name: p.value for p in request.parameters}
        self.feedback = "FEEDBACK" in request.capabilities
        self.ticks = [(i.tick_size.numerator, i.tick_size.denominator) for i in request.instruments]
        self.traded = [s.frame == "M1" for s in request.series]
        self.out = (SEEN / f"{request.session_id}.jsonl").open("w")
        path = os.environ["BOXGATE_ENDPOINT"].removeprefix("unix:")
        self.note(
            "init",
            # As it was handed over: the interpreter itself adds LC_CTYPE to os.environ.
            environment=sorted(v.split("=")[0] for v in Path("/proc/self/environ").read_text().split("\0") if v),
            endpoint=os.environ["BOXGATE_ENDPOINT"],
            protocols=os.environ["BOXGATE_PROTOCOLS"],
            folder_mode=stat.S_IMODE(Path(path).parent.stat().st_mode),
            request=json_format.MessageToDict(request, preserving_proto_field_name=True),
        )

    def note(self, kind: str, **facts: Any) -> None:
        self.out.write(json.dumps({"kind": kind, **facts}) + "\n")
        self.out.flush()

    def price(self, instrument: int, near: float, ticks: int) -> float:
        num, den = self.ticks[instrument]
        return (round(near * den / num) + ticks) * num / den

    def decide(self, seq: int, series: int, time_ns: int, close: float, event: int) -> signal_pb2.Signal | None:
        if not self.traded[series]:
            return None
        instrument = self.request.series[series].instrument
        signal = signal_pb2.Signal(event_index=event, instrument=instrument)
        turn, size = seq % 41, 100.0 * (1 + seq % 3) * self.parameters["scale"].float_value
        if turn in (3, 4, 22):
            signal.side, signal.qty = (BUY, size) if turn < 20 else (SELL, size)
            up = 1 if turn < 20 else -1
            near = (-40, 50) if turn < 20 else (-14, 8)
            signal.risk.sl, signal.risk.tp = (self.price(instrument, close, up * n) for n in near)
        elif turn in (12, 13):
            signal.side, signal.qty = (SELL, size) if turn == 12 else (BUY, size)
            signal.price = self.price(instrument, close, 4 if turn == 12 else -4)
            signal.valid_until_ns = time_ns + 5 * 60_000_000_000
        elif turn == 30:
            signal.side, signal.qty, signal.adjust_only = SELL, size, True
            signal.risk.sl = self.price(instrument, close, 90)
        elif turn in (35, 36):
            signal.side = FLAT
        else:
            return None
        signal.meta["turn"] = turn
        return signal

    def answer(self, window: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
        self.note("window", **facts_of(window))
        answer = signal_pb2.SignalWindow(first_seq=window.first_seq, consumed=window.count)
        if window.warmup:
            return answer
        last: dict[int, signal_pb2.Signal] = {}
        for i in range(window.count):
            time_ns = window.time_ns[i]
            series = window.series[i] if window.series else 0
            signal = self.decide(window.first_seq + i, series, time_ns, window.bars.close[i], i)
            if signal is not None:
                answer.signals.append(signal)
                last[signal.instrument] = signal
            if i + 1 == window.count or window.time_ns[i + 1] != time_ns:
                if self.feedback and any(effective(s, window.account) for s in last.values()):
                    answer.consumed = i + 1
                    break
                last.clear()
        return answer


def effective(signal: signal_pb2.Signal, account: account_pb2.Account) -> bool:
    """All values are on the grid already, so they may be compared as they are."""
    sides = {p.instrument: p.side for p in account.positions}
    if signal.adjust_only and sides.get(signal.instrument) != signal.side:
        return False
    old = next(t for t in account.targets if t.instrument == signal.instrument)
    asked = (signal.side, signal.qty, *(optional(signal, n) for n in ("price", "valid_until_ns")))
    stood = (old.side, old.qty_requested, *(optional(old, n) for n in ("price", "valid_until_ns")))
    if asked != stood:
        return True
    return signal.side != FLAT and any(optional(signal.risk, n) != optional(old, n) for n in ("sl", "tp"))


def optional(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def facts_of(window: window_pb2.EventWindow) -> dict[str, Any]:
    bars = {f.name: list(getattr(window.bars, f.name)) for f in window.bars.DESCRIPTOR.fields}
    return {
        "first_seq": window.first_seq,
        "count": window.count,
        "time_ns": list(window.time_ns),
        "series": list(window.series),
        "bars": bars if window.HasField("bars") else None,
        "ticks": window.HasField("ticks"),
        "warmup": window.warmup,
        "account": json_format.MessageToDict(
            window.account, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        if window.HasField("account")
        else None,
        "marks": {"equity": list(window.marks.equity), "free_margin": list(window.marks.free_margin)}
        if window.HasField("marks")
        else None,
        "bytes": window.ByteSize(),
    }


def odd(response: strategy_pb2.OnEventResponse) -> bytes:
    """The same answer in bytes that no generated code would write, and with fields that the contract does not have."""
    unknown = b"\xc2\x3e\x06secret"  # field 1000
    signals = b""
    for signal in response.signals.signals:
        side = signal.side
        signal.ClearField("side")
        # Two sides, the second counts; its varint is four octets long. They stand behind what has higher numbers.
        body = unknown + signal.SerializeToString() + b"\x18\x03\x18" + bytes((0x80 | side, 0x80, 0x80, 0))
        signals += b"\x1a" + varint(len(body)) + body
    del response.signals.signals[:]
    window = signals + response.signals.SerializeToString() + unknown
    wrong = signal_pb2.SignalWindow(consumed=1).SerializeToString()  # consumed is never 0, so never left out
    # The message field twice: parsers merge, and the last of each scalar counts.
    return b"".join(b"\x0a" + varint(len(part)) + part for part in (wrong, window)) + unknown


def varint(number: int) -> bytes:
    """Always five octets, longer than it need be."""
    return bytes([0x80 | number >> shift & 0x7F for shift in (0, 7, 14, 21)] + [number >> 28])


class Sidecar:
    session: Session | None = None

    def describe(self, request: strategy_pb2.DescribeRequest, _: Any) -> strategy_pb2.DescribeResponse:
        given = {p.name: p.value for p in request.parameters}
        requires = ["FEEDBACK"] if "feedback" in given and given["feedback"].bool_value else []
        if "requires" in given and given["requires"].string_value:
            requires.append(given["requires"].string_value)
        return strategy_pb2.DescribeResponse(
            name="raw_recorder", version="1", contract_versions=[1], requires=requires,
            supports=["SOMETHING_NEWER"], parameters=SCHEMA,
        )  # fmt: skip

    def on_init(self, request: strategy_pb2.OnInitRequest, _: Any) -> strategy_pb2.OnInitResponse:
        SEEN.mkdir(exist_ok=True)
        self.session = Session(request)
        need = self.session.parameters["need"].int_value
        if request.series[0].warmup_events < need:
            series = strategy_pb2.SeriesRequirement(history_events=need)
            return strategy_pb2.OnInitResponse(need_history=strategy_pb2.NeedHistory(series=[series]))
        return strategy_pb2.OnInitResponse(accepted=strategy_pb2.Accepted())

    def on_event(
        self, requests: Iterator[strategy_pb2.OnEventRequest], _: Any
    ) -> Iterator[strategy_pb2.OnEventResponse]:
        assert self.session is not None
        for request in requests:
            if request.HasField("window"):
                yield strategy_pb2.OnEventResponse(signals=self.session.answer(request.window))

    def to_bytes(self, response: strategy_pb2.OnEventResponse) -> bytes:
        assert self.session is not None
        return odd(response) if self.session.parameters["odd"].bool_value else response.SerializeToString()

    def on_stop(self, request: strategy_pb2.OnStopRequest, _: Any) -> strategy_pb2.OnStopResponse:
        assert self.session is not None
        self.session.note("stop", reason=strategy_pb2.StopReason.Name(request.reason))
        return strategy_pb2.OnStopResponse()


def main() -> None:
    sidecar, server = Sidecar(), grpc.server(futures.ThreadPoolExecutor(4))

    def unary(work: Any, message: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(work, message.FromString, lambda m: m.SerializeToString())

    stream = grpc.stream_stream_rpc_method_handler(
        sidecar.on_event, strategy_pb2.OnEventRequest.FromString, sidecar.to_bytes
    )
    handlers = {
        "Describe": unary(sidecar.describe, strategy_pb2.DescribeRequest),
        "OnInit": unary(sidecar.on_init, strategy_pb2.OnInitRequest),
        "OnEvent": stream,
        "OnStop": unary(sidecar.on_stop, strategy_pb2.OnStopRequest),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("boxgate.strategy.v1.Strategy", handlers)])
    readiness = health.HealthServicer()
    readiness.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(readiness, server)
    server.add_insecure_port(os.environ["BOXGATE_ENDPOINT"])
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
