"""What is written beside the ledger when a driver ends: the index, and what a reader wants to know of all runs."""

from __future__ import annotations

from pathlib import Path

from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.index import write_index
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.generations import known_plan
from boxgate_server.matrix.search.outcome import write_search


def close_matrix(folder: MatrixFolder, ledger: Ledger, plan: Plan) -> Path:
    """Write what the ledger has now and return the folder of the index. Raises StoreFailed if the disk refuses."""
    plan = known_plan(plan, ledger)
    index = write_index(folder, ledger, plan)
    if plan.proposing is not None:
        write_search(folder, ledger, plan)
    return index
