"""The trial ledger of a store behind an address: one file there, and one on each host that computes for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from boxgate_engine.artefacts.remote import naming_refusals, patient_folder
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.run_store import below
from boxgate_server.matrix.trials.ledger import FILE, TrialLedger


def fetch_trials(folder: MatrixFolder) -> None:
    """Count here what was counted in the store; nothing without an address. Raises StoreFailed."""
    _exchange(folder, tell=False)


def share_trials(folder: MatrixFolder) -> None:
    """Count here what was counted in the store, and there what was counted here. Raises StoreFailed.

    Of two hosts that do so in one moment the later one may take away what the other told; that one tells it again the
    next time.
    """
    _exchange(folder, tell=True)


def _exchange(folder: MatrixFolder, *, tell: bool) -> None:
    if folder.address is None:
        return
    matrices = folder.path.parent
    with (
        naming_refusals(folder.shown_store),
        tempfile.TemporaryDirectory(prefix="boxgate-trials-") as place,
        TrialLedger(matrices) as counted,
    ):
        there, copy = patient_folder(below(folder.address, "matrices")), Path(place) / FILE
        if there.has(FILE):
            there.download(FILE, copy)
            counted.take_in(copy)
            copy.unlink()
        if tell:
            counted.copy_to(copy)
            there.upload(copy, FILE)
