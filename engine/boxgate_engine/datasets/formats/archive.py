"""The one text file inside a zip."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Final

from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.errors import DataRefused

_BYTES_MAX: Final = 2 << 30
_RATIO_MAX: Final = 200
"""Market data as text shrink to a fifth or a tenth; what shrinks far more is no market data."""


def is_zip(file: InputFile) -> bool:
    """True if the file is meant to be a zip, by its name or its first bytes."""
    return file.path.suffix.lower() == ".zip" or file.data.startswith(b"PK\x03\x04")


def read_member(file: InputFile) -> tuple[str, bytes]:
    """Return (name, bytes) of the only file in a zip.

    Raises DataRefused (DATA_FORMAT) if it is no sound zip, holds not one file, or a file out of all proportion.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(file.data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) != 1:
                raise _refused(file, f"the zip holds {len(members)} files", "one file of market data")
            member = members[0]
            if member.file_size > min(_BYTES_MAX, _RATIO_MAX * max(member.compress_size, 1 << 12)):
                raise _refused(
                    file,
                    f"the zip would unpack {member.compress_size} bytes to {member.file_size}",
                    f"at most {_BYTES_MAX} bytes and a ratio of {_RATIO_MAX}",
                )
            return member.filename, archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _refused(file, f"the zip is damaged or cut off ({error})", "a sound zip") from error


def _refused(file: InputFile, what: str, expected: str) -> DataRefused:
    return DataRefused(
        what, code="DATA_FORMAT", where=file.label, expected=expected, remedy="download or export the file again"
    )
