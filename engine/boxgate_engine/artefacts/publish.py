"""Publishing a run: written aside, then shown by one rename.

A reader sees a complete folder or none, whenever the writer is killed and however many write at once.
Source: docs/spec/artefacts.md, section 5.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from boxgate_engine.artefacts.content import LEDGER_FILE, RunArtefacts, json_bytes
from boxgate_engine.artefacts.stored import MANIFEST, REPORT, UNLISTED, StoredRun, read_run
from boxgate_engine.beside import Beside
from boxgate_engine.errors import NotDeterministic, RunDamaged, RunNotFound, StoreFailed

_ASIDE: Final = ".tmp-"
_LARGE_BYTES: Final = 1 << 20
"""From here on the files of a run are hashed while they are written."""
_swept: Final[set[str]] = set()
"""Stores that this process has looked through for what dead writers left: among very many runs it takes a while."""
_CODES: Final = {
    errno.ENOSPC: "STORE_FULL",
    errno.EDQUOT: "STORE_FULL",
    errno.EACCES: "STORE_DENIED",
    errno.EPERM: "STORE_DENIED",
    errno.EROFS: "STORE_DENIED",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """Where a run is, and whether it was there before (`kept`) or not (`new`)."""

    folder: Path
    published: Literal["new", "kept"]


def _nothing(step: str) -> None:
    """Stand in for a test that dies between two steps."""


def publish_run(
    artefacts: RunArtefacts,
    store: Path,
    *,
    durable: bool = True,
    between_steps: Callable[[str], None] = _nothing,
) -> Published:
    """Write the folder of a run under `store` and return where it is.

    durable: when this returns the run outlasts a crash of the machine. Otherwise it outlasts that of the process alone,
    until `sync_store` was called: after a crash of the machine before that, a folder may lack content, which readers
    find by the manifest, and the next run of the same identity sets it aside. For the many runs of a matrix: the disk
    is asked once for all of them, before they are noted as done, instead of a dozen times for each.

    An existing folder with an equal result digest is kept; it gets the page and the ledger if it had none. A damaged
    one is set aside as `<run_id>.damaged-<n>`. between_steps is called after each step with its name.
    Raises NotDeterministic if the existing result differs: the new one is kept as `<run_id>.conflict-<digest8>`.
    Raises StoreFailed for what the disk refuses; then nothing is visible.
    """
    target = store / artefacts.run_id
    with _store_errors(store), _folder_aside(store) as aside:
        between_steps("folder")
        _write_files(artefacts, aside, between_steps)
        if durable:
            _sync_files(aside)
        between_steps("sync")
        if _rename(aside, target):
            between_steps("rename")
            if durable:
                _sync_folder(store)
            return Published(folder=target, published="new")
        try:
            existing = read_run(target)
        except (RunDamaged, RunNotFound):
            _rename_free(target, f"{target}.damaged-")
            if not _rename(aside, target):
                raise  # another writer was faster and left damage again
            if durable:
                _sync_folder(store)
            return Published(folder=target, published="new")
        if existing.result_digest != artefacts.result_digest:
            other = store / f"{artefacts.run_id}.conflict-{artefacts.result_digest.removeprefix('sha256:')[:8]}"
            _rename(aside, other)
            raise NotDeterministic(
                first=str(target),
                first_digest=existing.result_digest,
                second=str(other),
                second_digest=artefacts.result_digest,
            )
        for name in (REPORT, LEDGER_FILE):
            if (aside / name).exists() and name not in existing.files:
                _replace_file(existing, name, (aside / name).read_bytes())
                existing = read_run(target)
        return Published(folder=target, published="kept")


def put_report(run: StoredRun, render: Callable[[Path], str]) -> Path:
    """Build the page of a published run again and return its path. The manifest is renewed with it."""
    with _store_errors(run.folder):
        _replace_file(run, REPORT, render(run.folder).encode())
    return run.folder / REPORT


def sync_store(store: Path) -> None:
    """Wait until all runs that were published under `store` are on the disk. Raises StoreFailed."""
    with _store_errors(store):
        descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Python has no call of its own for the one file system that matters.
            if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
        finally:
            os.close(descriptor)


def prepare_store(store: Path) -> None:
    """Make the folder of the runs and prove that it can be written, before anything is computed."""
    with _store_errors(store):
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store) as probe:
            probe.write(b"x")
            probe.flush()


def _write_files(artefacts: RunArtefacts, aside: Path, between_steps: Callable[[str], None]) -> None:
    files = artefacts.files()
    facts = Beside(
        lambda: {name: _facts(content) for name, content in files.items() if name not in UNLISTED},
        name="boxgate-hash",
        threaded=sum(map(len, files.values())) > _LARGE_BYTES,
    )
    for name, content in files.items():
        (aside / name).write_bytes(content)
        between_steps(name)
    listed = facts.value()
    if artefacts.render is not None:
        page = artefacts.render(aside).encode()
        (aside / REPORT).write_bytes(page)
        listed[REPORT] = _facts(page)
        between_steps(REPORT)
    manifest = {
        "schema": "boxgate.manifest/1",
        "run_id": artefacts.run_id,
        "result_digest": artefacts.result_digest,
        "status": "complete",
        "mode": artefacts.mode,
        "dataset": artefacts.identity["dataset"],
        "strategy_digest": artefacts.identity["strategy"]["digest"],
        "files": listed,
    }
    (aside / MANIFEST).write_bytes(json_bytes(manifest))
    between_steps(MANIFEST)


def _sync_files(folder: Path) -> None:
    # All are written before the first is synced: the disk then has one queue to drain, not one per file.
    for path in sorted(folder.iterdir()):
        _sync_file(path)
    _sync_folder(folder)


def _facts(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _replace_file(run: StoredRun, name: str, content: bytes) -> None:
    """Take the old file off the manifest, swap it, list the new one: each state between is a valid run."""
    files = {other: facts for other, facts in run.files.items() if other != name}
    swaps = (
        (MANIFEST, json_bytes({**run.manifest, "files": files})),
        (name, content),
        (MANIFEST, json_bytes({**run.manifest, "files": {**files, name: _facts(content)}})),
    )
    for swapped, new in swaps:
        fresh = run.folder / f"{_ASIDE}{swapped}"
        fresh.write_bytes(new)
        _sync_file(fresh)
        fresh.replace(run.folder / swapped)
    _sync_folder(run.folder)


@contextlib.contextmanager
def _folder_aside(store: Path) -> Iterator[Path]:
    """Give a hidden folder beside the target; it is gone afterwards unless it was renamed.

    While its writer lives the folder is locked; what a dead writer left is swept by the next one.
    """
    store.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        # Sweeping and making under one lock of the store: a folder not locked yet is never taken for abandoned.
        with _locked(store, wait=True):
            if (name := str(store.absolute())) not in _swept:
                _sweep(store)
                _swept.add(name)
            aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=store))
            held.callback(shutil.rmtree, aside, ignore_errors=True)
            aside.chmod(0o755)
            held.enter_context(_locked(aside, wait=False))
        yield aside


def _sweep(store: Path) -> None:
    for folder in store.glob(f"{_ASIDE}*"):
        with contextlib.suppress(OSError), _locked(folder, wait=False) as mine:
            if mine:
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock of a folder; it ends with the process. Gives False where another holds it or there are no locks."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            mine = True
        except OSError:
            mine = False
        yield mine
    finally:
        os.close(descriptor)


def _rename(source: Path, target: Path) -> bool:
    """Rename a folder; False if the target exists already."""
    try:
        source.rename(target)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}:
            return False
        raise
    return True


def _rename_free(source: Path, stem: str) -> None:
    for number in range(1, 1000):
        free = Path(f"{stem}{number}")
        if not free.exists():
            source.rename(free)
            return
    raise OSError(errno.EEXIST, "too many damaged folders", stem)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _store_errors(store: Path) -> Iterator[None]:
    """Name what the disk refuses. A failed write or sync is final: it is never repeated on the same file."""
    try:
        yield
    except OSError as error:
        code = _CODES.get(error.errno or 0, "STORE_IO")
        what = f"the run cannot be stored: {error.strerror or error}"
        raise StoreFailed(what, code=code, where=str(store)) from error
