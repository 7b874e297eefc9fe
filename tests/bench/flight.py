"""Throughput of the history server beside a bare pyarrow Flight server of the same table, read by one client.

Pairs are interleaved, so that whatever else the machine does meets both. Usage: flight.py [PAIRS] [ROWS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import flight

from boxgate_server.history.flight import BATCH_ROWS_MAX, arrow_table, start_history_server
from boxgate_server.history.handles import SessionHistory, SessionShelf
from boxgate_server.history.tickets import TicketOffice

NAMES = ("open_ns", "open", "high", "low", "close", "volume")


class Bare(flight.FlightServerBase):
    """As little as a Flight server can be."""

    def __init__(self, table: pa.Table, batch_rows: int | None) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self.table = table
        self.batch_rows = batch_rows

    def do_get(self, context: Any, ticket: Any) -> Any:
        return flight.RecordBatchStream(self.table.to_reader(max_chunksize=self.batch_rows))


def read_s(location: str, ticket: bytes, token: str | None, rows: int) -> float:
    """Seconds from the call until every batch has arrived."""
    headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    with flight.connect(location) as client:
        begin = time.perf_counter()
        read = 0
        for chunk in client.do_get(flight.Ticket(ticket), flight.FlightCallOptions(headers=headers)):
            read += chunk.data.num_rows
        assert read == rows
        return time.perf_counter() - begin


def main(pairs: int, rows: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        columns: dict[str, Any] = {}
        for name in NAMES:
            kind = np.int64 if name == "open_ns" else np.float64
            np.arange(rows, dtype=kind).tofile(Path(folder) / name)
            columns[name] = np.memmap(Path(folder) / name, dtype=kind, mode="r")
        table = arrow_table(columns, rows)
        office = TicketOffice(clock_ns=time.time_ns, lifetime_ns=10**15)
        session = SessionHistory(session_id="bench", token="bench-token", end_ns=1, tables=[table])
        ours = start_history_server(SessionShelf([session]), office)
        bare = Bare(table, BATCH_ROWS_MAX)
        megabytes = table.nbytes / 1e6
        ratios = []
        for pair in range(-1, pairs):  # the first one warms up
            times = {}
            for name in ("ours", "bare") if pair % 2 else ("bare", "ours"):
                if name == "ours":
                    ticket = office.issue("bench", series=0, end_ns=1)
                    times[name] = read_s(ours.location, ticket, "bench-token", rows)
                else:
                    times[name] = read_s(f"grpc://127.0.0.1:{bare.port}", b"x", None, rows)
            if pair >= 0:
                ratios.append(times["bare"] / times["ours"])
                print(
                    f"pair {pair + 1}: ours {megabytes / times['ours']:7.0f} MB/s, "
                    f"bare {megabytes / times['bare']:7.0f} MB/s, ratio {ratios[-1]:.3f}"
                )
        print(
            f"{rows:,} rows x {len(NAMES)} columns, {pairs} interleaved pairs, throughput ours / bare: "
            f"median {statistics.median(ratios):.3f}, min {min(ratios):.3f}, max {max(ratios):.3f}"
        )
        ours.close()
        bare.shutdown()


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [9, 10_000_000][len(arguments) :]))
