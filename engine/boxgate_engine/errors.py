"""Errors of the engine.

BoxgateError            names what happened, where, what was expected and what to do
├── UserMistake         exit code 2: the user can mend the input
│   ├── ConfigInvalid   the run config has problems; all that were found are listed
│   ├── RunNotFound     there is no such run in the store
│   ├── RunAmbiguous    several runs of the store begin with this id
│   └── DataRefused     market data, or a name of them, that cannot be taken as it is
└── RunFailed           exit code 1: the run could not be finished; nothing of it is published
    ├── SignalError     a signal that can never be right
    ├── StoreFailed     the store of the runs cannot be written or read
    ├── NotDeterministic  a run was computed twice and the results differ
    ├── RunIdConflict   the folder of a run's id holds another run
    ├── RunDamaged      a published run is not what its manifest says
    └── DataDamaged     stored market data are not what their manifest says
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


class BoxgateError(Exception):
    """Any refusal or failure that is shown to a person or a program.

    code: stable upper-case name, set by the leaf class or given at the call.
    what: what happened, one clause. where: file, row, column, key path or sequence number.
    expected: what would have been right. remedy: what the reader can do now.
    seq: number of the event that was handled, if there was one.
    """

    code: ClassVar[str] = "ERROR"
    exit_code: ClassVar[int] = 1

    def __init__(
        self, what: str, *, where: str, expected: str, remedy: str, code: str | None = None, seq: int | None = None
    ) -> None:
        super().__init__(f"{what} ({where}); expected {expected}; {remedy}")
        self.error_code = code or self.code
        self.what = what
        self.where = where
        self.expected = expected
        self.remedy = remedy
        self.seq = seq

    def as_dict(self) -> dict[str, str | int]:
        """Return the `error` object of the command line's JSON answers."""
        fields: dict[str, str | int] = {
            "code": self.error_code,
            "what": self.what,
            "where": self.where,
            "expected": self.expected,
            "remedy": self.remedy,
        }
        return fields if self.seq is None else {**fields, "seq": self.seq}


class UserMistake(BoxgateError):
    """The input is wrong and the user can mend it; nothing was computed."""

    exit_code: ClassVar[int] = 2


class RunFailed(BoxgateError):
    """The run could not be finished; nothing of it is published."""


class SignalError(RunFailed):
    """A signal or an intent that can never be right; a fault of the strategy.

    Codes: SIGNAL_NOT_FINITE, SIGNAL_RANGE, SIGNAL_RISK_SIDE, SIGNAL_ENUM, ORDER_FIELDS, ORDER_ID, PROTO_SCOPE.
    """

    code = "SIGNAL_RANGE"


class DataRefused(UserMistake):
    """Market data, or the name of a dataset, that cannot be taken as it is; nothing was stored.

    Codes: DATA_FORMAT, DATA_ARROW, DATA_SCHEMA, DATA_ORDER, DATA_DUPLICATE, DATA_VALUE, DATA_TZ, DATA_GAP,
    DATA_INSTRUMENT, DATA_CATALOGUE, DATASET_UNKNOWN, DATASET_NOT_FROZEN, SERIES_UNKNOWN, FRAME_UNAVAILABLE,
    NAME_INVALID.
    """

    code = "DATA_FORMAT"


