"""The cache of mapped files: each series transcoded once to Arrow IPC, then mapped by every process of the host.

Everything here can be deleted at any time. A file is verified in full when it is written; afterwards a stamp beside it
says with which size and modification time it and its Parquet sources were left, and a difference makes it be verified
and written anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from boxgate_engine.datasets.canonical import series_digest
from boxgate_engine.datasets.content import Column, SeriesContent
from boxgate_engine.datasets.durable import locked, unfinished_file
from boxgate_engine.datasets.ipc import Mapped, map_ipc, write_ipc
from boxgate_engine.datasets.manifest import JsonObject, StoredSeries
from boxgate_engine.datasets.parquet import file_sha256, read_series
from boxgate_engine.errors import DataDamaged

_STAMP_SCHEMA: Final = "boxgate.cache/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedFile:
    """A mapped cache file. state: what the file system said of it when it was mapped. written: just now, by this call.

    evictable: the columns are copies, so that the file may go.
    """

    path: Path
    mapped: Mapped
    state: tuple[int, int, int]
    written: bool = False
    evictable: bool = False

    def copied(self) -> CachedFile:
        """Return the same columns in memory of their own; address and bytes stay those of the map."""
        columns: dict[str, Column] = {}
        for name, values in self.mapped.columns.items():
            columns[name] = values.copy()
            columns[name].flags.writeable = False
        return replace(self, mapped=replace(self.mapped, columns=columns), evictable=True)

    def check_unchanged(self) -> None:
        """Raise DataDamaged (SNAPSHOT_MUTATED) if the file was changed or removed since it was mapped."""
        try:
            now: tuple[int, ...] = _state(self.path)
        except FileNotFoundError:
            now = self.state if self.evictable else ()
        except OSError:
            now = ()
        if now != self.state:
            raise DataDamaged(
                "a mapped file was changed while it was in use",
                code="SNAPSHOT_MUTATED",
                where=str(self.path),
                expected="cache files that nothing but this program writes",
                remedy="run again; if it happens again, find the program that writes to the cache folder",
            )


def cached_series(folder: Path, series: StoredSeries, cache: Path) -> CachedFile:
    """Map a stored series, transcoding it first where the cache has it not.

    folder: the dataset's folder. cache: the dataset's folder in the cache. Raises DataDamaged (DATA_HASH) if a Parquet
    file is not what the manifest says.
    """
    sources = [folder / file.path for file in series.files]

    def load() -> dict[str, Column]:
        content = read_series(folder, series)
        check_digest(content, series, folder)
        return content.columns

    return _cached(cache / series.symbol / f"{series.frame}.arrow", series.digest, sources, load)


def cached_derived(cache: Path, symbol: str, frame: str, key: str, make: Callable[[], SeriesContent]) -> CachedFile:
    """Map a series that is computed from another one. key: what it is a function of, for example a digest."""
    return _cached(cache / symbol / f"{frame}.arrow", key, [], lambda: make().columns)


def cached_columns(path: Path, key: str, make: Callable[[], dict[str, Column]]) -> CachedFile:
    """Map a file of columns that are computed. path: of the file. key: as of `cached_derived`."""
    return _cached(path, key, [], make)


def check_digest(content: SeriesContent, series: StoredSeries, folder: Path) -> None:
    """Raise DataDamaged (DATA_HASH) unless the content has the digest of the manifest."""
    found = series_digest(content)
    if found != series.digest:
        raise DataDamaged(
            f"the content of {series.symbol} {series.frame} has digest {found}",
            code="DATA_HASH",
            where=str(folder),
            expected=f"digest {series.digest}",
            remedy="restore the dataset's folder from a copy, or delete it and import the data again",
        )


def damaged_cache_files(paths: Iterable[Path]) -> list[Path]:
    """Return those cache files whose bytes are not those that were written, or that have no stamp."""
    bad = []
    for path in sorted(paths):
        stamp = _read_stamp(path)
        if stamp is None or stamp.get("sha256") != file_sha256(path):
            bad.append(path)
    return bad


def _cached(path: Path, key: str, sources: list[Path], load: Callable[[], dict[str, Column]]) -> CachedFile:
    ready = _map_if_current(path, key, sources)
    if ready is not None:
        return ready
    with locked(path.with_suffix(".lock")):
        ready = _map_if_current(path, key, sources)  # Another process may have written it meanwhile.
        if ready is not None:
            return ready
        # The states are taken before reading, so that a change during it is seen the next time.
        before = [_state(source) for source in sources if source.exists()]
        columns = load()
        with unfinished_file(path) as unfinished:
            write_ipc(columns, unfinished)
            unfinished.chmod(0o444)
        _write_stamp(path, key, before)
        ready = _map_if_current(path, key, sources)
    if ready is None:
        raise DataDamaged(
            "a cache file changed as soon as it was written",
            code="SNAPSHOT_MUTATED",
            where=str(path),
            expected="cache files that nothing but this program writes",
            remedy="run again, or point data_provider.cache.local_dir to a folder on a local disk",
        )
    return replace(ready, written=True)


def _map_if_current(path: Path, key: str, sources: list[Path]) -> CachedFile | None:
    stamp = _read_stamp(path)
    if stamp is None or stamp.get("key") != key:
        return None
    try:
        state = _state(path)
        current = stamp.get("state") == list(state) and stamp.get("sources") == [list(_state(s)) for s in sources]
        if not current:
            return None
        mapped = map_ipc(path)
        if _state(path) != state:  # Evicted before the map held it.
            return None
    except (OSError, pa.ArrowException):
        return None
    with suppress(OSError):  # A cache that may only be read evicts nothing either.
        os.utime(path.with_suffix(".lock"))
    return CachedFile(path=path, mapped=mapped, state=state)


def _write_stamp(path: Path, key: str, sources: list[tuple[int, int, int]]) -> None:
    stamp = {
        "schema": _STAMP_SCHEMA,
        "key": key,
        "sha256": file_sha256(path),
        "state": _state(path),
        "sources": sources,
    }
    with unfinished_file(path.with_suffix(".json")) as unfinished:
        unfinished.write_text(json.dumps(stamp, sort_keys=True) + "\n", encoding="utf-8")


def _read_stamp(path: Path) -> JsonObject | None:
    try:
        stamp = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and stamp.get("schema") == _STAMP_SCHEMA else None


def _state(path: Path) -> tuple[int, int, int]:
    facts = path.stat(follow_symlinks=False)
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
