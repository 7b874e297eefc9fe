"""Measure an import of a large CSV file beside polars' own scan of it; prints one JSON object.

    python tests/bench/importing.py [--rows 5000000] [--folder DIR]

Each measurement is a process of its own. ratio: rate of the import by that of the faster of read_csv and scan_csv.
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
from typing import Any

import numpy as np
import polars as pl

_CHUNK_ROWS = 1 << 20
_FIRST_MINUTE = 12_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure an import of a large CSV file.")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--stage", choices=["make", "import", "read", "scan"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage is not None:
        print(json.dumps(_measure(arguments.stage, arguments.folder, arguments.rows)))
    elif arguments.folder is not None:
        _all(arguments.folder, arguments.rows)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _all(Path(folder), arguments.rows)


def _all(folder: Path, rows: int) -> None:
    found: dict[str, Any] = {"rows": rows}
    for stage in ("make", "read", "scan", "import"):
        command = [sys.executable, __file__, "--stage", stage, "--folder", str(folder), "--rows", str(rows)]
        found[stage] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    found["ratio"] = min(found["read"]["seconds"], found["scan"]["seconds"]) / found["import"]["seconds"]
    print(json.dumps(found, sort_keys=True))


def _measure(stage: str, folder: Path, rows: int) -> dict[str, float]:
    file = folder / "bars.csv"
    start = time.perf_counter()
    if stage == "make":
        _make(file, rows)
    elif stage == "read":
        pl.read_csv(file)
    elif stage == "scan":
        pl.scan_csv(file).collect()
    else:
        from boxgate_engine.datasets import ImportRequest, import_files

        import_files(folder / "datasets", ImportRequest(files=(file,), symbol="EURUSD", frame="M1", calendar="always"))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _make(file: Path, rows: int) -> None:
    generator = np.random.Generator(np.random.Philox(key=1))
    with file.open("wb") as target:
        for start in range(0, rows, _CHUNK_ROWS):
            count = min(_CHUNK_ROWS, rows - start)
            ticks = 110_000 + generator.integers(-5_000, 5_000, count)
            prices = {"open": ticks, "high": ticks + 9, "low": ticks - 9, "close": ticks + 3}
            columns: dict[str, Any] = {"time": (np.arange(start, start + count) + _FIRST_MINUTE) * 60}
            columns |= {name: values / 100_000 for name, values in prices.items()}
            columns["volume"] = generator.integers(0, 1_000, count)
            pl.DataFrame(columns).write_csv(target, include_header=start == 0)


if __name__ == "__main__":
    main()