class DataDamaged(RunFailed):
    """Stored market data are not what their manifest says; nothing is read from them.

    Codes: DATA_HASH (content differs from its hash), SNAPSHOT_MUTATED (a mapped file changed during its use).
    """

    code = "DATA_HASH"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One thing that is wrong with the run config.

    path: key path such as `costs.fees_bps`. source: file and line, or the override, where it stands; may be empty.
    code: what the error is called if it has no other kind of problem.
    """

    path: str
    source: str
    what: str
    expected: str
    remedy: str
    code: str = "CONFIG"

    @property
    def where(self) -> str:
        """Key path and source in one text."""
        return ", ".join(part for part in (self.path, self.source) if part)


class ConfigInvalid(UserMistake):
    """The run config has one or more problems; `problems` lists all that were found."""

    code = "CONFIG"

    def __init__(self, problems: Sequence[Problem]) -> None:
        assert problems, "an error needs a problem"
        self.problems = tuple(problems)
        codes = {problem.code for problem in problems}
        if len(problems) == 1:
            what = problems[0].what
        else:
            what = f"{len(problems)} problems: " + "; ".join(f"{p.path or p.source}: {p.what}" for p in problems)
        super().__init__(
            what,
            where="; ".join(p.where for p in problems),
            expected="; ".join(dict.fromkeys(p.expected for p in problems)),
            remedy="; ".join(dict.fromkeys(p.remedy for p in problems)),
            code=codes.pop() if len(codes) == 1 else None,
        )


class StoreFailed(RunFailed):
    """The store of the runs cannot be written or read; nothing was published.

    Codes: STORE_FULL, STORE_DENIED, STORE_IO; of a store behind an address STORE_UNREACHABLE.
    """

    code = "STORE_IO"

    def __init__(self, what: str, *, where: str, code: str) -> None:
        remedies = {
            "STORE_FULL": "free space or set artifacts to another disk, then run again",
            "STORE_DENIED": "correct the rights of the folder or set artifacts to another one",
            "STORE_UNREACHABLE": "check address, network and credentials, then go on: what is published stays",
        }
        super().__init__(
            what,
            code=code,
            where=where,
            expected="a folder on a healthy disk that can be written"
            if "://" not in where
            else "a store that can be reached, read and written",
            remedy=remedies.get(code, "check the disk, then run again"),
        )


class NotDeterministic(RunFailed):
    """A run was computed twice and the results differ; both are kept.

    first, second: folders. first_digest, second_digest: their result digests.
    """

    code = "NONDETERMINISM"

    def __init__(self, *, first: str, first_digest: str, second: str, second_digest: str) -> None:
        self.first = first
        self.second = second
        super().__init__(
            f"this run was computed before with another result: {second_digest} in {second}",
            where=first,
            expected=first_digest,
            remedy="compare the two folders; look for wall clock, unseeded randomness or state kept between runs",
        )


class RunIdConflict(RunFailed):
    """The folder of a run's id holds another run; the id is the hash of what makes a run."""

    code = "RUN_ID_CONFLICT"

    def __init__(self, run_id: str, *, where: str) -> None:
        super().__init__(
            f"the folder of {run_id} holds another run",
            where=where,
            expected="a run whose identity hashes to this id",
            remedy="move the folder away: its files were copied from another run or were altered",
        )


class RunNotFound(UserMistake):
    """There is no such run in the store. store: as it was given; the error tells its whole path."""

    code = "RUN_NOT_FOUND"

    def __init__(self, run: str, store: str) -> None:
        super().__init__(
            f"there is no run {run!r}",
            where=str(Path(store).absolute()),
            expected="the folder or the id of a run, or the beginning of one id",
            remedy=f"boxgate runs list --artifacts {shlex.quote(store)} shows the runs of this folder; "
            "name another folder with --artifacts",
        )


class RunAmbiguous(UserMistake):
    """Several runs of the store begin with what was given as an id; `runs` lists their ids."""

    code = "RUN_AMBIGUOUS"

    def __init__(self, run: str, runs: Sequence[str], store: str) -> None:
        self.runs = tuple(runs)
        shown = ", ".join(runs[:5])
        super().__init__(
            f"{run!r} begins {len(runs)} ids: {shown}{', …' if len(runs) > 5 else ''}",
            where=store,
            expected="as much of an id as only one run begins with",
            remedy="give more of the id",
        )


class RunDamaged(RunFailed):
    """A published run is not what its manifest says."""

    code = "RUN_DAMAGED"

    def __init__(self, what: str, *, where: str, expected: str) -> None:
        super().__init__(what, where=where, expected=expected, remedy="move the folder away and run again")
