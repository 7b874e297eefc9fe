"""A search by TPE with one worker and with four: the same trials, the same best.

    python tests/bench/matrix/tpe.py [--trials 96] [--bars 5000]

`boxgate matrix run` with local Ray and stores of their own, and once in one process. Compared are the bytes of
search.json, which has every trial, what it made, and the digest of each generation; and what `best` says. Prints one
JSON object, and exits with 1 unless they are equal.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import machine, matrix_run, prepare
from scratch import scratch

_WAYS: Final = {"in_process": 0, "workers_1": 1, "workers_4": 4}


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--bars", type=int, default=5_000)
    given = parser.parse_args()
    with scratch() as folder:
        figures = measure(folder, given.bars, given.trials)
    print(json.dumps(figures, indent=2))
    sys.exit(not figures["equal"])


def measure(folder: Path, bars: int, trials: int) -> dict[str, object]:
    """Return what each way found, and whether it is the same."""
    params = {
        "fast": {"from": 2, "to": 30},
        "slow": {"from": 31, "to": 200},
        "notional": {"from": 1000.0, "to": 90000.0},
    }
    search = f"  search: {{method: tpe, trials: {trials}, objective: return.total}}"
    file = prepare(folder, bars=bars, params=params, windows=1, lines=search)
    found: dict[str, dict[str, object]] = {}
    for way, workers in _WAYS.items():
        told = matrix_run(file, store=way, workers=workers).told
        best = matrix_run(file, store=way, command="best").told["best"]
        kept = Path(told["search"]["file"]).read_bytes()
        found[way] = {
            "search_json": f"sha256:{hashlib.sha256(kept).hexdigest()}",
            "last_generation": told["search"]["digest"],
            "trials": told["search"]["trials"],
            "best_trial": best["trial"],
            "best_run": best["run_id"],
            "best_aggregate": best["aggregate"],
            "matrix_digest": told["matrix_digest"],
        }
    return {
        "equal": all(one == found["in_process"] for one in found.values()),
        "wanted": "equal",
        "bars": bars,
        **found,
        **machine(),
    }


if __name__ == "__main__":
    main()
