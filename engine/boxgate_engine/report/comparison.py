"""Several runs on one page: where their assumptions differ, their metrics side by side, their curves overlaid."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from boxgate_engine.report.document import bar, document
from boxgate_engine.report.extremes import Floats, Integers, thin, time_steps
from boxgate_engine.report.markup import Cell, chart, empty, esc, section, table
from boxgate_engine.report.metric_values import metric_title, shown_metric
from boxgate_engine.report.numerals import UNDEFINED, count, instant, number
from boxgate_engine.report.run_files import RunFiles, read_run_files
from boxgate_engine.report.strategy_name import strategy_name

SCHEMA: Final = "boxgate.comparison/1"
"""The `schema` of the page's data."""

TITLES: Final = {
    "assumptions": "Differences of assumptions",
    "metrics": "Metrics",
    "equity": "Return",
    "drawdown": "Drawdown",
    "correlation": "Correlation",
}
"""Title of each section by its id, in page order."""

_DIGEST: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")
_BUCKETS: Final = 2_000
"""Buckets of a curve: several of them share the page."""
_DAY_NS: Final = 86_400_000_000_000
_COMMON_DAYS_MIN: Final = 10
"""Common daily returns below which a correlation says nothing."""
_BETTER: Final = {
    "return.total": 1, "return.cagr": 1, "risk.max_drawdown": -1, "risk.max_drawdown_daily": -1, "risk.volatility": -1,
    "ratio.sharpe": 1, "ratio.sortino": 1, "ratio.mar": 1, "trades.win_rate": 1, "trades.payoff": 1,
    "trades.profit_factor": 1,
}  # fmt: skip
"""Metrics of which more (1) or less (-1) is better whatever the currency and the size of the account."""
_GROUPS: Final = ("return", "ratio", "risk", "trades", "exposure", "costs", "equity", "counts")
_WEIGHTY: Final = {
    "dataset": "they rest on different data",
    "instruments": "they trade different instruments",
    "frames": "they see different frames",
    "window.start": "they begin at different times",
    "window.end": "they end at different times",
    "account.currency": "they are counted in different currencies",
    "account.cash": "they begin with different cash",
    "engine": "they were computed by different versions of the engine",
}
"""Differences that make figures hard to compare, each with its clause."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedRun:
    """One run of a comparison. assumptions: every key that made the result, by dotted path, as text for people."""

    run_id: str
    result_digest: str
    name: str
    files: RunFiles
    assumptions: Mapping[str, str]

    @property
    def metrics(self) -> dict[str, Any]:
        """The metrics by dotted path, in the order of their groups."""
        found = self.files.metrics
        return {f"{group}.{key}": found[group][key] for group in _GROUPS for key in sorted(found.get(group, {}))}


def read_compared(folder: Path, *, run_id: str, result_digest: str) -> ComparedRun:
    """Return a run as a comparison needs it. Raises UserMistake RUN_UNREADABLE."""
    files = read_run_files(folder)
    return ComparedRun(
        run_id=run_id,
        result_digest=result_digest,
        name=strategy_name(files),
        files=files,
        assumptions=_assumptions(files),
    )


def differing(runs: Sequence[ComparedRun]) -> dict[str, list[str]]:
    """Return the assumptions that are not the same in all runs: path -> one text a run, `–` where it has none."""
    paths = dict.fromkeys(path for run in runs for path in run.assumptions)
    rows = {path: [run.assumptions.get(path, UNDEFINED) for run in runs] for path in paths}
    return {path: texts for path, texts in rows.items() if len(set(texts)) > 1}


def remarks(runs: Sequence[ComparedRun]) -> list[str]:
    """Return clauses that say why figures of these runs are hard to compare; none if they are not."""
    return [clause for path, clause in _WEIGHTY.items() if path in differing(runs)]


def shown_assumption(text: str) -> str:
    """Return an assumption as people read it: of a digest the beginning."""
    return f"{text[:19]}…" if _DIGEST.fullmatch(text) else text


def render_comparison(runs: Sequence[ComparedRun]) -> str:
    """Return the page: HTML that is equal for equal input and asks for nothing outside itself. runs: two or more."""
    labels = [f"{chr(65 + i) if i < 26 else i + 1}" for i in range(len(runs))]
    differences = differing(runs)
    correlations = _correlations(runs)
    data = {
        "schema": SCHEMA,
        "runs": [
            {
                "label": label,
                "run_id": run.run_id,
                "result_digest": run.result_digest,
                "name": run.name,
                "params": run.files.params,
                "metrics": run.files.metrics,
                "return": _curve(run.files.time_ns, run.files.equity / run.files.equity[0] - 1),
                "drawdown": _curve(run.files.time_ns, run.files.drawdown),
            }
            for label, run in zip(labels, runs, strict=True)
        ],
        "differences": differences,
        "correlations": correlations,
    }
    body = "".join(
        [
            _assumptions_section(runs, labels, differences),
            _metrics_section(runs, labels),
            section(
                "equity",
                TITLES["equity"],
                chart("equity", "Return of each run since its start, overlaid"),
                lead="Equity over the cash at the start, less one, so that accounts of any size and currency compare.",
            ),
            section("drawdown", TITLES["drawdown"], chart("drawdown", "Drawdown of each run, overlaid", size="low")),
            _correlation_section(labels, correlations),
        ]
    )
    return document(
        title=f"{len(runs)} runs compared",
        header=_header(runs, labels),
        body=body,
        footer="<footer><p>A backtest is a calculation on past prices under the assumptions above. "
        "It is no promise.</p></footer>\n",
        data=data,
        scripts=("comparison.js",),
    )


def _assumptions(files: RunFiles) -> dict[str, str]:
    identity, resolved = files.config["identity"], files.config["resolved"]
    found: dict[str, str] = {"strategy": " ".join(resolved.get("strategy", {}).get("command", [])) or "attached"}
    found["strategy.digest"] = str(identity["strategy"].get("digest", ""))
    found |= {f"params.{name}": _text(value) for name, value in sorted(files.params.items())}
    found["dataset"] = str(identity["dataset"])
    found["instruments"] = ", ".join(identity["instruments"])
    found["frames"] = ", ".join(identity["frames"])
    found["window.start"] = instant(int(identity["window"]["start_ns"]))
    found["window.end"] = instant(int(identity["window"]["end_ns"]))
    for name in ("account", "costs", "execution", "warmup"):
        found |= {path: _text(value) for path, value in _flat(resolved.get(name, {}), name)}
    found |= {name: str(identity.get(name, "")) for name in ("mode", "master_seed", "engine", "contract")}
    return found


def _flat(value: Any, path: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [entry for key in sorted(value) for entry in _flat(value[key], f"{path}.{key}")]
    return [(path, value)]


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)


def _curve(time_ns: Integers, values: Floats) -> dict[str, Any]:
    kept = thin(time_ns, values, _BUCKETS)
    return {"rows": len(time_ns), "time": time_steps(time_ns[kept]), "value": np.round(values[kept], 8).tolist()}


def _correlations(runs: Sequence[ComparedRun]) -> list[list[float | None]]:
    """Return Pearson's correlation of the daily returns of each two runs, on the days that both have."""
    daily = [_daily_returns(run.files.time_ns, run.files.equity) for run in runs]
    return [[_correlation(one, other) for other in daily] for one in daily]


