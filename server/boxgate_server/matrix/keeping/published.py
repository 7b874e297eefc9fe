"""A matrix in a store behind an address: what its last driver wrote, for readers there and for other hosts.

`index.json` is written last and names the parts of the index; who reads them by it sees the old index or the new one.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from boxgate_engine.artefacts.remote import naming_refusals, patient_folder
from boxgate_engine.remote_folder import RemoteFolder
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.keeping.index import matrix_digest, new_index
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.run_store import below
from boxgate_server.matrix.keeping.sign import SIGN

POINTER: Final = "index.json"
_LEDGER: Final = "ledger.sqlite"
_INDEX: Final = "index"
_NOT_KEPT: Final = (POINTER, SIGN)
"""What a store alone has."""
_BESIDE: Final = (".json", ".parquet")
"""Endings of what lies beside index, ledger and page."""


def publish_matrix(folder: MatrixFolder, ledger: Ledger) -> None:
    """Upload what lies beside the ledger, a copy of it, and the index; nothing without an address.

    Raises StoreFailed; then the old index stays.
    """
    if folder.address is None:
        return
    beside = {path.name for path in folder.path.iterdir() if path.suffix in _BESIDE and not path.name.startswith(".")}
    parts = {_part_name(path): path for path in sorted(folder.index.glob("part-*.parquet"))}
    with _opened(folder) as there, tempfile.TemporaryDirectory(prefix="boxgate-matrix-") as place:
        copy = Path(place) / _LEDGER
        ledger.copy_to(copy)
        known = there.files("")
        for name, path in parts.items():
            if name not in known:  # the name tells the content
                there.upload(path, name)
        for name in sorted(beside):
            there.upload(folder.path / name, name)
        there.upload(copy, _LEDGER)
        pointer = {
            "schema": "boxgate.matrix-index/1",
            "matrix_id": folder.matrix_id,
            "matrix_digest": matrix_digest(ledger),
            "epoch": ledger.last_epoch,
            "rows": ledger.counts().planned,
            "complete": ledger.counts().complete,
            "parts": list(parts),
        }
        there.write(POINTER, (json.dumps(pointer, indent=1, sort_keys=True) + "\n").encode())
        for name in known:
            is_beside = "/" not in name and name.endswith(_BESIDE)
            if (is_beside or name.startswith(f"{_INDEX}/")) and name not in (*_NOT_KEPT, *beside, *parts):
                there.remove(name)


def publish_page(folder: MatrixFolder, page: Path) -> None:
    """Upload the page of the matrix; nothing without an address. Raises StoreFailed."""
    if folder.address is not None:
        with _opened(folder) as there:
            there.upload(page, page.name)


def fetch_matrix(folder: MatrixFolder) -> bool:
    """Bring here what a driver of another host published, unless this host knows as much.

    Returns whether there was something to bring. Raises UserMistake (STORE_UNSUPPORTED), StoreFailed.
    """
    if folder.address is None:
        return False
    with _opened(folder) as there:
        pointer = _pointer(there)
        if pointer is None:
            return False
        with Ledger(folder.ledger) as ledger, tempfile.TemporaryDirectory(prefix="boxgate-matrix-") as place:
            is_news = pointer["epoch"] > ledger.last_epoch or pointer["complete"] > ledger.counts().complete
            if not is_news or ledger.driver() is not None:
                return False
            with new_index(folder) as new:
                for number, name in enumerate(pointer["parts"]):
                    there.download(name, new / f"part-{number:05d}.parquet")
            for name in there.files(""):
                if "/" not in name and name.endswith((*_BESIDE, ".html")) and name not in _NOT_KEPT:
                    there.download(name, folder.path / name)
            copy = Path(place) / _LEDGER
            there.download(_LEDGER, copy)
            ledger.become(copy)  # last: what is interrupted before is fetched again
            return True


def _pointer(there: RemoteFolder) -> dict[str, Any] | None:
    """Return the content of index.json, None where there is none that can be read."""
    try:
        content = json.loads(there.read(POINTER) or b"null")
    except ValueError:
        return None
    return content if isinstance(content, dict) and {"epoch", "complete", "parts"} <= content.keys() else None


def _part_name(part: Path) -> str:
    with part.open("rb") as file:
        return f"{_INDEX}/{part.stem}-{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}{part.suffix}"


@contextmanager
def _opened(folder: MatrixFolder) -> Iterator[RemoteFolder]:
    """Give the folder of a matrix in its store, and name what that refuses."""
    assert folder.address is not None
    with naming_refusals(folder.shown_store):
        yield patient_folder(below(folder.address, f"matrices/{folder.matrix_id}"))
