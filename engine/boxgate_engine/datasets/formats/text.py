"""The text of a file: unpacked, in UTF-8, whatever it came in."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from boxgate_engine.datasets.formats.archive import is_zip, read_member
from boxgate_engine.datasets.formats.delimited import clean_text
from boxgate_engine.datasets.formats.pieces import GZIP, UTF16, decoded
from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.errors import DataRefused

_HEAD_BYTES: Final = 1 << 16


def text_of(file: InputFile) -> bytes:
    """Return the whole text of a file, or of the one in a zip or gzip, in UTF-8 without byte order mark.

    Raises DataRefused (DATA_FORMAT) for what is empty, binary, damaged or no text.
    """
    file.refuse_large()
    return clean_text(b"".join(text for text, _ in decoded(file)), file.label)


def stem_of(file: InputFile) -> str:
    """Return the name, without its ending, of a file or of the one file in a zip or gzip."""
    if is_zip(file):
        return Path(read_member(file, 1)[0]).stem
    return Path(file.path.stem).stem if file.path.suffix.lower() == ".gz" else file.path.stem


def first_lines(file: InputFile, count: int) -> list[str]:
    """Return the first lines of a file's text, stripped; fewer where it is no text. Never raises."""
    head = file.head
    try:
        if is_zip(file):
            head = read_member(file, _HEAD_BYTES)[1]
        elif head.startswith(GZIP):
            head = zlib.decompressobj(31).decompress(head, _HEAD_BYTES)
    except (DataRefused, zlib.error):
        return []
    encoding = UTF16.get(head[:2])
    text = head[2 : len(head) // 2 * 2].decode(encoding, "replace") if encoding else head.decode("utf-8-sig", "replace")
    return [line.strip() for line in text.split("\n")[:count]]
