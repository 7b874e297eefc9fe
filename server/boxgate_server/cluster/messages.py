"""What the driver and the host of Ray tell each other. Plain data; the pipe between them is private to the two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from boxgate_engine.config import RunConfig
from boxgate_engine.errors import BoxgateError, RunFailed, UserMistake
from boxgate_server.cluster.build import Build
from boxgate_server.matrix.execution.work import Outcome, Task

START_FAILED: Final = "RAY_START"
"""Ray did not start on this host, which may be busy: another try may do better."""
LOST: Final = "RAY_LOST"
"""Ray failed while it was used: as START_FAILED."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one run may take; None for as much as it wants. memory: of the tree of its sidecar, in bytes."""

    memory_bytes: int | None = None
    runtime_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """The data server of the driver. manifest: of the dataset, its text. root_certificate: PEM, if it has TLS."""

    manifest: str
    location: str
    token: str = field(repr=False)
    root_certificate: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """What a node needs of the driver. files: of the strategy, by path relative to the folder of the matrix.

    dataset: its hash. root: datasets root that a node may reach by itself, None to fetch in any case. source: where it
    is fetched else. probe: a file in the store, by which a node sees that it is the driver's; "" for one behind an
    address.
    """

    files: dict[str, bytes]
    dataset: str
    root: str | None
    source: Source | None
    probe: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """What the host is told first. workers: at most so many; None for one on each CPU of the cluster.

    folder: where relative paths start. store: where runs are published. address: of a cluster; None starts Ray here.
    shipment: for a cluster. build: what the driver runs. store_address: to which runs are uploaded from the store; then
    each node of a cluster has a store of its own. is_full: there is a worker for every CPU of Ray.
    """

    folder: str
    store: str
    build: Build
    workers: int | None
    group_by: Sequence[str]
    limits: Limits
    address: str | None = None
    shipment: Shipment | None = None
    store_address: str | None = field(default=None, repr=False)
    is_full: bool = False


@dataclass(frozen=True, kw_only=True)
class Work:
    """Runs to be computed. again: they may have been computed already, so the store is looked at first."""

    config: RunConfig
    tasks: tuple[Task, ...]
    again: bool = False


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The first worker can compute. workers: how many there are to be."""

    workers: int


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A worker has begun. node: its id in Ray. fetched_bytes: by it over Flight. place: what its node keeps, or ""."""

    node: str
    pid: int
    fetched_bytes: int = 0
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class Done:
    """What ended."""

    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """The host gives up: what is wrong cannot be mended by trying again."""

    mistake: bool
    code: str
    what: str
    where: str
    expected: str
    remedy: str

    @classmethod
    def of(cls, error: BoxgateError) -> Stopped:
        """Return what tells of an error."""
        return cls(
            mistake=isinstance(error, UserMistake),
            code=error.error_code,
            what=error.what,
            where=error.where,
            expected=error.expected,
            remedy=error.remedy,
        )

    def error(self) -> BoxgateError:
        """Return the error."""
        kind = UserMistake if self.mistake else RunFailed
        return kind(self.what, code=self.code, where=self.where, expected=self.expected, remedy=self.remedy)
