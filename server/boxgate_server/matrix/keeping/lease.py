"""The lease of a matrix: one driver at a time, and what a driver wrote that has lost it is refused."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boxgate_engine.errors import RunFailed, UserMistake

BEAT_S: Final = 10.0
"""Seconds between two signs of life of an owner."""
_SILENCE_S: Final = 60.0
"""Silence after which an owner on another host counts as dead."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS lease (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, held INTEGER NOT NULL,
    host TEXT NOT NULL, place TEXT NOT NULL, pid INTEGER NOT NULL, started TEXT NOT NULL, beat_s REAL NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. place: its boot and process namespace. started: tells it from a later one with the same number."""

    host: str
    place: str
    pid: int
    started: str


def take(db: sqlite3.Connection, *, where: str) -> int:
    """Take the lease and return its epoch, higher than every one before.

    Raises UserMistake (MATRIX_BUSY) while another driver holds it and lives.
    """
    me = this_process()
    db.execute("BEGIN IMMEDIATE")
    try:
        row = db.execute("SELECT epoch, held, host, place, pid, started, beat_s FROM lease").fetchone()
        epoch = 1 if row is None else row[0] + 1
        if row is not None and row[1] and lives(Owner(*row[2:6]), row[6]):
            raise busy(Owner(*row[2:6]), where=where)
        db.execute(
            "INSERT OR REPLACE INTO lease VALUES (1, ?, 1, ?, ?, ?, ?, ?)",
            (epoch, me.host, me.place, me.pid, me.started, time.time()),
        )
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return int(epoch)


def busy(owner: Owner, *, where: str) -> UserMistake:
    """Return the error for a matrix that has a driver."""
    return UserMistake(
        f"the matrix is being computed by process {owner.pid} of {owner.host}",
        code="MATRIX_BUSY",
        where=where,
        expected="one driver at a time",
        remedy="wait for it, watch it by boxgate matrix status --watch, or end it by boxgate matrix cancel",
    )


def check(db: sqlite3.Connection, epoch: int, *, where: str) -> None:
    """Raise RunFailed (LEASE_LOST) if another driver has taken over. Called inside of every writing transaction."""
    row = db.execute("SELECT epoch FROM lease").fetchone()
    if row is None or row[0] != epoch:
        raise RunFailed(
            "another driver has taken over the matrix",
            code="LEASE_LOST",
            where=where,
            expected="the lease that this driver began with",
            remedy="leave the matrix to the other driver; boxgate matrix status tells how far it is",
        )


def beat(db: sqlite3.Connection, epoch: int) -> None:
    """Give a sign of life."""
    db.execute("UPDATE lease SET beat_s = ? WHERE epoch = ?", (time.time(), epoch))


def release(db: sqlite3.Connection, epoch: int) -> None:
    """Let the lease go."""
    db.execute("UPDATE lease SET held = 0 WHERE epoch = ?", (epoch,))


def last_epoch(db: sqlite3.Connection) -> int:
    """Return the number of the last lease that was taken, 0 for none."""
    row = db.execute("SELECT epoch FROM lease").fetchone()
    return 0 if row is None else int(row[0])


def raise_epoch(db: sqlite3.Connection, epoch: int) -> None:
    """Let the next lease have a higher number than `epoch`."""
    db.execute("UPDATE lease SET epoch = max(epoch, ?)", (epoch,))


def holder(db: sqlite3.Connection) -> Owner | None:
    """Return the driver that holds the lease and lives, None if there is none."""
    row = db.execute("SELECT host, place, pid, started, beat_s FROM lease WHERE held").fetchone()
    return None if row is None or not lives(Owner(*row[:4]), row[4]) else Owner(*row[:4])


def this_process() -> Owner:
    """Return the calling process."""
    return Owner(socket.gethostname(), _place(), os.getpid(), _started(os.getpid()) or "")


def lives(owner: Owner, beat_s: float) -> bool:
    """Return whether an owner lives: by its process where it can be seen from here, else by its last sign of life.

    Its clock may be wrong: a sign from far ahead would otherwise keep everybody out until then. Who is taken for dead
    and lives can record nothing any more.
    """
    if owner.place and owner.place == _place():
        return _started(owner.pid) == owner.started
    return abs(time.time() - beat_s) < _SILENCE_S


def _place() -> str:
    """Return what two processes share that see each other's numbers; empty where the system does not tell it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 (no path, but a name)
    except OSError:
        return ""


def _started(pid: int) -> str | None:
    """Return when a process was started, in clock ticks since the boot; None if there is no such process."""
    try:
        # The name of the program stands in parentheses and may hold anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
