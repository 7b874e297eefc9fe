"""What a matrix adds to a run: the same runs by a plain loop over one `Runner`, and by `boxgate matrix run`.

    python tests/bench/matrix/overhead.py [--runs 200] [--bars 1000] [--repeats 5]

The loop is a process that computes every run of the plan one after another with the same reused sidecar, and syncs the
store once, as a matrix does. The matrix is computed by one worker in the process of the command, and by one worker of
local Ray, without Ray's start. Its time is that of its driver: planning into the ledger, looking for what is there,
handing out, recording, index, and what else it writes but the page. Rounds are interleaved, stores fresh. Wanted: at
most 15 ms more a run. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import axes, machine, matrix_run, measured, prepare, spread
from scratch import scratch

from boxgate_engine.artefacts import prepare_store, sync_store
from boxgate_server.matrix.config.load import load_matrix
from boxgate_server.matrix.execution.compute import task_config
from boxgate_server.matrix.execution.work import Task
from boxgate_server.matrix.planning.planner import make_plan
from boxgate_server.runner import Runner

MS_MAX = 15.0


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--bars", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loop", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.loop is not None:
        print(json.dumps(loop(*given.loop)))
        return
    with scratch() as folder:
        print(json.dumps(measure(folder, given.bars, given.runs, given.repeats), indent=2))


def measure(folder: Path, bars: int, runs: int, repeats: int) -> dict[str, object]:
    """Return milliseconds a run of all three, and what the matrix adds."""
    file = prepare(folder, bars=bars, params=axes(runs, settings=4))
    seconds: dict[str, list[float]] = {"loop": [], "in_process": [], "ray": []}
    count = 0
    for repeat in range(-1, repeats):
        order = list(seconds) if repeat % 2 else list(seconds)[::-1]
        for way in order:
            store = f"{way}-{repeat}"
            if way == "loop":
                command = [sys.executable, __file__, "--loop", str(file), store]
                told = measured(command, folder).told
                count, took = told["runs"], told["seconds"]
            else:
                told = matrix_run(file, store=store, workers=int(way == "ray")).told
                took = told["wall_s"] - told["ray_startup_s"]
            if repeat >= 0:
                seconds[way].append(took)
    added = {
        way: spread([1e3 * (one - bare) / count for one, bare in zip(seconds[way], seconds["loop"], strict=True)])
        for way in ("in_process", "ray")
    }
    return {
        "runs": count,
        "bars": bars,
        "repeats": repeats,
        "added_ms": added,
        "added_ms_wanted": f"<= {MS_MAX:g}",
        "met": all(one["median"] <= MS_MAX for one in added.values()),
        "ms_a_run": {way: spread([1e3 * one / count for one in found]) for way, found in seconds.items()},
        **machine(),
    }


def loop(file: Path, store: Path) -> dict[str, float]:
    """Compute every run of a plan in this process."""
    plan = make_plan(load_matrix(file), folder=file.parent)
    tasks = [
        (plan.settings[one.setting].config, Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=1))
        for one in plan
    ]
    place = file.parent / store / "runs"
    began = time.perf_counter()
    prepare_store(place)
    with Runner(folder=file.parent) as runner:
        for config, task in tasks:
            assert runner.run(task_config(config, task), store=place, durable=False).run_id == task.run_id
        sync_store(place)
        return {"runs": len(tasks), "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    main()
