"""The folder of one matrix in the store: where its parts lie, and the file that says what it is."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from boxgate_engine.errors import StoreFailed, UserMistake
from boxgate_engine.remote_folder import shown_address
from boxgate_engine.timestamps import format_utc
from boxgate_server.matrix.config.load import MatrixFile
from boxgate_server.matrix.keeping.run_store import RunStore
from boxgate_server.matrix.planning.plan import Plan

DEFINITION: Final = "matrix.json"


@dataclass(frozen=True)
class MatrixFolder:
    """The paths of a matrix. store: the folder that has `runs` and `matrices`.

    address: of the store, if it is none of this host; then the folder holds what this host needs of it.
    """

    store: Path
    matrix_id: str
    address: str | None = None

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.store / "matrices" / self.matrix_id

    @property
    def runs(self) -> Path:
        """Where this host publishes runs, those of all matrices; behind an address they are only on their way here."""
        return self.store / "runs" if self.address is None else self.store / "matrices" / "uploads"

    @property
    def run_store(self) -> RunStore:
        """The runs of the store."""
        return RunStore(self.runs, self.address)

    @property
    def shown_store(self) -> str:
        """The store, for people and programs."""
        return str(self.store.resolve()) if self.address is None else shown_address(self.address).rstrip("/")

    @property
    def shown_index(self) -> str:
        """The folder of the index in the store, for people and programs."""
        if self.address is None:
            return str(self.index.absolute())
        return f"{self.shown_store}/matrices/{self.matrix_id}/index"

    @property
    def ledger(self) -> Path:
        """What became of each run."""
        return self.path / "ledger.sqlite"

    @property
    def index(self) -> Path:
        """The folder of the index; it is replaced as a whole."""
        return self.path / "index"

    @property
    def definition(self) -> Path:
        """What the matrix is."""
        return self.path / DEFINITION

    def must_exist(self) -> None:
        """Raise UserMistake (MATRIX_UNKNOWN) if nothing of this matrix was ever computed here."""
        if not self.ledger.exists():
            raise UserMistake(
                f"nothing of this matrix was computed yet ({self.matrix_id})",
                code="MATRIX_UNKNOWN",
                where=str(self.path.parent) if self.address is None else f"{self.shown_store}/matrices",
                expected="a matrix that was begun with this file, this strategy, this data and this version",
                remedy="begin it by boxgate matrix run; a changed file or strategy is another matrix, "
                "which takes over every run that did not change",
            )


def write_definition(folder: MatrixFolder, plan: Plan, file: MatrixFile) -> None:
    """Write matrix.json: what a reader of ledger and index needs to know besides them."""
    matrix = file.matrix
    content: dict[str, Any] = {
        "schema": "boxgate.matrix-definition/1",
        "matrix_id": folder.matrix_id,
        "runs": plan.count,  # of a search the most that there can be
        "capped": plan.capped,
        "axes": [{"name": name, "size": size} for name, size in plan.space.axis_sizes.items()],
        "search": matrix.search.model_dump(mode="json"),
        "walk_forward": None if matrix.walk_forward is None else matrix.walk_forward.model_dump(mode="json"),
        "costs": [one.model_dump(mode="json") for one in matrix.costs or (file.base.costs,)],
        "settings": [
            {
                "number": one.number,
                "instruments": list(one.instruments),
                "frames": list(one.config.frames),
                "start": format_utc(one.start_ns),
                "end": format_utc(one.end_ns),
                "cost_set": one.cost_set,
                "events": one.events,
                "roles": [{"window": role.window, "fold": role.fold, "segment": role.segment} for role in one.roles],
            }
            for one in plan.settings
        ],
    }
    write_json(folder.definition, content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file of the matrix by one rename. Raises StoreFailed for what the disk refuses."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as target:
            json.dump(content, target, indent=1, sort_keys=True, allow_nan=False)
            target.write("\n")
            target.flush()
            os.fsync(target.fileno())
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise store_failed(error, path) from error


def store_failed(error: OSError, where: Path) -> StoreFailed:
    """Return the error for what the disk refuses."""
    codes = {errno.ENOSPC: "STORE_FULL", errno.EDQUOT: "STORE_FULL"}
    codes |= dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "STORE_DENIED")
    return StoreFailed(
        f"the matrix cannot be stored: {error.strerror or error}",
        where=str(where),
        code=codes.get(error.errno or 0, "STORE_IO"),
    )
