"""Recording a session: what crosses the wire, in the order in which it is answered, in one file."""

from __future__ import annotations

import gzip
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, TypeVar

from boxgate_engine.errors import BoxgateError, StoreFailed, UserMistake
from boxgate_proto.strategy.v1 import recording_pb2
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sessions.delivery import Stream

VERSION: Final = 1
"""The form of recordings that is written."""

Result = TypeVar("Result")

_GZIP: Final = b"\x1f\x8b"
_REQUEST, _RESPONSE = (
    recording_pb2.RecordingEntry.DESCRIPTOR.fields_by_name[n].number for n in ("request", "response")
)


class Recorder:
    """Writes one recording. A context manager: the file appears when it ends, whole, or failed in its last window.

    mode: of the run. Raises UserMistake: RECORD_PROD, for answers as they came are not for prod; RECORD_EXISTS if
    there is another file of the name. Raises StoreFailed for what the disk refuses.
    """

    def __init__(self, path: Path, *, mode: str) -> None:
        if mode == "prod":
            raise UserMistake(
                "a prod run is not recorded",
                code="RECORD_PROD",
                where="--record",
                expected="mode: debug, in which the strategy's answers may be kept as they came",
                remedy="record a debug run: --set mode=debug",
            )
        self._path = path
        self._aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: gzip.GzipFile | None = None
        if path.exists() and not _is_recording(path):
            raise UserMistake(
                "there is a file of this name that is no recording",
                code="RECORD_EXISTS",
                where=str(path),
                expected="a new name, or an earlier recording to replace",
                remedy="name another file, or move this one away",
            )
        self._raw = _guarded(path, lambda: self._aside.open("wb"))

    def begin(self, *, name: str, version: str, init: pb.OnInitRequest) -> None:
        """Begin with the request that opened a session; the files behind its history handles become part of it."""
        # Neither time nor name in the header: equal sessions give equal files.
        self._file = gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, compresslevel=6, mtime=0)
        header = recording_pb2.RecordingHeader(version=VERSION, strategy=name, strategy_version=version)
        self._write(recording_pb2.RecordingEntry(header=header).SerializeToString())
        for handle in init.history:
            if not handle.path:
                continue
            arrow_file = _guarded(self._path, Path(handle.path).read_bytes)
            recorded = recording_pb2.RecordedHistory(series=handle.series, arrow_file=arrow_file)
            self._write(recording_pb2.RecordingEntry(history=recorded).SerializeToString())
        entry = recording_pb2.RecordingEntry(init=init)
        for handle in entry.init.history:
            for field in ("path", "location", "ticket", "token", "root_certificate"):
                handle.ClearField(field)
        self._write(entry.SerializeToString())

    def over(self, stream: Stream) -> Stream:
        """Return a stream that passes everything on and records it."""
        return _RecordedStream(stream, self)

    def request(self, payload: bytes) -> None:
        """Record a window, a serialised OnEventRequest."""
        self._write(_field(_REQUEST, payload))

    def response(self, payload: bytes) -> None:
        """Record the answer to it, a serialised OnEventResponse."""
        self._write(_field(_RESPONSE, payload))

    def __enter__(self) -> Recorder:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the file if a session was begun and did not end by an interrupt."""
        begun = self._file is not None
        if self._file is not None:
            _guarded(self._path, self._file.close)
        self._raw.close()
        if begun and (error is None or isinstance(error, BoxgateError)):
            _guarded(self._path, lambda: self._aside.replace(self._path))
        else:
            self._aside.unlink(missing_ok=True)

    def _write(self, entry: bytes) -> None:
        file = self._file
        assert file is not None
        _guarded(self._path, lambda: file.write(_varint(len(entry)) + entry))


class _RecordedStream:
    """A stream whose windows are recorded when their answer comes; the one that fails stays the last."""

    def __init__(self, stream: Stream, recorder: Recorder) -> None:
        self._stream = stream
        self._recorder = recorder
        self._sent: deque[bytes] = deque()

    def send(self, payload: bytes) -> None:
        self._sent.append(payload)
        self._stream.send(payload)

    def receive(self, deadline_s: float, *, seq: int) -> bytes:
        self._recorder.request(self._sent.popleft())
        answer = self._stream.receive(deadline_s, seq=seq)
        self._recorder.response(answer)
        return answer

    def drive(self, steps: Iterator[bytes]) -> None:
        self._stream.drive(self._noted(steps))

    def _noted(self, steps: Iterator[bytes]) -> Iterator[bytes]:
        for payload in steps:
            self._sent.append(payload)
            yield payload

    def unsolicited(self) -> BoxgateError | None:
        return self._stream.unsolicited()

    def undecodable(self, answer: bytes) -> BoxgateError:
        return self._stream.undecodable(answer)


def _is_recording(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == _GZIP
    except OSError:
        return False


def _guarded(path: Path, work: Callable[[], Result]) -> Result:
    try:
        return work()
    except OSError as error:
        raise StoreFailed(
            f"the recording cannot be written: {error.strerror or error}", code="STORE_IO", where=str(path)
        ) from error


def _field(number: int, payload: bytes) -> bytes:
    """Return a serialised RecordingEntry that holds a serialised message."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
