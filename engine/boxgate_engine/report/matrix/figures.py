"""The data of the page: every number that it shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any, Final

from boxgate_engine.report.extremes import thin, time_steps
from boxgate_engine.report.matrix.axes import find_axes
from boxgate_engine.report.matrix.facts import MatrixFacts, Reason, Stitched
from boxgate_engine.report.matrix.index import MatrixIndex
from boxgate_engine.report.matrix.measures import find_measures, shortened
from boxgate_engine.report.matrix.periods import find_periods
from boxgate_engine.report.matrix.summaries import summarise
from boxgate_engine.report.numerals import currency_decimals

SCHEMA: Final = "boxgate.matrix-page/1"
_REASONS_MAX: Final = 200
_EXAMPLES: Final = 3
_TEXT_MAX: Final = 400
_STITCHED_MAX: Final = 12
"""Curves of one chart: more could not be told apart."""
_BUCKETS: Final = 600

Figures = dict[str, Any]


def build_figures(index: MatrixIndex, facts: MatrixFacts) -> Figures:
    """Return the data of the page of a matrix."""
    runs = index.runs
    axes = find_axes(runs, index.params, facts.cost_sets)
    measures = find_measures(index, facts)
    periods = find_periods(index, facts)
    ids = runs["run_id"].to_list()
    return {
        "schema": SCHEMA,
        "matrix_id": facts.matrix_id,
        "matrix_digest": index.digest,
        "name": facts.name,
        "currency": facts.currency,
        "currency_decimals": currency_decimals(facts.currency),
        "search": facts.search,
        "walk_forward": facts.walk_forward,
        "objectives": [asdict(one) for one in facts.objectives],
        "constraints": [asdict(one) for one in facts.constraints],
        "counts": {
            "planned": index.planned,
            "complete": index.complete,
            "failed": index.failed,
            "pending": index.pending,
            "listed": runs.height,
        },
        "runs": {
            "run_id": ids,
            "attempts": runs["attempts"].to_list(),
            "also_folds": _sparse(runs["also_folds"].to_list()) if "also_folds" in runs.columns else {},
            "pages_at": facts.runs_at,
            "pages": [row for row, run_id in enumerate(ids) if facts.has_page(run_id)],
        },
        "axes": [axis.data() for axis in axes],
        "metrics": [measure.data() for measure in measures],
        "metrics_in_index": len(index.metrics),
        "periods": periods.data(),
        "failures": _failures(index, facts),
        "stitched": [_stitched(one) for one in facts.stitched[:_STITCHED_MAX]],
        "luck": None if facts.luck is None else asdict(facts.luck),
        "charts": summarise(axes, measures, periods, facts.objectives),
    }


def _stitched(one: Stitched) -> dict[str, Any]:
    kept = thin(one.time_ns, one.equity, _BUCKETS)
    return {
        "label": one.label,
        "folds": one.folds,
        "total": one.total,
        "sharpe": one.sharpe,
        "max_drawdown": one.max_drawdown,
        "time": time_steps(one.time_ns[kept]),
        "value": [shortened(value) for value in (one.equity[kept] / one.cash - 1.0).tolist()],
    }


def _sparse(values: list[Any]) -> dict[str, Any]:
    return {str(row): value for row, value in enumerate(values) if value is not None}


def _failures(index: MatrixIndex, facts: MatrixFacts) -> list[dict[str, Any]]:
    """Return the reasons of failed runs, the most frequent first, with how many runs and some of them."""
    failed = index.runs.filter(index.runs["status"] == "failed")
    groups: dict[Reason, list[str]] = {}
    attempts: Counter[Reason] = Counter()
    for run_id, code, tries in failed.select("run_id", "error_code", "attempts").iter_rows():
        reason = facts.reasons.get(run_id) or Reason(code=code or "", what="", where="", expected="", remedy="")
        groups.setdefault(reason, []).append(run_id)
        attempts[reason] = max(attempts[reason], tries)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0].code, item[0].what, item[1][0]))
    return [
        {
            **{name: _cut(text) for name, text in asdict(reason).items()},
            "count": len(run_ids),
            "attempts": attempts[reason],
            "examples": run_ids[:_EXAMPLES],
        }
        for reason, run_ids in ordered[:_REASONS_MAX]
    ] + _rest(ordered[_REASONS_MAX:])


def _rest(left: list[tuple[Reason, list[str]]]) -> list[dict[str, Any]]:
    """Return one line for the reasons that have none of their own."""
    if not left:
        return []
    count = sum(len(run_ids) for _, run_ids in left)
    told = {"code": "", "what": f"{len(left)} further reasons", "where": "", "expected": "", "remedy": ""}
    return [{**told, "count": count, "attempts": None, "examples": left[0][1][:_EXAMPLES]}]


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[: _TEXT_MAX - 1]}…"
