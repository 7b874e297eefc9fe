"""What every command begins with: the file of a matrix, its plan and its folder."""

from __future__ import annotations

from pathlib import Path

from boxgate_engine.config import locate_problems
from boxgate_engine.errors import ConfigInvalid, StoreFailed
from boxgate_server.cli.progress import watching
from boxgate_server.matrix.config.load import MatrixFile, load_matrix
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.published import fetch_matrix
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.planner import make_plan
from boxgate_server.matrix.trials.exchange import fetch_trials


def planned(config: Path, overrides: list[str] | None) -> tuple[MatrixFile, Plan, MatrixFolder]:
    """Return the file, its plan and its folder; problems name their line."""
    file = load_matrix(config, overrides or [])
    with watching({}) as watcher:
        try:
            plan = make_plan(file, folder=Path.cwd(), watcher=watcher)
        except ConfigInvalid as error:
            raise locate_problems(error, file.document) from None
    return file, plan, MatrixFolder(Path.cwd() / file.store, plan.matrix_id, file.io.address)


def begun(folder: MatrixFolder) -> None:
    """Refuse a matrix that was never begun; what another host did of one behind an address is fetched first.

    Raises as `fetched`, and UserMistake (MATRIX_UNKNOWN).
    """
    fetched(folder)
    folder.must_exist()


def fetched(folder: MatrixFolder) -> None:
    """Bring here what another host did of a matrix behind an address. Without the store, what this host knows serves.

    Raises UserMistake (STORE_UNSUPPORTED), StoreFailed where this host knows nothing.
    """
    try:
        if fetch_matrix(folder):
            fetch_trials(folder)
    except StoreFailed:
        if not folder.ledger.exists():
            raise
