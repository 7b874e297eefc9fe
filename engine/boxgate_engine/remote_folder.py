"""A folder behind an address such as s3://bucket/runs, by the file systems of pyarrow or fsspec.

Paths are relative to it. Its users name what goes wrong by errors of their own: see `RemoteRefused`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

T = TypeVar("T")

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*://.*", re.IGNORECASE)
_CREDENTIALS: Final = re.compile(r"//[^/@]*@|\?.*$")
_CHUNK_BYTES: Final = 1 << 22
_WHOLE: Final = re.compile(r"s3|gcs|abfs|py::fsspec\+.*(s3|gs|gcs|abfs|az|adl|oss|memory).*")
"""Stores in which a file appears with its last byte; elsewhere it is written aside and renamed."""
_DENIED: Final = re.compile(
    r"access.?denied|permission|forbidden|\b40[13]\b|credential|signature|InvalidAccessKey", re.I
)
_FULL: Final = re.compile(r"no space|storage.?full|quota|insufficient.?storage|\b507\b", re.I)
_FULL_CODES: Final = (errno.ENOSPC, errno.EDQUOT)
_DENIED_CODES: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


class RemoteRefused(Exception):
    """What a remote folder refuses, for its user to put into an error of its own; the text has no credentials.

    kind: `unknown`, no file system for this address; `denied`; `full`; `unreachable`, and whatever else fails.
    """

    def __init__(self, kind: Literal["unknown", "denied", "full", "unreachable"], text: str) -> None:
        super().__init__(text)
        self.kind = kind


def is_address(text: str) -> bool:
    """Return whether a text names a folder by a scheme, such as s3://bucket/runs or file:///mnt/runs."""
    return _SCHEME.fullmatch(text) is not None


def shown_address(address: str) -> str:
    """Return an address without user, password and query."""
    return _CREDENTIALS.sub(lambda match: "//" if match[0].startswith("//") else "", address)


