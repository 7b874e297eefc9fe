"""The page of a matrix, composed from its index."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from boxgate_engine.report.document import bar, document
from boxgate_engine.report.markup import esc
from boxgate_engine.report.matrix import sections
from boxgate_engine.report.matrix.facts import Constraint, MatrixFacts, Objective
from boxgate_engine.report.matrix.figures import build_figures
from boxgate_engine.report.matrix.index import read_index
from boxgate_engine.report.numerals import count, counted, number

FILE_NAME: Final = "report.html"
"""Name of the page in the folder of a matrix."""
_SCRIPTS: Final = tuple(
    f"matrix/{name}.js"
    for name in ("columns", "runs", "shapes", "heatmap", "parallel", "pareto", "periods", "costs", "start")
)


def matrix_page_data(index: Path, facts: MatrixFacts) -> dict[str, Any]:
    """Return the data of the page: every number that it shows.

    index: the folder of part-*.parquet. Raises UserMistake (INDEX_MISSING, INDEX_UNREADABLE).
    """
    return build_figures(read_index(index, facts.objectives[0]), facts)


def render_matrix_page(figures: Mapping[str, Any]) -> str:
    """Return the page: HTML that is equal for equal input and asks for nothing outside itself.

    figures: as `matrix_page_data` gives them.
    """
    makers = (
        sections.runs,
        sections.heatmap,
        sections.parallel,
        sections.pareto,
        sections.stability,
        sections.oos,
        sections.costs,
        sections.failures,
    )
    return document(
        title=f"Matrix {figures['name']}",
        header=_header(figures),
        body="".join(make(figures) for make in makers),
        footer=_footer(figures),
        data=figures,
        scripts=_SCRIPTS,
        styles=("matrix/page.css",),
    )


def _header(figures: Mapping[str, Any]) -> str:
    counts = figures["counts"]
    axes = {axis["name"]: axis for axis in figures["axes"]}
    params = [axis for name, axis in axes.items() if name.startswith("p_") and axis["codes"] is not None]
    chips = [
        *(f"{count(counts[name])} {name}" for name in ("complete", "failed", "pending") if counts[name]),
        f"Search: {figures['search']}",
        *(f"Objective: {Objective(**one)}" for one in figures["objectives"]),
        *(f"Only {Constraint(**one)}" for one in figures["constraints"]),
        *([f"Walk-forward: {figures['walk_forward']}"] if figures["walk_forward"] else []),
        *_luck(figures["luck"]),
        *(f"{axis['title']}: {counted(len(axis['values']), 'value')}" for axis in params),
    ]
    shown = "".join(f"<li>{esc(chip)}</li>" for chip in chips)
    names = axes["instrument"]["labels"] if "instrument" in axes else []
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return (
        f'<a class="skip" href="#runs">Skip to the runs</a>\n<header>\n{bar(sections.TITLES)}'
        f'<div class="title"><h1>{esc(figures["name"])}</h1>'
        f'<p class="scope"><strong>{esc(listed)}</strong> <span>{esc(counted(counts["planned"], "run"))}</span> '
        f"<code>{esc(figures['matrix_id'])}</code></p>"
        f'<ul class="chips" aria-label="The matrix at a glance">{shown}</ul></div>\n</header>\n'
        "<noscript><p class='empty'>Charts and the list of runs need JavaScript; it runs inside this page only."
        "</p></noscript>\n"
    )


def _luck(luck: Mapping[str, Any] | None) -> list[str]:
    if luck is None:
        return []
    told = f"best Sharpe ratio {number(luck['sharpe'])}, by luck alone {number(luck['expected'])}"
    return [f"{counted(luck['trials'], 'trial')}: {told}; deflated {number(luck['deflated'])}"]


def _footer(figures: Mapping[str, Any]) -> str:
    return (
        f"<footer><p>Matrix <code>{esc(figures['matrix_id'])}</code> · results "
        f"<code>{esc(figures['matrix_digest'])}</code></p><p>The best of many runs is partly the luckiest. A backtest "
        "is a calculation on past prices under the assumptions of each run. It is no promise.</p></footer>\n"
    )
