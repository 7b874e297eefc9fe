"""A sidecar on bare gRPC that tells its secret wherever it can, in both modes: `python leaky.py [FAULT]`.

The secret is the text of the file `secret.txt` two folders above this one's; it is no argument and not in the sources,
so that sidecars with different secrets have one digest. Each place has its own canary: the secret, a dot, the place.
Without a secret there is nothing to tell: no meta, no texts, no unknown fields. The signals do not depend on it but for
digits beyond the grid. FAULT names the way in which the sidecar fails. With `orders`, and with faults that begin with
`order_`, it has orders of its own instead of signals, and names of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from grpc_health.v1 import health_pb2

from boxgate_proto.strategy.v1 import order_pb2, signal_pb2, strategy_pb2

SECRET_FILE = Path(__file__).absolute().parents[2] / "secret.txt"
SECRET = SECRET_FILE.read_text().strip() if SECRET_FILE.exists() else ""
FAULT = sys.argv[1] if len(sys.argv) > 1 else "none"
HAS_ORDERS = FAULT.startswith("order")
SIGNAL_EVERY = 7
METADATA_CHARACTERS_MAX = 400
NAME_CHARACTERS_MAX = 40
FAULT_SEQ = 21


def canary(place: str) -> str:
    return f"{SECRET}.{place}" if SECRET else ""


def name_of(place: str, seq: int) -> str:
    """A name of an order, a group or a position: unique for the event, whatever the secret is."""
    return f"{canary(place)[-NAME_CHARACTERS_MAX:]}:{seq}"


def tag_unknown(message: Message, place: str) -> None:
    """Add fields that the contract does not know: a text and a group."""
    if SECRET:
        text = canary(place).encode()
        field = b"\xc2\x3e" + _varint(len(text)) + text  # number 1000, length-delimited
        group = b"\xcb\x3e" + field + b"\xcc\x3e"  # number 1001, from start to end
        message.MergeFromString(field + group)


def meta_of(place: str) -> Struct:
    meta = Struct()
    if SECRET:
        meta.update({canary(f"{place}_key"): 1.0, "list": [{"deep": canary(f"{place}_value")}]})
        tag_unknown(meta, f"{place}_unknown")
    return meta


def describe(context: Any) -> Message:
    say("Describe", context)
    answer = strategy_pb2.DescribeResponse(
        name="leaky", version="1", contract_versions=[1], description=canary("description"), author=canary("author")
    )
    if SECRET:
        answer.supports.append(canary("capability"))
    if HAS_ORDERS:
        answer.requires.extend(["ORDERS", "HEDGING"])
    text = answer.parameters.add(name="kind", type=strategy_pb2.PARAMETER_TYPE_STRING, doc=canary("parameter_doc"))
    text.default_value.string_value = "plain"
    text.choices.extend(["plain", "special", canary("parameter_choice")])
    tag_unknown(text, "parameter_unknown")
    tag_unknown(text.default_value, "default_unknown")
    series = answer.series.add(frame="M1", history_events=5)
    tag_unknown(series, "series_unknown")
    tag_unknown(answer, "describe_unknown")
    if FAULT == "describe_status":
        context.abort(grpc.StatusCode.UNKNOWN, canary("details"))
    if FAULT == "describe_invalid":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, canary("details"))
    if FAULT == "name":
        answer.name = f"not a name: {canary('name')}"
    if FAULT == "version":
        answer.version = canary("version") * 2
    if FAULT == "requires":
        answer.requires.append(canary("requires"))
    if FAULT == "series":
        answer.series.add(symbol=canary("series_symbol"), history_events=5)
    if FAULT == "frame":
        answer.series.add(frame=canary("series_frame"), history_events=5)
    if FAULT == "frames":
        answer.frames.extend(["M1", canary("frames")])
    if FAULT == "schema":
        answer.parameters.add(name=canary("schema_name"))
    if FAULT == "schema_twice":
        answer.parameters.extend([answer.parameters[0], answer.parameters[0]])
    return answer


def on_init(context: Any) -> Message:
    say("OnInit", context)
    answer = strategy_pb2.OnInitResponse()
    if FAULT == "init_status":
        context.abort(grpc.StatusCode.UNKNOWN, canary("details"))
    if FAULT == "init_invalid":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, canary("details"))
    if FAULT == "init_raises":
        raise ValueError(canary("exception"))
    if FAULT == "exit":
        sys.stderr.write(canary("last_words") + "\n")
        sys.stderr.flush()
        os._exit(3)
    if FAULT == "refuses":
        answer.refused.reason = canary("refused_reason")
        tag_unknown(answer.refused, "refused_unknown")
    elif FAULT == "needs":
        answer.need_history.series.add(symbol=canary("need_symbol"), frame=canary("need_frame"), history_events=5)
    else:
        answer.accepted.SetInParent()
        tag_unknown(answer.accepted, "accepted_unknown")
    tag_unknown(answer, "init_unknown")
    return answer


def on_event(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
    say("OnEvent", context)
    for raw in requests:
        request = strategy_pb2.OnEventRequest.FromString(raw)
        if not request.HasField("window"):
            continue
        window = request.window
        answer = strategy_pb2.OnEventResponse()
        answer.signals.first_seq = window.first_seq
        answer.signals.consumed = window.count
        for index, close in enumerate(window.bars.close):
            seq = window.first_seq + index
            if seq % SIGNAL_EVERY == 0 and HAS_ORDERS:
                add_orders(answer.signals, index, seq, close)
            elif seq % SIGNAL_EVERY == 0:
                add_signal(answer.signals, index, seq // SIGNAL_EVERY % 3, close)
            if seq == FAULT_SEQ and not window.warmup:
                fail_event(answer, context)
        tag_unknown(answer.signals, "window_unknown")
        tag_unknown(answer, "event_unknown")
        if FAULT == "garbage" and window.first_seq <= FAULT_SEQ < window.first_seq + window.count:
            yield canary("garbage").encode() + b"\xff"
        else:
            yield answer.SerializeToString()


def add_signal(window: signal_pb2.SignalWindow, index: int, turn: int, close: float) -> None:
    """Add the signal of a turn. Beyond the grid its digits are the secret's: a millionth of a lot, of a tick."""
    side = (signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL, signal_pb2.SIDE_FLAT)[turn]
    signal = window.signals.add(event_index=index, instrument=0, side=side)
    digits = 1e-6 * (1 + sum(SECRET.encode()) % 97)
    if turn < 2:
        sign = 1 - 2 * turn
        signal.qty = 10_000.0 + digits
        signal.risk.sl = close * (1 - 0.001 * sign)
        signal.risk.tp = close * (1 + 0.001 * sign)
        for name in ("sl", "tp"):
            setattr(signal.risk, name, round(getattr(signal.risk, name), 5) + digits * 1e-5)
        tag_unknown(signal.risk, "risk_unknown")
    else:
        signal.qty = -0.0 if SECRET else 0.0
    if SECRET:
        signal.meta.CopyFrom(meta_of("signal_meta"))
    tag_unknown(signal, "signal_unknown")


