"""The trials of a search in the ledger: what was proposed and what it made, so that another driver can go on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from boxgate_engine.config.model import ParamValue

SCHEMAS: Final = (
    """CREATE TABLE IF NOT EXISTS trials (
        number INTEGER PRIMARY KEY, generation INTEGER NOT NULL, params TEXT NOT NULL, told TEXT
    )""",
    "CREATE TABLE IF NOT EXISTS generations (number INTEGER PRIMARY KEY, digest TEXT NOT NULL)",
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a set made. values: of each objective, None where a run failed or lacks one.

    broken: of each constraint how far it is broken, at most 0 where it holds.
    """

    values: tuple[float, ...] | None
    broken: tuple[float, ...]

    @property
    def qualifies(self) -> bool:
        """Whether it has its values and keeps every constraint."""
        return self.values is not None and all(one <= 0 for one in self.broken)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One proposal. params: what varies. told: None while its generation is being computed."""

    number: int
    generation: int
    params: Mapping[str, ParamValue]
    told: Told | None


def propose(db: sqlite3.Connection, generation: int, sets: Sequence[Mapping[str, ParamValue]]) -> None:
    """Note the sets of a generation, behind those of the earlier ones."""
    begin = db.execute("SELECT count(*) FROM trials").fetchone()[0]
    rows = [(begin + place, generation, json.dumps(one)) for place, one in enumerate(sets)]
    db.executemany("INSERT INTO trials (number, generation, params) VALUES (?, ?, ?)", rows)


def close(db: sqlite3.Connection, generation: int, told: Sequence[Told], digest: str) -> None:
    """Note what the sets of a generation made, and the digest of the search up to here."""
    first = db.execute("SELECT min(number) FROM trials WHERE generation = ?", (generation,)).fetchone()[0]
    rows = [(json.dumps([one.values, one.broken]), first + place) for place, one in enumerate(told)]
    db.executemany("UPDATE trials SET told = ? WHERE number = ?", rows)
    db.execute("INSERT OR REPLACE INTO generations VALUES (?, ?)", (generation, digest))


def read(db: sqlite3.Connection) -> list[Trial]:
    """Return all trials by number."""
    rows = db.execute("SELECT number, generation, params, told FROM trials ORDER BY number")
    return [Trial(number=n, generation=g, params=json.loads(params), told=_told(told)) for n, g, params, told in rows]


def digests(db: sqlite3.Connection) -> list[str]:
    """Return the digest of each generation that is closed."""
    return [digest for (digest,) in db.execute("SELECT digest FROM generations ORDER BY number")]


def _told(text: str | None) -> Told | None:
    if text is None:
        return None
    values, broken = json.loads(text)
    return Told(values=None if values is None else tuple(values), broken=tuple(broken))
