"""Serving a strategy over gRPC: environment, cookie, readiness, statuses, and an end in every case."""

from __future__ import annotations

import contextlib
import hmac
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NoReturn

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_proto.transport import grpc
from boxgate_sdk import _contract, errors
from boxgate_sdk._meta import to_struct
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request
from boxgate_sdk.strategy import Strategy, overrides

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
"""Largest message in either direction."""

UNIX_PATH_BYTES_MAX = 107
"""Longest path of a Unix socket."""

_SERVICE = "boxgate.strategy.v1.Strategy"
_COOKIE_KEY = "boxgate-cookie"
_SERVING = b"\x08\x01"
_MEMORY_KEPT_BYTES = 16 * 1024 * 1024
"""Larger than what a window needs. The C library gives no memory back that is smaller than what it once got back, and a
page that is taken anew for each window costs more than the window's octets. Nothing of it is ever touched."""
_GRACE_S = 2.0
_PARENT_POLL_S = 0.5
_DETAIL_CHARACTERS_MAX = 2000

_FAULT = grpc.StatusCode.UNKNOWN
"""The strategy raised: what every gRPC server says of an exception. INTERNAL is left to trouble in the transport."""

STATUS: dict[type[errors.SdkError], grpc.StatusCode] = {
    errors.StrategyMistake: _FAULT,
    errors.EnvironmentMissing: _FAULT,
    errors.Refusal: _FAULT,
    errors.ParameterUnknown: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ParameterMistyped: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ParameterOutOfRange: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ParameterNotAChoice: grpc.StatusCode.INVALID_ARGUMENT,
    errors.ParameterConflict: grpc.StatusCode.INVALID_ARGUMENT,
    errors.FeedbackNotGranted: _FAULT,
    errors.HedgingNotGranted: _FAULT,
    errors.SeriesUnknown: _FAULT,
    errors.HistoryBeyondDeclared: _FAULT,
    errors.HistoryShort: _FAULT,
    errors.HistoryNotGranted: _FAULT,
    errors.HistoryBeyondEvent: _FAULT,
    errors.HistoryQueryInvalid: _FAULT,
    errors.OutsideEvent: _FAULT,
    errors.IndicatorLengthInvalid: _FAULT,
    errors.IndicatorInputInvalid: _FAULT,
    errors.SizingInvalid: _FAULT,
    errors.AnswerMistyped: _FAULT,
    errors.InstrumentUnknown: _FAULT,
    errors.MetaInvalid: _FAULT,
    errors.OrderConflict: _FAULT,
    errors.OrderInvalid: _FAULT,
    errors.SignalInvalid: _FAULT,
    errors.RecordingUnreadable: _FAULT,
    errors.ReplayDifference: _FAULT,
    errors.VersionMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    errors.SessionUnknown: grpc.StatusCode.NOT_FOUND,
    errors.SessionLimit: grpc.StatusCode.FAILED_PRECONDITION,
    errors.HistoryHandleInvalid: grpc.StatusCode.FAILED_PRECONDITION,
    errors.HistoryUnreachable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.WindowMalformed: grpc.StatusCode.INVALID_ARGUMENT,
    errors.WindowOutOfOrder: grpc.StatusCode.OUT_OF_RANGE,
}
"""What the gateway sees of each error: _FAULT is one of the strategy, the rest are of the config or the gateway."""


def serve(strategy_class: type[Strategy]) -> None:
    """Serve the strategy until the gateway ends, or SIGTERM. The only line that `main` needs.

    Reads BOXGATE_ENDPOINT, BOXGATE_COOKIE and BOXGATE_PROTOCOLS, which the gateway sets. Leaves with exit code 2 and
    one sentence on stderr where they are missing or the class cannot be served.
    """
    try:
        check_strategy(strategy_class)
        endpoint, cookie = _environment()
        server = start_server(strategy_class, endpoint, cookie)
    except (errors.StrategyMistake, errors.EnvironmentMissing) as mistake:
        _leave(f"{mistake.code}: {mistake}")
    bytes(_MEMORY_KEPT_BYTES)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    # Polled, because PR_SET_PDEATHSIG fires when the spawning thread ends, not the process.
    while not stop.wait(_PARENT_POLL_S):
        if os.getppid() != parent:
            break
    server.stop(_GRACE_S).wait()


