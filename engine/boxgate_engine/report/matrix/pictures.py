"""The charts of a matrix as PNG, as the page shows them first. Needs matplotlib: the extra `png`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from boxgate_engine.report.exports.pictures import Draw, Picture, draw_pictures, plain_text
from boxgate_engine.report.extremes import Floats, Integers
from boxgate_engine.report.matrix.summaries import Flags

_ACCENT: Final = "#1d5fc4"
_CHOSEN: Final = "#a35200"
_MUTED: Final = "#586271"
_WIDE: Final = (12.0, 4.2)
_TALL: Final = (12.0, 6.0)
_CELL_TEXT_MAX: Final = 200
_LABEL_MAX: Final = 24
_LINES_MAX: Final = 5_000
_TICKS_MAX: Final = 30

Figures = Mapping[str, Any]


def write_matrix_pictures(figures: Figures, folder: Path) -> list[Path]:
    """Write one PNG for each chart that has something to show and return the paths, by name.

    figures: the data of the page. Raises UserMistake EXTRA_MISSING without matplotlib.
    """
    makers = {
        "heatmap": _heatmap,
        "parallel": _parallel,
        "pareto": _pareto,
        "stability": _stability,
        "oos": _oos,
        "costs": _costs,
    }
    charts = figures["charts"]
    return draw_pictures({name: make(figures) for name, make in makers.items() if "none" not in charts[name]}, folder)


def _heatmap(figures: Figures) -> Picture:
    chart = figures["charts"]["heatmap"]
    across, down, metric = _axis(figures, chart["x"]), _axis(figures, chart["y"]), _metric(figures, chart["metric"])
    columns, rows = (axis["levels"] or axis["labels"] for axis in (across, down))
    cells = np.array([[np.nan if value is None else value for value in line] for line in chart["cells"]])

    def draw(axes: Any) -> None:
        known = cells[~np.isnan(cells)]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        if low < 0 < high:
            low, high = -max(-low, high), max(-low, high)
        colors = "RdBu" if metric["better"] > 0 else "RdBu_r"
        image = axes.imshow(cells, cmap=colors, vmin=low, vmax=high, aspect="auto", origin="lower", alpha=0.85)
        axes.figure.colorbar(image, ax=axes, pad=0.01)
        axes.grid(visible=False)
        _ticks(axes.set_xticks, columns)
        _ticks(axes.set_yticks, rows)
        axes.set_xlabel(plain_text(across["title"]))
        axes.set_ylabel(plain_text(down["title"]))
        if cells.size <= _CELL_TEXT_MAX:
            for (row, column), value in np.ndenumerate(cells):
                if not np.isnan(value):
                    axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8)

    return f"{metric['title']}, median", (12.0, min(14.0, 2.2 + 0.36 * len(rows))), draw


def _parallel(figures: Figures) -> Picture:
    chart = figures["charts"]["parallel"]
    metric = _metric(figures, chart["metrics"][0])
    value = _values(metric)
    rows = np.flatnonzero(_judged(figures) & ~np.isnan(value))
    rows = rows[:: max(1, -(-len(rows) // _LINES_MAX))]
    coordinates = [_coordinate(_axis(figures, name), len(value)) for name in chart["axes"]]
    coordinates += [
        (_metric(figures, path)["title"], _values(_metric(figures, path)), None) for path in chart["metrics"]
    ]

    def draw(axes: Any) -> None:
        from matplotlib import colormaps
        from matplotlib.collections import LineCollection

        places = np.column_stack([_unit(values[rows]) for _, values, _ in coordinates])
        ranks = _unit(
            np.argsort(np.argsort(metric["better"] * value[rows], kind="stable"), kind="stable").astype(float)
        )
        order = np.argsort(ranks, kind="stable")
        lines = [np.column_stack([np.arange(places.shape[1]), places[one]]) for one in order]
        shades = colormaps["RdBu"](ranks[order])
        axes.add_collection(
            LineCollection(lines, colors=shades, linewidths=0.7, alpha=max(0.1, min(0.8, 20 / len(rows) ** 0.5)))
        )
        axes.set_xlim(-0.2, places.shape[1] - 0.5)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xticks(
            range(len(coordinates)), [plain_text(title.replace(": ", ":\n")) for title, _, _ in coordinates]
        )
        axes.set_yticks([])
        for at, (_, values, labels) in enumerate(coordinates):
            axes.axvline(at, color=_MUTED, linewidth=0.8)
            known = values[rows][~np.isnan(values[rows])]
            ends = ((0.0, known.min()), (1.0, known.max())) if len(known) else ()
            marks = labels or tuple((height, f"{number:.4g}") for height, number in ends)
            for height, text in marks[:_TICKS_MAX]:
                axes.text(at + 0.02, height, plain_text(_cut(text)), fontsize=8, va="center")

    return f"Runs by {metric['title']}", _TALL, draw


def _pareto(figures: Figures) -> Picture:
    chart = figures["charts"]["pareto"]
    x, y = _metric(figures, chart["x"]), _metric(figures, chart["y"])

    def draw(axes: Any) -> None:
        across, up, judged = _values(x), _values(y), _judged(figures)
        axes.scatter(across[judged], up[judged], s=8, c=_MUTED, alpha=0.35, linewidths=0, label="Runs", rasterized=True)
        rows = chart["front"]
        axes.plot(across[rows], up[rows], color=_ACCENT, marker="o", markersize=5, linewidth=1.3, label="Front")
        axes.set_xlabel(plain_text(x["title"]))
        axes.set_ylabel(plain_text(y["title"]))
        axes.legend(frameon=False)

    return f"Pareto front of {y['title']} and {x['title']}", _TALL, draw


def _stability(figures: Figures) -> Picture:
    chart, periods = figures["charts"]["stability"], figures["periods"]
    metric = _metric(figures, chart["metric"])

    def draw(axes: Any) -> None:
        _boxes(axes, periods["labels"], chart["periods"])
        step = 0 if periods["of_folds"] else 1
        values = _values(metric)
        points = [
            (one["period"] + step, values[one["later"]]) for one in periods["choices"] if one["later"] is not None
        ]
        if points:
            where, heights = zip(*points, strict=True)
            label = "best on train" if periods["of_folds"] else "best in the window before"
            axes.scatter(where, heights, marker="D", s=26, c=_CHOSEN, zorder=3, label=label)
            axes.legend(frameon=False)

    kind = "test of each fold" if periods["of_folds"] else "each window"
    return f"{metric['title']}, {kind}", _WIDE, draw


def _oos(figures: Figures) -> Picture:
    chart = figures["charts"]["oos"]
    metric = _metric(figures, chart["metric"])

    def draw(axes: Any) -> None:
        histogram = chart["histogram"]
        if histogram is None:
            return
        edges = np.array(histogram["edges"], dtype=np.float64)
        for name, color, alpha in (("train", _MUTED, 0.35), ("test", _ACCENT, 0.6)):
            counts = np.array(histogram[name], dtype=np.float64)
            shares = counts / max(1.0, counts.sum())
            axes.bar(edges[:-1], shares, np.diff(edges), align="edge", color=color, alpha=alpha, label=name)
        values = _values(metric)
        chosen = [values[one["later"]] for one in figures["periods"]["choices"] if one["later"] is not None]
        axes.scatter(
            chosen, np.zeros(len(chosen)), marker="D", s=26, c=_CHOSEN, zorder=3, clip_on=False, label="chosen, on test"
        )
        axes.legend(frameon=False)

    return f"{metric['title']} in and out of sample, share of runs", _WIDE, draw


def _costs(figures: Figures) -> Picture:
    chart = figures["charts"]["costs"]
    metric = _metric(figures, chart["metric"])
    return f"{metric['title']} by costs", _WIDE, _boxes_of(_axis(figures, "cost_set")["labels"], chart["sets"])


def _boxes_of(labels: list[str], spreads: list[Figures]) -> Draw:
    return lambda axes: _boxes(axes, labels, spreads)


def _boxes(axes: Any, labels: list[str], spreads: list[Figures]) -> None:
    known = [(place, one["quantiles"]) for place, one in enumerate(spreads) if one["quantiles"]]
    if known:
        names = ("whislo", "q1", "med", "q3", "whishi")
        stats = [dict(zip(names, quantiles, strict=True)) for _, quantiles in known]
        axes.bxp(
            stats,
            positions=[place for place, _ in known],
            showfliers=False,
            widths=0.5,
            boxprops={"color": _ACCENT},
            medianprops={"color": _ACCENT, "linewidth": 2.0},
            whiskerprops={"color": _ACCENT},
            capprops={"color": _ACCENT},
        )
    axes.axhline(0.0, color=_MUTED, linewidth=0.8)
    _ticks(axes.set_xticks, labels)
    axes.set_xlim(-0.6, len(labels) - 0.4)


def _ticks(put: Any, labels: list[str]) -> None:
    every = max(1, -(-len(labels) // _TICKS_MAX))
    shown = list(range(0, len(labels), every))
    put(shown, [plain_text(_cut(labels[place])) for place in shown])


def _coordinate(axis: Figures, runs: int) -> tuple[str, Floats, tuple[tuple[float, str], ...] | None]:
    codes: Integers = np.zeros(runs, dtype=np.int64) if axis["codes"] is None else np.array(axis["codes"])
    values: Floats = np.where(codes < 0, np.nan, codes).astype(np.float64)
    if axis["number"]:
        values = np.array([*axis["values"], np.nan], dtype=np.float64)[codes]
        return axis["title"], values, None
    last = max(1, len(axis["labels"]) - 1)
    return axis["title"], values, tuple((code / last, text) for code, text in enumerate(axis["labels"]))


def _unit(values: Floats) -> Floats:
    """Return values from 0 to 1, NaN where they are; one value alone is 0."""
    known = values[~np.isnan(values)]
    if not len(known):
        return values
    length = float(known.max() - known.min()) or 1.0
    scaled: Floats = (values - known.min()) / length
    return scaled


def _judged(figures: Figures) -> Flags:
    segment = _axis(figures, "segment")
    runs = len(figures["runs"]["run_id"])
    if segment["codes"] is None or "train" not in segment["values"]:
        return np.ones(runs, dtype=np.bool_)
    tests: Flags = np.array(segment["codes"]) != segment["values"].index("train")
    return tests


def _axis(figures: Figures, name: str) -> Figures:
    return next(axis for axis in figures["axes"] if axis["name"] == name)


def _metric(figures: Figures, path: str) -> Figures:
    return next(metric for metric in figures["metrics"] if metric["path"] == path)


def _values(metric: Figures) -> Floats:
    return np.array([np.nan if value is None else value for value in metric["values"]], dtype=np.float64)


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_MAX else f"{text[: _LABEL_MAX - 1]}…"
