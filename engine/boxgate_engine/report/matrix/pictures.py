"""The charts of a matrix as PNG, as the page shows them first. Needs matplotlib: the extra `png`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from boxgate_engine.report.exports.columns import times_ns
from boxgate_engine.report.exports.pictures import Picture, draw_pictures, plain_text
from boxgate_engine.report.extremes import Floats, Integers
from boxgate_engine.report.matrix.summaries import Flags

_ACCENT: Final = "#1d5fc4"
_CHOSEN: Final = "#a35200"
_MUTED: Final = "#586271"
_WIDE: Final = (12.0, 4.2)
_TALL: Final = (12.0, 6.0)
_CELL_TEXT_MAX: Final = 200
_LABEL_MAX: Final = 24
_PLATE: Final = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.0}
_LINES_MAX: Final = 5_000
_TICKS_MAX: Final = 30
_STEPS_MAX: Final = 40
"""Values of an axis that are told apart as steps."""

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
    pictures = {name: make(figures) for name, make in makers.items() if "none" not in charts[name]}
    if figures["stitched"]:
        pictures["oos_equity"] = _stitched(figures["stitched"])
    return draw_pictures(pictures, folder)


def _heatmap(figures: Figures) -> Picture:
    chart = figures["charts"]["heatmap"]
    across, down, metric = _axis(figures, chart["x"]), _axis(figures, chart["y"]), _metric(figures, chart["metric"])
    columns, rows = (axis["levels"] or axis["labels"] for axis in (across, down))
    cells = _factor(metric) * np.array(
        [[np.nan if value is None else value for value in line] for line in chart["cells"]]
    )

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

    return f"{_title(figures, metric)}, median", (12.0, min(14.0, 2.2 + 0.36 * len(rows))), draw


def _parallel(figures: Figures) -> Picture:
    chart = figures["charts"]["parallel"]
    metric = _metric(figures, chart["metrics"][0])
    value = _values(metric)
    rows = np.flatnonzero(_judged(figures) & ~np.isnan(value))
    rows = rows[:: max(1, -(-len(rows) // _LINES_MAX))]
    coordinates = [_coordinate(_axis(figures, name), len(value)) for name in chart["axes"]]
    coordinates += [
        (_title(figures, _metric(figures, path)), _values(_metric(figures, path)), None) for path in chart["metrics"]
    ]

    def draw(axes: Any) -> None:
        from matplotlib import colormaps
        from matplotlib.collections import LineCollection

        # Runs of equal values lie a little apart, so that many of them look like many.
        apart = ((rows * 0.618034) % 1.0 - 0.5) * 0.03
        places = np.column_stack(
            [
                _unit(values[rows]) + (apart if len(np.unique(values[rows])) <= _STEPS_MAX else 0.0)
                for _, values, _ in coordinates
            ]
        )
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
                axes.text(at + 0.02, height, plain_text(_cut(text)), fontsize=8, va="center", bbox=_PLATE)

    return f"Runs by {metric['title']}", _TALL, draw


def _pareto(figures: Figures) -> Picture:
    chart = figures["charts"]["pareto"]
    x, y = _metric(figures, chart["x"]), _metric(figures, chart["y"])

    def draw(axes: Any) -> None:
        across, up, judged = _values(x), _values(y), _judged(figures)
        axes.scatter(across[judged], up[judged], s=8, c=_MUTED, alpha=0.35, linewidths=0, label="Runs", rasterized=True)
        rows = chart["front"]
        axes.plot(across[rows], up[rows], color=_ACCENT, marker="o", markersize=5, linewidth=1.3, label="Front")
        axes.set_xlabel(plain_text(_title(figures, x)))
        axes.set_ylabel(plain_text(_title(figures, y)))
        axes.legend(frameon=False)

    return f"Pareto front of {y['title']} and {x['title']}", _TALL, draw


def _stability(figures: Figures) -> Picture:
    chart, periods = figures["charts"]["stability"], figures["periods"]
    metric = _metric(figures, chart["metric"])

    def draw(axes: Any) -> None:
        _boxes(axes, periods["labels"], chart["periods"], _factor(metric))
        values = _values(metric)
        points = [(one["judged"], values[one["later"]]) for one in periods["choices"] if one["later"] is not None]
        if points:
            where, heights = zip(*points, strict=True)
            label = "best on train" if periods["of_folds"] else "best in the window before"
            axes.scatter(where, heights, marker="D", s=26, c=_CHOSEN, zorder=3, label=label)
            axes.legend(frameon=False)

    kind = "test of each fold" if periods["of_folds"] else "each window"
    return f"{_title(figures, metric)}, {kind}", _WIDE, draw


def _oos(figures: Figures) -> Picture:
    chart = figures["charts"]["oos"]
    metric = _metric(figures, chart["metric"])

    def draw(axes: Any) -> None:
        histogram = chart["histogram"]
        if histogram is None:
            return
        edges = _factor(metric) * np.array(histogram["edges"], dtype=np.float64)
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

    return f"{_title(figures, metric)}: share of runs in and out of sample", _WIDE, draw


def _stitched(found: list[Figures]) -> Picture:
    def draw(axes: Any) -> None:
        for one in found:
            moments = times_ns(one["time"]).astype("datetime64[ns]")
            axes.plot(moments, 100.0 * np.array(one["value"]), linewidth=1.2, label=plain_text(one["label"]))
        axes.axhline(0.0, color=_MUTED, linewidth=0.8)
        axes.legend(frameon=False, loc="upper left")

    return "Return of the chosen tests, one after another, %", _WIDE, draw


def _costs(figures: Figures) -> Picture:
    chart = figures["charts"]["costs"]
    metric = _metric(figures, chart["metric"])
    labels = _axis(figures, "cost_set")["labels"]
    return (
        f"{_title(figures, metric)} by costs",
        _WIDE,
        lambda axes: _boxes(axes, labels, chart["sets"], _factor(metric)),
    )


def _boxes(axes: Any, labels: list[str], spreads: list[Figures], factor: float) -> None:
    known = [
        (place, [factor * value for value in one["quantiles"]]) for place, one in enumerate(spreads) if one["quantiles"]
    ]
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


def _factor(metric: Figures) -> float:
    """Return what turns a value into the unit of its title."""
    return {"percent": 100.0, "duration": 1 / 3.6e12}.get(metric["kind"], 1.0)


def _title(figures: Figures, metric: Figures) -> str:
    unit = {"percent": ", %", "duration": ", hours", "money": f", {figures['currency']}"}.get(metric["kind"], "")
    return f"{metric['title']}{unit}"


def _values(metric: Figures) -> Floats:
    """Return the values of the runs in the unit of the title, NaN where they are undefined."""
    return _factor(metric) * np.array(
        [np.nan if value is None else value for value in metric["values"]], dtype=np.float64
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_MAX else f"{text[: _LABEL_MAX - 1]}…"
