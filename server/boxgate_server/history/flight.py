"""The Arrow Flight server of history: reads only, by ticket, from the mapped arrays, with a bound on everything.

A stream is pulled batch by batch as its reader takes it, and its batches are views of the mapped columns; so a reader
that is slow or vanishes costs the server a few batches in the buffers of the transport and nothing else.
"""

from __future__ import annotations

import functools
import hmac
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from pyarrow import flight

from boxgate_engine.datasets.content import TIME_COLUMNS, Column
from boxgate_engine.errors import BoxgateError, UserMistake
from boxgate_proto.host.v1.ticket_pb2 import HistoryTicket
from boxgate_server.errors import ServerUnprotected, TicketRefused
from boxgate_server.history.tickets import TicketOffice

BATCH_ROWS_MAX: Final = 65_536
"""Rows of one batch of a stream."""

READERS_MAX: Final = 1_024
"""Streams at the same time; one more is refused."""

OWNER: Final = "owner"
"""The session of whoever holds the owner's token."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_BEARER: Final = "Bearer "
_GRACE_S: Final = 0.5
_SEVERED_S: Final = 5.0

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a descriptor path stands for. path: of the descriptor. facts: told with the FlightInfo."""

    path: Sequence[str]
    dataset: str
    symbol: str
    frame: str
    end_ns: int
    table: pa.Table
    facts: bytes