class RemoteFolder:
    """Files below an address. Safe for several threads."""

    def __init__(self, address: str, *, pauses_s: Sequence[float] = ()) -> None:
        """Find the file system; nothing need be there. Raises RemoteRefused.

        pauses_s: before each further try of what failed because the store was not reached.
        """
        self.address = address
        self.shown = shown_address(address).rstrip("/")
        self._pauses_s = tuple(pauses_s)
        self._files, self._base = _connect(address)
        self._is_whole = _WHOLE.fullmatch(self._files.type_name) is not None

    def has(self, relative: str) -> bool:
        """Return whether there is a file."""
        from pyarrow.fs import FileType

        info = self._guarded(lambda: self._files.get_file_info(self._at(relative)))
        return bool(info.type == FileType.File)

    def files(self, folder: str) -> list[str]:
        """Return the files below a folder, relative to it, sorted; none where it is not there."""
        from pyarrow.fs import FileType

        found = [one.path for one in self._listed(folder, recursive=True) if one.type == FileType.File]
        base = PurePosixPath(self._at(folder).strip("/"))  # some file systems begin paths with a slash, some do not
        return sorted(PurePosixPath(path.strip("/")).relative_to(base).as_posix() for path in found)

    def folders(self, folder: str) -> list[str]:
        """Return the names of the folders in a folder, sorted; none where it is not there."""
        from pyarrow.fs import FileType

        found = [one for one in self._listed(folder, recursive=False) if one.type == FileType.Directory]
        return sorted(PurePosixPath(one.path).name for one in found)

    def read(self, relative: str) -> bytes | None:
        """Return the content of a file, None where there is none."""

        def read() -> bytes | None:
            try:
                with self._files.open_input_stream(self._at(relative)) as source:
                    return bytes(source.read())
            except FileNotFoundError:
                return None

        return self._guarded(read)

    def download(self, relative: str, target: Path) -> None:
        """Copy a file to a path of this host."""

        def copy() -> None:
            with self._files.open_input_stream(self._at(relative)) as source, target.open("wb") as file:
                while chunk := source.read(_CHUNK_BYTES):
                    file.write(chunk)

        self._guarded(copy)

    def write(self, relative: str, content: bytes) -> None:
        """Put a file into its place: a reader sees the old one or the new one."""
        self._put(relative, lambda sink: sink.write(content))

    def upload(self, source: Path, relative: str) -> None:
        """Copy a file of this host into its place: a reader sees the old one or the new one."""

        def copy(sink: Any) -> None:
            with source.open("rb") as file:
                shutil.copyfileobj(file, sink, _CHUNK_BYTES)

        self._put(relative, copy)

    def move(self, relative: str, target: str) -> None:
        """Give a file another place."""

        def move() -> None:
            self._make_parent(target)
            self._files.move(self._at(relative), self._at(target))

        self._guarded(move)

    def remove(self, relative: str) -> None:
        """Remove a file, if it is there."""

        def remove() -> None:
            try:
                self._files.delete_file(self._at(relative))
            except FileNotFoundError:
                return

        self._guarded(remove)

    def _put(self, relative: str, fill: Callable[[Any], object]) -> None:
        place = self._at(relative)
        writer = f"{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        aside = place if self._is_whole else f"{place}.{writer}.part"

        def put() -> None:
            self._make_parent(relative)
            with self._files.open_output_stream(aside) as sink:
                fill(sink)
            if aside != place:
                self._files.move(aside, place)

        self._guarded(put)

    def _make_parent(self, relative: str) -> None:
        if not self._is_whole:  # an object store has no folders, only names
            self._files.create_dir(str(PurePosixPath(self._at(relative)).parent), recursive=True)

    def _listed(self, folder: str, *, recursive: bool) -> list[Any]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._at(folder), recursive=recursive, allow_not_found=True)
        return list(self._guarded(lambda: self._files.get_file_info(selector)))

    def _at(self, relative: str) -> str:
        return str(self._base / relative)

    def _guarded(self, work: Callable[[], T]) -> T:
        for pause_s in (*self._pauses_s, None):
            try:
                return work()
            except Exception as error:  # a driver of fsspec may raise what it likes
                refused = _refused(error)
                if refused.kind != "unreachable" or pause_s is None:
                    raise refused from error
                time.sleep(pause_s)
        raise AssertionError


def _connect(address: str) -> tuple[FileSystem, PurePosixPath]:
    import pyarrow as pa
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    try:
        try:
            files, base = FileSystem.from_uri(_quick(address))
            return files, PurePosixPath(base)
        except pa.ArrowInvalid:
            import fsspec

            found, base = fsspec.core.url_to_fs(address)
            return PyFileSystem(FSSpecHandler(found)), PurePosixPath(base)
    except (ImportError, ValueError, pa.ArrowException) as error:
        raise RemoteRefused("unknown", _one_line(error)) from error
    except OSError as error:
        raise _refused(error) from error


def _quick(address: str) -> str:
    """Return an address with the options of pyarrow without which it would make us wait.

    Of S3 a small file takes one request instead of three; Google's store is given up after half a minute, not fifteen.
    """
    options = {"s3": "allow_delayed_open=true", "gs": "retry_limit_seconds=30", "gcs": "retry_limit_seconds=30"}
    option = options.get(address.partition("://")[0].lower())
    if option is None or option.partition("=")[0] in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}{option}"


def _refused(error: Exception) -> RemoteRefused:
    number, text = getattr(error, "errno", None), _one_line(error)
    if number in _FULL_CODES or _FULL.search(text):
        return RemoteRefused("full", text)
    if number in _DENIED_CODES or isinstance(error, PermissionError) or _DENIED.search(text):
        return RemoteRefused("denied", text)
    return RemoteRefused("unreachable", text)


def _one_line(error: Exception) -> str:
    return _CREDENTIALS.sub("//", " ".join(str(error).split()))[:200] or type(error).__name__
