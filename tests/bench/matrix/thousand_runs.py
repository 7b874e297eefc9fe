"""A thousand runs: five real series that are unlike, two windows each, a hundred parameter sets, one command.

    python tests/bench/matrix/thousand_runs.py [--variant fixed|limits|both] [--mode debug|prod] [--workers 2]

ADAUSDT, DOGEUSDT (M1) and EURUSD (H1) with 15,000 bars in each window, USDJPY (M1) with 14,000, XAUUSD (M1) with 7,500,
read from BOXGATE_DATA and imported once, which is not timed. `fixed` trades fixed units without loss limits; `limits`
has both, so the strategy reads its account (FEEDBACK). Each variant is `boxgate matrix run --json` in a process of its
own with an empty store. `wall_s` goes from the command to its end, with the report written; `ray_startup_s` is a part
of it. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scratch import scratch

from boxgate_engine.datasets import open_dataset
from boxgate_engine.timestamps import format_utc

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A series and where it comes from. files: with the side of the prices in each, None where the file has both."""

    symbol: str
    frame: str
    window_bars: int
    files: tuple[tuple[str, str | None], ...]


SOURCES = (
    Source(symbol="ADAUSDT", frame="M1", window_bars=15_000, files=(("crypto_1m/ADAUSDT_1m.csv", "last"),)),
    Source(symbol="DOGEUSDT", frame="M1", window_bars=15_000, files=(("crypto_1m/DOGEUSDT_1m.csv", "last"),)),
    Source(symbol="EURUSD", frame="H1", window_bars=15_000, files=(("lean/forex/oanda/hour/eurusd.zip", None),)),
    Source(
        symbol="USDJPY",
        frame="M1",
        window_bars=14_000,
        files=tuple((f"nautilus/fxcm/usdjpy-m1-{side}-2013.csv", side) for side in ("bid", "ask")),
    ),
    Source(symbol="XAUUSD", frame="M1", window_bars=7_500, files=(("lean/cfd/oanda/minute/xauusd", None),)),
)

# 5 × 4 × 5 sets around what is usual. The slowest trend needs 4 × 50 bars and a tenth more: XAUUSD has 222 before its
# windows.
CONFIG = """
strategy:
  command: [python, {strategy}]
  params: {{{params}}}
dataset: thousand
frames: [M1]
account: {{currency: USD, cash: 1000000, leverage: 30, equivalents: [[USD, USDT]]}}
costs:
  fees_bps: 0.2
  slippage_bps: 0.1
  spread: data
  instruments:                       # trades without quotes
    ADAUSDT: {{fees_bps: 5.0, spread: {{ticks: 1}}}}
    DOGEUSDT: {{fees_bps: 5.0, spread: {{ticks: 1}}}}
warmup: {{policy: auto, min_bars: 0, safety_margin: 0.10}}
mode: {mode}
matrix:
  instruments:
{instruments}
  params:
    env_len: {{from: 40, to: 120, step: 20}}
    env_dev: {{from: 2.0, to: 3.5, step: 0.5}}
    trend_len: {{from: 30, to: 50, step: 5}}
runner: {{concurrency: {{max_workers: {workers}}}}}
determinism: {{master_seed: 1337}}
"""

PARAMS = {"fixed": "qty: 1000", "limits": "notional: 100000, risk_max: 0.0002, daily_loss_max: 0.01"}


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=[*PARAMS, "both"], default="both")
    parser.add_argument("--mode", choices=["debug", "prod"], default="prod")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="work here and keep it; default a temporary folder")
    given = parser.parse_args()
    with scratch() as temporary:
        folder = given.folder or temporary
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "datasets").exists():
            import_series(folder)
        chosen = list(PARAMS) if given.variant == "both" else [given.variant]
        found = {name: measure(folder, name, mode=given.mode, workers=given.workers) for name in chosen}
    print(json.dumps({"mode": given.mode, "workers": given.workers, "cpus": os.cpu_count(), **found}, indent=2))


def import_series(folder: Path) -> None:
    """Import the series as the dataset `thousand`."""
    data = (REPOSITORY / os.environ.get("BOXGATE_DATA", "../shared/data")).resolve()
    for source in SOURCES:
        for file, side in source.files:
            command = ["data", "import", str(data / file), "--name", "thousand", "--tz", "UTC"]
            command += ["--symbol", source.symbol, "--frame", source.frame]
            boxgate([*command, *(("--side", side) if side else ())], folder)


def measure(folder: Path, variant: str, *, mode: str, workers: int) -> dict[str, object]:
    """Return the figures of one variant, computed into an empty store."""
    store = Path(tempfile.mkdtemp(prefix=f"store-{variant}-", dir=folder))
    file = store / "matrix.yaml"
    file.write_text(
        CONFIG.format(
            strategy=REPOSITORY / "examples" / "envelope_trend" / "strategy.py",
            params=PARAMS[variant],
            mode=mode,
            workers=workers,
            instruments=_instruments(folder),
        )
        + f"io: {{artifacts_store: {store}}}\n"
    )
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    told = json.loads(boxgate(["matrix", "run", str(file), "--json"], folder).splitlines()[-1])
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    runs = pl.read_parquet(f"{told['index']}/part-*.parquet")
    return {
        "wall_s": round(wall_s, 2),
        "driver_wall_s": told["wall_s"],
        "ray_startup_s": told["ray_startup_s"],
        "cpu_s": round(after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime, 2),
        "complete": told["complete"],
        "failed": told["failed"],
        "trades": int(runs["m_trades_count"].sum()),
        "runs_with_trades": int((runs["m_trades_count"] > 0).sum()),
        "signals": int(runs["m_counts_signals"].sum()),
        "events": int(runs["m_counts_events"].sum()),
        "store_bytes": sum(path.lstat().st_size for path in store.rglob("*")),
        "report_bytes": Path(told["report"]).stat().st_size,
        "matrix_digest": told["matrix_digest"],
    }


def boxgate(arguments: list[str], folder: Path) -> str:
    """Return what a command of Boxgate prints; ends with its errors if it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "boxgate_server", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"boxgate {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _instruments(folder: Path) -> str:
    """Return the entries of the matrix: of each series its last bars in two windows, one behind the other."""
    lines = []
    for source in SOURCES:
        lines += [f"    - instruments: {source.symbol}", f"      frames: [{source.frame}]", "      windows:"]
        lines += [f"        - {{start: {start}, end: {end}}}" for start, end in windows_of(folder, source)]
    return "\n".join(lines)


def windows_of(folder: Path, source: Source) -> list[tuple[str, str]]:
    """Return the start and end of the two windows of a series."""
    dataset = open_dataset(folder / "datasets", "thousand", cache_dir=folder / ".cache" / "datasets")
    series = dataset.series(source.symbol, source.frame)
    ends_ns = series.times_ns + series.duration_ns
    edges = [format_utc(int(ends_ns[-1 - source.window_bars * back])) for back in (2, 1, 0)]
    return list(itertools.pairwise(edges))


if __name__ == "__main__":
    main()