def check_strategy(strategy_class: object) -> None:
    """Raise StrategyMistake where the class cannot be served, whatever the run."""
    if not (isinstance(strategy_class, type) and issubclass(strategy_class, Strategy)):
        raise errors.StrategyMistake(
            f"serve got {strategy_class!r}",
            where="serve",
            expected="a class derived from boxgate_sdk.Strategy",
            remedy="pass the class itself, serve(MyStrategy)",
        )
    where = strategy_class.__name__
    if not (overrides(strategy_class, "on_event") or overrides(strategy_class, "on_window")):
        raise errors.StrategyMistake(
            "the strategy answers nothing", where=where, expected="on_event or on_window", remedy="write one of them"
        )
    for attribute, value, pattern in (
        ("name", strategy_class.name or strategy_class.__name__, r"[A-Za-z0-9_.-]{1,64}"),
        ("version", strategy_class.version, r"[A-Za-z0-9_.+-]{1,32}"),
    ):
        if not re.fullmatch(pattern, value):
            raise errors.StrategyMistake(
                f"the {attribute} is {value!r}", where=where, expected=f"a match of {pattern}", remedy="rename it"
            )
    _contract.check_frames(strategy_class.frames, where)


def start_server(strategy_class: type[Strategy], endpoint: str, cookie: str) -> grpc.Server:
    """Bind and start. endpoint: unix:/path or host:port. Raises EnvironmentMissing if it cannot be bound."""
    service = _Service(strategy_class)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=strategy_class.max_sessions + 3, thread_name_prefix="boxgate"),
        handlers=(_Handlers(service, cookie),),
        options=(
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
            ("grpc.so_reuseport", 0),
        ),
    )
    try:
        bound = server.add_insecure_port(endpoint)
    except RuntimeError:
        bound = 0
    if not bound:
        raise errors.EnvironmentMissing(
            f"cannot listen at {endpoint}",
            where="BOXGATE_ENDPOINT",
            expected="a free unix:/path in a folder of one's own, or host:port",
            remedy="start the strategy with `boxgate run`",
        )
    server.start()
    return server


def _environment() -> tuple[str, str]:
    """Return endpoint and cookie. Raises EnvironmentMissing."""
    endpoint = os.environ.get("BOXGATE_ENDPOINT", "")
    cookie = os.environ.get("BOXGATE_COOKIE", "")
    protocols = os.environ.get("BOXGATE_PROTOCOLS", "")
    for name, value in (("BOXGATE_ENDPOINT", endpoint), ("BOXGATE_COOKIE", cookie), ("BOXGATE_PROTOCOLS", protocols)):
        if not value:
            raise errors.EnvironmentMissing(
                f"{name} is not set: a strategy does not run by itself",
                where="environment",
                expected="to be started by the gateway",
                remedy="name this file in strategy.command of a config and use `boxgate run CONFIG`",
            )
    if str(_contract.CONTRACT_VERSION) not in [version.strip() for version in protocols.split(",")]:
        raise errors.EnvironmentMissing(
            f"the gateway speaks the contract versions {protocols}",
            where="BOXGATE_PROTOCOLS",
            expected=f"{_contract.CONTRACT_VERSION} among them",
            remedy="install a boxgate-sdk that fits the gateway",
        )
    path = endpoint.removeprefix("unix:")
    if path != endpoint and len(os.fsencode(path)) > UNIX_PATH_BYTES_MAX:
        raise errors.EnvironmentMissing(
            f"the socket path has {len(os.fsencode(path))} bytes",
            where="BOXGATE_ENDPOINT",
            expected=f"at most {UNIX_PATH_BYTES_MAX}",
            remedy="use a shorter folder",
        )
    return endpoint, cookie


def _leave(sentence: str) -> NoReturn:
    sys.stderr.write(sentence + "\n")
    raise SystemExit(2)


@dataclass(slots=True)
class _Open:
    """A session between OnInit and OnStop. live turns False when its stream breaks or its strategy fails."""

    session: Session
    live: bool = True
    streamed: bool = False
    ended: bool = False
    """Its stream is over, in whatever way: gRPC may report one that was cancelled as one that was closed."""