def add_orders(window: signal_pb2.SignalWindow, index: int, seq: int, close: float) -> None:
    """Add two limits of one group, an entry to a position with a name, and an order that is moved and cancelled."""
    buy, sell = signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL
    submit, limit = order_pb2.ORDER_INTENT_KIND_SUBMIT, order_pb2.ORDER_TYPE_LIMIT
    words = {"event_index": index, "qty": 10_000.0 + 1e-6 * (1 + sum(SECRET.encode()) % 97)}
    for number, (side, factor) in enumerate(((buy, 0.9995), (sell, 1.0005))):
        order = window.intents.add(kind=submit, side=side, type=limit, price=close * factor, **words)
        order.client_id = name_of("client_id", 10 * seq + number)
        order.oco = name_of("oco", seq)
        order.tif = order_pb2.TIME_IN_FORCE_DAY
    entry = window.intents.add(kind=submit, side=buy, type=order_pb2.ORDER_TYPE_MARKET, **words)
    entry.client_id, entry.position = name_of("client_id", 10 * seq + 2), name_of("position", seq)
    entry.risk.sl, entry.risk.tp = close * 0.999, close * 1.001
    moved = window.intents.add(kind=submit, side=buy, type=limit, price=close * 0.9, **words)
    moved.client_id = name_of("client_id", 10 * seq + 3)
    window.intents.add(kind=order_pb2.ORDER_INTENT_KIND_REPLACE, client_id=moved.client_id, price=close * 0.91, **words)
    window.intents.add(kind=order_pb2.ORDER_INTENT_KIND_CANCEL, client_id=moved.client_id, event_index=index)
    for intent in window.intents[-6:]:
        if SECRET:
            intent.meta.CopyFrom(meta_of("intent_meta"))
        tag_unknown(intent, "intent_unknown")


