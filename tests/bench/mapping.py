"""Measure what mapping a large series costs; prints one JSON object.

    python tests/bench/mapping.py [--rows 10000000] [--folder DIR]

The dataset is made and transcoded by one process and measured by another, so that the figures hold for the process
that only maps: opening (name to arrays), bytes that Arrow allocated, growth of the anonymous memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa

from boxgate_engine.datasets import open_dataset
from boxgate_engine.datasets.content import Column, SeriesContent
from boxgate_engine.datasets.grid import prices_from_ticks
from boxgate_engine.datasets.store import NewSeries, freeze
from boxgate_engine.instruments import Instrument

_MINUTE_NS = 60_000_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what mapping a large series costs.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stage", choices=["all", "make", "measure"], default="all", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage == "make":
        _make(arguments.folder, arguments.rows)
    elif arguments.stage == "measure":
        print(json.dumps(_measure(arguments.folder), sort_keys=True))
    elif arguments.folder is not None:
        _both(arguments.folder, arguments.rows)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _both(Path(folder), arguments.rows)


def _both(folder: Path, rows: int) -> None:
    for stage in ("make", "measure"):
        command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder), "--rows", str(rows)]
        subprocess.run(command, check=True)


def _make(folder: Path, rows: int) -> None:
    steps = (np.random.Philox(key=1).random_raw(rows) % 21).astype(np.int64) - 10
    ticks = 1_000_000 + np.cumsum(steps) % 500_000
    tick_size = Fraction(1, 100_000)
    columns: dict[str, Column] = {"open_ns": np.arange(1, rows + 1, dtype=np.int64) * _MINUTE_NS}
    for name, shift in (("open", 0), ("high", 9), ("low", -9), ("close", 3)):
        columns[name] = prices_from_ticks(ticks + shift, tick_size)
    columns["volume"] = np.ones(rows)
    for name, shift in (("ask_open", 10), ("ask_high", 19), ("ask_low", 1), ("ask_close", 13)):
        columns[name] = prices_from_ticks(ticks + shift, tick_size)
    content = SeriesContent(symbol="EURUSD", frame="M1", price_basis="BID", columns=columns)
    instrument = Instrument(
        symbol="EURUSD", asset_class="forex", quote_currency="USD", tick_size=tick_size, lot_size=Fraction(1)
    )
    freeze(folder / "datasets", [instrument], [NewSeries(content=content, source="bench", licence="CC0-1.0")], name="x")
    open_dataset(folder / "datasets", "x", cache_dir=folder / "cache").series("EURUSD", "M1")


def _measure(folder: Path) -> dict[str, object]:
    pa.array([0])  # Arrow imports pandas with its first array where it is installed; that is no copy of ours.
    anonymous_before, allocated_before = _anonymous_bytes(), pa.total_allocated_bytes()
    started = time.perf_counter()
    series = open_dataset(folder / "datasets", "x", cache_dir=folder / "cache").series("EURUSD", "M1")
    opened = time.perf_counter()
    sums = {name: float(values.sum()) for name, values in series.columns.items()}
    summed = time.perf_counter()
    address, size = series.map_address
    return {
        "schema": "boxgate.bench.mapping/1",
        "rows": series.rows,
        "columns": len(sums),
        "bytes": sum(values.nbytes for values in series.columns.values()),
        "open_ms": round((opened - started) * 1e3, 3),
        "sum_ms": round((summed - opened) * 1e3, 3),
        "arrow_allocated_bytes": pa.total_allocated_bytes() - allocated_before,
        "rss_anon_growth_bytes": _anonymous_bytes() - anonymous_before,
        "all_columns_inside_the_map": all(
            address <= values.ctypes.data and values.ctypes.data + values.nbytes <= address + size
            for values in series.columns.values()
        ),
    }


def _anonymous_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not report RssAnon")


if __name__ == "__main__":
    main()
