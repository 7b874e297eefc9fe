"""`boxgate` whose matrices are computed otherwise than it would choose: what measurements need and nobody else does.

    python tests/bench/matrix/command.py [--single] [--shuffle SEED] [--dry] -- matrix run FILE --json

single: of the workers of Ray only one is there. shuffle: runs are handed out in an order drawn by the seed, whatever
the plan's is. dry: nothing is computed, each run is answered from its id; planner, driver, ledger, index and page are
the real ones. Everything else is the command's own. Its JSON gets `peak_bytes`, the most memory that this process held,
and `busy_s`, what the runs took in their workers.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import random
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from boxgate_server.__main__ import main as boxgate
from boxgate_server.cluster import choice
from boxgate_server.cluster.execution import RayExecution
from boxgate_server.matrix.config.metrics import METRICS
from boxgate_server.matrix.execution.in_process import InProcess
from boxgate_server.matrix.execution.work import Execution, Group, Outcome, Task


def main() -> None:
    """Parse the arguments, put the execution in its place, and be the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--shuffle", type=int, metavar="SEED")
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("arguments", nargs="+")
    given = parser.parse_args()
    used: list[Counted] = []
    chosen = choice.execution_of

    @contextmanager
    def execution_of(*where: Any, **named: Any) -> Iterator[Counted]:
        with chosen(*where, **named) as execution:
            if given.single:
                assert isinstance(execution, RayExecution)
                execution._job, execution._workers = replace(execution._job, workers=1), 1
            if given.dry:
                assert isinstance(execution, InProcess)
                execution._runner.close()
                execution._runner = Dry()  # type: ignore[assignment]
            used.append(Counted(execution, given.shuffle))
            yield used[-1]

    choice.execution_of = execution_of  # type: ignore[assignment]
    printed = io.StringIO()
    with redirect_stdout(printed):
        code = boxgate(given.arguments)
    lines = printed.getvalue().splitlines()
    if lines and lines[-1].startswith("{"):
        told = json.loads(lines[-1])
        told["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told["busy_s"] = sum(one.busy_s for one in used)
        lines[-1] = json.dumps(told)
    print("\n".join(lines))
    sys.exit(code)


class Counted:
    """An execution that counts what runs took. shuffle: seed of the order in which it passes on what it was given."""

    def __init__(self, inner: Execution, shuffle: int | None) -> None:
        self._inner = inner
        self._random = None if shuffle is None else random.Random(shuffle)
        self._kept: list[Group] = []
        self.busy_s = 0.0

    @property
    def room(self) -> int:
        return self._inner.room if self._random is None else 1

    @property
    def startup_s(self) -> float:
        return getattr(self._inner, "startup_s", 0.0)

    def submit(self, group: Group) -> None:
        if self._random is None:
            self._inner.submit(group)
        else:  # everything there is, run by run
            self._kept += [Group(setting=group.setting, config=group.config, tasks=(one,)) for one in group.tasks]

    def outcomes(self, timeout_s: float) -> Sequence[Outcome]:
        if self._random is not None and self._kept:
            self._random.shuffle(self._kept)
            for group in self._kept:
                self._inner.submit(group)
            self._kept = []
        found = self._inner.outcomes(timeout_s)
        self.busy_s += sum(one.seconds for one in found)
        return found

    def close(self) -> None:
        self._inner.close()


class Dry:
    """In the place of the runner of this process: knows each run by its id alone."""

    def compute(self, config: Any, task: Task, store: Path) -> Outcome:
        number = int(task.run_id[2:], 16)
        numbers = {name.replace(".", "_"): (number >> place) % 1000 / 7 for place, name in enumerate(sorted(METRICS))}
        digest = f"sha256:{hashlib.sha256(task.run_id.encode()).hexdigest()}"
        return Outcome(run_id=task.run_id, attempt=task.attempt, result_digest=digest, metrics=numbers)

    def close(self) -> None:
        pass


if __name__ == "__main__":
    main()
