"""`boxgate compare`: several published runs on one page and side by side in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from boxgate_engine.errors import StoreFailed, UserMistake
from boxgate_engine.report.comparison import (
    ComparedRun,
    differing,
    read_compared,
    remarks,
    render_comparison,
    shown_assumption,
)
from boxgate_engine.report.metric_values import shown_metric
from boxgate_server.cli.answer import JsonObject, answer, line, visible
from boxgate_server.cli.published import open_published

SCHEMA: Final = "boxgate.compare/1"
_RUNS_MAX: Final = 30
_SHOWN: Final = (
    "return.net_profit",
    "return.total",
    "return.cagr",
    "ratio.sharpe",
    "ratio.sortino",
    "ratio.mar",
    "risk.max_drawdown",
    "risk.volatility",
    "trades.count",
    "trades.win_rate",
    "trades.profit_factor",
    "costs.fees",
    "exposure.time_fraction",
)
"""Metrics that the terminal shows; the page has all."""
_OURS: Final = b'<meta name="generator" content="Boxgate">'


def compare(names: Sequence[str], output: Path, *, store: Path, as_json: bool, debug: bool) -> None:
    """Compare and answer. names: as `open_published` takes them. output: file of the page."""
    compared: list[ComparedRun] = []

    def work() -> JsonObject:
        _check(names, output)
        for name in names:
            stored = open_published(name, store)
            if any(stored.run_id == one.run_id for one in compared):
                raise UserMistake(
                    f"run {stored.run_id} is named twice",
                    code="RUN_TWICE",
                    where=name,
                    expected="different runs",
                    remedy="name each run once",
                )
            compared.append(read_compared(stored.folder, run_id=stored.run_id, result_digest=stored.result_digest))
        page = render_comparison(compared)
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(page, encoding="utf-8", newline="\n")
        except OSError as error:
            raise StoreFailed(
                f"the page cannot be written: {error.strerror or error}", code="STORE_IO", where=str(output)
            ) from error
        return {
            "page": str(output.resolve()),
            "differences": differing(compared),
            "remarks": remarks(compared),
            "runs": [
                {"run_id": one.run_id, "result_digest": one.result_digest, "metrics": one.files.metrics}
                for one in compared
            ],
        }

    def show(fields: JsonObject, console: Console) -> None:
        _show(compared, fields, console)

    answer(SCHEMA, work, show, as_json=as_json, debug=debug)


def _check(names: Sequence[str], output: Path) -> None:
    if not 2 <= len(names) <= _RUNS_MAX:
        raise UserMistake(
            f"{len(names)} run{'' if len(names) == 1 else 's'} cannot be compared",
            code="USAGE",
            where="boxgate compare",
            expected=f"2 to {_RUNS_MAX} runs",
            remedy="name more or fewer; boxgate runs list shows what there is",
        )
    if output.exists() and not (output.is_file() and _OURS in output.read_bytes()[:4096]):
        raise UserMistake(
            "there is a file of this name that is no page of Boxgate",
            code="OUTPUT_EXISTS",
            where=str(output),
            expected="a new name, or an earlier page to replace",
            remedy="name another file with -o",
        )


def _show(compared: Sequence[ComparedRun], fields: JsonObject, console: Console) -> None:
    labels = [chr(65 + i) if i < 26 else str(i + 1) for i in range(len(compared))]
    for label, run in zip(labels, compared, strict=True):
        line(console, f"{label}  {visible(run.name)}  {run.run_id}")
    differences = fields["differences"]
    line(console, "" if differences else "\nAll assumptions are the same.")
    if differences:
        shown = [(path, [shown_assumption(text) for text in texts]) for path, texts in differences.items()]
        console.print(_table("differs", labels, shown, numbers=False))
        if fields["remarks"]:
            line(console, f"Read the figures with care: {'; '.join(fields['remarks'])}.")
        line(console, "")
    rows = [
        (path, [shown_metric(path, run.metrics.get(path), run.files.currency) for run in compared]) for path in _SHOWN
    ]
    console.print(_table("metric", labels, rows, numbers=True))
    line(console, visible(fields["page"]))


def _table(title: str, labels: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], *, numbers: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(title, no_wrap=True)
    for label in labels:
        table.add_column(label, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for name, texts in rows:
        table.add_row(Text(visible(name)), *(Text(visible(text)) for text in texts))
    return table
