"""The ledger: which runs a matrix has and what became of each, in one SQLite file beside the runs.

What was recorded survives any crash of the process; what a crash of the host takes away is found again, for the folders
of the runs are the truth. Writing needs the lease.
"""

from __future__ import annotations

import json
import math
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import StoreFailed
from boxgate_server.matrix.execution.work import Failure, Outcome
from boxgate_server.matrix.keeping import lease, proposals
from boxgate_server.matrix.keeping.proposals import Told, Trial
from boxgate_server.matrix.planning.plan import Planned

State = Literal["pending", "complete", "failed"]
_STATES: Final[tuple[State, ...]] = ("pending", "complete", "failed")
_PENDING, _COMPLETE, _FAILED = range(3)
_BATCH: Final = 50_000
_LOOKUP: Final = 500
_VERSION: Final = "1"

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS runs (
        run BLOB PRIMARY KEY, setting INTEGER NOT NULL, params INTEGER NOT NULL, state INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0, digest TEXT, error TEXT, final INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS metrics (run BLOB PRIMARY KEY, names INTEGER NOT NULL, numbers BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS names (number INTEGER PRIMARY KEY, names TEXT NOT NULL UNIQUE)",
    *proposals.SCHEMAS,
    lease.SCHEMA,
)


_ENTRY: Final = (
    "SELECT runs.run, setting, params, state, attempts, digest, error, names, numbers"
    " FROM runs LEFT JOIN metrics ON metrics.run = runs.run"
)


class Entry(NamedTuple):
    """One run in the ledger. attempts: most that one driver needed. failure: the last one, None once it is complete."""

    run_id: str
    setting: int
    params: int
    state: State
    attempts: int
    result_digest: str | None
    failure: Failure | None
    metrics: Mapping[str, float | None] | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many runs there are in each state."""

    pending: int
    complete: int
    failed: int

    @property
    def planned(self) -> int:
        """All runs."""
        return self.pending + self.complete + self.failed


class Ledger:
    """The ledger of one matrix. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises StoreFailed where it cannot be written."""
        self.path = path
        self._epoch = 0
        self._names: dict[tuple[str, ...], int] = {}
        with self._errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, timeout=30.0)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute("INSERT OR IGNORE INTO facts VALUES ('version', ?)", (_VERSION,))

    def take_lease(self) -> None:
        """Become the one driver. Raises UserMistake (MATRIX_BUSY)."""
        with self._errors():
            self._epoch = lease.take(self._db, where=str(self.path.parent))
            with self._writing():
                self._set("cancel", None)

    @property
    def epoch(self) -> int:
        """Number of the lease that was taken, 0 for none."""
        return self._epoch

    def beat(self, epoch: int) -> None:
        """Give a sign of life for the driver with a lease of this number."""
        with self._errors():
            lease.beat(self._db, epoch)

    def driver(self) -> lease.Owner | None:
        """Return the driver that is at work, None if there is none."""
        with self._errors():
            return lease.holder(self._db)

    def plan(self, runs: Iterable[Planned], count: int) -> int:
        """Note `count` runs, each once, and return how many the matrix has. What was noted before stays.

        Nothing is done where as many were noted before; a matrix that grows is planned again with all its runs.
        """
        stream = iter(runs)
        with self._errors():
            if self._fact("planned") != str(count):
                while batch := list(islice(stream, _BATCH)):
                    # Sorted, so that neighbours in the file are written together.
                    rows = sorted((bytes.fromhex(one.run_id[2:]), one.setting, one.params) for one in batch)
                    with self._writing():
                        self._db.executemany("INSERT OR IGNORE INTO runs (run, setting, params) VALUES (?, ?, ?)", rows)
                with self._writing():
                    self._set("planned", str(count))
            return int(self._db.execute("SELECT count(*) FROM runs").fetchone()[0])

    def states(self, run_ids: Sequence[str]) -> dict[str, tuple[State, bool]]:
        """Return (state, whether its failure is final) of some runs."""
        found: dict[str, tuple[State, bool]] = {}
        with self._errors():
            for begin in range(0, len(run_ids), _LOOKUP):
                keys = [bytes.fromhex(one[2:]) for one in run_ids[begin : begin + _LOOKUP]]
                marks = ",".join("?" * len(keys))
                rows = self._db.execute(f"SELECT run, state, final FROM runs WHERE run IN ({marks})", keys)
                found |= {f"r_{run.hex()}": (_STATES[state], bool(final)) for run, state, final in rows}
        return found

    def record(self, outcomes: Sequence[Outcome], *, final: bool = True) -> None:
        """Record what became of runs, all or none. final: no further attempt follows on a failure.

        Raises RunFailed (LEASE_LOST) for a driver that has lost its lease; then nothing is recorded.
        """
        with self._errors(), self._writing():
            for one in outcomes:
                run = bytes.fromhex(one.run_id[2:])
                if one.failure is None:
                    numbers = one.metrics or {}
                    self._db.execute(
                        "UPDATE runs SET state = 1, attempts = max(attempts, ?), digest = ?, error = NULL, final = 0"
                        " WHERE run = ?",
                        (one.attempt, one.result_digest, run),
                    )
                    values = array("d", (math.nan if value is None else value for value in numbers.values()))
                    self._db.execute(
                        "INSERT OR REPLACE INTO metrics VALUES (?, ?, ?)",
                        (run, self._names_number(tuple(numbers)), values.tobytes()),
                    )
                else:
                    self._db.execute(
                        "UPDATE runs SET state = ?, attempts = max(attempts, ?), digest = NULL, error = ?, final = ?"
                        " WHERE run = ?",
                        (
                            _FAILED if final else _PENDING,
                            one.attempt,
                            _json(asdict(one.failure)),
                            int(one.failure.is_final),
                            run,
                        ),
                    )

    def forget(self, run_ids: Sequence[str]) -> None:
        """Make runs pending again: what they made is gone, or another attempt is wanted."""
        with self._errors(), self._writing():
            keys = [(bytes.fromhex(one[2:]),) for one in run_ids]
            self._db.executemany(
                "UPDATE runs SET state = 0, attempts = 0, digest = NULL, error = NULL, final = 0 WHERE run = ?", keys
            )
            self._db.executemany("DELETE FROM metrics WHERE run = ?", keys)

    def counts(self) -> Counts:
        """Return how many runs are in each state."""
        with self._errors():
            found = dict(self._db.execute("SELECT state, count(*) FROM runs GROUP BY state"))
        return Counts(*(found.get(state, 0) for state in range(3)))

    def entries(self, state: State | None = None) -> Iterator[Entry]:
        """Yield all runs, or those in one state, by their id; only a part of them is in memory."""
        with self._errors():
            names = self._all_names()
            wanted = "" if state is None else f" WHERE state = {_STATES.index(state)}"
            for row in self._db.execute(f"{_ENTRY}{wanted} ORDER BY runs.run"):
                yield _entry(row, names)

    def find(self, run_id: str) -> Entry | None:
        """Return one run, None if the matrix does not have it."""
        with self._errors():
            row = self._db.execute(f"{_ENTRY} WHERE runs.run = ?", (bytes.fromhex(run_id[2:]),)).fetchone()
            return None if row is None else _entry(row, self._all_names())

    def metric_names(self) -> list[str]:
        """Return the name of every number that any run has, sorted."""
        with self._errors():
            rows = self._db.execute("SELECT names FROM names").fetchall()
        return sorted({name for (text,) in rows for name in json.loads(text)})

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield run id and result digest of each complete run, by run id."""
        with self._errors():
            for run, digest in self._db.execute("SELECT run, digest FROM runs WHERE state = 1 ORDER BY run"):
                yield f"r_{run.hex()}", digest

    def propose(self, generation: int, sets: Sequence[Mapping[str, ParamValue]]) -> None:
        """Note the sets of the next generation of a search."""
        with self._errors(), self._writing():
            proposals.propose(self._db, generation, sets)

    def close_generation(self, generation: int, told: Sequence[Told], digest: str) -> None:
        """Note what a generation made, and the digest of the search up to here."""
        with self._errors(), self._writing():
            proposals.close(self._db, generation, told, digest)

    def trials(self) -> list[Trial]:
        """Return every trial of a search, in the order in which they were proposed."""
        with self._errors():
            return proposals.read(self._db)

    def generations(self) -> list[str]:
        """Return the digest of each generation of a search that is computed."""
        with self._errors():
            return proposals.digests(self._db)

    @property
    def last_epoch(self) -> int:
        """Number of the last lease that anybody took, 0 for none."""
        with self._errors():
            return lease.last_epoch(self._db)

    def copy_to(self, path: Path) -> None:
        """Write all of it to a file of its own, as it is after its driver has ended."""
        with self._errors(), closing(sqlite3.connect(path, isolation_level=None)) as copy:
            self._db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            lease.release(copy, lease.last_epoch(copy))

    def become(self, path: Path) -> None:
        """Take over all that a file has which `copy_to` wrote; all here is gone but the number of its lease."""
        epoch = self.last_epoch
        with self._errors(), closing(sqlite3.connect(path, isolation_level=None)) as other:
            lease.raise_epoch(other, epoch)
            other.backup(self._db)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._names.clear()

    def request_cancel(self) -> None:
        """Ask the driver, whoever it is, to stop."""
        with self._errors(), self._writing(as_driver=False):
            self._set("cancel", "1")

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked the driver to stop since it began."""
        with self._errors():
            return self._fact("cancel") is not None

    def close(self) -> None:
        """Let the lease go, if it was taken, and close the file. Idempotent."""
        with suppress(sqlite3.Error):
            if self._epoch:
                lease.release(self._db, self._epoch)
        self._db.close()

    def __enter__(self) -> Ledger:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @contextmanager
    def _writing(self, *, as_driver: bool = True) -> Iterator[None]:
        """Make what is done inside happen as a whole or not at all. as_driver: refuse who has lost the lease."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if as_driver:
                lease.check(self._db, self._epoch, where=str(self.path.parent))
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._names.clear()
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
                f"the ledger of the matrix cannot be used: {error}", where=str(self.path), code=store_code(error)
            ) from error

    def _all_names(self) -> dict[int, tuple[str, ...]]:
        return {number: tuple(json.loads(text)) for number, text in self._db.execute("SELECT number, names FROM names")}

    def _names_number(self, names: tuple[str, ...]) -> int:
        if names not in self._names:
            text = _json(names)
            self._db.execute("INSERT OR IGNORE INTO names (names) VALUES (?)", (text,))
            self._names[names] = self._db.execute("SELECT number FROM names WHERE names = ?", (text,)).fetchone()[0]
        return self._names[names]

    def _fact(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _set(self, name: str, value: str | None) -> None:
        if value is None:
            self._db.execute("DELETE FROM facts WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _entry(row: tuple[Any, ...], names: Mapping[int, tuple[str, ...]]) -> Entry:
    run, setting, params, state, attempts, digest, error, names_number, numbers = row
    metrics = None
    if names_number is not None:
        values = array("d")
        values.frombytes(numbers)
        metrics = {
            name: None if math.isnan(value) else value for name, value in zip(names[names_number], values, strict=True)
        }
    failure = None if error is None else Failure(**json.loads(error))
    return Entry(f"r_{run.hex()}", setting, params, _STATES[state], attempts, digest, failure, metrics)


def store_code(error: sqlite3.Error | OSError) -> str:
    """Return the code of a StoreFailed for what SQLite or the disk refuses."""
    number = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if number == sqlite3.SQLITE_FULL:
        return "STORE_FULL"
    denied = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM)
    return "STORE_DENIED" if number in denied or isinstance(error, PermissionError) else "STORE_IO"


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