@dataclass(slots=True)
class _Service:
    """The four calls of the contract and the health check, on messages as bytes."""

    strategy_class: type[Strategy]
    sessions: dict[str, _Open] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def describe(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer Describe."""
        with _Border(context, "describe"):
            request = strategy_pb2.DescribeRequest.FromString(data)
            return _contract.describe(self.strategy_class, request).SerializeToString(deterministic=True)

    def on_init(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Open a session, unless as many as allowed are open."""
        with _Border(context, "on_init"):
            request = strategy_pb2.OnInitRequest.FromString(data)
            with self.lock:
                self.sessions = {name: opened for name, opened in self.sessions.items() if opened.live}
                busy = sum(not opened.ended for opened in self.sessions.values())
                if busy >= self.strategy_class.max_sessions or request.session_id in self.sessions:
                    raise errors.SessionLimit(self.strategy_class.max_sessions)
                opening = _contract.open_session(self.strategy_class, request)
                if opening.session is not None:
                    self.sessions[request.session_id] = _Open(opening.session)
            return opening.response.SerializeToString(deterministic=True)

    def on_event(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Answer the windows of one session. A broken stream, a failed strategy or a bad window ends the session."""
        opened: _Open | None = None
        completed = False
        try:
            with _Border(context, "on_event") as border:
                for data in requests:
                    message = decode_request(data)
                    if opened is not None and isinstance(message, Window):
                        border.ctx = opened.session.ctx
                        yield opened.session.answer(message)
                    elif opened is None and isinstance(message, str):
                        opened = self._claim(message)
                    else:
                        raise errors.WindowMalformed("the stream is out of order", "open once, then windows")
                completed = True
        except grpc.RpcError:
            pass  # The stream was cancelled: nobody is left to be told.
        finally:
            if opened is not None:
                opened.session.close()
                opened.ended = True
            if opened is not None and not completed:
                opened.live = False

    def on_stop(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """End a session. A session that failed before is ended without a report."""
        with _Border(context, "on_stop"):
            request = strategy_pb2.OnStopRequest.FromString(data)
            with self.lock:
                opened = self.sessions.pop(request.session_id, None)
            if opened is None:
                raise errors.SessionUnknown(request.session_id)
            response = strategy_pb2.OnStopResponse()
            if opened.live:
                report = opened.session.strategy.on_stop()
                if report is not None and opened.session.ctx.mode == "debug":
                    response.report.CopyFrom(to_struct(report))
            _flush_output()
            return response.SerializeToString(deterministic=True)

    def health(self, data: bytes, context: grpc.ServicerContext) -> bytes:
        """Answer grpc.health.v1.Health/Check: SERVING for the server as a whole and for the strategy service."""
        if data in (b"", b"\x0a\x00", b"\x0a" + bytes((len(_SERVICE),)) + _SERVICE.encode()):
            return _SERVING
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        raise AssertionError  # abort raises

    def _claim(self, session_id: str) -> _Open:
        with self.lock:
            opened = self.sessions.get(session_id)
            if opened is None or not opened.live or opened.streamed:
                raise errors.SessionUnknown(session_id)
            opened.streamed = True
            return opened


def _flush_output() -> None:
    """Write what a session printed before its end is answered: later it would stand in the log of another one."""
    for output in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or replaced by the strategy
            output.flush()


class _Border:
    """Turn every exception into a status: `CODE: sentence` for the SDK's own, _FAULT for the author's."""

    def __init__(self, context: grpc.ServicerContext, phase: str) -> None:
        self.context = context
        self.phase = phase
        self.ctx: Any = None

    def __enter__(self) -> _Border:
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: object) -> None:
        if failure is None or not isinstance(failure, Exception) or isinstance(failure, grpc.RpcError):
            return
        if isinstance(failure, errors.SdkError):
            status = STATUS.get(type(failure), _FAULT)
            details = f"{failure.code}: {failure}"
        else:
            status = _FAULT
            details = f"STRATEGY_RAISED: {self.phase}{self._seq()}: {type(failure).__name__}: {failure}"
        if status is _FAULT:
            traceback.print_exception(failure, file=sys.stderr)
            sys.stderr.flush()
        self.context.abort(status, details[:_DETAIL_CHARACTERS_MAX])

    def _seq(self) -> str:
        seq = None if self.ctx is None else self.ctx.seq
        return "" if seq is None else f" seq={seq}"


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc ships no types for its base class
    """Names of the calls to functions on bytes, each behind the cookie."""

    def __init__(self, service: _Service, cookie: str) -> None:
        self._cookie = cookie.encode()
        unary = grpc.unary_unary_rpc_method_handler
        self._methods = {
            f"/{_SERVICE}/Describe": unary(self._guarded(service.describe)),
            f"/{_SERVICE}/OnInit": unary(self._guarded(service.on_init)),
            f"/{_SERVICE}/OnEvent": grpc.stream_stream_rpc_method_handler(self._guarded(service.on_event)),
            f"/{_SERVICE}/OnStop": unary(self._guarded(service.on_stop)),
            "/grpc.health.v1.Health/Check": unary(self._guarded(service.health)),
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a call, None for an unknown one."""
        return self._methods.get(handler_call_details.method)

    def _guarded(self, call: Callable[[Any, grpc.ServicerContext], Any]) -> Callable[[Any, grpc.ServicerContext], Any]:
        def guarded(request: Any, context: grpc.ServicerContext) -> Any:
            sent = [value for key, value in context.invocation_metadata() if key == _COOKIE_KEY]
            offered = sent[0] if len(sent) == 1 else ""
            if not hmac.compare_digest(offered.encode() if isinstance(offered, str) else offered, self._cookie):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{_COOKIE_KEY} is missing or wrong")
            return call(request, context)

        return guarded
