"""Measure what a run pays for its sidecar; prints one JSON object.

    python tests/bench/sidecar_start.py [--repeats 30]

Three ways in turn, so that all meet the same machine: `process` is a process started normally, `forked` one forked from
the template, `reused` one that served before. `open_ms` is from asking the pool to the first accepted OnInit, two calls
of Describe as a run makes them included; `close_ms` from the end of the stream to the sidecar given back, OnStop
included. Of each the least, the median and the most. `first_ms` is the first of all: guard or template start with it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sidecars import Fresh, SidecarHost, SidecarPool

STRATEGY = """
from boxgate_sdk import IntParameter, Strategy, serve

class Idle(Strategy):
    length = IntParameter(20)

    def on_event(self, event):
        return None

if __name__ == "__main__":
    serve(Idle)
"""
WAYS: dict[str, Fresh | None] = {"process": "process", "forked": "forked", "reused": None}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what a run pays for its sidecar.")
    parser.add_argument("--repeats", type=int, default=30)
    repeats: int = parser.parse_args().repeats
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name, SidecarHost() as host, SidecarPool(host) as pool:
        folder = Path(name)
        (folder / "strategy.py").write_text(STRATEGY)
        for number in range(repeats + 1):
            for way, fresh in WAYS.items():
                found[way].append(_measure(pool, folder, fresh, number))
    print(json.dumps({"unit": "ms", **{way: _summary(rows) for way, rows in found.items()}}, indent=1))


def _measure(pool: SidecarPool, folder: Path, fresh: Fresh | None, number: int) -> tuple[float, float]:
    """Return the milliseconds until a session is open, and from its last answer until it is over."""
    length = [pb.Parameter(name="length", value=pb.ParameterValue(int_value=20))]
    begin = time.perf_counter()
    lease = pool.lease(["python", "strategy.py"], cwd=folder, mode="debug", digest="", fresh=fresh)
    lease.connection.describe(pb.DescribeRequest(contract_versions=[1]))
    lease.connection.describe(pb.DescribeRequest(contract_versions=[1], parameters=length))
    session = f"session{number}"
    request = pb.OnInitRequest(session_id=session, contract_version=1, parameters=length)
    assert lease.connection.on_init(request).HasField("accepted")
    opened = time.perf_counter()
    stream = lease.connection.open_stream(session)
    answered = time.perf_counter()
    stream.close()
    lease.connection.on_stop(pb.OnStopRequest(session_id=session, reason=pb.STOP_REASON_COMPLETED))
    lease.stop()
    return (opened - begin) * 1e3, (time.perf_counter() - answered) * 1e3


def _summary(rows: list[tuple[float, float]]) -> dict[str, object]:
    first, *later = rows
    kinds = zip(("open_ms", "close_ms"), zip(*later, strict=True), strict=True)
    return {
        "first_ms": round(first[0], 2),
        **{name: [round(of(times), 2) for of in (min, statistics.median, max)] for name, times in kinds},
    }


if __name__ == "__main__":
    main()
