"""The one file of market data inside a zip."""

from __future__ import annotations

import zipfile
import zlib
from typing import Final

from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.errors import DataRefused

BYTES_MAX: Final = 2 << 30
RATIO_MAX: Final = 200
"""Market data as text shrink to a fifth or a tenth; what shrinks far more is no market data."""


def is_zip(file: InputFile) -> bool:
    """True if the file is meant to be a zip, by its name or its first bytes."""
    return file.path.suffix.lower() == ".zip" or file.head.startswith(b"PK\x03\x04")


def read_member(file: InputFile, bytes_max: int | None = None) -> tuple[str, bytes]:
    """Return (name, bytes or the first of them) of the only file in a zip.

    Notes (.txt) beside one .csv and what macOS adds do not count.

    Raises DataRefused (DATA_FORMAT) if it is no sound zip, holds not one file, or a file out of all proportion.
    """
    try:
        with zipfile.ZipFile(file.path) as archive:
            member = only_member(file, archive)
            with archive.open(member) as text:
                return member.filename, text.read(-1 if bytes_max is None else bytes_max)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _refused(file, f"the zip is damaged or cut off ({error})", "a sound zip") from error


def only_member(file: InputFile, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one file of market data in a zip. Raises DataRefused (DATA_FORMAT); see `read_member`."""
    members = [member for member in archive.infolist() if not member.is_dir() and not _is_of_macos(member.filename)]
    data = [member for member in members if not member.filename.lower().endswith(".txt")]
    if len(data) == 1 and data[0].filename.lower().endswith(".csv"):
        members = data
    if len(members) != 1:
        raise _refused(file, f"the zip holds {len(members)} files", "one file of market data")
    member = members[0]
    if member.file_size > min(BYTES_MAX, RATIO_MAX * max(member.compress_size, 1 << 12)):
        raise _refused(
            file,
            f"the zip would unpack {member.compress_size} bytes to {member.file_size}",
            f"at most {BYTES_MAX} bytes and a ratio of {RATIO_MAX}",
        )
    return member


def _is_of_macos(name: str) -> bool:
    """True for what macOS puts into a zip beside its files."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2] == ".DS_Store"


def _refused(file: InputFile, what: str, expected: str) -> DataRefused:
    return DataRefused(
        what, code="DATA_FORMAT", where=file.label, expected=expected, remedy="download or export the file again"
    )
