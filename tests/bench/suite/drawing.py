"""The plot of a result: `drawing.py RESULT.json PLOT.png`. Runs where vectorbt is, which brings Matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

OURS, THEIRS, MISSED = "#1f6feb", "#9aa4b2", "#c4532b"


def main() -> None:
    result, file = sys.argv[1:]
    draw(json.loads(Path(result).read_text(encoding="utf-8")), Path(file))


def draw(report: dict[str, Any], file: Path) -> None:
    """Draw speeds on the left, results as multiples of their targets on the right."""
    speeds = report["speeds"]
    aimed = [row for row in report["rows"] if row["target"] is not None]
    height = 1.2 + 0.42 * max(len(speeds), len(aimed), 3)
    figure, (left, right) = plt.subplots(1, 2, figsize=(15, height), width_ratios=(1, 1))
    _speeds(left, speeds)
    _targets(right, aimed)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110, metadata={"Software": None} if file.suffix == ".png" else None)


def _speeds(axes: Any, speeds: list[dict[str, Any]]) -> None:
    labels = [f"{speed['duel']}: {speed['system']}" for speed in speeds]
    values = [speed["events_per_s"] for speed in speeds]
    colors = [OURS if speed["system"] == "Boxgate" else THEIRS for speed in speeds]
    for at, (speed, color) in enumerate(zip(speeds, colors, strict=True)):
        least, most = (speed["events"] / seconds for seconds in speed["seconds"][:0:-1])
        axes.plot([least, most], [at, at], color=color, linewidth=3, alpha=0.35, solid_capstyle="round")
        axes.plot(values[at], at, "o", color=color)
        axes.annotate(f"{values[at]:,.0f}", (most, at), (8, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(speeds)), labels, fontsize=8)
    axes.invert_yaxis()
    if values:
        axes.set_xscale("log")
        axes.set_xlim(min(values) / 2, max(values) * 6)
        axes.grid(axis="x", color="#e5e7eb")
        axes.set_axisbelow(True)
    axes.set_title("Events per second: median, least and most", fontsize=10)
    _plain(axes)


def _targets(axes: Any, rows: list[dict[str, Any]]) -> None:
    for at, row in enumerate(rows):
        points = [_of_target(row, row["value"][name]) for name in ("median", "min", "max")]
        color = OURS if row["verdict"] == "met" else MISSED
        axes.plot(sorted(points[1:]), [at, at], color=color, linewidth=3, alpha=0.35, solid_capstyle="round")
        axes.plot(points[0], at, "o", color=color)
    axes.axvline(1.0, color="#444", linewidth=1)
    axes.grid(axis="x", color="#e5e7eb")
    axes.set_axisbelow(True)
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows], fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_title("Result as a multiple of its target: right of the line is met", fontsize=10)
    _plain(axes)


def _of_target(row: dict[str, Any], value: float) -> float:
    if row["at_least"]:
        return float(value / row["target"])
    return float(row["target"] / value) if value else 100.0


def _plain(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8)


if __name__ == "__main__":
    main()
