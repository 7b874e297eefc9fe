"""Where the runs of a matrix are published: a folder, or an address to which they are uploaded from one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from boxgate_engine.artefacts import prepare_store, sync_store
from boxgate_engine.artefacts.remote import RemoteRuns, prove_store, remote_runs

A = TypeVar("A")
B = TypeVar("B")

_LOOKS_AT_ONCE: Final = 16


@dataclass(frozen=True)
class RunStore:
    """The runs of all matrices of a store.

    folder: of the runs; with an address the place where they are computed, and removed when they were uploaded.
    address: that has `runs` and `matrices`, None where the folder is the store.
    """

    folder: Path
    address: str | None = None

    @property
    def shown(self) -> str:
        """Where the runs are, for people: without credentials."""
        return str(self.folder.resolve()) if self.address is None else self._remote.shown

    def prepare(self) -> None:
        """Prove that it can be written, before anything is computed. Raises UserMistake, StoreFailed."""
        prepare_store(self.folder)
        if self.address is not None:
            prove_store(self.address)

    def sync(self) -> None:
        """Wait until all that was published outlasts a crash of the host; what was uploaded does anyway."""
        if self.address is None:
            sync_store(self.folder)

    def upload(self, run_id: str) -> None:
        """Upload a run from the folder and remove it there; without an address it is where it shall be.

        Raises NotDeterministic, StoreFailed.
        """
        if self.address is not None:
            try:
                self._remote.publish(self.folder / run_id)
            finally:
                shutil.rmtree(self.folder / run_id, ignore_errors=True)

    @contextmanager
    def opened(self, run_id: str) -> Iterator[Path]:
        """Give the folder of a run with the files that its manifest lists. Raises RunNotFound, StoreFailed."""
        if self.address is None:
            yield self.folder / run_id
        else:
            with self._remote.fetched(run_id) as folder:
                yield folder

    def read(self, run_id: str, name: str) -> bytes:
        """Return a file of a run. Raises OSError where it is not there, StoreFailed."""
        if self.address is None:
            return (self.folder / run_id / name).read_bytes()
        content = self._remote.read(run_id, name)
        if content is None:
            raise FileNotFoundError(errno.ENOENT, "no such file", f"{self.shown}/{run_id}/{name}")
        return content

    def with_file(self, name: str) -> set[str]:
        """Return the ids of the runs behind an address that have a file. Raises StoreFailed."""
        return self._remote.with_file(name)

    def names(self) -> list[str]:
        """Return the names of what lies there, runs and other things, sorted. Raises OSError, StoreFailed."""
        if self.address is None:
            with os.scandir(self.folder) as found:
                return sorted(one.name for one in found)
        return self._remote.run_ids()

    def each(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Yield what some work makes of each item, in their order; of runs behind an address several are looked at."""
        if self.address is None:
            yield from map(work, items)
            return
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            yield from pool.map(work, items)

    @property
    def _remote(self) -> RemoteRuns:
        assert self.address is not None
        return remote_runs(below(self.address, "runs"))


def below(address: str, folder: str) -> str:
    """Return the address of a folder below another; its query stays behind it."""
    path, mark, query = address.partition("?")
    return f"{path.rstrip('/')}/{folder}{mark}{query}"
