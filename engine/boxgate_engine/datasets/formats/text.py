"""The text of a file: unpacked, in UTF-8, whatever it came in."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.formats.archive import is_zip, read_member
from boxgate_engine.datasets.formats.delimited import clean_text
from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.errors import DataRefused

_HEAD_BYTES: Final = 1 << 16
_UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def text_of(file: InputFile) -> bytes:
    """Return the whole text of a file, or of the one file in a zip, in UTF-8 without byte order mark.

    Raises DataRefused (DATA_FORMAT) for what is empty, binary or no text.
    """
    data = read_member(file)[1] if is_zip(file) else file.data
    encoding = _UTF16.get(data[:2])
    if encoding is None:
        return clean_text(data, file.label)
    try:
        return clean_text(data[2:].decode(encoding).encode(), file.label)
    except UnicodeDecodeError as error:
        raise DataRefused(
            "the file begins as UTF-16 and is not",
            code="DATA_FORMAT",
            where=file.label,
            expected="text in UTF-8 or UTF-16",
            remedy="export it again; a file that was cut off must be downloaded again",
        ) from error


def stem_of(file: InputFile) -> str:
    """Return the name, without its ending, of a file or of the one file in a zip."""
    return Path(read_member(file, 1)[0]).stem if is_zip(file) else file.path.stem


def first_lines(file: InputFile, count: int) -> list[str]:
    """Return the first lines of a file's text, stripped; fewer where it is no text. Never raises."""
    head = file.head
    if is_zip(file):
        try:
            head = read_member(file, _HEAD_BYTES)[1]
        except DataRefused:
            return []
    encoding = _UTF16.get(head[:2])
    text = head[2 : len(head) // 2 * 2].decode(encoding, "replace") if encoding else head.decode("utf-8-sig", "replace")
    return [line.strip() for line in text.split("\n")[:count]]
