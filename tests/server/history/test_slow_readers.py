"""D18: readers that are many, slow or gone cost the server bounded memory, and never keep it from stopping."""

from __future__ import annotations

import gc
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import flight

from boxgate_server.history import flight as served_flight
from boxgate_server.history.flight import arrow_table

Serve = Callable[..., Any]

_MIB = 1 << 20
_HOLDER = """
import os, sys, time
import pyarrow.flight as flight
options = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer token-of-a")])
tickets = [bytes.fromhex(line) for line in sys.stdin.read().split()]
readers = []
for ticket in tickets:
    # A connection each: on a shared one, those that do not read would hold up the others.
    client = flight.connect(sys.argv[1], generic_options=[("grpc.use_local_subchannel_pool", 1)])
    readers.append((client, client.do_get(flight.Ticket(ticket), options)))
    readers[-1][1].read_chunk()
print("reading", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A table of 1 million rows of 6 columns in a mapped file: none of it is memory of the process's own."""
    columns: dict[str, Any] = {}
    for name in ("open_ns", "open", "high", "low", "close", "volume"):
        path = tmp_path_factory.mktemp("columns") / name
        np.arange(1_000_000, dtype=np.int64 if name == "open_ns" else np.float64).tofile(path)
        columns[name] = np.memmap(path, dtype=np.int64 if name == "open_ns" else np.float64, mode="r")
    return arrow_table(columns, 1_000_000)


def _own_mib() -> float:
    """Memory of this process that is no file's, MiB."""
    gc.collect()
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


def _hold(served: Any, readers: int) -> subprocess.Popen[str]:
    """Return a process that reads one batch of each of so many streams and then nothing."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, served.server.location],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    tickets = [served.office.issue("a", series=0, end_ns=5_000) for _ in range(readers)]
    process.stdin.write("\n".join(ticket.hex() for ticket in tickets))
    process.stdin.close()
    assert process.stdout.readline() == "reading\n"
    process.stdout.close()
    return process


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("readers", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_readers_that_do_not_read_cost_little_and_are_freed_when_they_vanish(
    serve_sessions: Serve, mapped: Any, readers: int
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    served = serve_sessions(tables=[mapped, mapped])
    before = _own_mib()
    holders = [_hold(served, readers // 4) for _ in range(4)]
    try:
        assert served.server.readers > 0.95 * readers
        held = _own_mib() - before
        # A stream has 48 MB, a batch of it 3 MB.
        assert held < 50 + 0.3 * readers, held
        # Another reader is served meanwhile.
        table = served.get(served.office.issue("b", series=1, end_ns=5_000), "token-of-b").read_all()
        assert table.num_rows == 1_000_000
    finally:
        for holder in holders:
            os.kill(holder.pid, signal.SIGKILL)
            holder.wait()
    _until(lambda: served.server.readers == 0)


def test_one_reader_more_than_the_limit_is_refused(
    serve_sessions: Serve, mapped: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_flight, "READERS_MAX", 2)
    served = serve_sessions(tables=[mapped, mapped])
    holder = _hold(served, 2)
    ticket = served.office.issue("b", series=0, end_ns=5_000)
    try:
        with pytest.raises(flight.FlightUnavailableError, match="SERVER_BUSY"):
            served.get(ticket, "token-of-b").read_all()
    finally:
        holder.kill()
        holder.wait()
    _until(lambda: served.server.readers == 0)
    assert served.get(ticket, "token-of-b").read_all().num_rows == 1_000_000


def test_a_server_stops_although_somebody_does_not_read_on(serve_sessions: Serve, mapped: Any) -> None:
    served = serve_sessions(tables=[mapped, mapped])
    holder = _hold(served, 3)
    try:
        served.server.close()
        assert served.server.readers == 0
        with pytest.raises(flight.FlightError):
            served.get(served.office.issue("a", series=0, end_ns=5_000), "token-of-a").read_all()
    finally:
        holder.kill()
        holder.wait()


def test_the_batches_of_a_stream_are_small(serve_sessions: Serve, mapped: Any) -> None:
    served = serve_sessions(tables=[mapped, mapped])
    reader = served.get(served.office.issue("a", series=0, end_ns=5_000), "token-of-a")
    rows = [chunk.data.num_rows for chunk in reader]
    assert sum(rows) == 1_000_000
    assert max(rows) == 65_536