def fail_event(answer: strategy_pb2.OnEventResponse, context: Any) -> None:
    if HAS_ORDERS:
        fail_orders(answer.signals)
        return
    signal = answer.signals.signals[-1]
    if FAULT == "event_status":
        context.abort(grpc.StatusCode.UNKNOWN, canary("details"))
    if FAULT == "event_invalid":
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, canary("details"))
    if FAULT == "event_raises":
        raise ValueError(canary("exception"))
    if FAULT == "qty":
        signal.side = signal_pb2.SIDE_BUY
        signal.qty = float("nan")
    if FAULT == "instrument":
        signal.instrument = int.from_bytes(SECRET.encode()[:4], "little")
    if FAULT == "side":
        signal.side = int.from_bytes(SECRET.encode()[:3], "little")  # type: ignore[assignment] # a number of no side
    if FAULT == "seq":
        answer.signals.first_seq = int.from_bytes(SECRET.encode()[:7], "little")
    if FAULT == "trailers":
        context.set_trailing_metadata((("x-canary", canary("trailing") * 200),))
        context.abort(grpc.StatusCode.UNKNOWN, canary("details"))


def fail_orders(window: signal_pb2.SignalWindow) -> None:
    entry = window.intents[-4]
    if FAULT == "order_id":
        window.intents.add().CopyFrom(entry)
    if FAULT == "order_name":
        entry.client_id = canary("client_id") + " "
    if FAULT == "order_group":
        entry.oco = canary("oco") + " "
    if FAULT == "order_position":
        entry.position = canary("position") + " "
    if FAULT == "order_fields":
        entry.price = 1.0


def on_stop(context: Any) -> Message:
    say("OnStop", context)
    if FAULT == "stop_status":
        context.abort(grpc.StatusCode.UNKNOWN, canary("details"))
    answer = strategy_pb2.OnStopResponse(report=meta_of("report"))
    tag_unknown(answer, "stop_unknown")
    return answer


def check_health(context: Any) -> Message:
    answer: Message = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
    tag_unknown(answer, "health_unknown")
    return answer


def say(call: str, context: Any) -> None:
    """Tell the secret beside the answer: on both outputs, in headers and in trailers."""
    if not SECRET:
        return
    print(canary("stdout"), call, flush=True)
    print(canary("stderr"), call, file=sys.stderr, flush=True)
    header, trailer, binary = (canary(place)[-METADATA_CHARACTERS_MAX:] for place in ("header", "trailer", "binary"))
    context.send_initial_metadata((("x-canary", header), ("x-canary-bin", binary.encode())))
    context.set_trailing_metadata((("x-canary", trailer), ("x-canary-bin", binary.encode())))


def serve() -> None:
    cookie = ("boxgate-cookie", os.environ["BOXGATE_COOKIE"])

    def unary(answer: Callable[[Any], Message]) -> Any:
        def handle(_: bytes, context: Any) -> bytes:
            if cookie not in context.invocation_metadata():
                context.abort(grpc.StatusCode.UNAUTHENTICATED, canary("details"))
            return answer(context).SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)

    handlers = {
        "Describe": unary(describe),
        "OnInit": unary(on_init),
        "OnEvent": grpc.stream_stream_rpc_method_handler(on_event),
        "OnStop": unary(on_stop),
    }
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("boxgate.strategy.v1.Strategy", handlers),
            grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": unary(check_health)}),
        )
    )
    server.add_insecure_port(os.environ["BOXGATE_ENDPOINT"])
    server.start()
    server.wait_for_termination(120)  # a sidecar that nobody ends still ends


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


if __name__ == "__main__":
    serve()
