"""Planning a million runs: from the matrix file through the planner into the ledger, and what memory it takes.

    python tests/bench/matrix/planning.py [--runs 1000000] [--repeats 3]

Each repeat is a process of its own, which opens the dataset, asks the strategy for its parameters, and notes every run
with its id in a ledger on the disk. A tenth of the runs is planned as well: the memory must not follow their number.
Wanted: at most 30 s, and at most 64 MB more memory than a tenth takes. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import axes, machine, measured, prepare, spread
from scratch import scratch

from boxgate_server.matrix.config.load import load_matrix
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.planner import make_plan

SECONDS_MAX = 30.0
GROWTH_BYTES_MAX = 64_000_000


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plan is not None:
        print(json.dumps(plan(given.plan)))
        return
    with scratch() as folder:
        print(json.dumps(measure(folder, given.runs, given.repeats), indent=2))


def measure(folder: Path, runs: int, repeats: int) -> dict[str, object]:
    """Return the figures of `runs` runs and of a tenth of them."""
    found = {}
    for name, count in (("all", runs), ("tenth", runs // 10)):
        place = folder / name
        file = prepare(place, bars=5_000, params=axes(count, settings=4))
        told = []
        for _ in range(repeats):
            told.append(measured([sys.executable, __file__, "--plan", str(file)], place).told)
        found[name] = told
    seconds = spread([one["seconds"] for one in found["all"]])
    growth = max(one["peak_bytes"] for one in found["all"]) - max(one["peak_bytes"] for one in found["tenth"])
    return {
        "runs": found["all"][0]["runs"],
        "repeats": repeats,
        "seconds": seconds,
        "seconds_wanted": f"<= {SECONDS_MAX:g}",
        "growth_of_memory_mb": round(growth / 1e6, 1),
        "growth_of_memory_mb_wanted": f"<= {GROWTH_BYTES_MAX / 1e6:g}",
        "met": seconds["median"] <= SECONDS_MAX and growth <= GROWTH_BYTES_MAX,
        "cpu_s": spread([one["cpu_s"] for one in found["all"]]),
        "seconds_of_it_before_the_ledger": spread([one["make_plan_s"] for one in found["all"]]),
        "ledger_mb": round(found["all"][0]["ledger_bytes"] / 1e6, 1),
        "peak_mb": round(max(one["peak_bytes"] for one in found["all"]) / 1e6, 1),
        "peak_mb_of_a_tenth": round(max(one["peak_bytes"] for one in found["tenth"]) / 1e6, 1),
        **machine(),
    }


def plan(file: Path) -> dict[str, float]:
    """Plan in this process."""
    began, used = time.perf_counter(), time.process_time()
    made = make_plan(load_matrix(file), folder=file.parent)
    planned = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=file.parent) as place, Ledger(Path(place) / "ledger.sqlite") as ledger:
        ledger.take_lease()
        noted = ledger.plan(made, made.count)
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(place).iterdir())
    assert noted == made.count
    return {
        "runs": noted,
        "seconds": seconds,
        "cpu_s": time.process_time() - used,
        "make_plan_s": planned - began,
        "ledger_bytes": size,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    main()
