"""Lockstep: one bar, one answer, engine in the loop, beside a bare gRPC ping-pong of the same messages.

`sma_cross` in its per-bar form over seeded M1 bars, one moment in flight. Beside each run a bare ping-pong with the
generated code at both ends, with threads and with asyncio; the better of the two counts. Prints one JSON object, the
ratio of the speeds first. The time of Boxgate is that of the session: all windows, signals and fills.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from boxgate_engine.config import parse_config
from boxgate_server.run import run_config
from boxgate_server.sidecars import SidecarHost

sys.path.insert(0, str(Path(__file__).parent))
from end_to_end import REPOSITORY, freeze_walk
from ping_pong import KINDS, Pair

CONFIG = """
strategy: {{command: [python, {strategy}], params: {{fast: 10, slow: 30, qty: 1000, form: bar}}}}
dataset: bench
instruments: [BENCH]
frames: [M1]
window: {{start: first, end: last}}
account: {{currency: USD, cash: 1000000, leverage: 30}}
costs: {{fees_bps: 0.1, slippage_bps: 0.1, spread: none}}
execution: {{delivery: lockstep}}
report: {{html: false}}
"""


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=10_000)
    parser.add_argument("--pairs", type=int, default=9)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="boxgate-bench-"))
    try:
        print(json.dumps(measure(folder, bars=arguments.bars, pairs=arguments.pairs), indent=2))
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, *, bars: int = 10_000, pairs: int = 9) -> dict[str, object]:
    """Return the ratios of `pairs` interleaved pairs over `bars` seeded bars, and the speeds behind them."""
    freeze_walk(folder / "datasets", bars)
    strategy = REPOSITORY / "examples" / "sma_cross" / "strategy.py"
    config = parse_config(CONFIG.format(strategy=strategy))
    ours: list[float] = []
    bare: dict[str, list[float]] = {kind: [] for kind in KINDS}
    rivals = {kind: Pair(kind) for kind in KINDS}
    counted: set[tuple[int, int]] = set()
    try:
        with SidecarHost() as host:
            for pair in range(pairs + 1):
                shutil.rmtree(folder / "artifacts", ignore_errors=True)
                finished = run_config(config, folder=folder, host=host)
                events = finished.metrics["counts"]["events"]
                rates = {kind: rival.rate(events) for kind, rival in rivals.items()}
                if pair:  # the first one warms
                    counted.add((finished.metrics["trades"]["count"], events))
                    ours.append(events / finished.timing_s["session"])
                    for kind, rate in rates.items():
                        bare[kind].append(rate)
    finally:
        for rival in rivals.values():
            rival.close()
    ((trades, events),) = counted
    better = [max(rates) for rates in zip(*bare.values(), strict=True)]
    return {
        "ratio_to_bare": spread([a / b for a, b in zip(ours, better, strict=True)]),
        "events_per_s": spread(ours),
        **{f"bare_{kind}_per_s": spread(rates) for kind, rates in bare.items()},
        "pairs": pairs,
        "events": events,
        "trades": trades,
        "python": sys.version.split()[0],
    }


def spread(values: list[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


if __name__ == "__main__":
    main()