class Shelf(Protocol):
    """What a server serves. Its methods are called from several threads."""

    def session_of(self, token: str) -> str | None:
        """Return the session that a bearer token belongs to, OWNER for the owner, None for nobody."""

    def open(self, ticket: HistoryTicket) -> pa.Table:
        """Return the rows of an authentic ticket. Raises TicketRefused (TICKET_FOREIGN, TICKET_RANGE)."""

    def offers(self) -> Iterable[Offer]:
        """Return everything that there is, for the owner."""

    def offer(self, path: Sequence[str]) -> Offer:
        """Return what a path stands for, for the owner. Raises BoxgateError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """Certificate and private key of a server, PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def arrow_table(columns: Mapping[str, Column], rows: int) -> pa.Table:
    """Return the first rows of columns as a table on the same memory: no copy, no metadata, no null."""
    fields = [pa.field(name, pa.int64() if name in TIME_COLUMNS else pa.float64(), nullable=False) for name in columns]
    arrays = [
        # The buffer ends with the rows: nothing that lies behind them is part of the table.
        pa.Array.from_buffers(one.type, rows, [None, pa.py_buffer(np.ascontiguousarray(values[:rows]))], null_count=0)
        for one, values in zip(fields, columns.values(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def new_token() -> str:
    """Return a random bearer token."""
    return secrets.token_urlsafe(32)


def tokens_equal(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this host only."""
    return host in _LOOPBACK


def start_history_server(
    shelf: Shelf, office: TicketOffice, *, host: str = "127.0.0.1", port: int = 0, tls: Tls | None = None
) -> HistoryServer:
    """Start a server and return it. port: 0 takes a free one.

    Raises ServerUnprotected (not on loopback without TLS), UserMistake (SERVE_ADDRESS) if it cannot listen there.
    """
    if tls is None and not is_loopback(host):
        raise ServerUnprotected(
            f"history would be served at {host} without TLS",
            where="host",
            expected="TLS and a token wherever it is not 127.0.0.1",
            remedy="give --tls-cert, --tls-key and --token-file, or serve on 127.0.0.1",
        )
    shown = f"[{host}]" if ":" in host else host
    try:
        return HistoryServer(shelf, office, f"{'grpc+tls' if tls else 'grpc'}://{shown}:{port}", tls, host)
    except (OSError, pa.ArrowException) as error:
        raise UserMistake(
            f"cannot listen at {shown}:{port}",
            code="SERVE_ADDRESS",
            where="host and port",
            expected="an address of this machine, a free port, a certificate that fits its key",
            remedy="choose another port (0 takes a free one), or correct host, certificate and key",
        ) from error


def _named(method: Callable[..., T]) -> Callable[..., T]:
    """Tell a client the code and what happened; never a path, a traceback or the text of an unexpected exception."""

    @functools.wraps(method)
    def named(self: HistoryServer, context: Any, *args: Any) -> T:
        try:
            return method(self, context.get_middleware("gate").session, *args)
        except flight.FlightError:
            raise
        except TicketRefused as refusal:
            raise flight.FlightUnauthorizedError(f"{refusal.error_code}: {refusal.what}") from None
        except UserMistake as mistake:
            raise flight.FlightServerError(f"{mistake.error_code}: {mistake.what}") from None
        except BoxgateError as error:
            raise flight.FlightServerError(f"{error.error_code}: the series cannot be served") from None
        except Exception:
            raise flight.FlightInternalError("INTERNAL: the call failed") from None

    return named


class HistoryServer(flight.FlightServerBase):  # type: ignore[misc]  # pyarrow ships no types
    """Made by `start_history_server`; serves until `close`. location: what a client connects to."""

    def __init__(self, shelf: Shelf, office: TicketOffice, bind: str, tls: Tls | None, host: str) -> None:
        self._shelf = shelf
        self._office = office
        self._gate = _Gate(shelf)
        super().__init__(
            bind,
            tls_certificates=[(tls.certificate, tls.key)] if tls else None,
            middleware={"gate": self._gate},
        )
        self.location = f"{bind.rpartition(':')[0]}:{self.port}"
        self._host = host

    @property
    def readers(self) -> int:
        """Streams that are being read."""
        return self._gate.readers

    def close(self) -> None:
        """Stop; streams that are still read after a moment's grace are cut. Never hangs on a reader. Idempotent."""
        self._gate.closed = True
        ended = threading.Thread(target=self.shutdown, name="boxgate-flight-stop", daemon=True)
        ended.start()
        ended.join(_GRACE_S)
        if ended.is_alive():
            # gRPC waits for its streams without a limit; a connection that is gone ends them.
            _sever(self.port)
            ended.join(_SEVERED_S)

    @_named
    def list_flights(self, session: str, criteria: bytes) -> Iterator[flight.FlightInfo]:
        """List everything, for the owner."""
        _only_owner(session)
        return iter([self._info(session, offer) for offer in self._shelf.offers()])

    @_named
    def get_flight_info(self, session: str, descriptor: flight.FlightDescriptor) -> flight.FlightInfo:
        """Return schema, rows and ticket of a path, for the owner, or of a ticket given as command."""
        if descriptor.descriptor_type == flight.DescriptorType.CMD:
            table = self._shelf.open(self._office.read(descriptor.command, session))
            return _info(table, descriptor, descriptor.command, b"")
        return self._info(session, self._offer(session, descriptor))

    def get_schema(self, context: Any, descriptor: flight.FlightDescriptor) -> flight.SchemaResult | None:
        """Return the schema of a path, for the owner: the gate lets nobody else call it.

        None is no answer and fails the call. Of whatever is raised here pyarrow sends the traceback to the client,
        so nothing is; GetFlightInfo of the same path names what is wrong with it.
        """
        try:
            return flight.SchemaResult(self._offer(context.get_middleware("gate").session, descriptor).table.schema)
        except Exception:
            return None

    @_named
    def do_get(self, session: str, ticket: flight.Ticket) -> flight.RecordBatchStream:
        """Send the rows of a ticket, once."""
        # Opened before it is redeemed: a ticket that asks for too much is refused for that, used or not.
        self._shelf.open(self._office.read(ticket.ticket, session))
        table = self._shelf.open(self._office.redeem(ticket.ticket, session))
        return flight.RecordBatchStream(table.to_reader(max_chunksize=BATCH_ROWS_MAX))

    @_named
    def do_put(self, session: str, *_: Any) -> None:
        """Refuse."""
        raise _not_offered()

    @_named
    def do_exchange(self, session: str, *_: Any) -> None:
        """Refuse."""
        raise _not_offered()

    @_named
    def do_action(self, session: str, *_: Any) -> None:
        """Refuse."""
        raise _not_offered()

    @_named
    def list_actions(self, session: str) -> None:
        """Refuse."""
        raise _not_offered()

    def _offer(self, session: str, descriptor: flight.FlightDescriptor) -> Offer:
        _only_owner(session)
        return self._shelf.offer([part.decode("utf-8", "replace") for part in descriptor.path])

    def _info(self, session: str, offer: Offer) -> flight.FlightInfo:
        ticket = self._office.issue(
            session, end_ns=offer.end_ns, dataset=offer.dataset, symbol=offer.symbol, frame=offer.frame
        )
        return _info(offer.table, flight.FlightDescriptor.for_path(*offer.path), ticket, offer.facts)


class _Gate(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # as HistoryServer
    """Who calls, by bearer token, and how many read."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.readers = 0
        self.closed = False
        self._shelf = shelf
        self._lock = threading.Lock()

    def start_call(self, info: flight.CallInfo, headers: Mapping[str, Sequence[Any]]) -> _Caller:
        """Let a call in. Raises FlightError, and nothing else."""
        sent = headers.get("authorization", ())
        token = sent[0] if len(sent) == 1 and isinstance(sent[0], str) else ""
        session = self._shelf.session_of(token.removeprefix(_BEARER)) if token.startswith(_BEARER) else None
        if session is None:
            raise flight.FlightUnauthenticatedError("TOKEN_REFUSED: the bearer token is missing or wrong")
        if info.method == flight.FlightMethod.GET_SCHEMA:
            _only_owner(session)
        reads = info.method == flight.FlightMethod.DO_GET
        with self._lock:
            if self.closed or (reads and self.readers >= READERS_MAX):
                raise flight.FlightUnavailableError("SERVER_BUSY: too many readers, or closing")
            self.readers += reads
        return _Caller(self, session, reads)

    def leave(self) -> None:
        """Count a reader out."""
        with self._lock:
            self.readers -= 1


class _Caller(flight.ServerMiddleware):  # type: ignore[misc]  # as HistoryServer
    """One call, and whose it is."""

    def __init__(self, gate: _Gate, session: str, reads: bool) -> None:
        super().__init__()
        self.session = session
        self._gate = gate
        self._reads = reads

    def call_completed(self, exception: BaseException | None) -> None:
        """Count a reader out, however its stream ended."""
        if self._reads:
            self._gate.leave()


def _info(table: pa.Table, descriptor: flight.FlightDescriptor, ticket: bytes, facts: bytes) -> flight.FlightInfo:
    # No location: the ticket is good at the server that gave it, by whatever name the client knows it.
    endpoint = flight.FlightEndpoint(flight.Ticket(ticket), [])
    return flight.FlightInfo(
        table.schema,
        descriptor,
        [endpoint],
        total_records=table.num_rows,
        total_bytes=table.nbytes,
        ordered=True,
        app_metadata=facts,
    )


def _only_owner(session: str) -> None:
    if session != OWNER:
        raise flight.FlightUnauthorizedError("OWNER_ONLY: this call needs the owner's token")


def _not_offered() -> flight.FlightUnauthorizedError:
    return flight.FlightUnauthorizedError("NOT_OFFERED: history is only read")


def _sever(port: int) -> None:
    """End every connection of this process whose own side is the port."""
    for name in os.listdir("/dev/fd"):  # noqa: PTH208  # names of descriptors, not files
        try:
            connection = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with connection:
            try:
                if connection.family in (socket.AF_INET, socket.AF_INET6) and connection.getsockname()[1] == port:
                    connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
