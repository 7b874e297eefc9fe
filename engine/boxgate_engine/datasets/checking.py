"""Verification of everything that is stored of a dataset: files, pages, content, name, cache and slices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from boxgate_engine.datasets.cache import check_digest, damaged_cache_files
from boxgate_engine.datasets.catalogue import read_catalogue
from boxgate_engine.datasets.content import SeriesContent
from boxgate_engine.datasets.dataset import Dataset
from boxgate_engine.datasets.ipc import map_ipc
from boxgate_engine.datasets.manifest import FILE_NAME, Manifest, read_manifest
from boxgate_engine.datasets.parquet import read_series
from boxgate_engine.datasets.slices import SLICE_FOLDER
from boxgate_engine.datasets.store import dataset_folder, find, stored_hashes
from boxgate_engine.errors import BoxgateError, DataDamaged


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What a check found. problems: empty if all is well. files: Parquet, cache and slice files that were verified."""

    name: str
    hash: str
    rows: int
    files: int
    problems: tuple[BoxgateError, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One dataset of the store. names: catalogue entries that stand for it. manifest: None if `problem` is set."""

    hash: str
    names: tuple[str, ...]
    manifest: Manifest | None
    problem: BoxgateError | None = None


def check_dataset(root: Path, name_or_hash: str, cache_dir: Path) -> CheckResult:
    """Verify a dataset and what is cached of it, byte for byte. Problems are returned, not raised.

    Raises DataRefused for a name that is bad or unknown, DataDamaged if the manifest itself is unsound.
    """
    name, manifest = find(root, name_or_hash)
    folder = dataset_folder(root, manifest.hash)
    problems: list[BoxgateError] = []
    contents: dict[tuple[str, str], SeriesContent] = {}
    known = {FILE_NAME}
    for series in manifest.series:
        known.update(file.path for file in series.files)
        try:
            content = read_series(folder, series)
            check_digest(content, series, folder)
            contents[series.symbol, series.frame] = content
        except DataDamaged as error:
            problems.append(error)
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    problems += [_problem(folder / extra, "the file is not in the manifest") for extra in sorted(found - known)]
    cache = cache_dir / manifest.hash
    cached = [path for path in cache.rglob("*.arrow") if path.parent.name != SLICE_FOLDER]
    problems += [_problem(path, "the cache file was changed", "delete it") for path in damaged_cache_files(cached)]
    slices = sorted(cache.rglob(f"{SLICE_FOLDER}/*.arrow"))
    opened = Dataset(name, manifest, folder, cache)
    problems += [
        _problem(path, "the slice is no part of its series", "delete it")
        for path in slices
        if not _is_prefix(path, opened, contents)
    ]
    return CheckResult(
        name=name,
        hash=manifest.hash,
        rows=sum(content.rows for content in contents.values()),
        files=len(known) - 1 + len(cached) + len(slices),
        problems=tuple(problems),
    )


def list_datasets(root: Path) -> list[Listed]:
    """Return every dataset of the store, and every catalogue entry without one, by name and then by hash."""
    names: dict[str, list[str]] = {}
    for name, digest in read_catalogue(root).items():
        names.setdefault(digest, []).append(name)
    stored = stored_hashes(root)
    listed = []
    for digest in {*stored, *names}:
        entry_names = tuple(sorted(names.get(digest, ())))
        try:
            manifest = read_manifest(dataset_folder(root, digest), digest)
            listed.append(Listed(hash=digest, names=entry_names, manifest=manifest))
        except DataDamaged as error:
            listed.append(Listed(hash=digest, names=entry_names, manifest=None, problem=error))
    return sorted(listed, key=lambda one: (not one.names, one.names, one.hash))


def _is_prefix(path: Path, opened: Dataset, contents: dict[tuple[str, str], SeriesContent]) -> bool:
    """True if a slice holds the first rows of its series, stored or aggregated."""
    symbol, frame = path.parent.parent.name, path.stem.rsplit("-", 1)[0]
    try:
        columns = map_ipc(path).columns
    except (OSError, pa.ArrowException):
        return False
    try:
        content = contents.get((symbol, frame)) or opened.series(symbol, frame).content()
    except BoxgateError:
        return True  # The series is a problem of its own.
    return tuple(columns) == tuple(content.columns) and all(
        np.array_equal(values, content.columns[name][: len(values)]) for name, values in columns.items()
    )


def _problem(path: Path, what: str, remedy: str = "remove it") -> DataDamaged:
    return DataDamaged(
        what,
        code="DATA_HASH",
        where=str(path),
        expected="files as this program wrote them",
        remedy=f"{remedy}, and find what wrote it",
    )
