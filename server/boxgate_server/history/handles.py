"""Handles: where a session's sidecar finds the history of its series, while OnInit lasts and no longer."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from boxgate_engine.datasets import Dataset, shared_slice, slice_rows
from boxgate_engine.market import Feed
from boxgate_proto.host.v1.ticket_pb2 import HistoryTicket
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.errors import TicketRefused
from boxgate_server.history.tickets import TicketOffice

if TYPE_CHECKING:
    import pyarrow as pa

    from boxgate_server.history.flight import Offer

CAPABILITY: Final = "HISTORY_HANDLES"
"""The capability that a session needs for handles."""


@contextmanager
def offered_handles(
    dataset: Dataset, feeds: Sequence[Feed], *, session_id: str, start_ns: int, cache_dir: Path | None
) -> Iterator[list[pb.HistoryHandle]]:
    """Yield the handles of a session: what is available at or before `start_ns`, series by series.

    cache_dir: where the slices are written that a sidecar on this host maps; None where it cannot map them, and then
    the handles have a location only. Until leaving, the slices stay where they are, whatever the cache has to evict; on
    leaving, the server behind the locations is stopped and its tickets are void.
    Raises DataDamaged, RunFailed (DATA_STORE).
    """
    rows = [slice_rows(feed.series, start_ns) for feed in feeds]
    handles = [pb.HistoryHandle(series=feed.index, rows=count) for feed, count in zip(feeds, rows, strict=True)]
    if not any(rows):
        yield handles
        return
    # Imported here: a run without handles needs no Flight.
    from boxgate_server.history.flight import arrow_table, new_token, start_history_server

    session = SessionHistory(
        session_id=session_id,
        token=new_token(),
        end_ns=start_ns,
        tables=[arrow_table(feed.series.columns, count) for feed, count in zip(feeds, rows, strict=True)],
    )
    office = TicketOffice(clock_ns=time.time_ns)
    server = start_history_server(SessionShelf([session]), office)
    held = []  # Mapped until the sidecar has mapped them itself: what is mapped is not evicted.
    try:
        for feed, handle in zip(feeds, handles, strict=True):
            if not handle.rows:
                continue
            if cache_dir is not None:
                cut = shared_slice(dataset, feed.series.symbol, feed.series.frame, start_ns, cache_dir=cache_dir)
                held.append(cut)
                handle.path = str(cut.path.resolve())
            handle.location = server.location
            handle.ticket = office.issue(session_id, series=feed.index, end_ns=start_ns)
            handle.token = session.token
        yield handles
    finally:
        server.close()


@dataclass(frozen=True, kw_only=True, eq=False)
class SessionHistory:
    """What one session may read: its series by index, each cut at `end_ns`."""

    session_id: str
    token: str = field(repr=False)
    end_ns: int
    tables: Sequence[pa.Table]


class SessionShelf:
    """The history of sessions. Each reads its own, by ticket; there is no owner, so nothing is listed."""

    def __init__(self, sessions: Iterable[SessionHistory]) -> None:
        self._sessions = {session.session_id: session for session in sessions}

    def session_of(self, token: str) -> str | None:
        """Return the session of a token. Every one is compared, whichever fits."""
        from boxgate_server.history.flight import tokens_equal

        found = [name for name, session in self._sessions.items() if tokens_equal(session.token, token)]
        return found[0] if found else None

    def open(self, ticket: HistoryTicket) -> pa.Table:
        """Return the rows of a ticket. Raises TicketRefused (TICKET_FOREIGN, TICKET_RANGE)."""
        session = self._sessions.get(ticket.session_id)
        if session is None or ticket.dataset or ticket.series >= len(session.tables):
            raise _refused("TICKET_FOREIGN", "the ticket is for a series that the session does not have")
        if ticket.end_ns != session.end_ns:
            raise _refused("TICKET_RANGE", "the ticket reaches beyond the start of the session, or not up to it")
        return session.tables[ticket.series]

    def offers(self) -> Iterable[Offer]:
        """Return nothing."""
        return ()

    def offer(self, path: Sequence[str]) -> Any:
        """Refuse: a session reads by the tickets it was given."""
        raise _refused("TICKET_FOREIGN", "a session reads by its tickets alone")


def _refused(code: str, what: str) -> TicketRefused:
    return TicketRefused(
        what,
        code=code,
        where="Flight ticket",
        expected="a ticket of this session, for one of its series, up to its start",
        remedy="use the tickets of OnInit as they are",
    )
