"""The sign of life of a driver in a store behind an address: hosts that share no ledger see there who computes.

A store has no lock. Two drivers that begin in the same moment may both go on, which costs work and harms nothing.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Final

from boxgate_engine.artefacts.remote import naming_refusals
from boxgate_engine.errors import BoxgateError
from boxgate_engine.remote_folder import RemoteFolder
from boxgate_server.matrix.keeping import lease
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.run_store import below

SIGN: Final = "driver.json"


class Sign:
    """The sign of this process; of a store that is a folder the ledger has it, and nothing is done here."""

    def __init__(self, folder: MatrixFolder) -> None:
        """Prepare; nothing is written yet."""
        self._folder = folder
        self._me = lease.this_process()

    def take(self) -> None:
        """Show it. Raises UserMistake (MATRIX_BUSY) while there is one of another driver that lives, StoreFailed."""
        if self._folder.address is not None:
            owner = driver_there(self._folder)
            if owner is not None and owner != self._me:
                raise lease.busy(owner, where=f"{self._folder.shown_store}/matrices/{self._folder.matrix_id}")
            self._write()

    def beat(self) -> None:
        """Renew it; the next time does as well where the store does not answer."""
        if self._folder.address is not None:
            with suppress(BoxgateError):
                self._write()

    def drop(self) -> None:
        """Remove it; without the store it fades."""
        if self._folder.address is not None:
            with suppress(BoxgateError), naming_refusals(self._folder.shown_store):
                if driver_there(self._folder) == self._me:
                    _open(self._folder).remove(SIGN)

    def _write(self) -> None:
        content = json.dumps({**asdict(self._me), "beat_s": time.time()}, sort_keys=True)
        with naming_refusals(self._folder.shown_store):
            _open(self._folder).write(SIGN, f"{content}\n".encode())


def driver_there(folder: MatrixFolder) -> lease.Owner | None:
    """Return the driver that lives by its sign in the store, None if there is none. Raises StoreFailed."""
    if folder.address is None:
        return None
    with naming_refusals(folder.shown_store):
        content = _open(folder).read(SIGN)
    try:
        fields = json.loads(content or b"null")
        beat_s = float(fields.pop("beat_s"))
        owner = lease.Owner(**fields)
    except (ValueError, TypeError, AttributeError, KeyError):
        return None
    return owner if lease.lives(owner, beat_s) else None


def _open(folder: MatrixFolder) -> RemoteFolder:
    assert folder.address is not None
    return RemoteFolder(below(folder.address, f"matrices/{folder.matrix_id}"))
