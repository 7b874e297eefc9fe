"""What the tests of served history share: a dataset, and a server of sessions that tests talk to by bare pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import flight

from boxgate_engine.datasets import SynthRequest, make_synthetic, open_dataset
from boxgate_engine.timestamps import parse_utc_ns
from boxgate_server.history.flight import HistoryServer, arrow_table, start_history_server
from boxgate_server.history.handles import SessionHistory, SessionShelf
from boxgate_server.history.tickets import TicketOffice

START_NS = parse_utc_ns("2024-01-04")


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now_ns: int = 1_000

    def __call__(self) -> int:
        return self.now_ns


@dataclass
class Served:
    """A server of two sessions, `a` and `b`, with two series each of which values tell where they come from."""

    server: HistoryServer
    office: TicketOffice
    clock: Clock
    tokens: dict[str, str]
    rows: int
    clients: list[Any] = field(default_factory=list)

    def client(self) -> Any:
        client = flight.connect(self.server.location)
        self.clients.append(client)
        return client

    def options(self, token: str | None) -> Any:
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        return flight.FlightCallOptions(headers=headers, timeout=20)

    def get(self, ticket: bytes, token: str | None) -> Any:
        return self.client().do_get(flight.Ticket(ticket), self.options(token))


def columns_of(rows: int, mark: float) -> dict[str, Any]:
    """Columns of a bar series whose every value is marked."""
    names = ("open", "high", "low", "close", "volume")
    return {"open_ns": np.arange(rows), **{name: np.arange(rows) + mark + i / 8 for i, name in enumerate(names)}}


@pytest.fixture
def serve_sessions() -> Iterator[Callable[..., Served]]:
    """Return a starter of such a server; `rows` of the series and `clock` may be given."""
    started: list[Served] = []

    def start(rows: int = 1000, tables: list[Any] | None = None) -> Served:
        clock = Clock()
        office = TicketOffice(clock_ns=clock, lifetime_ns=100)
        sessions = [
            SessionHistory(
                session_id=name,
                token=f"token-of-{name}",
                end_ns=5_000,
                tables=tables or [arrow_table(columns_of(rows, mark + i), rows) for i in range(2)],
            )
            for name, mark in (("a", 1e6), ("b", 2e6))
        ]
        server = start_history_server(SessionShelf(sessions), office)
        served = Served(server, office, clock, {one.session_id: one.token for one in sessions}, rows)
        started.append(served)
        return served

    yield start
    for served in started:
        for client in served.clients:
            client.close()
        served.server.close()


@pytest.fixture
def dataset(tmp_path: Path) -> Any:
    """A small dataset `small` of two symbols under tmp_path/datasets, with the cache tmp_path/cache."""
    make_synthetic(
        tmp_path / "datasets",
        SynthRequest(
            name="small",
            seed=3,
            symbols=("EURUSD", "XAUUSD"),
            frame="M1",
            start_ns=parse_utc_ns("2024-01-02"),
            end_ns=parse_utc_ns("2024-01-06"),
        ),
    )
    return open_dataset(tmp_path / "datasets", "small", cache_dir=tmp_path / "cache")
