"""Names that people give: datasets and symbols. Both become parts of paths, so both are held to an allow-list."""

from __future__ import annotations

import re
from typing import Final

from boxgate_engine.errors import DataRefused

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HASH: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII)
_FLOATING: Final = frozenset({"latest", "newest", "head", "current"})
_EXPECTED: Final = "1 to 64 of the characters A-Z a-z 0-9 . _ -, the first a letter or digit"


def check_dataset_name(name: str) -> str:
    """Return the name of a catalogue entry. Raises DataRefused (NAME_INVALID, DATASET_NOT_FROZEN)."""
    check_name(name, where="name of the dataset")
    if name.lower() in _FLOATING:
        raise DataRefused(
            f"{name!r} does not name one dataset for ever",
            code="DATASET_NOT_FROZEN",
            where="name of the dataset",
            expected="a name of the catalogue or a hash",
            remedy="take a name or a hash from `boxgate data list`",
        )
    if _HASH.fullmatch(name):
        raise _invalid(name, "name of the dataset", "a name that is not itself a hash")
    return name


def check_name(name: str, *, where: str) -> str:
    """Return a name that is safe as one part of a path. Raises DataRefused (NAME_INVALID)."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise _invalid(name, where, _EXPECTED)
    return name


def hash_in(name_or_hash: str) -> str | None:
    """Return the 64 hex digits if the text is the hash of a dataset, else None."""
    match = _HASH.fullmatch(name_or_hash)
    return match.group(1) if match else None


def _invalid(name: str, where: str, expected: str) -> DataRefused:
    shown = ascii(name) if len(name) <= 80 else f"{name[:60]!a}… ({len(name)} characters)"
    return DataRefused(
        f"{shown} is no valid name", code="NAME_INVALID", where=where, expected=expected, remedy="choose another name"
    )
