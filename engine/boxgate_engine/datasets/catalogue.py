"""The catalogue `datasets.yaml`: names of datasets and the hashes they stand for."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Final

import yaml

from boxgate_engine.datasets.durable import locked, unfinished_file
from boxgate_engine.datasets.names import check_dataset_name, hash_in
from boxgate_engine.errors import DataRefused

FILE_NAME: Final = "datasets.yaml"
"""Its file name in the datasets root."""

_HEADER: Final = "# Names of datasets and the hashes of their content. Written by `boxgate data`.\n"
_BYTES_MAX: Final = 1 << 20


def resolve(root: Path, name_or_hash: str) -> tuple[str, str]:
    """Return (name, hash). For a hash the name is the hash itself.

    Raises DataRefused: NAME_INVALID, DATASET_NOT_FROZEN, DATASET_UNKNOWN (a name that the catalogue does not have),
    DATA_CATALOGUE.
    """
    digest = hash_in(name_or_hash)
    if digest is not None:
        return digest, digest
    name = check_dataset_name(name_or_hash)
    entries = read_catalogue(root)
    if name not in entries:
        close = difflib.get_close_matches(name, entries, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise DataRefused(
            f"no dataset is called {name!r}",
            code="DATASET_UNKNOWN",
            where=str(root / FILE_NAME),
            expected=f"one of {', '.join(sorted(entries))}" if entries else "a name of the catalogue, which is empty",
            remedy=hint + "list the names with `boxgate data list`, or import the data",
        )
    return name, entries[name]


def read_catalogue(root: Path) -> dict[str, str]:
    """Return name -> hash, sorted by name; empty if there is no catalogue. Raises DataRefused (DATA_CATALOGUE)."""
    path = root / FILE_NAME
    if not path.exists():
        return {}
    try:
        if path.stat().st_size > _BYTES_MAX:
            raise ValueError(f"larger than {_BYTES_MAX} bytes")
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = {} if raw is None else _entries(raw)
    except (OSError, ValueError, yaml.YAMLError, DataRefused) as error:
        raise DataRefused(
            f"the catalogue cannot be read: {str(error).splitlines()[0]}",
            code="DATA_CATALOGUE",
            where=str(path),
            expected="one line `name: hash` per dataset, the hash 64 hex digits",
            remedy="correct the line, or delete the file and name the datasets again by importing them",
        ) from error
    return dict(sorted(entries.items()))


def register(root: Path, name: str, digest: str) -> None:
    """Let a name stand for a dataset, replacing what it stood for. Other processes see the old or the new file."""
    check_dataset_name(name)
    with locked(root / f".{FILE_NAME}.lock"):
        entries = read_catalogue(root)
        if entries.get(name) == digest:
            return
        entries[name] = digest
        with unfinished_file(root / FILE_NAME) as path:
            path.write_text(_HEADER + yaml.safe_dump(entries, sort_keys=True, width=200), encoding="utf-8")
            path.chmod(0o644)


def _entries(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise ValueError("it is no mapping")
    for name, digest in raw.items():
        if not isinstance(name, str) or not isinstance(digest, str) or len(digest) != 64 or not hash_in(digest):
            raise ValueError(f"entry {name!r}")
        check_dataset_name(name)
    return raw
