"""What is written beside the ledger when a driver ends: the index, and what a reader wants to know of all runs."""

from __future__ import annotations

from pathlib import Path

from boxgate_engine.errors import RunFailed
from boxgate_server.matrix.best import best_runs
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.index import write_index
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.published import publish_matrix
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import known_plan
from boxgate_server.matrix.search.outcome import write_search
from boxgate_server.matrix.trials.deflation import count_trials, deflation, write_trials
from boxgate_server.matrix.trials.exchange import share_trials
from boxgate_server.matrix.walk_forward.choices import walks
from boxgate_server.matrix.walk_forward.record import write_walk_forward


def close_matrix(folder: MatrixFolder, ledger: Ledger, plan: Plan, file: MatrixFile) -> Path:
    """Write what the ledger has now and return the folder of the index. Raises StoreFailed if the store refuses."""
    plan, search = known_plan(plan, ledger), file.matrix.search
    index = write_index(folder, ledger, plan)
    count_trials(folder, ledger, plan, file.base.dataset)
    share_trials(folder)
    try:
        best: str | None = best_runs(plan, ledger, search)[-1].run_id
    except RunFailed:
        best = None
    found = deflation(folder, ledger, plan, best)
    write_trials(folder, plan, best, found)
    if plan.proposing is not None:
        write_search(folder, ledger, plan)
    if walks(plan):
        write_walk_forward(folder, ledger, plan, search, found)
    publish_matrix(folder, ledger)
    return index
