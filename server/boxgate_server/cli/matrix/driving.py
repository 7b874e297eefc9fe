"""`boxgate matrix run` and `resume`: computing, and what came of it."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from boxgate_server.cli.answer import INTERRUPTED, JsonObject, answer, line
from boxgate_server.cli.matrix.outcome import outcome_fields, outcome_rows
from boxgate_server.cli.matrix.page import page_figures, page_path, write_page
from boxgate_server.cli.matrix.planned import begun, fetched, planned
from boxgate_server.cli.matrix.progress import shown_progress
from boxgate_server.cli.matrix.state import SCHEMA, failures_of, run_counts, show_failures
from boxgate_server.cli.numerals import count, duration
from boxgate_server.cli.summary import show_rows
from boxgate_server.matrix.driver import Driven, drive
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.published import publish_page
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import sets_to_come
from boxgate_server.own_process import leave_pandas_out


def drive_matrix(config: Path, overrides: list[str] | None, *, resume: bool, as_json: bool, debug: bool) -> None:
    """Compute, show what came of it, and exit: 1 if a run failed, 130 if it was cancelled.

    resume: the matrix must have been begun, and what failed is tried again unless nothing could mend it.
    """
    known: JsonObject = {}
    ended: list[Driven] = []

    def work() -> JsonObject:
        file, plan, folder = planned(config, overrides)
        known["matrix_id"] = plan.matrix_id
        leave_pandas_out()
        (begun if resume else fetched)(folder)
        # Imported here: the other commands of the matrix compute nothing.
        from boxgate_server.cluster.choice import execution_of

        with execution_of(file, plan, folder=Path.cwd(), store=folder.runs) as execution:
            with shown_progress() as tell:
                driven = drive(plan, file, folder, execution, retry_failed=resume, tell=tell)
            startup_s = getattr(execution, "startup_s", 0.0)
        ended.append(driven)
        with Ledger(folder.ledger) as ledger:
            failures = failures_of(ledger)
            to_come = sets_to_come(plan, ledger) * len(plan.settings)
        page = write_page(page_figures(file, folder, page_path(folder)), page_path(folder))
        publish_page(folder, page)
        fields = _driven_fields(plan, folder, driven, failures, startup_s, to_come)
        return {**fields, "report": str(page.resolve()), **outcome_fields(folder)}

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug, known=known)
    if ended[0].cancelled:
        raise typer.Exit(INTERRUPTED)
    if ended[0].counts.failed:
        raise typer.Exit(1)


def _driven_fields(
    plan: Plan, folder: MatrixFolder, driven: Driven, failures: list[JsonObject], startup_s: float, to_come: int
) -> JsonObject:
    counts = driven.counts
    status = "cancelled" if driven.cancelled else "failed" if counts.failed else "complete"
    return {
        "status": status,
        "matrix_id": plan.matrix_id,
        "planned": counts.planned + to_come,
        "complete": counts.complete,
        "failed": counts.failed,
        "pending": counts.pending + to_come,
        "reused": driven.reused,
        "computed": driven.computed,
        "store": folder.shown_store,
        "index": folder.shown_index,
        "wall_s": driven.seconds,
        "ray_startup_s": startup_s,
        "matrix_digest": driven.matrix_digest,
        "failures": failures,
    }


def _show(fields: JsonObject, console: Console) -> None:
    show_rows(
        console,
        [
            ("matrix", fields["matrix_id"]),
            ("runs", run_counts(fields)),
            ("computed", f"{count(fields['computed'])} in {duration(fields['wall_s'])}"),
            ("were there", count(fields["reused"])),
            ("digest", fields["matrix_digest"]),
            ("index", fields["index"]),
            ("page", fields["report"]),
            *outcome_rows(fields),
        ],
    )
    show_failures(fields, console)
    if fields["status"] == "cancelled":
        line(console, "cancelled; boxgate matrix resume goes on")


def with_address(overrides: list[str] | None, address: str | None) -> list[str] | None:
    """Return the overrides with those that an address stands for."""
    if address is None:
        return overrides
    return [*(overrides or []), "runner.concurrency.strategy=distributed", f"runner.ray.address={address}"]
