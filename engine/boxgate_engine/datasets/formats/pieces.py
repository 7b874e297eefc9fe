"""The text of a file piece by piece: unpacked, in UTF-8, cut at line ends, in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, Final, cast

from boxgate_engine.datasets.formats.archive import BYTES_MAX, RATIO_MAX, is_zip, only_member
from boxgate_engine.datasets.formats.delimited import line_ends
from boxgate_engine.datasets.formats.source import InputFile
from boxgate_engine.errors import DataRefused

PIECE_BYTES: Final = 8 << 20
"""So much text is read at once."""

_LINE_BYTES_MAX: Final = 1 << 20
GZIP: Final = b"\x1f\x8b"
_UTF8_BOM: Final = b"\xef\xbb\xbf"
UTF16: Final = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Whole lines of a text, the last without its end. lines_before, bytes_read: of the file."""

    text: bytes
    lines_before: int
    bytes_read: int


def pieces_of(file: InputFile, piece_bytes: int | None = None) -> Iterator[Piece]:
    """Yield the text of a file, or of the one in a zip or gzip, without byte order mark and blank lines at its end.

    Raises DataRefused (DATA_FORMAT) for what is damaged, packed out of all proportion or empty.
    """
    size = piece_bytes or PIECE_BYTES
    rest, lines, seen = b"", 0, False
    for data, bytes_read in decoded(file, size):
        text, rest = _whole_lines(rest, data)
        if not text:
            if len(rest) > max(_LINE_BYTES_MAX, 2 * size):
                raise _refused(file, "a line has more than a million bytes", "lines of market data")
            continue
        seen = True
        yield Piece(text=text, lines_before=lines, bytes_read=bytes_read)
        lines += line_ends(text) + 1
    if rest.strip():
        yield Piece(text=rest.rstrip(), lines_before=lines, bytes_read=file.size)
    elif not seen:
        raise _refused(file, "the file is empty", "rows of market data")


def _whole_lines(rest: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return (whole lines without the last line end, what is left) of what was left before and what comes.

    Blank lines at an end are left too, for they may be those at the end of the file. No lines: nothing to give yet.
    """
    end = data.rfind(b"\n")
    if end < 0:
        return b"", rest + data
    text = b"".join((rest, memoryview(data)[:end]))  # Copied once: these are the bulk of the file.
    left = data[end:]
    last = text[text.rfind(b"\n") + 1 :]
    if not last.strip():
        filled = len(text.rstrip())
        end = text.find(b"\n", filled)
        text, left = (text[:end], text[end:] + left) if filled and end >= 0 else (b"", text + left)
    return text, left[1:] if text else left


def decoded(file: InputFile, size: int = PIECE_BYTES) -> Iterator[tuple[bytes, int]]:
    """Yield (text in UTF-8 without byte order mark, bytes of the file read so far), unpacked, cut anywhere."""
    decoder: codecs.IncrementalDecoder | None = None
    begun = False
    for packed, bytes_read in _unpacked(file, size):
        data = packed
        if not begun:
            begun = True
            if encoding := UTF16.get(data[:2]):
                decoder = codecs.getincrementaldecoder(encoding)()
            data = data[2:] if decoder else data.removeprefix(_UTF8_BOM)
        try:
            yield (decoder.decode(data).encode() if decoder else data), bytes_read
        except UnicodeError as error:
            raise _not_utf16(file) from error
    try:
        if decoder is not None:
            decoder.decode(b"", final=True)
    except UnicodeError as error:
        raise _not_utf16(file) from error


def _unpacked(file: InputFile, size: int) -> Iterator[tuple[bytes, int]]:
    with ExitStack() as stack:
        raw = stack.enter_context(file.open())
        stream: IO[bytes] = raw
        packed = True
        try:
            if is_zip(file):
                archive = stack.enter_context(zipfile.ZipFile(raw))
                stream = stack.enter_context(archive.open(only_member(file, archive)))
            elif file.head.startswith(GZIP):
                stream = cast(IO[bytes], stack.enter_context(gzip.open(raw)))
            else:
                packed = False
            unpacked = 0
            first = max(size, 4)
            while data := stream.read(first):
                first = size
                unpacked += len(data)
                if packed and unpacked > min(BYTES_MAX, RATIO_MAX * max(file.size, 1 << 12)):
                    raise _refused(
                        file,
                        f"the file of {file.size} bytes unpacks to more than {unpacked - len(data)}",
                        f"at most {BYTES_MAX} bytes and a ratio of {RATIO_MAX}",
                    )
                yield data, raw.tell()
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
            OSError,
        ) as error:
            if isinstance(error, DataRefused):
                raise
            kind = "zip" if is_zip(file) else "file"
            raise _refused(file, f"the {kind} is damaged or cut off ({error})", f"a sound {kind}") from error


def _not_utf16(file: InputFile) -> DataRefused:
    return _refused(file, "the file begins as UTF-16 and is not", "text in UTF-8 or UTF-16")


def _refused(file: InputFile, what: str, expected: str) -> DataRefused:
    return DataRefused(
        what, code="DATA_FORMAT", where=file.label, expected=expected, remedy="download or export the file again"
    )
