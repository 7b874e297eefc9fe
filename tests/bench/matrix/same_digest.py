"""The same matrix with 1, 2 and 8 workers, handed out in other orders, and in one process: one digest.

    python tests/bench/matrix/same_digest.py [--runs 200] [--bars 5000]

Each time `boxgate matrix run` with a store of its own; `shuffled` hands out the runs in an order drawn by a seed. Three
nodes that share nothing but the store: tests/server/cluster/test_three_nodes.py. Prints one JSON object, and exits with
1 unless `matrix_digest` is equal everywhere, and the digest of every run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import axes, machine, matrix_run, prepare
from scratch import scratch

_WAYS: Final[dict[str, tuple[int, int | None]]] = {
    "in_process": (0, None),
    "in_process_shuffled": (0, 1),
    "workers_1": (1, None),
    "workers_2_shuffled": (2, 2),
    "workers_8": (8, None),
    "workers_8_shuffled": (8, 3),
}
"""Workers of Ray, and the seed of the order in which runs are handed out."""


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--bars", type=int, default=5_000)
    parser.add_argument("--ways", nargs="+", choices=_WAYS, default=list(_WAYS))
    given = parser.parse_args()
    with scratch() as folder:
        figures = measure(folder, given.bars, given.runs, given.ways)
    print(json.dumps(figures, indent=2))
    sys.exit(not figures["equal"])


def measure(folder: Path, bars: int, runs: int, ways: list[str]) -> dict[str, object]:
    """Return the digest of each way, and whether all are equal."""
    file = prepare(folder, bars=bars, params=axes(runs, settings=4))
    digests: dict[str, str] = {}
    of_runs: list[pl.DataFrame] = []
    for way in ways:
        workers, shuffle = _WAYS[way]
        told = matrix_run(file, store=way, workers=workers, shuffle=shuffle).told
        assert (told["complete"], told["reused"]) == (told["planned"], 0), told
        digests[way] = told["matrix_digest"]
        of_runs.append(pl.read_parquet(f"{told['index']}/part-*.parquet", columns=["run_id", "result_digest"]))
    equal = len(set(digests.values())) == 1 and all(one.equals(of_runs[0]) for one in of_runs)
    return {
        "runs": len(of_runs[0]),
        "different_results": of_runs[0]["result_digest"].n_unique(),
        "bars": bars,
        "equal": equal,
        "wanted": "equal",
        "matrix_digest": digests,
        **machine(),
    }


if __name__ == "__main__":
    main()
