"""What a matrix holds in memory: its driver with few and with many runs, and the data of eight workers on one series.

    python tests/bench/matrix/memory.py [--runs 1000 100000] [--bars 400000]

The driver is `boxgate matrix run` with runs that are answered instead of computed (command.py --dry): planner, ledger,
index and page are the real ones. Wanted: less than 500 MB with each number of runs.

The workers are those of local Ray, all on one long series, one alone and then eight. While they compute, the mapped
files of the dataset are looked up in /proc/PID/smaps, in workers and sidecars: the sum of their proportional shares
(Pss) counts each page once, however many map it. Wanted: eight hold less than 1.3 times what one holds. `mapped_mb` is
what all of them map together: what they would hold with copies of their own. `anonymous_mb` is the memory of the
largest worker that no file backs: with short windows of a series that ends with them, and with the same windows of one
that goes on for six times `--bars`. Wanted: the second larger by less than a quarter of what the series is longer.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from matrix.bed import axes, machine, matrix_run, prepare
from scratch import scratch

DRIVER_BYTES_MAX = 500_000_000
PSS_RATIO_MAX = 1.3
COPY_SHARE_MAX = 0.25
_WORKERS = 8
_RUNS = 8
"""Of each worker."""
_SHORT_BARS = 20_000
_SHORT_RUNS = 100
_LOOK_S = 0.1


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--bars", type=int, default=400_000)
    given = parser.parse_args()
    with scratch() as folder:
        figures = {"driver": driver(folder / "driver", given.runs), "data": data(folder, given.bars)}
    print(json.dumps({**figures, **machine()}, indent=2))


def driver(folder: Path, counts: list[int]) -> dict[str, object]:
    """Return the largest memory of a driver for each number of runs."""
    peaks = {}
    for count in counts:
        file = prepare(folder / str(count), bars=5_000, params=axes(count, settings=4))
        told = matrix_run(file, store="dry", dry=True).told
        assert told["complete"] == told["planned"] >= count
        peaks[f"{told['planned']:,} runs"] = told["peak_bytes"]
    return {
        "peak_mb": {name: round(peak / 1e6, 1) for name, peak in peaks.items()},
        "peak_mb_wanted": f"< {DRIVER_BYTES_MAX / 1e6:g}",
        "met": max(peaks.values()) < DRIVER_BYTES_MAX,
    }


def data(folder: Path, bars: int) -> dict[str, object]:
    """Return what one worker and eight hold of one series, and whether they copy it."""
    one, eight = (
        _watched(folder / f"of-{count}", bars, workers=count, runs=_RUNS * count, bars_after=0)
        for count in (1, _WORKERS)
    )
    short, longer = (
        _watched(folder / f"short-{after}", _SHORT_BARS, workers=1, runs=_SHORT_RUNS, bars_after=after)
        for after in (0, 6 * bars)
    )
    ratio = eight.pss_bytes / one.pss_bytes
    longer_by = longer.file_bytes - short.file_bytes
    copied = (longer.anonymous_bytes - short.anonymous_bytes) / longer_by
    return {
        "bars": bars,
        "pss_of_8_to_1": round(ratio, 3),
        "pss_of_8_to_1_wanted": f"< {PSS_RATIO_MAX}",
        "copied": round(copied, 3),
        "copied_wanted": f"< {COPY_SHARE_MAX}",
        "met": ratio < PSS_RATIO_MAX and copied < COPY_SHARE_MAX,
        "pss_mb": {"1": _mb(one.pss_bytes), "8": _mb(eight.pss_bytes)},
        "mapped_mb": {"1": _mb(one.rss_bytes), "8": _mb(eight.rss_bytes)},
        "processes_that_map": {"1": one.processes, "8": eight.processes},
        "anonymous_mb": {"short windows": _mb(short.anonymous_bytes), "longer series": _mb(longer.anonymous_bytes)},
        "longer_by_mb": _mb(longer_by),
    }


@dataclass
class Seen:
    """The most that was seen. Bytes; anonymous: of one worker, all others of all processes that map the dataset."""

    folder: Path
    pss_bytes: int = 0
    rss_bytes: int = 0
    file_bytes: int = 0
    anonymous_bytes: int = 0
    processes: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until it is over."""
        while not self.over.wait(_LOOK_S):
            self.look()

    def look(self) -> None:
        """Take the largest of each figure."""
        pss, rss, processes = 0, 0, 0
        for place in Path("/proc").iterdir():
            if not place.name.isdigit():
                continue
            with suppress(OSError):
                if str(self.folder) not in (place / "maps").read_text():
                    continue
                own_pss, own_rss = self._mapped(place)
                if not own_rss:
                    continue
                pss, rss, processes = pss + own_pss, rss + own_rss, processes + 1
                if "ray::" in (place / "cmdline").read_text():
                    self.anonymous_bytes = max(self.anonymous_bytes, _anonymous_bytes(place))
        self.pss_bytes, self.rss_bytes = max(self.pss_bytes, pss), max(self.rss_bytes, rss)
        self.processes = max(self.processes, processes)

    def _mapped(self, place: Path) -> tuple[int, int]:
        """Return (Pss, Rss) of the mapped files of the dataset in one process."""
        pss, rss, inside = 0, 0, False
        for line in (place / "smaps").read_text().splitlines():
            name, _, rest = line.partition(" ")
            if not name.endswith(":"):
                inside = str(self.folder) in rest
            elif inside and name == "Pss:":
                pss += int(rest.split()[0]) * 1024
            elif inside and name == "Rss:":
                rss += int(rest.split()[0]) * 1024
        return pss, rss


def _watched(folder: Path, bars: int, *, workers: int, runs: int, bars_after: int) -> Seen:
    """Compute a matrix on one series by some workers, and look at their memory."""
    params = axes(runs, settings=1)
    file = prepare(folder, bars=bars, params=params, symbols=("BTCUSDT",), windows=1, bars_after=bars_after)
    matrix_run(file, store="warm", overrides=["matrix.target_runs=1"])  # what is compiled and cached once is there
    seen = Seen(folder)
    thread = threading.Thread(target=seen.watch)
    thread.start()
    try:
        matrix_run(file, store="artifacts", workers=workers)
    finally:
        seen.over.set()
        thread.join()
    seen.file_bytes = sum(path.stat().st_size for path in folder.rglob("*.arrow"))
    return seen


def _anonymous_bytes(place: Path) -> int:
    lines = (place / "status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def _mb(size: int) -> float:
    return round(size / 1e6, 1)


if __name__ == "__main__":
    main()
