"""The page of a matrix: its index together with what its file and its ledger say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxgate_engine.config import CostsConfig
from boxgate_server.cli.answer import without_frames
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.config.model import WalkForwardConfig
from boxgate_server.matrix.config.spans import span_text
from boxgate_server.matrix.keeping.folder import MatrixFolder, store_failed
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.trials.deflation import TRIALS
from boxgate_server.matrix.walk_forward.record import OOS_EQUITY, WALK_FORWARD

if TYPE_CHECKING:
    from boxgate_engine.report.matrix import Luck, Reason, Stitched


def page_path(folder: MatrixFolder) -> Path:
    """Return where the page of a matrix stands unless another place is named."""
    return folder.path / "report.html"


def page_figures(file: MatrixFile, folder: MatrixFolder, page: Path) -> dict[str, Any]:
    """Return the data of the page. page: where it will stand, for the addresses of the runs' pages.

    Raises UserMistake (INDEX_MISSING, INDEX_UNREADABLE).
    """
    # Imported here: planning and computing do without a page.
    from boxgate_engine.report.matrix import Constraint, MatrixFacts, Objective, matrix_page_data
    from boxgate_engine.report.strategy_name import command_name

    matrix = file.matrix
    search = matrix.search
    costs = cost_words(matrix.costs or (file.base.costs,))
    trials = "" if search.trials is None else f", {search.trials:,} trials"
    return matrix_page_data(
        folder.index,
        MatrixFacts(
            matrix_id=folder.matrix_id,
            name=command_name(file.base.strategy.command),
            currency=file.base.account.currency,
            search=f"{search.method}{trials}",
            objectives=tuple(
                Objective(metric=one.metric, is_better_large=one.is_better_large) for one in search.objectives
            ),
            constraints=tuple(Constraint(metric=one.metric, low=one.min, high=one.max) for one in search.constraints),
            walk_forward=None if matrix.walk_forward is None else _walk_words(matrix.walk_forward),
            cost_sets=costs,
            reasons=_reasons(folder),
            stitched=_stitched(folder, costs),
            luck=_luck(folder),
            runs_at=_runs_at(folder, page),
            has_page=_has_page(file, folder, page),
        ),
    )


def _runs_at(folder: MatrixFolder, page: Path) -> str:
    """Return the address of the runs, relative to the page: both lie in one store."""
    if folder.address is not None:
        return "../../runs"
    return Path(os.path.relpath(folder.runs.resolve(), page.resolve().parent)).as_posix()


def _has_page(file: MatrixFile, folder: MatrixFolder, page: Path) -> Callable[[str], bool]:
    """Return what tells whether a run has a page that the page of the matrix can lead to."""
    if folder.address is None:
        return lambda run_id: (folder.runs / run_id / "report.html").exists()
    if not file.base.report.html or page != page_path(folder):
        return lambda _: False  # a page outside of the store cannot lead into it
    with_page = folder.run_store.with_file("report.html")
    return with_page.__contains__


def write_page(figures: dict[str, Any], page: Path) -> Path:
    """Write the page as a whole and return its path. Raises StoreFailed."""
    from boxgate_engine.report.matrix import render_matrix_page

    aside = page.with_name(f".{page.name}.{os.getpid()}")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(render_matrix_page(figures), encoding="utf-8", newline="\n")
        aside.replace(page)
    except OSError as error:
        raise store_failed(error, page) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
    return page


def cost_words(sets: tuple[CostsConfig, ...]) -> tuple[str, ...]:
    """Return what each set of costs is by the keys in which they differ."""
    dumped = [one.model_dump(mode="json") for one in sets]
    differing = [key for key in dumped[0] if any(one[key] != dumped[0][key] for one in dumped)]

    def words(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

    if not differing:
        return ("one set",)
    return tuple(", ".join(f"{key} {words(one[key])}" for key in differing) for one in dumped)


def _walk_words(walk: WalkForwardConfig) -> str:
    lengths = {
        "train": walk.train,
        "test": walk.test,
        "step": walk.step_ns,
        "purge": walk.purge,
        "embargo": walk.embargo,
    }
    told = [f"{name} {span_text(length)}" for name, length in lengths.items() if length]
    return ", ".join([walk.mode, *told])


def _stitched(folder: MatrixFolder, costs: Sequence[str]) -> list[Stitched]:
    """Return the equity of the tests as it was written beside the index, the best portfolio and costs first."""
    from boxgate_engine.report.matrix import Stitched

    walk, path = _read(folder.path / WALK_FORWARD), folder.path / OOS_EQUITY
    if walk is None or not path.exists():
        return []
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read(["block", "time", "equity"])
    blocks, time_ns, equity = (
        table["block"].to_numpy(),
        table["time"].cast("int64").to_numpy(),
        table["equity"].to_numpy(),
    )
    found = []
    for block in sorted(walk["blocks"], key=lambda one: (one["number"] != walk["best_block"], one["number"])):
        made, rows = block["out_of_sample"], blocks == block["number"]
        if rows.any():
            costs_of = f", {costs[block['cost_set']]}" if len(costs) > 1 else ""
            found.append(
                Stitched(
                    label=f"{'+'.join(block['instruments'])}{costs_of}",
                    folds=len(made["folds"]),
                    cash=made["first_equity"],
                    time_ns=time_ns[rows],
                    equity=equity[rows],
                    **{name: made.get(name) for name in ("total", "sharpe", "max_drawdown")},
                )
            )
    return found


def _luck(folder: MatrixFolder) -> Luck | None:
    """Return how much of the best is luck as it was written beside the index, None where that is undefined."""
    from boxgate_engine.report.matrix import Luck

    trials = _read(folder.path / TRIALS)
    best = None if trials is None else trials["best"]
    if best is None or best["sharpe"] is None or best["deflated_sharpe"] is None:
        return None
    return Luck(
        trials=trials["trials"],
        sharpe=best["sharpe"],
        expected=trials["expected_best_sharpe"],
        deflated=best["deflated_sharpe"],
    )


def _read(path: Path) -> Any:
    """Return the content of a JSON file, None where there is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _reasons(folder: MatrixFolder) -> dict[str, Reason]:
    """Return why runs failed, by run id; equal reasons are one object."""
    from boxgate_engine.report.matrix import Reason

    known: dict[Reason, Reason] = {}
    found: dict[str, Reason] = {}
    with Ledger(folder.ledger) as ledger:
        for entry in ledger.entries("failed"):
            if entry.failure is not None:
                told = {name: getattr(entry.failure, name) for name in ("code", "where", "expected", "remedy")}
                reason = Reason(**told, what=without_frames(entry.failure.what, debug=False))
                found[entry.run_id] = known.setdefault(reason, reason)
    return found
