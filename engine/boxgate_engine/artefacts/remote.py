"""Runs in a store behind an address: uploaded from a folder, the manifest last; whoever reads them hashes them again.

Without its manifest a run is not there, so half an upload is never seen. As in a folder, its files are `{run_id}/…`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from boxgate_engine.artefacts.stored import MANIFEST, read_run
from boxgate_engine.errors import NotDeterministic, RunDamaged, RunNotFound, StoreFailed, UserMistake
from boxgate_engine.remote_folder import RemoteFolder, RemoteRefused, shown_address

_AT_ONCE: Final = 8
"""Files of one run that are on their way at once."""
_PAUSES_S: Final = (0.5, 2.0)
_RUN_ID: Final = re.compile(r"r_[0-9a-f]{32}")
_PLAIN: Final = re.compile(r"[a-z0-9_]+\.[a-z0-9]+")
_CODES: Final = {"denied": "STORE_DENIED", "full": "STORE_FULL", "unreachable": "STORE_UNREACHABLE"}


def _nothing(step: str) -> None:
    """Stand in for a test that dies between two steps."""


class RemoteRuns:
    """The runs below an address. Safe for several threads."""

    def __init__(self, address: str) -> None:
        """Find the file system; the network is not asked yet. Raises UserMistake STORE_UNSUPPORTED, StoreFailed."""
        self.shown = shown_address(address).rstrip("/")
        with naming_refusals(self.shown):
            self._folder = patient_folder(address)
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="boxgate-store")

    def publish(self, folder: Path, *, between_steps: Callable[[str], None] = _nothing) -> Literal["new", "kept"]:
        """Upload a published run from its folder, and return whether it was there before.

        One with an equal result digest is kept; a damaged one is set aside as `<run_id>.damaged-<n>`. between_steps is
        called after each step with its name. Raises NotDeterministic if the one that is there has another result: the
        new one is uploaded as `<run_id>.conflict-<digest8>`. Raises StoreFailed; then the run is not there.
        """
        run_id = folder.name
        manifest = json.loads((folder / MANIFEST).read_bytes())
        try:
            with self.fetched(run_id) as there:
                existing: str | None = read_run(there).result_digest
        except RunNotFound:
            existing = None
        except RunDamaged:
            self._set_aside(run_id)
            existing = None
        between_steps("looked")
        if existing == manifest["result_digest"]:
            return "kept"
        name = run_id
        if existing is not None:
            name = f"{run_id}.conflict-{manifest['result_digest'].removeprefix('sha256:')[:8]}"
        with naming_refusals(self.shown):
            names = sorted(path.name for path in folder.iterdir() if path.name != MANIFEST)
            list(self._pool.map(lambda one: self._folder.upload(folder / one, f"{name}/{one}"), names))
            between_steps("files")
            self._folder.upload(folder / MANIFEST, f"{name}/{MANIFEST}")
        between_steps(MANIFEST)
        if existing is not None:
            raise NotDeterministic(
                first=f"{self.shown}/{run_id}",
                first_digest=existing,
                second=f"{self.shown}/{name}",
                second_digest=manifest["result_digest"],
            )
        return "new"

    @contextlib.contextmanager
    def fetched(self, run_id: str) -> Iterator[Path]:
        """Give a folder of this host with what the manifest of a run lists, as it is, for `read_run`; then remove it.

        Raises RunNotFound where there is no manifest, StoreFailed.
        """
        with naming_refusals(self.shown):
            manifest = self._folder.read(f"{run_id}/{MANIFEST}")
        if manifest is None:
            raise RunNotFound(run_id, self.shown)
        with tempfile.TemporaryDirectory(prefix="boxgate-run-") as parent:
            folder = Path(parent) / run_id
            folder.mkdir()
            (folder / MANIFEST).write_bytes(manifest)
            list(self._pool.map(lambda name: self._fetch(f"{run_id}/{name}", folder / name), _listed(manifest)))
            yield folder

    def read(self, run_id: str, name: str) -> bytes | None:
        """Return a file of a run, None where it is not there. Raises StoreFailed."""
        with naming_refusals(self.shown):
            return self._folder.read(f"{run_id}/{name}")

    def run_ids(self) -> list[str]:
        """Return the ids under which something lies, sorted; whether it is a run its manifest tells."""
        with naming_refusals(self.shown):
            return [name for name in self._folder.folders("") if _RUN_ID.fullmatch(name)]

    def with_file(self, name: str) -> set[str]:
        """Return the ids under which there is a file of a name: by one listing. Raises StoreFailed."""
        with naming_refusals(self.shown):
            return {path.removesuffix(f"/{name}") for path in self._folder.files("") if path.endswith(f"/{name}")}

    def _fetch(self, relative: str, target: Path) -> None:
        with naming_refusals(self.shown):
            content = self._folder.read(relative)
        if content is not None:
            target.write_bytes(content)

    def _set_aside(self, run_id: str) -> None:
        with naming_refusals(self.shown):
            names = self._folder.files(run_id)
            number = next(n for n in range(1, 1000) if not self._folder.files(f"{run_id}.damaged-{n}"))
            for name in sorted(names, key=lambda one: one != MANIFEST):  # without its manifest it is no run any more
                self._folder.move(f"{run_id}/{name}", f"{run_id}.damaged-{number}/{name}")


@lru_cache(maxsize=8)
def remote_runs(address: str) -> RemoteRuns:
    """Return the runs below an address; its connections serve all of this process. Raises as RemoteRuns."""
    return RemoteRuns(address)


def patient_folder(address: str) -> RemoteFolder:
    """Return a folder that tries again what failed because the store was not reached. Raises RemoteRefused."""
    return RemoteFolder(address, pauses_s=_PAUSES_S)


def prove_store(address: str) -> None:
    """Write a file below an address and remove it again, before anything is computed.

    Raises UserMistake (STORE_UNSUPPORTED), StoreFailed (STORE_DENIED, STORE_FULL, STORE_UNREACHABLE).
    """
    probe = f".probe-{socket.gethostname()}-{os.getpid()}"
    with naming_refusals(shown_address(address)):
        folder = RemoteFolder(address)
        folder.write(probe, b"x")
        folder.remove(probe)


@contextlib.contextmanager
def naming_refusals(shown: str) -> Iterator[None]:
    """Turn what a remote folder refuses into errors of the store. shown: its address without credentials."""
    try:
        yield
    except RemoteRefused as refused:
        if refused.kind == "unknown":
            raise UserMistake(
                f"no file system for this address: {refused}",
                code="STORE_UNSUPPORTED",
                where=shown,
                expected="a folder, or a scheme of pyarrow or fsspec such as s3, gs or abfs, with its driver installed",
                remedy="correct the address, or install the package that the message names",
            ) from refused
        what = f"the store cannot be used: {refused}"
        raise StoreFailed(what, where=shown, code=_CODES[refused.kind]) from refused


def _listed(manifest: bytes) -> list[str]:
    """Return the plain file names that a manifest lists; what is wrong with it `read_run` tells."""
    try:
        files = json.loads(manifest)["files"]
        return [name for name in files if _PLAIN.fullmatch(name)]
    except (ValueError, KeyError, TypeError):
        return []
