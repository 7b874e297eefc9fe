"""Two workers against one: the same matrix by `boxgate matrix run` with local Ray, stores fresh, repeats interleaved.

    python tests/bench/matrix/two_workers.py [--runs 600] [--bars 15000] [--repeats 5]

`sma_cross` in its vector form on two seeded series of minutes, two windows each. `compute_s` begins when the first
worker is ready and ends with the index; `wall_s` is the whole command, with the start of Ray and the page. CPU seconds
are those of the whole command with Ray's own processes, workers and sidecars, by a cgroup where one can be made.
`in_process` is one worker without Ray, which is what `max_workers: 1` means. Wanted: two workers 1.7 times as fast in
`compute_s`, for at most 1.2 times the CPU seconds. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import Measured, axes, machine, matrix_run, prepare, spread
from scratch import scratch

FASTER_MIN = 1.7
CPU_MAX = 1.2
_WORKERS = {"one": 1, "two": 2, "in_process": 0}


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=600)
    parser.add_argument("--bars", type=int, default=15_000)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with scratch() as folder:
        print(json.dumps(measure(folder, given.bars, given.runs, given.repeats), indent=2))


def measure(folder: Path, bars: int, runs: int, repeats: int) -> dict[str, object]:
    """Return the figures of all ways to compute the matrix."""
    file = prepare(folder, bars=bars, params=axes(runs, settings=4))
    matrix_run(file, store="warm", overrides=["matrix.target_runs=4"])  # the cache of the dataset is made, kernels too
    found: dict[str, list[Measured]] = {way: [] for way in _WORKERS}
    for repeat in range(repeats):
        ways = list(_WORKERS)[repeat % 2 :: -1] + list(_WORKERS)[repeat % 2 + 1 :]
        for way in ways:
            found[way].append(matrix_run(file, store=f"{way}-{repeat}", workers=_WORKERS[way]))
    digests = {one.told["matrix_digest"] for ways in found.values() for one in ways}
    assert len(digests) == 1, digests
    pairs = list(zip(found["one"], found["two"], strict=True))
    faster = spread([_compute_s(one) / _compute_s(two) for one, two in pairs])
    cpu = spread([two.cpu_s / one.cpu_s for one, two in pairs])
    return {
        "runs": found["one"][0].told["planned"],
        "bars": bars,
        "repeats": repeats,
        "times_as_fast": faster,
        "times_as_fast_wanted": f">= {FASTER_MIN}",
        "times_as_fast_with_start": spread([one.wall_s / two.wall_s for one, two in pairs]),
        "times_the_cpu_s": cpu,
        "times_the_cpu_s_wanted": f"<= {CPU_MAX}",
        "met": faster["median"] >= FASTER_MIN and cpu["median"] <= CPU_MAX,
        "cpu_counted_by": found["one"][0].counted,
        **{way: _figures(measured) for way, measured in found.items()},
        "matrix_digest": digests.pop(),
        **machine(),
    }


def _figures(measured: list[Measured]) -> dict[str, Any]:
    return {
        "compute_s": spread([_compute_s(one) for one in measured]),
        "ray_startup_s": spread([one.told["ray_startup_s"] for one in measured]),
        "wall_s": spread([one.wall_s for one in measured]),
        "cpu_s": spread([one.cpu_s for one in measured]),
    }


def _compute_s(one: Measured) -> float:
    return float(one.told["wall_s"] - one.told["ray_startup_s"])


if __name__ == "__main__":
    main()
