"""Tickets: signed leave to read one series once, for one session, up to one time, for a short while.

The rules are the same for every ticket and checked in this order: signed by this server in the canonical encoding,
of the caller's session, not expired, not used before.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from google.protobuf.message import DecodeError

from boxgate_proto.host.v1.ticket_pb2 import HistoryTicket
from boxgate_server.errors import TicketRefused

LIFETIME_NS: Final = 120_000_000_000
"""How long a ticket is good for unless told otherwise: twice what OnInit may take."""

_NONCE_BYTES: Final = 16
_TICKET_BYTES_MAX: Final = 1024


class TicketOffice:
    """Signs tickets with a random key of its own and takes each of them back once. Safe for threads."""

    def __init__(self, *, clock_ns: Callable[[], int], lifetime_ns: int = LIFETIME_NS) -> None:
        """Make a key. clock_ns: nanoseconds since 1970-01-01 UTC; it decides what is expired, and nothing else."""
        self._clock_ns = clock_ns
        self._lifetime_ns = lifetime_ns
        self._key = secrets.token_bytes(32)
        self._used: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def issue(
        self, session_id: str, *, end_ns: int, series: int = 0, dataset: str = "", symbol: str = "", frame: str = ""
    ) -> bytes:
        """Return a new ticket, serialised."""
        ticket = HistoryTicket(
            session_id=session_id,
            series=series,
            end_ns=end_ns,
            expires_ns=self._clock_ns() + self._lifetime_ns,
            nonce=secrets.token_bytes(_NONCE_BYTES),
            dataset=dataset,
            symbol=symbol,
            frame=frame,
        )
        return self.sign(ticket)

    def sign(self, ticket: HistoryTicket) -> bytes:
        """Return a ticket with this office's signature, serialised."""
        ticket.signature = self._signature(ticket)
        return ticket.SerializeToString(deterministic=True)

    def read(self, data: bytes, session_id: str) -> HistoryTicket:
        """Return what a ticket says if it could be used now; it stays unused.

        session_id: of the caller. Raises TicketRefused: TICKET_FORGED, TICKET_FOREIGN, TICKET_EXPIRED,
        TICKET_REPLAYED.
        """
        ticket = self._authentic(data)
        if not hmac.compare_digest(ticket.session_id.encode(), session_id.encode()):
            raise _refused("TICKET_FOREIGN", "the ticket belongs to another session", "a ticket of this session")
        if self._clock_ns() >= ticket.expires_ns:
            raise _refused("TICKET_EXPIRED", "the ticket has expired", "a ticket that is used at once")
        with self._lock:
            if ticket.nonce in self._used:
                raise _refused("TICKET_REPLAYED", "the ticket was used before", "a ticket that is used once")
        return ticket

    def redeem(self, data: bytes, session_id: str) -> HistoryTicket:
        """Return what a ticket says and mark it as used. Raises TicketRefused as `read`."""
        ticket = self.read(data, session_id)
        with self._lock:
            if ticket.nonce in self._used:  # another thread was faster
                raise _refused("TICKET_REPLAYED", "the ticket was used before", "a ticket that is used once")
            now_ns = self._clock_ns()
            if len(self._used) % 1024 == 1023:  # an expired ticket is refused for that, so its nonce may be forgotten
                self._used = {nonce: expires for nonce, expires in self._used.items() if expires > now_ns}
            self._used[ticket.nonce] = ticket.expires_ns
        return ticket

    def _authentic(self, data: bytes) -> HistoryTicket:
        forged = _refused("TICKET_FORGED", "the ticket is none of this server's", "the bytes as they were handed out")
        if len(data) > _TICKET_BYTES_MAX:
            raise forged
        try:
            ticket = HistoryTicket.FromString(data)
        except DecodeError:
            raise forged from None
        # Signed is the one encoding of what was read, and it must be what was sent: nothing else travels with it.
        canonical = HistoryTicket()
        canonical.CopyFrom(ticket)
        canonical.DiscardUnknownFields()
        whole = canonical.SerializeToString(deterministic=True)
        signed = hmac.compare_digest(self._signature(canonical), ticket.signature)
        if not hmac.compare_digest(whole, data) or not signed or len(ticket.nonce) != _NONCE_BYTES:
            raise forged
        return ticket

    def _signature(self, ticket: HistoryTicket) -> bytes:
        bare = HistoryTicket()
        bare.CopyFrom(ticket)
        bare.ClearField("signature")
        return hmac.new(self._key, bare.SerializeToString(deterministic=True), sha256).digest()


def _refused(code: str, what: str, expected: str) -> TicketRefused:
    return TicketRefused(
        what,
        code=code,
        where="Flight ticket",
        expected=expected,
        remedy="open each handle once, in OnInit, with the ticket that came with it",
    )
