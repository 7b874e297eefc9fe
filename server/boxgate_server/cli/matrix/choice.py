"""What `boxgate matrix best` tells: the best run, and its config as a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import JsonObject, line, visible
from boxgate_server.cli.matrix.outcome import deflation_words
from boxgate_server.cli.summary import show_rows
from boxgate_server.matrix.best import Chosen, best_config, best_runs, config_text
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.trials.deflation import deflation


def best_fields(file: MatrixFile, plan: Plan, folder: MatrixFolder, write: Path | None) -> JsonObject:
    """Return the best run and that of each fold. write: where its config is written, None for nowhere."""
    with Ledger(folder.ledger) as ledger:
        chosen = best_runs(plan, ledger, file.matrix.search)
        last = chosen[-1]
        luck = deflation(folder, ledger, plan, last.run_id)
    if write is not None:
        _write(write, config_text(best_config(plan, last), _remark(file, last)))
    return {
        "matrix_id": plan.matrix_id,
        "objective": str(file.matrix.search.objectives[0]),
        "best": {**asdict(last), "artifacts": f"{folder.run_store.shown}/{last.run_id}"},
        "folds": [asdict(one) for one in chosen] if last.fold is not None else [],
        "trials": asdict(luck),
        "written": None if write is None else str(write),
    }


def show_best(fields: JsonObject, console: Console) -> None:
    """Show what best_fields gave."""
    best: dict[str, Any] = fields["best"]
    rows = [
        ("run", best["run_id"]),
        (fields["objective"], f"{best['value']:.6g}"),
        *((name, visible(str(value))) for name, value in best["params"].items()),
        ("folder", best["artifacts"]),
        ("trials", deflation_words(fields["trials"]["trials"], fields["trials"])),
    ]
    if best["aggregate"] is not None:
        rows.insert(1, (f"trial {best['trial']}", f"{best['aggregate']:.6g} over all instruments, windows and costs"))
    if fields["written"]:
        rows.append(("config", visible(fields["written"])))
    show_rows(console, rows)
    for one in fields["folds"]:
        tested = "not computed" if one["test_value"] is None else f"{one['test_value']:.6g}"
        params = ", ".join(f"{name} {value}" for name, value in one["params"].items())
        line(console, visible(f"  fold {one['fold']}: train {one['value']:.6g}, test {tested} with {params}"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserMistake(
            f"the config cannot be written: {error.strerror or error}",
            code="USAGE",
            where=str(path),
            expected="a file in a folder that exists",
            remedy="name another file with --write",
        ) from None


def _remark(file: MatrixFile, chosen: Chosen) -> str:
    fold = "" if chosen.fold is None else f" on the train window of fold {chosen.fold}"
    return f"The {file.matrix.search.objectives[0]}{fold}: {chosen.value!r}, run {chosen.run_id}."
