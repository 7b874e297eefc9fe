"""What an importer reads from one file, before it is checked and joined with others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from boxgate_engine.datasets.content import Column, PriceBasis, time_column
from boxgate_engine.datasets.instrument_defaults import AssetClass
from boxgate_engine.datasets.manifest import JsonObject
from boxgate_engine.errors import DataRefused

Side: TypeAlias = Literal["bid", "ask", "mid", "last"]

BASIS_OF_SIDE: Final[dict[Side, PriceBasis]] = {"bid": "BID", "ask": "BID", "mid": "MID", "last": "LAST"}
"""Price basis that one-sided data get; ask prices become the ask columns of a bid series."""

_BYTES_MAX: Final = 8 << 30


@dataclass(frozen=True, kw_only=True, slots=True)
class SourcePart:
    """The rows of one file. where: place of a row and column in the file. side: None if bid and ask are both there.

    ignored: columns of the file that are not kept. form: how its stamps are written. asset_class: if the path says it.
    """

    symbol: str
    frame: str
    side: Side | None
    columns: dict[str, Column]
    where: Callable[[int, str | None], str]
    file: InputFile
    form: str
    ignored: tuple[str, ...] = ()
    asset_class: AssetClass | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[time_column(self.frame)])


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A file that was read whole. label: how errors name it."""

    path: Path
    label: str
    data: bytes = field(repr=False)
    sha256: str

    def facts(self) -> JsonObject:
        """Return what the manifest keeps of it: name without folder, SHA-256, bytes."""
        return {"name": self.path.name, "sha256": self.sha256, "bytes": len(self.data)}


def read_input(path: Path) -> InputFile:
    """Read a file. Raises DataRefused (DATA_FORMAT) if it is missing, empty, no file or too large."""
    try:
        size = path.stat().st_size
        if size > _BYTES_MAX:
            raise _refused(path, f"the file has {size} bytes", f"at most {_BYTES_MAX} bytes", "split the file")
        data = path.read_bytes()
    except OSError as error:
        raise _refused(
            path, f"the file cannot be read ({error.strerror})", "a file that exists", "correct the path"
        ) from error
    if not data:
        raise _refused(path, "the file is empty", "rows of market data", "download or export it again")
    return InputFile(path=path, label=str(path), data=data, sha256=hashlib.sha256(data).hexdigest())


def _refused(path: Path, what: str, expected: str, remedy: str) -> DataRefused:
    return DataRefused(what, code="DATA_FORMAT", where=str(path), expected=expected, remedy=remedy)
