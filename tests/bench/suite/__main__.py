"""`make bench`: Boxgate beside other systems in one sitting, and what else is promised about its speed.

    python tests/bench/suite [--pairs 9] [--only NAME…] [--json FILE] [--plot FILE] [--write-docs]

Prints the ratios first, then the speeds behind them; writes all outcomes as JSON and a plot. A part that fails is told
and left out, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
from duel import REPOSITORY, SUITE, Duel, fight, seconds
from market import prepare_bars, prepare_ticks
from pipe import Failed
from rows import DUELS, SCRIPTS, Row, Script, rows_of_duel
from scratch import sitting
from table import markdown, number, text, write_between_markers

NAMES = [part.key for part in (*DUELS, *SCRIPTS)]
DOCUMENT = REPOSITORY / "docs" / "benchmarks.md"
PICTURE = "![Speeds, and results as multiples of their targets](images/benchmarks.png)"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = parse(argv)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    began, load = time.time(), os.getloadavg()
    rows: list[Row] = []
    speeds: list[dict[str, Any]] = []
    report: dict[str, Any] = {"schema": "boxgate.bench/1", "machine": machine(), "pairs": arguments.pairs}
    failed = []
    with sitting(arguments.folder):
        for part in [part for part in (*DUELS, *SCRIPTS) if part.key in arguments.only]:
            try:
                if isinstance(part, Script):
                    report[part.key] = _run(part, arguments.pairs)
                    rows += part.rows(report[part.key])
                elif (found := _fight(part, arguments)) is not None:
                    rows += rows_of_duel(part, found["outcomes"])
                    speeds += speeds_of(part, found["outcomes"])
                    report[part.key] = found
            except Failed as fault:
                failed.append(part.key)
                tell(str(fault))
    report["rows"], report["speeds"] = [row.report() for row in rows], speeds
    report["load_before"], report["load_after"] = load[0], os.getloadavg()[0]
    report["minutes"] = round((time.time() - began) / 60, 1)
    versions = versions_of(report)
    report["versions"] = versions
    print(text(rows))
    print(f"\n{speed_text(speeds)}\n\n{conditions(report)}")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plot(arguments.json, arguments.plot)
    print(f"\nall outcomes: {arguments.json}, plot: {arguments.plot}")
    if arguments.write_docs:
        parts = [PICTURE, markdown(rows), speed_markdown(speeds), conditions(report)]
        write_between_markers(DOCUMENT, "\n\n".join(parts))
        plot(arguments.json, DOCUMENT.parent / "images" / "benchmarks.png")
    if failed:
        sys.exit(f"bench: failed: {' '.join(failed)}")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Measure Boxgate beside other systems, in one sitting.")
    parser.add_argument("--pairs", type=int, default=9, help="interleaved repeats of each comparison")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--bars", type=int, default=500_000, help="minute bars of the walk")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "bench", help="where the data are made")
    parser.add_argument("--json", type=Path, help="file of all outcomes (default: result.json in the folder)")
    parser.add_argument("--plot", type=Path, help="file of the plot (default: beside the JSON)")
    parser.add_argument("--write-docs", action="store_true", help="write table and plot into docs/benchmarks.md")
    arguments = parser.parse_args(argv)
    if arguments.pairs < 1:
        parser.error("--pairs must be at least 1")
    arguments.folder = arguments.folder.resolve()
    arguments.json = arguments.json or arguments.folder / "result.json"
    arguments.plot = arguments.plot or arguments.json.with_suffix(".png")
    return arguments


def _fight(duel: Duel, arguments: argparse.Namespace) -> dict[str, Any] | None:
    if duel.data == "ticks":
        data = (REPOSITORY / os.environ.get("BOXGATE_DATA", "../shared/data")).resolve()
        if not (data / "MANIFEST.tsv").is_file():
            tell(f"{duel.title}: left out, no market data at {data}; set BOXGATE_DATA")
            return None
        folder = prepare_ticks(arguments.folder, data)
    else:
        folder = prepare_bars(arguments.folder, arguments.bars)
    return fight(duel, folder, rounds=arguments.pairs, log=arguments.folder / "players.log", tell=tell)


def _run(script: Script, pairs: int) -> Any:
    """Return the object that a script prints."""
    tell(f"{script.title}: {script.file}")
    command = [sys.executable, str(SUITE.parent / script.file), *script.arguments]
    if script.pairs:
        command += [script.pairs, str(pairs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed(f"{script.file} failed")
    return json.loads(done.stdout)


def speeds_of(duel: Duel, outcomes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return events per second of each system of a duel, and the least time."""
    events = outcomes[duel.ours.key][0]["events"]
    found = []
    for system in (duel.ours, *duel.peers):
        spread = seconds(outcomes[system.key])
        found.append(
            {
                "duel": duel.title,
                "system": system.name,
                "events": events,
                "fills": outcomes[system.key][0]["fills"],
                "events_per_s": events / spread.median,
                "seconds": [spread.median, spread.min, spread.max],
            }
        )
    return found


def speed_text(speeds: Sequence[dict[str, Any]]) -> str:
    lines = [_speed_cells(speed) for speed in speeds]
    widths = [max((len(line[k]) for line in lines), default=0) for k in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) if k < 2 else cell.rjust(width) for k, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    )


def speed_markdown(speeds: Sequence[dict[str, Any]]) -> str:
    lines = ["| what | system | events/s | seconds, least – most | fills |", "| --- | --- | --: | --: | --: |"]
    lines += [f"| {' | '.join(_speed_cells(speed))} | {speed['fills']:,} |" for speed in speeds]
    return "\n".join(lines)


def _speed_cells(speed: dict[str, Any]) -> tuple[str, str, str, str]:
    middle, least, most = speed["seconds"]
    return (
        speed["duel"],
        speed["system"],
        f"{round(speed['events_per_s'], -3):,.0f}",
        f"{number(middle)}, {number(least)} – {number(most)}",
    )


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def versions_of(report: dict[str, Any]) -> dict[str, str]:
    """Return the versions that the players told, and Boxgate's."""
    found = {"boxgate": version("boxgate"), "python": platform.python_version()}
    wanted = ("vectorbt", "vectorbt-rust", "backtesting", "nautilus_trader")
    for duel in DUELS:
        for versions in report.get(duel.key, {}).get("versions", {}).values():
            found |= {name: versions[name] for name in wanted if name in versions}
    return found


def conditions(report: dict[str, Any]) -> str:
    at = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return (
        f"{at['cpu']}, {at['cores']} cores, {at['memory_gib']} GiB, {at['system']}; {versions}; "
        f"{report['pairs']} pairs in {report['minutes']} minutes; "
        f"load {report['load_before']:.1f} before, {report['load_after']:.1f} after."
    )


def plot(result: Path, file: Path) -> None:
    """Draw the result; the environment of vectorbt brings the library for it."""
    python = REPOSITORY / ".venv-peers" / "vectorbt" / "bin" / "python"
    subprocess.run([str(python), str(SUITE / "drawing.py"), str(result), str(file)], check=True)


def tell(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
