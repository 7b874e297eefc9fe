"""Durable writes: a file or a folder appears complete under its name, or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from boxgate_engine.errors import RunFailed

_FOLDER: Final = ".unfinished-folder-"
_FILE: Final = ".unfinished-file-"
_LOCK: Final = ".lock"


@contextmanager
def unfinished_folder(root: Path) -> Iterator[Path]:
    """Yield a fresh folder inside `root` that vanishes on leaving, unless it was published by rename.

    Left-overs of processes that were killed are removed first; those of processes that still run are recognised by
    the lock that they hold, and left alone.
    """
    with _naming_failures(root), ExitStack() as stack:
        with locked(root / _LOCK):  # No other process may take the new folder for a left-over before it is locked.
            _remove_left_overs(root)
            folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=root))
            lock = stack.enter_context(_lock_of(folder).open("wb"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            stack.callback(_lock_of(folder).unlink, missing_ok=True)
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        yield folder


def publish_folder(folder: Path, target: Path) -> bool:
    """Rename a finished folder to `target`, durably. Returns False, and leaves both, if `target` exists already."""
    for directory, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(directory) / name)
        _sync(Path(directory))
    try:
        folder.rename(target)
    except OSError:
        if target.is_dir():
            return False
        raise
    _sync(target.parent)
    return True


@contextmanager
def unfinished_file(target: Path) -> Iterator[Path]:
    """Yield a path beside `target`; on leaving without an error the file there replaces `target`, durably.

    The caller holds the lock of `target`; so what lies there unfinished is a left-over of a killed process.
    """
    with _naming_failures(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f"{_FILE}{target.name}-"
        for left_over in target.parent.glob(f"{prefix}*"):
            left_over.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(prefix=prefix, dir=target.parent)
        os.close(handle)
        path = Path(name)
        try:
            yield path
            _sync(path)
            path.replace(target)
            _sync(target.parent)
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the one lock of a file name among the processes of this host. Its time says when it was last taken."""
    with ExitStack() as stack:
        with _naming_failures(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(path.open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.utime(lock.fileno())
        yield


@contextmanager
def _naming_failures(folder: Path) -> Iterator[None]:
    """Turn a full disk, a missing permission and the like into a RunFailed (DATA_STORE) that names the folder."""
    try:
        yield
    except OSError as error:
        raise RunFailed(
            f"the folder cannot be written ({error.strerror or error})",
            code="DATA_STORE",
            where=str(folder),
            expected="a folder of a local disk with room, that this user may write",
            remedy="make room or give permission; or choose another folder for datasets or cache",
        ) from error


def _remove_left_overs(root: Path) -> None:
    """Remove unfinished folders whose lock nobody holds, and locks whose folder was published."""
    folders = {path.with_suffix("") for path in root.glob(f"{_FOLDER}*")}
    for folder in folders:
        with _lock_of(folder).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink(missing_ok=True)


def _lock_of(folder: Path) -> Path:
    """The lock lies beside the folder, so that the folder holds nothing but what is published."""
    return folder.with_suffix(".lock")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
