"""The state of a matrix: its runs by what became of them, who computes, and why runs failed."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from rich.console import Console

from boxgate_engine.errors import StoreFailed
from boxgate_server.cli.answer import JsonObject, line, visible, without_frames
from boxgate_server.cli.numerals import count
from boxgate_server.cli.summary import show_rows
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.index import matrix_digest
from boxgate_server.matrix.keeping.ledger import Entry, Ledger
from boxgate_server.matrix.keeping.sign import driver_there
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import sets_to_come

SCHEMA: Final = "boxgate.matrix/1"
_FAILURES_SHOWN: Final = 10


def status_fields(folder: MatrixFolder, ledger: Ledger, plan: Plan) -> JsonObject:
    """Return how far a matrix is and who computes it."""
    counts, driver = ledger.counts(), ledger.driver()
    if driver is None:
        with suppress(StoreFailed):
            driver = driver_there(folder)
    to_come = sets_to_come(plan, ledger) * len(plan.settings)
    pending = counts.pending + to_come
    state = "running" if driver else "failed" if counts.failed else "pending" if pending else "complete"
    return {
        "status": state,
        "matrix_id": folder.matrix_id,
        "planned": counts.planned + to_come,
        "complete": counts.complete,
        "failed": counts.failed,
        "pending": pending,
        "driver": None if driver is None else {"host": driver.host, "pid": driver.pid},
        "store": folder.shown_store,
        "index": folder.shown_index if folder.index.exists() else None,
        "matrix_digest": matrix_digest(ledger),
        "failures": failures_of(ledger),
    }


def show_status(fields: JsonObject, console: Console) -> None:
    """Show what status_fields gave."""
    driver = fields["driver"]
    rows = [
        ("matrix", fields["matrix_id"]),
        ("runs", run_counts(fields)),
        ("driver", "nobody computes" if driver is None else f"process {driver['pid']} of {driver['host']}"),
        ("digest", fields["matrix_digest"]),
        ("index", fields["index"] or "not written yet"),
    ]
    show_rows(console, rows)
    show_failures(fields, console)


def failures_of(ledger: Ledger) -> list[JsonObject]:
    """Return the first failed runs with their reasons."""
    failures = []
    for entry in ledger.entries("failed"):
        failures.append(_failure(entry))
        if len(failures) == _FAILURES_SHOWN:
            break
    return failures


def _failure(entry: Entry) -> JsonObject:
    assert entry.failure is not None
    told = {name: getattr(entry.failure, name) for name in ("code", "where", "expected", "remedy")}
    what = without_frames(entry.failure.what, debug=False)
    return {"run_id": entry.run_id, "attempts": entry.attempts, **told, "what": what}


def run_counts(fields: JsonObject) -> str:
    """Return `planned`, `complete`, `failed` and `pending` in words."""
    parts = [f"{count(fields[name])} {name}" for name in ("complete", "failed", "pending") if fields[name]]
    return f"{count(fields['planned'])}: {', '.join(parts) or 'none'}"


def show_failures(fields: JsonObject, console: Console) -> None:
    """Show the first of the runs that failed, and how many more there are."""
    for one in fields["failures"]:
        line(console, visible(f"  {one['run_id']} {one['code']}: {one['what']}; {one['remedy']}"))
    if fields["failed"] > len(fields["failures"]):
        line(console, f"  and {count(fields['failed'] - len(fields['failures']))} more, told in the index")
