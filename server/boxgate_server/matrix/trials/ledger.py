"""The trial ledger of a store: every run ever made in it, counted once, also after its folder is gone."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from array import array
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.artefacts.stored import MANIFEST
from boxgate_engine.errors import StoreFailed
from boxgate_server.matrix.keeping.ledger import store_code
from boxgate_server.matrix.keeping.run_store import RunStore

FILE: Final = "trials.sqlite"
_BATCH: Final = 10_000
_LOOKUP: Final = 500
_RUN: Final = re.compile(r"r_[0-9a-f]{32}")

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS families (dataset TEXT PRIMARY KEY, family TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS kinds (
        number INTEGER PRIMARY KEY, strategy TEXT NOT NULL, dataset TEXT NOT NULL, UNIQUE (strategy, dataset)
    )""",
    "CREATE TABLE IF NOT EXISTS runs (run BLOB PRIMARY KEY, kind INTEGER NOT NULL, sharpe REAL) WITHOUT ROWID",
)

_TAKE_IN: Final = (
    "INSERT OR IGNORE INTO families SELECT dataset, family FROM other.families",
    """UPDATE families SET family = theirs.family FROM other.families AS theirs
        WHERE theirs.dataset = families.dataset AND families.family = families.dataset""",
    "INSERT OR IGNORE INTO kinds (strategy, dataset) SELECT strategy, dataset FROM other.kinds ORDER BY number",
    """INSERT OR IGNORE INTO runs SELECT theirs.run, kinds.number, theirs.sharpe FROM other.runs AS theirs
        JOIN other.kinds AS kind ON kind.number = theirs.kind
        JOIN kinds ON kinds.strategy = kind.strategy AND kinds.dataset = kind.dataset""",
)

Trial = tuple[str, float | None]
"""Run id and Sharpe ratio of one period, not annualised; None where it is undefined."""


class TrialLedger:
    """Counts runs by strategy and dataset family. A context manager.

    A family is a dataset under its name: what is imported again under the same name has another hash and stays one
    family. A dataset that has been used by its hash alone is a family of its own until it is used by a name.
    """

    def __init__(self, matrices: Path) -> None:
        """Open or make the ledger of a store. matrices: its folder of matrices, which is no part of any strategy.

        Raises StoreFailed where it cannot be written.
        """
        self._path = matrices / FILE
        with self._errors():
            matrices.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self._path, isolation_level=None, timeout=30.0)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            for statement in _SCHEMA:
                self._db.execute(statement)

    def name_family(self, dataset: str, family: str) -> None:
        """Note under which name a dataset is used. dataset: its hash. The first name that is not a hash stays."""
        with self._writing():
            self._db.execute("INSERT OR IGNORE INTO families VALUES (?, ?)", (dataset, family))
            self._db.execute("UPDATE families SET family = ? WHERE dataset = ? AND family = dataset", (family, dataset))

    def family(self, dataset: str) -> str:
        """Return the family of a dataset."""
        with self._errors():
            row = self._db.execute("SELECT family FROM families WHERE dataset = ?", (dataset,)).fetchone()
        return dataset if row is None else str(row[0])

    def count(self, strategy: str, dataset: str, trials: Iterable[Trial]) -> None:
        """Count runs; those that are counted already stay as they are. strategy: digest. dataset: hash."""
        stream = iter(trials)
        while batch := list(islice(stream, _BATCH)):
            with self._writing():
                kind = self._kind(strategy, dataset)
                self._db.executemany(
                    "INSERT OR IGNORE INTO runs VALUES (?, ?, ?)",
                    [(bytes.fromhex(run_id[2:]), kind, sharpe) for run_id, sharpe in batch],
                )

    def count_published(self, runs: RunStore) -> None:
        """Count what lies among the runs of the store and nobody counted, such as runs that were computed alone."""
        with self._errors():
            stream = iter([name for name in runs.names() if _RUN.fullmatch(name)])
        while names := list(islice(stream, _LOOKUP)):
            unknown = self._unknown(names)
            for name, found in zip(unknown, runs.each(lambda one: _published(runs, one), unknown), strict=True):
                if found is not None:
                    strategy, dataset, sharpe = found
                    self.count(strategy, dataset, [(name, sharpe)])

    def copy_to(self, path: Path) -> None:
        """Write all of it to a file of its own."""
        with self._errors(), closing(sqlite3.connect(path, isolation_level=None)) as copy:
            self._db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")

    def take_in(self, path: Path) -> None:
        """Count what is counted in a file that `copy_to` wrote."""
        with self._errors():
            self._db.execute("ATTACH ? AS other", (str(path),))
        try:
            with self._writing():
                for statement in _TAKE_IN:
                    self._db.execute(statement)
        finally:
            self._db.execute("DETACH other")

    def trials(self, strategy: str, dataset: str) -> tuple[int, npt.NDArray[np.float64]]:
        """Return how many runs were made of a strategy on the family of a dataset, and their Sharpe ratios.

        The ratios are of one period, by run id; undefined ones are left out.
        """
        members = "SELECT dataset FROM families WHERE family = ?"
        kinds = f"SELECT number FROM kinds WHERE strategy = ? AND (dataset = ? OR dataset IN ({members}))"
        count, ratios = 0, array("d")
        with self._errors():
            asked = (strategy, dataset, self.family(dataset))
            for (sharpe,) in self._db.execute(f"SELECT sharpe FROM runs WHERE kind IN ({kinds}) ORDER BY run", asked):
                count += 1
                if sharpe is not None:
                    ratios.append(sharpe)
        return count, np.frombuffer(ratios, np.float64)

    def close(self) -> None:
        """Close the file. Idempotent."""
        self._db.close()

    def __enter__(self) -> TrialLedger:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _kind(self, strategy: str, dataset: str) -> int:
        self._db.execute("INSERT OR IGNORE INTO kinds (strategy, dataset) VALUES (?, ?)", (strategy, dataset))
        row = self._db.execute("SELECT number FROM kinds WHERE strategy = ? AND dataset = ?", (strategy, dataset))
        return int(row.fetchone()[0])

    def _unknown(self, names: list[str]) -> list[str]:
        marks = ",".join("?" * len(names))
        with self._errors():
            rows = self._db.execute(
                f"SELECT run FROM runs WHERE run IN ({marks})", [bytes.fromhex(name[2:]) for name in names]
            )
            known = {f"r_{run.hex()}" for (run,) in rows}
        return [name for name in names if name not in known]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Make what is done inside happen as a whole or not at all."""
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Name what disk or file refuse."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreFailed(
                f"the trial ledger of the store cannot be used: {error}", where=str(self._path), code=store_code(error)
            ) from error


def period_sharpe(annual: float | None, periods: float | None) -> float | None:
    """Return the Sharpe ratio of one period. periods: of a year."""
    return None if annual is None or not periods else annual / math.sqrt(periods)


def _published(runs: RunStore, name: str) -> tuple[str, str, float | None] | None:
    """Return strategy digest, dataset and Sharpe ratio of a published run, None if it cannot be read."""
    try:
        runs.read(name, MANIFEST)  # without it there is no run
        identity: dict[str, Any] = json.loads(runs.read(name, "config.json"))["identity"]
        metrics: dict[str, Any] = json.loads(runs.read(name, "metrics.json"))
        sharpe = period_sharpe(metrics["ratio"]["sharpe"], metrics["periods_per_year"])
        return identity["strategy"]["digest"], identity["dataset"], sharpe
    except (OSError, ValueError, KeyError, TypeError):
        return None