def _daily_returns(time_ns: Integers, equity: Floats) -> dict[int, float]:
    """Return simple returns between the last marks of UTC days, by day since 1970; the first day has none."""
    days = time_ns // _DAY_NS
    ends = np.append(np.flatnonzero(np.diff(days)), len(days) - 1)
    marks = equity[ends]
    return {
        int(day): float(now / before - 1)
        for day, before, now in zip(days[ends][1:], marks[:-1], marks[1:], strict=True)
        if before > 0
    }


def _correlation(one: Mapping[int, float], other: Mapping[int, float]) -> float | None:
    common = sorted(one.keys() & other.keys())
    if len(common) < _COMMON_DAYS_MIN:
        return None
    first, second = (np.array([returns[day] for day in common]) for returns in (one, other))
    first, second = first - math.fsum(first) / len(common), second - math.fsum(second) / len(common)
    scale = math.sqrt(math.fsum(first * first) * math.fsum(second * second))
    return math.fsum(first * second) / scale if scale > 0 else None


def _header(runs: Sequence[ComparedRun], labels: Sequence[str]) -> str:
    rows = "".join(
        f'<li><strong class="run-{index}">{esc(label)}</strong> {esc(run.name)} '
        f"{esc(', '.join(run.files.config['identity']['instruments']))} <code>{esc(run.run_id)}</code></li>"
        for index, (label, run) in enumerate(zip(labels, runs, strict=True))
    )
    return (
        f'<a class="skip" href="#assumptions">Skip to the differences</a>\n<header>\n{bar(TITLES)}'
        f'<div class="title"><h1>{len(runs)} runs compared</h1><ul class="chips" aria-label="Runs">{rows}</ul></div>\n'
        "</header>\n<noscript><p class='empty'>Charts need JavaScript; it runs inside this page only.</p></noscript>\n"
    )


