"""Feedback: a per-bar strategy that reads its account and trades once in so many bars, delivered in windows.

Beside it the same strategy in lockstep, and a bare gRPC ping-pong: windows of as many bars with an account and marks,
generated code at both ends, once with threads and once with asyncio, of which the better counts. Prints one JSON
object, the ratios first. The time of Boxgate is that of the session: all windows, signals and fills.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from boxgate_engine.config import parse_config
from boxgate_server.run import run_config
from boxgate_server.sidecars import SidecarHost

sys.path.insert(0, str(Path(__file__).parent))
from end_to_end import freeze_walk
from lockstep import spread
from ping_pong import KINDS, Pair

CONFIG = """
strategy: {{command: [python, {strategy}], params: {{every: {every}}}}}
dataset: bench
instruments: [BENCH]
frames: [M1]
window: {{start: first, end: last}}
account: {{currency: USD, cash: 1000000, leverage: 30}}
costs: {{fees_bps: 0.1, slippage_bps: 0.1, spread: none}}
execution: {{delivery: {delivery}, window_events: 4096}}
report: {{html: false}}
"""


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=50_000)
    parser.add_argument("--lockstep-bars", type=int, default=5_000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=9)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="boxgate-bench-"))
    try:
        figures = measure(
            folder, bars=given.bars, lockstep_bars=given.lockstep_bars, every=given.every, pairs=given.pairs
        )
        print(json.dumps(figures, indent=2))
    finally:
        shutil.rmtree(folder)


def measure(
    folder: Path, *, bars: int = 50_000, lockstep_bars: int = 5_000, every: int = 50, pairs: int = 9
) -> dict[str, object]:
    """Return the ratios of `pairs` interleaved pairs, and the speeds behind them. every: bars between two signals."""
    windows: list[float] = []
    lockstep: list[float] = []
    bare: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rivals = {kind: Pair(kind, bars=every, account=True) for kind in KINDS}
    trips: set[tuple[int, int]] = set()
    try:
        with SidecarHost() as host:
            for pair in range(pairs + 1):
                events, round_trips, window_s = _run(folder / "windows", host, bars, every, "window")
                some, _, lockstep_s = _run(folder / "lockstep", host, lockstep_bars, every, "lockstep")
                rates = {kind: rival.rate(round_trips) for kind, rival in rivals.items()}
                if pair:  # the first one warms
                    trips.add((events, round_trips))
                    windows.append(events / window_s)
                    lockstep.append(some / lockstep_s)
                    for kind, rate in rates.items():
                        bare[kind].append(rate)
    finally:
        for rival in rivals.values():
            rival.close()
    ((events, round_trips),) = trips
    bars_per_trip = events / round_trips
    better = [max(rates) for rates in zip(*bare.values(), strict=True)]
    return {
        "ratio_to_bare_windows": spread([a / (bars_per_trip * b) for a, b in zip(windows, better, strict=True)]),
        "ratio_to_own_lockstep": spread([a / b for a, b in zip(windows, lockstep, strict=True)]),
        "bars_per_round_trip": round(bars_per_trip, 2),
        "round_trips": round_trips,
        "events": events,
        "events_per_s": spread(windows),
        "lockstep_events_per_s": spread(lockstep),
        **{f"bare_{kind}_windows_per_s": spread(rates) for kind, rates in bare.items()},
        "pairs": pairs,
        "python": sys.version.split()[0],
    }


def _run(folder: Path, host: SidecarHost, bars: int, every: int, delivery: str) -> tuple[int, int, float]:
    """Return events, round trips and seconds of one run."""
    if not (folder / "datasets").exists():
        freeze_walk(folder / "datasets", bars)
    shutil.rmtree(folder / "artifacts", ignore_errors=True)
    strategy = Path(__file__).with_name("turning_strategy.py")
    config = parse_config(CONFIG.format(strategy=strategy, every=every, delivery=delivery))
    finished = run_config(config, folder=folder, host=host)
    counts = finished.metrics["counts"]
    return counts["events"], int(finished.delivery["round_trips"]), finished.timing_s["session"]


if __name__ == "__main__":
    main()
