"""A cold `boxgate run`: a fresh process from the command line to the finished folder, the page included.

    python tests/bench/cold_run.py [--bars 370000] [--repeats 5] [--no-html]

The bars are those of `end_to_end.py`: a year of M1 by default. The first run is not counted: it compiles the kernel if
that was not done, writes the mapped cache and, as Python does unless it is told not to, the bytecode of what it imports
(to a folder of the benchmark's own). Prints one JSON object: seconds of the whole process, what of them came
before and after the run itself (imports, parsing, the answer), and the phases that the run reports.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from end_to_end import CONFIG, REPOSITORY, freeze_walk


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=370_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--html", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="boxgate-bench-"))
    try:
        print(json.dumps(measure(folder, arguments.bars, arguments.repeats, html=arguments.html), indent=2))
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, bars: int, repeats: int, *, html: bool) -> dict[str, object]:
    """Return the figures of `repeats` processes, each of which computes the run anew."""
    freeze_walk(folder / "datasets", bars)
    strategy = REPOSITORY / "examples" / "sma_cross" / "strategy.py"
    (folder / "run.yaml").write_text(CONFIG.format(strategy=strategy, window_events=16_384))
    command = [sys.executable, "-m", "boxgate_server", "run", "run.yaml", "--json"]
    command += ["--set", f"report.html={str(html).lower()}"]
    runs = []
    for _ in range(repeats + 1):
        shutil.rmtree(folder / "artifacts", ignore_errors=True)
        runs.append(_timed(command, folder))
    answer = runs[0]["answer"]
    assert len({run["answer"]["result_digest"] for run in runs}) == 1
    phases = {name: [run["answer"]["timing_s"][name] for run in runs[1:]] for name in answer["timing_s"]}
    return {
        "bars": answer["metrics"]["counts"]["events"],
        "trades": answer["metrics"]["trades"]["count"],
        "html": html,
        "repeats": repeats,
        "wall_s": _spread([run["wall_s"] for run in runs[1:]]),
        "cpu_s": _spread([run["cpu_s"] for run in runs[1:]]),
        "outside_the_run_s": _spread([run["wall_s"] - run["answer"]["timing_s"]["total"] for run in runs[1:]]),
        "phases_s": {name: round(statistics.median(values), 4) for name, values in phases.items()},
        "python": sys.version.split()[0],
    }


def _timed(command: list[str], folder: Path) -> dict[str, Any]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"boxgate run failed: {done.stdout}")
    wall_s, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "answer": json.loads(done.stdout.splitlines()[-1]),
        "wall_s": wall_s,
        "cpu_s": after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


if __name__ == "__main__":
    main()