def _assumptions_section(
    runs: Sequence[ComparedRun], labels: Sequence[str], differences: Mapping[str, Sequence[str]]
) -> str:
    clauses = remarks(runs)
    verdict = (
        f"Read the figures with care: {'; '.join(clauses)}."
        if clauses
        else "Data, window and account are the same."
        if differences
        else "All assumptions are the same: the runs differ in nothing that could change a result."
    )
    shared = len(dict.fromkeys(path for run in runs for path in run.assumptions)) - len(differences)
    body = f'<p class="verdict">{esc(verdict)}</p>'
    if differences:
        rows = [[path, *map(shown_assumption, texts)] for path, texts in differences.items()]
        body += table(
            "Differences of assumptions", ["Assumption", *labels], rows, text_columns=len(runs) + 1, beside=True
        )
    body += f'<p class="note">{count(shared)} further assumptions are the same in all of them.</p>'
    return section("assumptions", TITLES["assumptions"], body)


def _metrics_section(runs: Sequence[ComparedRun], labels: Sequence[str]) -> str:
    metrics = [run.metrics for run in runs]
    rows: list[list[Cell]] = []
    for path in dict.fromkeys(path for found in metrics for path in found):
        values = [found.get(path) for found in metrics]
        best = _best(values, _BETTER.get(path, 0))
        cells: list[Cell] = [
            (text, "best") if value is not None and value == best else text
            for value, text in (
                (value, _breakable(shown_metric(path, value, run.files.currency)))
                for value, run in zip(values, runs, strict=True)
            )
        ]
        rows.append([metric_title(path), *cells])
    lead = "The best of a row is marked where more or less is better whatever the size of the account."
    shown = table("Metrics", ["Metric", *labels], rows, compact=True, beside=True)
    return section("metrics", TITLES["metrics"], shown, lead=lead)


def _breakable(text: str) -> str:
    """Return a value whose unit may stand below its number, where several runs share a narrow page."""
    return text.replace("\u00a0", " ")


def _best(values: Sequence[Any], direction: int) -> float | None:
    known = [value for value in values if value is not None]
    if not direction or len(known) < 2 or len(set(known)) == 1:
        return None
    return float(max(known) if direction > 0 else min(known))


def _correlation_section(labels: Sequence[str], correlations: Sequence[Sequence[float | None]]) -> str:
    lead = "Of the returns of UTC days that both runs have."
    others = [value for i, row in enumerate(correlations) for j, value in enumerate(row) if i != j]
    if all(value is None for value in others):
        return section("correlation", TITLES["correlation"], empty(f"Fewer than {_COMMON_DAYS_MIN} common days."))
    rows: list[list[Cell]] = [
        [label, *(number(value) for value in row)] for label, row in zip(labels, correlations, strict=True)
    ]
    return section(
        "correlation", TITLES["correlation"], table("Correlation", ["", *labels], rows, compact=True), lead=lead
    )
