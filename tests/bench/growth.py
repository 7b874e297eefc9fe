"""Growth: time per bar and peak anonymous memory of a run, from 10,000 to 10,000,000 bars. Prints one JSON object.

    python tests/bench/growth.py [--sizes 10000 100000 1000000 10000000] [--folder build/bench]

Each size has a gateway process of its own, which makes one run that is not counted and then `--repeats` with sidecars
as warm as they are then. Another process looks at its RssAnon and at that of each process that descends from it, 100
times a second. The limit is 250 MB and three times the bytes of the engine's rows: signals, fills, trades, full equity.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

SUITE = Path(__file__).resolve().parent / "suite"
sys.path.insert(0, str(SUITE))

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
BASE_BYTES = 250_000_000
PERIOD_S = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=SUITE.parents[2] / "build" / "bench")
    parser.add_argument("--gateway", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.gateway is not None:
        print(json.dumps(_runs(arguments.gateway, arguments.repeats)))
        return
    print(json.dumps(measure(arguments.folder.resolve(), arguments.sizes, arguments.repeats), indent=2))


def measure(folder: Path, sizes: list[int], repeats: int) -> dict[str, Any]:
    """Return the figures of each size. rise: time per bar at the largest size ÷ the least of the smaller ones."""
    from market import prepare_bars

    found = [_size(prepare_bars(folder, bars), bars, repeats) for bars in sizes]
    per_bar = [size["ns_per_bar"] for size in found]
    return {"rise": per_bar[-1] / min(per_bar[:-1] or per_bar), "repeats": repeats, "sizes": found}


def _size(folder: Path, bars: int, repeats: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--gateway", str(folder), "--repeats", str(repeats)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        peaks = _watch(gateway)
        assert gateway.stdout is not None
        told = gateway.stdout.read()
    if gateway.returncode:
        raise SystemExit(f"bench: the runs of {bars} bars failed")
    answer = json.loads(told)
    limit = BASE_BYTES + 3 * answer["row_bytes"]
    own, others = peaks.pop(gateway.pid), max(peaks.values(), default=0)
    return {
        "bars": bars,
        "fills": answer["fills"],
        "ns_per_bar": round(median(answer["seconds"]) / bars * 1e9, 2),
        "seconds": answer["seconds"],
        "limit_mb": round(limit / 1e6, 1),
        "gateway_peak_mb": round(own / 1e6, 1),
        "sidecar_peak_mb": round(others / 1e6, 1),
        "gateway_share_of_limit": round(own / limit, 3),
        "sidecar_share_of_limit": round(others / limit, 3),
    }


def _runs(folder: Path, repeats: int) -> dict[str, Any]:
    """Run in this process; row_bytes: of all that the engine notes of one run."""
    from play_boxgate import play, run_config_of
    from scratch import scratch

    from boxgate_engine.kernel.records import CURVE, FILL_ROW, SIGNAL_ROW, TRADE_ROW
    from boxgate_server.runner import Runner

    config = run_config_of(folder, "vector")
    with Runner(folder=folder) as runner, scratch(folder) as store:
        outcomes = [play(config, runner, store) for _ in range(repeats + 1)]
    last = outcomes[-1]
    row_bytes = (
        (last["events"] + 1) * 8 * (1 + len(CURVE))
        + last["fills"] * (FILL_ROW.itemsize + SIGNAL_ROW.itemsize)
        + last["trades"] * TRADE_ROW.itemsize
    )
    return {
        "seconds": [round(outcome["seconds"], 4) for outcome in outcomes[1:]],
        "fills": last["fills"],
        "row_bytes": row_bytes,
    }


def _watch(gateway: subprocess.Popen[str]) -> dict[int, int]:
    """Return the largest RssAnon of the process and of each that descends from it, bytes by process id."""
    peaks = {gateway.pid: 0}
    while gateway.poll() is None:
        for process in [gateway.pid, *_descendants(gateway.pid)]:
            peaks[process] = max(peaks.get(process, 0), _anonymous_bytes(process))
        time.sleep(PERIOD_S)
    return peaks


def _descendants(process: int) -> list[int]:
    found = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = [int(child) for child in thread.read_text().split()]
        except OSError:
            continue
        for child in children:
            found += [child, *_descendants(child)]
    return found


def _anonymous_bytes(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


if __name__ == "__main__":
    main()
