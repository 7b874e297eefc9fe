"""What measurements of the matrix share: seeded data, a matrix file, and commands whose time and CPU are counted."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from boxgate_engine.datasets import SynthRequest, make_synthetic
from boxgate_engine.timestamps import format_utc

REPOSITORY: Final = Path(__file__).resolve().parents[3]
COMMAND: Final = Path(__file__).with_name("command.py")
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT")
START_NS: Final = 1_704_153_600_000_000_000
"""2024-01-02."""
MINUTE_NS: Final = 60_000_000_000
HISTORY_BARS: Final = 1_440
_GROUPS: Final = (("cpuacct", "cpuacct.usage"), ("", "cpu.stat"), ("unified", "cpu.stat"))
_END_S: Final = 10.0

CONFIG: Final = """
strategy: {{command: [python, {strategy}], params: {{notional: 50000, form: vector}}}}
dataset: bed
frames: [M1]
account: {{currency: USD, cash: 100000, leverage: 30, equivalents: [[USD, USDT]]}}
costs: {{fees_bps: 0.2, slippage_bps: 0.1, spread: {{ticks: 1}}}}
warmup: {{policy: auto, min_bars: 0, safety_margin: 0.10}}
limits: {{handshake_s: 120, reply_base_s: 120}}
matrix:
  instruments: [{instruments}]
  windows:
{windows}
  params:
{params}
{lines}
determinism: {{master_seed: 1337}}
"""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One command. told: the JSON it printed. cpu_s: of it and all that descended from it. counted: how."""

    told: dict[str, Any]
    wall_s: float
    cpu_s: float
    counted: str


def prepare(
    folder: Path,
    *,
    bars: int,
    params: Mapping[str, object],
    symbols: Sequence[str] = SYMBOLS,
    windows: int = 2,
    bars_after: int = 0,
    lines: str = "",
) -> Path:
    """Freeze a seeded dataset of minutes, and write a matrix of `sma_cross` on it: windows of `bars` each.

    params: axes as a matrix file has them. bars_after: that no window reaches. lines: further keys of `matrix`,
    indented by two. Returns the file.
    """
    begin_ns = START_NS + HISTORY_BARS * MINUTE_NS
    edges = [begin_ns + number * bars * MINUTE_NS for number in range(windows + 1)]
    end_ns = edges[-1] + bars_after * MINUTE_NS
    make_synthetic(
        folder / "datasets",
        SynthRequest(seed=6, symbols=tuple(symbols), frame="M1", start_ns=START_NS, end_ns=end_ns, name="bed"),
    )
    file = folder / "matrix.yaml"
    file.write_text(
        CONFIG.format(
            strategy=REPOSITORY / "examples" / "sma_cross" / "strategy.py",
            instruments=", ".join(symbols),
            windows="\n".join(
                f"    - {{start: '{format_utc(start)}', end: '{format_utc(end)}'}}" for start, end in pairwise(edges)
            ),
            params="\n".join(f"    {name}: {json.dumps(values)}" for name, values in params.items()),
            lines=lines,
        )
    )
    return file


def axes(runs: int, settings: int) -> dict[str, object]:
    """Return values of `fast` and `slow` that make at least so many runs with so many settings."""
    sets = -(-runs // settings)
    fast = 4 if sets < 10_000 else 100
    return {
        "fast": {"from": 5, "to": 4 + fast, "step": 1},
        "slow": {"from": 110, "to": 109 + -(-sets // fast), "step": 1},
    }


def matrix_run(
    file: Path,
    *,
    store: str,
    workers: int = 0,
    shuffle: int | None = None,
    dry: bool = False,
    overrides: Iterable[str] = (),
    command: str = "run",
) -> Measured:
    """Compute the matrix by `boxgate matrix run`, as command.py has it. store: its name, a fresh one computes all.

    workers: of local Ray; 0 for the process of the command alone. command: of `boxgate matrix`.
    """
    seams = ["--single"] * (workers == 1) + ["--dry"] * dry + ([] if shuffle is None else ["--shuffle", str(shuffle)])
    # One worker is the process of the command, if the file asks for it.
    keys = [f"io.artifacts_store={store}", f"runner.concurrency.max_workers={max(workers, 2) if workers else 1}"]
    sets = [part for one in (*keys, *overrides) for part in ("--set", one)]
    python = [sys.executable, str(COMMAND), *seams]
    return measured([*python, "--", "matrix", command, str(file), *sets, "--json"], file.parent)


def measured(command: Sequence[str], folder: Path) -> Measured:
    """Run a command that prints JSON, and count what it took, with everything it starts."""
    group = _make_group()
    enter: list[str] = []
    if group is not None:
        enter = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group[0])]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    try:
        done = subprocess.run([*enter, *command], cwd=folder, capture_output=True, text=True, check=False)
        wall_s = time.monotonic() - began
    finally:
        of_group_s = None if group is None else _close_group(*group)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    waited_for_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if done.returncode or not done.stdout.strip():
        raise SystemExit(f"bench: {' '.join(command)}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    if of_group_s is None:
        return Measured(
            told=told, wall_s=wall_s, cpu_s=waited_for_s, counted="children, without those that nobody waits for"
        )
    return Measured(told=told, wall_s=wall_s, cpu_s=of_group_s, counted="cgroup")


def _make_group() -> tuple[Path, str] | None:
    """Make a cgroup, and return it with its file of CPU time; None where that is not allowed."""
    for root, name in _GROUPS:
        try:
            place = Path(tempfile.mkdtemp(prefix="boxgate-bench-", dir=Path("/sys/fs/cgroup") / root))
        except OSError:
            continue
        if (place / name).exists():
            return place, name
        place.rmdir()
    return None


def _close_group(place: Path, name: str) -> float:
    """Wait until nothing lives in the group, remove it, and return its CPU seconds."""
    deadline = time.monotonic() + _END_S
    while (place / "cgroup.procs").read_text().strip() and time.monotonic() < deadline:
        time.sleep(0.02)
    text = (place / name).read_text()
    cpu_s = int(text) / 1e9 if name == "cpuacct.usage" else int(text.split()[1]) / 1e6
    with suppress(OSError):  # something lives on
        place.rmdir()
    return cpu_s


def spread(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Return median, least and most."""
    found = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def machine() -> dict[str, object]:
    """Return what figures depend on."""
    return {"cpus": os.cpu_count(), "load_1m": round(os.getloadavg()[0], 2), "python": sys.version.split()[0]}
