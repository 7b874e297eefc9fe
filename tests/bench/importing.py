"""Measure an import beside Polars reading the same file; prints one JSON object.

    python tests/bench/importing.py [--rows 50000000] [--stamps ms|iso|both] [--repeats 3] [--folder DIR]

The file is made with a seed: time,open,high,low,close,volume by the minute. Each measurement is a process of its own,
import and Polars in turn, so that both find the file in the page cache alike. `polars_s` is the faster of read_csv and
the streaming collect of scan_csv; `ratio` is its best time by that of the import, whole, from file to published
dataset; `peak_mb` is the largest resident memory of the importing process.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from boxgate_engine.datasets import ImportRequest, import_files

_CHUNK_ROWS = 1_000_000
_MINUTE_MS = 60_000
_START_MS = 1_000_000_000_000
"""In 2001: fifty million minutes are 95 years."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure an import beside Polars reading the same file.")
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--stamps", choices=["ms", "iso", "both"], default="both")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stage", choices=["import", "read_csv", "scan_csv"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage is not None:
        print(json.dumps(_measure(arguments.stage, arguments.file)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for stamps in ("ms", "iso") if arguments.stamps == "both" else (arguments.stamps,):
            file = Path(folder) / f"{stamps}.csv"
            _make(file, arguments.rows, stamps)
            print(json.dumps(_compare(file, arguments.rows, stamps, arguments.repeats), sort_keys=True), flush=True)
            file.unlink()


def _compare(file: Path, rows: int, stamps: str, repeats: int) -> dict[str, float | str]:
    best: dict[str, float] = {}
    peak_mb = 0.0
    for _ in range(repeats):
        for stage in ("read_csv", "scan_csv", "import"):
            command = [sys.executable, __file__, "--stage", stage, "--file", str(file)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            best[stage] = min(best.get(stage, float("inf")), found["seconds"])
            if stage == "import":
                peak_mb = max(peak_mb, found["peak_mb"])
    polars_s = min(best["read_csv"], best["scan_csv"])
    return {
        "rows": rows,
        "stamps": stamps,
        "file_mb": round(file.stat().st_size / 1e6, 1),
        "read_csv_s": round(best["read_csv"], 2),
        "scan_csv_s": round(best["scan_csv"], 2),
        "polars_s": round(polars_s, 2),
        "import_s": round(best["import"], 2),
        "ratio": round(polars_s / best["import"], 3),
        "peak_mb": round(peak_mb, 1),
    }


def _measure(stage: str, file: Path) -> dict[str, float]:
    begin = time.perf_counter()
    if stage == "read_csv":
        pl.read_csv(file)
    elif stage == "scan_csv":
        pl.scan_csv(file).collect(engine="streaming")
    else:
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            request = ImportRequest(files=(file,), symbol="EURUSD", frame="M1", zone="UTC", calendar="always")
            begin = time.perf_counter()
            import_files(Path(folder) / "datasets", request)
            return _result(begin)
    return _result(begin)


def _result(begin: float) -> dict[str, float]:
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _make(file: Path, rows: int, stamps: str) -> None:
    last = 110_000
    with file.open("wb") as out:
        out.write(b"time,open,high,low,close,volume\n")
        for start in range(0, rows, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, rows - start)
            raw = np.random.Philox(key=start + 1).random_raw((5, count))
            opens = 100_000 + np.abs(last - 100_000 + np.cumsum((raw[0] % 21).astype(np.int64) - 10))
            closes = opens + (raw[1] % 31).astype(np.int64) - 15
            highs = np.maximum(opens, closes) + (raw[2] % 9).astype(np.int64)
            lows = np.minimum(opens, closes) - (raw[3] % 9).astype(np.int64)
            last = int(closes[-1])
            times = pl.Series("time", _START_MS + np.arange(start, start + count) * _MINUTE_MS)
            if stamps == "iso":
                times = pl.from_epoch(times, "ms").dt.strftime("%Y-%m-%d %H:%M:%S")
            prices = {"o": opens / 1e5, "h": highs / 1e5, "l": lows / 1e5, "c": closes / 1e5}
            volume = (raw[4] % 1000).astype(np.int64)
            table = pl.DataFrame({"time": times, **prices, "volume": volume})
            table.write_csv(out, include_header=False, float_precision=5)


if __name__ == "__main__":
    main()
