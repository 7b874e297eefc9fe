"""The fixed cost of a run inside a matrix: runs of 1,000 bars that differ in their parameters, one after the other.

    python tests/bench/fixed_cost.py [--runs 200] [--bars 1000] [--folder DIR]

One `Runner`, artefacts on, HTML off, a Python sidecar: reused by all runs, or fresh for each, forked from the template
or started as a process. `sma_cross` in its vector form over seeded bars that lie in the middle of a longer series. The
first runs of each kind are not counted. folder: where datasets and artefacts are written, default the folder for
temporary files; what a disk takes to sync is part of a run. Prints one JSON object with milliseconds a run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Final

from end_to_end import CONFIG, MINUTE_NS, REPOSITORY, START_NS, freeze_walk
from scratch import scratch

from boxgate_engine.artefacts import sync_store
from boxgate_engine.config import RunConfig, parse_config
from boxgate_engine.timestamps import format_utc
from boxgate_server.runner import Runner
from boxgate_server.sidecars import Fresh

_HISTORY_BARS: Final = 2_000
_WARM_RUNS: Final = 5
_RUNS_PER_SYNC: Final = 16
"""As a matrix syncs its store: once for some runs, before it notes that they are complete."""
_KINDS: Final[dict[str, Fresh | None]] = {"reused": None, "forked": "forked", "process": "process"}


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--bars", type=int, default=1_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with scratch(arguments.folder) as folder:
        print(json.dumps(measure(folder, arguments.bars, arguments.runs), indent=2))


def measure(folder: Path, bars: int, runs: int) -> dict[str, object]:
    """Return the figures of `runs` runs of each kind."""
    freeze_walk(folder / "datasets", bars + 2 * _HISTORY_BARS)
    strategy = REPOSITORY / "examples" / "sma_cross" / "strategy.py"
    window = [format_utc(START_NS + count * MINUTE_NS) for count in (_HISTORY_BARS, _HISTORY_BARS + bars)]
    base = parse_config(
        CONFIG.format(strategy=strategy, window_events=16_384),
        [f"window.start={window[0]}", f"window.end={window[1]}"],
    )
    return {
        "bars": bars,
        "runs": runs,
        "ms": {name: _timed(folder / name, folder, base, runs, fresh) for name, fresh in _KINDS.items()},
        "python": sys.version.split()[0],
    }


def _timed(store: Path, folder: Path, base: RunConfig, runs: int, fresh: Fresh | None) -> dict[str, object]:
    walls, cpus, phases, ids = [], [], [], set()
    with Runner(folder=folder) as runner:
        for number in range(-_WARM_RUNS, runs):
            config = _with_params(base, number + _WARM_RUNS)
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            finished = runner.run(config, store=store, fresh=fresh, durable=False)
            if number % _RUNS_PER_SYNC == 0:
                sync_store(store)
            if number >= 0:
                walls.append(time.perf_counter() - wall_s)
                cpus.append(time.process_time() - cpu_s)
                phases.append(finished.timing_s)
                ids.add(finished.run_id)
    assert len(ids) == runs
    return {
        "wall": _spread(walls),
        "gateway_cpu": _spread(cpus),
        "phases": {name: round(1e3 * statistics.median(p[name] for p in phases), 2) for name in phases[0]},
    }


def _with_params(base: RunConfig, number: int) -> RunConfig:
    params = {**base.strategy.params, "fast": 3 + number % 10, "slow": 20 + number // 10}
    return base.model_copy(update={"strategy": base.strategy.model_copy(update={"params": params})})


def _spread(seconds: list[float]) -> dict[str, float]:
    return {
        "median": round(1e3 * statistics.median(seconds), 2),
        "min": round(1e3 * min(seconds), 2),
        "max": round(1e3 * max(seconds), 2),
    }


if __name__ == "__main__":
    main()
