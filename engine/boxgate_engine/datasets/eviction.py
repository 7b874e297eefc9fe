"""Room in the cache: what lies there, and its removal, the least recently used first and never while it is in use.

A file is in use while a process maps it (a shared lock on the file itself, see `ipc.map_ipc`) or writes it (the lock
beside it). The system drops the locks of a process that dies. The time of the lock file says when a file was last used.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.names import hash_in

SIZE_MAX_DEFAULT: Final = 20 << 30
"""Bytes that a cache may hold unless the config says otherwise."""

_EVICTED: Final = ".arrow"


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheEntry:
    """One file of the cache. dataset: hash. used_ns: last use. in_use: mapped or written by a process of this host."""

    path: Path
    dataset: str
    bytes: int
    used_ns: int
    in_use: bool


def keep_within(cache_dir: Path, size_max: int) -> int:
    """Remove files that nobody uses, the least recently used first, until the cache holds `size_max` bytes at most.

    Returns by how many bytes it is still larger, because what is left is in use; 0 if it is not.
    """
    found = [(path, *_facts(path)) for path in _files(cache_dir)]
    total = sum(size for _, size, _ in found)
    for path, size, _ in sorted(found, key=lambda one: (one[2], str(one[0]))):
        if total <= size_max:
            return 0
        if _remove(path):
            total -= size
    return max(0, total - size_max)


def clear_cache(cache_dir: Path, dataset: str | None = None) -> tuple[int, int]:
    """Remove what nobody uses, of one dataset (a hash) or of all; return (removed, left) bytes."""
    removed = left = 0
    for path in _files(cache_dir, dataset):
        size = _facts(path)[0]
        if _remove(path):
            removed += size
        else:
            left += size
    return removed, left


def cache_entries(cache_dir: Path) -> list[CacheEntry]:
    """Return every file that can be evicted, the least recently used first."""
    entries = []
    for path in _files(cache_dir):
        size, used_ns = _facts(path)
        with _free(path) as free:
            entry = CacheEntry(
                path=path,
                dataset=path.relative_to(cache_dir).parts[0],
                bytes=size,
                used_ns=used_ns,
                in_use=not free,
            )
        entries.append(entry)
    return sorted(entries, key=lambda entry: (entry.used_ns, str(entry.path)))


def _files(cache_dir: Path, dataset: str | None = None) -> list[Path]:
    """Return the files of the cache that this program wrote. Links are not followed."""
    if not cache_dir.is_dir():
        return []
    folders = [entry for entry in cache_dir.iterdir() if len(entry.name) == 64 and hash_in(entry.name)]
    return sorted(
        Path(directory) / name
        for folder in folders
        if dataset in {None, folder.name} and not folder.is_symlink()
        for directory, _, names in os.walk(folder)
        for name in names
        if Path(name).suffix == _EVICTED and not name.startswith(".")
    )


def _facts(path: Path) -> tuple[int, int]:
    """Return (bytes, time of the last use in ns); zeros for a file that was removed meanwhile."""
    try:
        facts = path.stat(follow_symlinks=False)
    except OSError:
        return 0, 0
    try:
        return facts.st_size, path.with_suffix(".lock").stat().st_mtime_ns
    except OSError:
        return facts.st_size, facts.st_mtime_ns


def _remove(path: Path) -> bool:
    """Remove a file and its stamp. False if it is in use or may not be removed."""
    with _free(path) as free:
        if not free:
            return False
        try:
            path.unlink(missing_ok=True)
            path.with_suffix(".json").unlink(missing_ok=True)
        except OSError:
            return False
        return True


@contextmanager
def _free(path: Path) -> Iterator[bool]:
    """Yield whether nobody uses the file, and keep it so meanwhile."""
    with ExitStack() as stack:
        try:
            for target, mode in ((path.with_suffix(".lock"), "ab"), (path, "rb")):
                file = stack.enter_context(target.open(mode))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except FileNotFoundError:
            free = True
        except OSError:
            free = False
        yield free
