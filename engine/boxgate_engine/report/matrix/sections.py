"""The sections of the page, filled by its script; what has no content says why in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from boxgate_engine.report.markup import Cell, chart, empty, esc, section, signed, table
from boxgate_engine.report.numerals import UNDEFINED, count, counted, number, percent

Figures = Mapping[str, Any]

TITLES: Final = {
    "runs": "Runs",
    "heatmap": "Heatmap",
    "parallel": "Parallel coordinates",
    "pareto": "Pareto front",
    "stability": "Stability",
    "oos": "Out of sample",
    "costs": "Cost bands",
    "failures": "Failures",
}
"""Title of each section by its id, in page order."""

_FILTERS: Final = ("status", "error_code", "instrument", "frame", "segment", "fold", "window", "cost_set")
_PARAM_FILTERS_MAX: Final = 8
_OPTIONS_MAX: Final = 400
_AGGREGATES: Final = (("median", "median"), ("mean", "mean"), ("max", "highest"), ("min", "lowest"))


def runs(figures: Figures) -> str:
    """Return the frame of the table of runs and the filter that every chart follows."""
    counts = figures["counts"]
    if not counts["listed"]:
        return section("runs", TITLES["runs"], empty("The index of this matrix has no run."))
    lead = "One row per run. Click a column to sort. What the filter leaves is what the charts below show."
    if counts["listed"] < counts["planned"]:
        lead += (
            f" The page holds {count(counts['listed'])} of {counted(counts['planned'], 'run')}: the best parameter sets"
            " by the objective and others drawn without regard to their results, each whole; all are in the index."
        )
    axes = {axis["name"]: axis for axis in figures["axes"]}
    # With folds a window is a part of one, and those are chosen by fold and segment.
    shown = [axes[name] for name in _FILTERS if name != "window" or not figures["periods"]["of_folds"]]
    params = [axis for name, axis in axes.items() if name.startswith("p_")]
    choices = [_filter(axis) for axis in shown if _is_offered(axis)]
    choices += [_filter(axis) for axis in params if _is_offered(axis)][:_PARAM_FILTERS_MAX]
    columns = (
        '<details class="columns-choice"><summary>Columns</summary><div class="tools" id="runs-columns"></div>'
        "</details>"
    )
    bounds = (
        '<label>Metric <select name="metric"><option value="">any</option></select></label>'
        '<label>from <input name="low" inputmode="decimal" size="7" autocomplete="off"></label>'
        '<label>to <input name="high" inputmode="decimal" size="7" autocomplete="off"></label>'
        if figures["metrics"]
        else ""
    )
    body = (
        f'<form class="tools" id="runs-filter" aria-label="Filter runs">{"".join(choices)}{bounds}'
        '<label>Find <input name="find" type="search" placeholder="id, value…" autocomplete="off"></label>'
        '<button type="reset">Clear</button><button type="button" id="runs-save">Save as CSV</button></form>'
        f'<p class="note" id="runs-note" aria-live="polite"></p>{columns}'
        '<div class="scroll" tabindex="0" role="region" aria-label="Runs"><table id="runs-table" class="listed">'
        "<caption>Runs</caption><thead></thead><tbody></tbody></table></div>"
        '<nav class="pager" aria-label="Pages of runs"><button type="button" data-page="first">« First</button>'
        '<button type="button" data-page="back">‹ Back</button><span id="runs-page"></span>'
        '<button type="button" data-page="next">Next ›</button><button type="button" data-page="last">Last »</button>'
        '<label>Rows <select id="runs-rows"><option>20</option><option>50</option><option>200</option></select>'
        "</label></nav>"
    )
    return section("runs", TITLES["runs"], body, lead=lead)


def heatmap(figures: Figures) -> str:
    """Return the place of the map of any two things that vary."""
    lead = (
        "Each cell is the runs that share two values; what else varies is put together as chosen, or held at one "
        "value. A good cell among bad ones is luck more often than insight: look for regions."
    )
    tools = (
        f"{_select('heatmap-x', 'Across')}{_select('heatmap-y', 'Down')}{_select('heatmap-metric', 'Metric')}"
        f"{_select('heatmap-aggregate', 'Others', _AGGREGATES)}{_segment(figures, 'heatmap')}"
        '<span class="slices" id="heatmap-slices"></span>'
    )
    body = f'<div class="tools">{tools}</div>{_note("heatmap")}{chart("heatmap", _LABELS["heatmap"], size="high")}'
    return _charted("heatmap", figures, body, lead)


def parallel(figures: Figures) -> str:
    """Return the place of the parallel coordinates."""
    lead = "Each line is a run. Drag along an axis to keep the runs of a stretch, double-click to let it go."
    tools = f"{_select('parallel-metric', 'Colour')}{_segment(figures, 'parallel')}"
    drawing = (
        f'<div class="scroll"><canvas id="parallel-lines" role="img" aria-label="{esc(_LABELS["parallel"])}"></canvas>'
        "</div>"
    )
    body = (
        f'<div class="tools">{tools}<button type="button" id="parallel-clear">Clear stretches</button></div>'
        f"{_note('parallel')}{drawing}"
    )
    return _charted("parallel", figures, body, lead)


def pareto(figures: Figures) -> str:
    """Return the place of the front of two metrics."""
    lead = "Runs on the line are those that no other run beats in one of the two metrics without losing in the other."
    ways = (("1", "more is better"), ("-1", "less is better"))
    tools = (
        f"{_select('pareto-x', 'Across')}{_select('pareto-x-way', '', ways)}"
        f"{_select('pareto-y', 'Up')}{_select('pareto-y-way', '', ways)}{_segment(figures, 'pareto')}"
    )
    body = (
        f'<div class="tools">{tools}</div>{_note("pareto")}{chart("pareto", _LABELS["pareto"], size="high")}'
        f"{_filled('pareto-table', 'Runs on the front')}"
    )
    return _charted("pareto", figures, body, lead)


def stability(figures: Figures) -> str:
    """Return the places of results over time and of what would have been chosen."""
    periods = figures["periods"]
    objective = figures["objectives"][0]["metric"]
    if periods["of_folds"]:
        lead = (
            "All parameter sets on the test of each fold: box from 25 % to 75 %, whiskers 5 % and 95 %, line at the "
            "median. Points are what was best on the train window of the fold by the objective, on its test."
        )
        words = (
            f"What {objective} chooses on train, and what it made on test. “Beats” is the share of the parameter sets "
            "that did not do better on the test: about 50 % is chance. “Rank” correlates the order on train with the "
            "order on test: 1 is the same order, 0 none."
        )
    else:
        lead = (
            "All parameter sets in each window: box from 25 % to 75 %, whiskers 5 % and 95 %, line at the median. "
            "Points are what was best by the objective in the window before."
        )
        words = (
            f"What {objective} chooses in each window, and what it made in the next. “Beats” is the share of the "
            "parameter sets that did not do better there: about 50 % is chance. “Rank” correlates the order in both "
            "windows: 1 is the same order, 0 none."
        )
    body = (
        f'<div class="tools">{_select("stability-metric", "Metric")}</div>{_note("stability")}'
        f"{chart('stability', _LABELS['stability'])}"
        f'<p class="lead">{esc(words)}</p>{_filled("stability-table", "What would have been chosen")}'
    )
    return _charted("stability", figures, body, lead)


def oos(figures: Figures) -> str:
    """Return the places of the results out of sample."""
    lead = (
        "Results on test windows, which had no part in the choice, beside those on train windows. What was chosen on "
        "train is a row of its own: the distance between its two results is what the choice promised too much."
    )
    body = (
        f'<div class="tools">{_select("oos-metric", "Metric")}</div>{_note("oos")}'
        f'<div class="pair"><div><h3>Distribution</h3>{chart("oos", _LABELS["oos"])}</div>'
        f"<div><h3>Each parameter set of each fold</h3>{chart('oos-pairs', _LABELS['oos-pairs'])}</div></div>"
        f"{_filled('oos-table', 'Results in and out of sample')}{_equity(figures)}"
    )
    return _charted("oos", figures, body, lead)


def costs(figures: Figures) -> str:
    """Return the places of the results under each set of costs."""
    lead = (
        "The same runs under each set of costs: box from 25 % to 75 %, whiskers 5 % and 95 %, line at the median. The "
        "lines are the parameter sets that are best under the first set, by their median."
    )
    body = (
        f'<div class="tools">{_select("costs-metric", "Metric")}</div>{_note("costs")}'
        f"{chart('costs', _LABELS['costs'])}{_filled('costs-table', 'Results under each set of costs')}"
    )
    return _charted("costs", figures, body, lead)


def failures(figures: Figures) -> str:
    """Return why runs failed, the most frequent reason first."""
    found = figures["failures"]
    if not found:
        left = figures["counts"]["pending"]
        also = f", and {count(left)} have not been computed yet" if left else ""
        return section("failures", TITLES["failures"], empty(f"No run failed{also}."))
    rows = "".join(_failure(one) for one in found)
    head = "".join(f'<th scope="col"{kind}>{esc(name)}</th>' for name, kind in _FAILURE_HEAD)
    body = (
        '<div class="scroll" tabindex="0" role="region" aria-label="Reasons of failed runs"><table class="reasons">'
        f"<caption>Reasons of failed runs</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    lead = f"{counted(figures['counts']['failed'], 'run')} failed; runs that failed alike are one row."
    return section("failures", TITLES["failures"], body, lead=lead)


_LABELS: Final = {
    "heatmap": "Metric by two things that vary",
    "parallel": "Runs as lines across parameters and metrics",
    "pareto": "Runs by two metrics, with the front",
    "stability": "Metric in each period",
    "oos": "Distribution of a metric on train and test windows",
    "oos-pairs": "Metric on the train and the test window of a fold",
    "oos-equity": "Return of the chosen tests, one after another",
    "costs": "Metric under each set of costs",
}
_FAILURE_HEAD: Final = (
    ("Code", ""),
    ("Runs", ' class="num"'),
    ("Attempts", ' class="num"'),
    ("What happened", ""),
    ("What to do", ""),
    ("For example", ""),
)


def _failure(one: Mapping[str, Any]) -> str:
    where = f" ({one['where']})" if one["where"] else ""
    expected = f"; expected {one['expected']}" if one["expected"] else ""
    what = f"{one['what']}{where}{expected}" or "The reason is in the ledger of the matrix."
    examples = " ".join(f"<code>{esc(run_id)}</code>" for run_id in one["examples"])
    tries = UNDEFINED if one["attempts"] is None else count(one["attempts"])
    code = (
        f'<button type="button" class="link" data-reason="{esc(one["code"])}">{esc(one["code"])}</button>'
        if one["code"]
        else UNDEFINED
    )
    return (
        f'<tr><th scope="row">{code}</th><td class="num">{count(one["count"])}</td><td class="num">{tries}</td>'
        f"<td>{esc(what)}</td><td>{esc(one['remedy'] or UNDEFINED)}</td><td>{examples}</td></tr>"
    )


def _equity(figures: Figures) -> str:
    """Return the place of the equity of the chosen tests and its figures; nothing where it is not known."""
    found = figures["stitched"]
    if not found:
        return ""
    head = ["", "Folds", "Return", "Sharpe ratio", "Max drawdown"]
    rows: list[list[Cell]] = [
        [
            one["label"],
            count(one["folds"]),
            signed(one["total"], percent(one["total"], signed=True)),
            number(one["sharpe"]),
            percent(one["max_drawdown"]),
        ]
        for one in found
    ]
    return (
        "<h3>The tests of what was chosen, one after another</h3>"
        f"{chart('oos-equity', _LABELS['oos-equity'])}" + table("Tests one after another", head, rows, compact=True)
    )


def _charted(name: str, figures: Figures, body: str, lead: str) -> str:
    why = figures["charts"][name].get("none")
    if why is not None:
        return section(name, TITLES[name], empty(why))
    return section(name, TITLES[name], body, lead=lead)


def _select(name: str, title: str, options: Iterable[tuple[str, str]] = ()) -> str:
    """Return a choice; the script fills it where no options are given."""
    listed = "".join(f'<option value="{esc(value)}">{esc(text)}</option>' for value, text in options)
    label = f"<label>{esc(title)} " if title else "<label>"
    aria = "" if title else f' aria-label="{esc(name.replace("-", " "))}"'
    return f'{label}<select id="{esc(name)}"{aria}>{listed}</select></label>'


def _segment(figures: Figures, name: str) -> str:
    """Return the choice between train and test where there are folds."""
    if not figures["periods"]["of_folds"]:
        return ""
    return _select(f"{name}-segment", "Windows", (("judged", "test"), ("train", "train"), ("all", "all")))


def _note(name: str) -> str:
    return f'<p class="note" id="{esc(name)}-note" aria-live="polite"></p>'


def _filled(name: str, caption: str) -> str:
    """Return a table that the script fills."""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(caption)}"><table id="{esc(name)}">'
        f"<caption>{esc(caption)}</caption><thead></thead><tbody></tbody></table></div>"
    )


def _is_offered(axis: Mapping[str, Any]) -> bool:
    levels: Sequence[str] = axis["levels"] or axis["labels"]
    return axis["codes"] is not None and len(levels) <= _OPTIONS_MAX


def _filter(axis: Mapping[str, Any]) -> str:
    options = [("", "all"), *((str(code), text) for code, text in enumerate(axis["levels"] or axis["labels"]))]
    listed = "".join(f'<option value="{value}">{esc(text)}</option>' for value, text in options)
    return f'<label>{esc(axis["title"])} <select name="{esc(axis["name"])}">{listed}</select></label>'
