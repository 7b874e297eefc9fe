"""`boxgate matrix report`: one page of all runs of a matrix, and its index and charts as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import JsonObject, answer, line, visible
from boxgate_server.cli.matrix.page import page_figures, page_path, write_page
from boxgate_server.cli.matrix.planned import begun
from boxgate_server.cli.numerals import count
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.published import publish_page

SCHEMA: Final = "boxgate.matrix-report/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outputs:
    """Where things are written. page: None for report.html of the matrix. Of the others None is not at all."""

    page: Path | None = None
    png: Path | None = None
    csv: Path | None = None
    parquet: Path | None = None


def report_matrix(
    planned: Callable[[], tuple[MatrixFile, MatrixFolder]], outputs: Outputs, *, as_json: bool, debug: bool
) -> None:
    """Render, export and answer. planned: returns the file of the matrix and its folder."""
    known: JsonObject = {}

    def work() -> JsonObject:
        file, folder = planned()
        known["matrix_id"] = folder.matrix_id
        begun(folder)
        page = page_path(folder) if outputs.page is None else outputs.page
        figures = page_figures(file, folder, page)
        write_page(figures, page)
        if outputs.page is None:
            publish_page(folder, page)
        written = _export(figures, folder.index, outputs)
        counts = figures["counts"]
        with Ledger(folder.ledger) as ledger:
            newer = ledger.counts().complete - counts["complete"]
        return {
            "status": "complete",
            "matrix_id": folder.matrix_id,
            "matrix_digest": figures["matrix_digest"],
            **{name: counts[name] for name in ("planned", "complete", "failed", "pending", "listed")},
            "not_in_index": max(0, newer),
            "report": str(page.resolve()),
            "bytes": page.stat().st_size,
            "exports": [str(path) for path in written],
        }

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug, known=known)


def _export(figures: dict[str, Any], index: Path, outputs: Outputs) -> list[Path]:
    """Write what was asked for and return the files. Raises UserMistake where a place cannot be written."""
    from boxgate_engine.report.matrix import write_csv, write_matrix_pictures, write_parquet

    written: list[Path] = []
    try:
        if outputs.png is not None:
            written += write_matrix_pictures(figures, outputs.png)
        if outputs.csv is not None:
            written.append(write_csv(index, outputs.csv))
        if outputs.parquet is not None:
            written.append(write_parquet(index, outputs.parquet))
    except OSError as error:
        raise UserMistake(
            f"an export cannot be written: {error.strerror or error}",
            code="EXPORT_UNWRITABLE",
            where=str(error.filename or "--png, --csv or --parquet"),
            expected="a place that can be written",
            remedy="name another one",
        ) from error
    return written


def _show(fields: JsonObject, console: Console) -> None:
    left_out = fields["planned"] - fields["listed"]
    if left_out:
        line(console, f"the page leaves {count(left_out)} runs out; the index has all {count(fields['planned'])}")
    if fields["not_in_index"]:
        line(console, f"{count(fields['not_in_index'])} runs came after the index, which is written when a driver ends")
    if fields["pending"]:
        line(console, f"{count(fields['pending'])} runs of the index were not computed yet")
    for path in fields["exports"]:
        line(console, visible(path))
    line(console, visible(fields["report"]))
