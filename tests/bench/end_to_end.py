"""End to end: mapped data -> sidecar process -> signals -> fills -> metrics -> artefacts, without HTML.

500,000 seeded M1 bars, `sma_cross` in its vector form. One run warms the compiled kernel and the mapped cache; then
`--repeats` runs are timed in the same process. The time of a run goes from opening the dataset to the renamed
artefacts, less the start of the sidecar's process, which is reported beside it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from boxgate_engine.config import parse_config
from boxgate_engine.datasets import SeriesContent
from boxgate_engine.datasets.store import NewSeries, freeze
from boxgate_engine.instruments import Instrument
from boxgate_server.run import run_config
from boxgate_server.sidecars import SidecarHost

REPOSITORY = Path(__file__).resolve().parents[2]
MINUTE_NS = 60_000_000_000
START_NS = 1_577_836_800_000_000_000

CONFIG = """
strategy: {{command: [python, {strategy}], params: {{fast: 10, slow: 30, qty: 1000, form: vector}}}}
dataset: bench
instruments: [BENCH]
frames: [M1]
window: {{start: first, end: last}}
account: {{currency: USD, cash: 1000000, leverage: 30}}
costs: {{fees_bps: 0.1, slippage_bps: 0.1, spread: none}}
execution: {{window_events: {window_events}}}
report: {{html: false}}
"""


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=500_000)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--window-events", type=int, default=16_384)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="boxgate-bench-"))
    try:
        print(json.dumps(measure(folder, arguments.bars, arguments.repeats, arguments.window_events), indent=2))
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, bars: int, repeats: int, window_events: int) -> dict[str, object]:
    """Return the figures of `repeats` runs over `bars` seeded bars."""
    freeze_walk(folder / "datasets", bars)
    strategy = REPOSITORY / "examples" / "sma_cross" / "strategy.py"
    config = parse_config(CONFIG.format(strategy=strategy, window_events=window_events))
    rates, seconds, starts, digests, phases = [], [], [], set(), []
    finished = None
    with SidecarHost() as host:
        for repeat in range(repeats + 1):
            shutil.rmtree(folder / "artifacts", ignore_errors=True)
            finished = run_config(config, folder=folder, host=host)
            digests.add(finished.result_digest)
            if repeat:
                timing = finished.timing_s
                seconds.append(timing["total"] - timing["start"])
                starts.append(timing["start"])
                rates.append(finished.metrics["counts"]["events"] / seconds[-1])
                phases.append(timing)
    assert finished is not None
    return {
        "bars": finished.metrics["counts"]["events"],
        "trades": finished.metrics["trades"]["count"],
        "repeats": repeats,
        "result_digests": len(digests),
        "bars_per_s": _spread(rates),
        "run_s": _spread(seconds),
        "process_start_s": _spread(starts),
        "phases_s": {name: round(statistics.median(p[name] for p in phases), 4) for name in phases[0]},
        "window_events": window_events,
        "python": sys.version.split()[0],
    }


def freeze_walk(root: Path, bars: int) -> None:
    """Freeze a seeded random walk on the tick grid as the dataset `bench`."""
    random = np.random.Generator(np.random.Philox(key=7))
    steps = random.integers(-6, 7, size=bars)
    close_ticks = 120_000 + np.cumsum(steps)
    close_ticks = np.abs(close_ticks - 20_000) + 20_000
    open_ticks = np.concatenate([[120_000], close_ticks[:-1]])
    high_ticks = np.maximum(open_ticks, close_ticks) + random.integers(0, 4, size=bars)
    low_ticks = np.minimum(open_ticks, close_ticks) - random.integers(0, 4, size=bars)
    columns = {
        "open_ns": START_NS + np.arange(bars) * MINUTE_NS,
        **{
            name: ticks / 100_000.0
            for name, ticks in zip(
                ("open", "high", "low", "close"), (open_ticks, high_ticks, low_ticks, close_ticks), strict=True
            )
        },
        "volume": np.ones(bars),
    }
    content = SeriesContent(symbol="BENCH", frame="M1", price_basis="BID", columns=columns)
    instrument = Instrument(
        symbol="BENCH",
        asset_class="forex",
        quote_currency="USD",
        tick_size=Fraction(1, 100_000),
        lot_size=Fraction(1),
    )
    freeze(
        root, [instrument], [NewSeries(content=content, source="seeded random walk", licence="CC0-1.0")], name="bench"
    )


def _spread(values: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4), "max": round(max(values), 4)}


if __name__ == "__main__":
    main()
