"""Ray Tune beside the matrix: the same trials of the same function, in one sitting, in interleaved rounds.

    python tests/bench/matrix/ray_tune.py [--trials 200] [--bars 5000] [--repeats 5] [--workers 2]

A trial is a whole run of `sma_cross` over seeded minutes with its artefacts, by the same code in both: a runner that
lives as long as its process and keeps the data mapped and the strategy's process ready. The sets are drawn by the
random search of a matrix file, and given to Tune as a list in the same order; so both compute the same runs, which is
checked by their digests. Tune reuses its actors, as many as there are workers here, makes no checkpoints, prints
nothing, and writes the JSON that its results are read from, without its CSV and TensorBoard files. Both use the Ray of
this environment, each started by its own process.

`compute_s` begins when the first worker has been set up and ends when all results are at hand: of the matrix with
ledger and index, of Tune with `fit()`. `wall_s` is the whole process, with the start of Ray, and of the matrix also
with its page. `overhead_ms` is what is left of the workers' time in `compute_s` that no run took, for each trial.
Wanted: `compute_s` and `wall_s` of the matrix not longer. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import Measured, machine, matrix_run, measured, prepare, spread
from scratch import scratch

from boxgate_engine.config import RunConfig
from boxgate_server.matrix.config.load import load_matrix
from boxgate_server.matrix.execution.limits import LimitedRunner
from boxgate_server.matrix.execution.work import Task
from boxgate_server.matrix.planning.planner import make_plan
from boxgate_server.own_process import leave_pandas_out
from boxgate_server.warming import warm_up

OBJECTIVE: Final = "return.total"
_ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # As workers of a matrix have them.
    "RAY_kill_child_processes_on_worker_exit": "0",
    "POLARS_MAX_THREADS": "1",
}


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--bars", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tune", type=Path, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.tune is not None:
        file, store = given.tune
        print(json.dumps(tune_run(file, store, given.workers)))
        return
    with scratch() as folder:
        print(json.dumps(measure(folder, given.bars, given.trials, given.repeats, given.workers), indent=2))


def measure(folder: Path, bars: int, trials: int, repeats: int, workers: int) -> dict[str, object]:
    """Return the figures of both, and their ratios round by round."""
    params = {"fast": {"from": 2, "to": 40, "step": 1}, "slow": {"from": 41, "to": 240, "step": 1}}
    search = f"  search: {{method: random, trials: {trials}, objective: {OBJECTIVE}}}"
    file = prepare(folder, bars=bars, params=params, symbols=("BTCUSDT",), windows=1, lines=search)
    matrix_run(file, store="warm", overrides=["matrix.search.trials=2"])
    found: dict[str, list[Measured]] = {"matrix": [], "tune": []}
    for repeat in range(repeats):
        for way in ("matrix", "tune") if repeat % 2 else ("tune", "matrix"):
            store = f"{way}-{repeat}"
            if way == "matrix":
                found[way].append(matrix_run(file, store=store, workers=workers))
            else:
                command = [sys.executable, __file__, "--workers", str(workers), "--tune", str(file), store]
                found[way].append(measured(command, folder))
    digests = {one.told["matrix_digest"] for ways in found.values() for one in ways}
    assert len(digests) == 1, digests
    for one in found["matrix"]:
        one.told["compute_s"] = one.told["wall_s"] - one.told["ray_startup_s"]
    pairs = list(zip(found["matrix"], found["tune"], strict=True))
    faster = spread([theirs.told["compute_s"] / ours.told["compute_s"] for ours, theirs in pairs])
    faster_with_start = spread([theirs.wall_s / ours.wall_s for ours, theirs in pairs])
    return {
        "trials": trials,
        "bars": bars,
        "workers": workers,
        "repeats": repeats,
        "times_as_fast": faster,
        "times_as_fast_wanted": ">= 1",
        "times_as_fast_with_start": faster_with_start,
        "times_as_fast_with_start_wanted": ">= 1",
        "met": faster["median"] >= 1.0 and faster_with_start["median"] >= 1.0,
        **{way: _figures(ways, trials, workers) for way, ways in found.items()},
        "matrix_digest": digests.pop(),
        "actors_of_tune": found["tune"][0].told["actors"],
        "ray": found["tune"][0].told["ray"],
        **machine(),
    }


def _figures(found: list[Measured], trials: int, workers: int) -> dict[str, object]:
    told = [one.told for one in found]
    return {
        "compute_s": spread([one["compute_s"] for one in told]),
        "wall_s": spread([one.wall_s for one in found]),
        "cpu_s": spread([one.cpu_s for one in found]),
        "run_ms": spread([1e3 * one["busy_s"] / trials for one in told]),
        "overhead_ms": spread([1e3 * (one["compute_s"] * workers - one["busy_s"]) / trials for one in told]),
    }


def tune_run(file: Path, store: Path, workers: int) -> dict[str, Any]:
    """Compute the runs of a matrix by Ray Tune in this process. store: name of a folder beside the file."""
    os.environ |= _ENVIRONMENT
    import ray
    from ray import tune
    from ray.tune.logger import JsonLoggerCallback

    class Trial(tune.Trainable):
        def setup(self, config: dict[str, Any], **given: Any) -> None:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # as a worker of a matrix
            leave_pandas_out()
            warm_up()
            self.ready_at = time.time()
            self.run_config: RunConfig = given["run_config"]
            self.runs: Path = given["runs"]
            self.runner = LimitedRunner(folder=given["folder"])
            self.reset_config(config)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.task = Task(run_id=new_config["run"]["run_id"], params=new_config["run"]["params"], attempt=1)
            return True

        def step(self) -> dict[str, Any]:
            outcome = self.runner.compute(self.run_config, self.task, self.runs)
            assert outcome.metrics is not None, outcome
            return {
                "score": outcome.metrics[OBJECTIVE.replace(".", "_")],
                "run_id": outcome.run_id,
                "result_digest": outcome.result_digest,
                "seconds": outcome.seconds,
                "ready_at": self.ready_at,
                "done": True,
            }

        def cleanup(self) -> None:
            self.runner.close()

    plan = make_plan(load_matrix(file), folder=file.parent)
    runs = [{"run_id": one.run_id, "params": dict(plan.space.varied(one.params))} for one in plan]
    place = file.parent / store
    (place / "runs").mkdir(parents=True)
    ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
    trial = tune.with_parameters(Trial, run_config=plan.settings[0].config, folder=file.parent, runs=place / "runs")
    results = tune.Tuner(
        tune.with_resources(trial, {"cpu": 1}),
        param_space={"run": tune.grid_search(runs)},
        tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=True, max_concurrent_trials=workers),
        run_config=tune.RunConfig(
            storage_path=str(place / "tune"),
            verbose=0,
            callbacks=[JsonLoggerCallback()],  # type: ignore[no-untyped-call]
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        ),
    ).fit()
    ended_at = time.time()
    told = [results[number].metrics or {} for number in range(len(results))]
    lines = sorted(f"{one['run_id']} {one['result_digest']}\n" for one in told)
    version = ray.__version__
    ray.shutdown()
    return {
        "compute_s": ended_at - min(one["ready_at"] for one in told),
        "busy_s": sum(one["seconds"] for one in told),
        "actors": len({one["pid"] for one in told}),
        "matrix_digest": f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}",
        "ray": version,
    }


if __name__ == "__main__":
    main()
