"""Plotly's script as its Python package carries it, and the two ways in which a page gets it."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa

Assets = Literal["inline", "shared"]
_PACKING: Final = threading.Lock()
SHARED_FOLDER: Final = "_assets"
"""Folder beside the runs that holds the script for all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartLibrary:
    """The script. source: its bytes, UTF-8. version: of the Python package that carries it."""

    source: bytes
    version: str

    @property
    def file_name(self) -> str:
        """Name of the shared file."""
        return f"plotly-{self.version}.min.js"

    @property
    def csp_hash(self) -> str:
        """The source expression by which a content security policy allows exactly this script."""
        return csp_hash(self.source)


@functools.cache
def chart_library() -> ChartLibrary:
    """Return Plotly's script. Found without importing the package, whose figure classes cost about a second."""
    spec = importlib.util.find_spec("plotly")
    assert spec is not None, "plotly is a dependency of boxgate-engine"
    assert spec.origin is not None, "plotly is a regular package"
    source = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return ChartLibrary(source=source.read_bytes(), version=importlib.metadata.version("plotly"))


def pack_beside() -> None:
    """Begin to pack the script on a thread, for a page that will be wanted: it takes a while, and no interpreter."""
    if not _packed.cache_info().currsize:
        threading.Thread(target=packed_library, name="boxgate-pack", daemon=True).start()


def packed_library() -> str:
    """Return the script as gzip in base64: 2.0 MB instead of 4.8. Packed once in a process, whoever asks first."""
    with _PACKING:
        return _packed()


@functools.cache
def _packed() -> str:
    # Arrow's codec, not the interpreter's zlib: it comes with the locked environment, so the bytes are the same
    # wherever that is.
    packed = pa.Codec("gzip", compression_level=9).compress(chart_library().source, asbytes=True)
    return base64.b64encode(packed).decode("ascii")


def share_library(runs: Path) -> Path:
    """Write the script once beside the runs and return its path. A file of the same content is left alone."""
    library = chart_library()
    folder = runs / SHARED_FOLDER
    target = folder / library.file_name
    if target.is_file() and target.stat().st_size == len(library.source):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    # Several runs may get here at once: each writes a file of its own, and the last rename wins with equal bytes.
    handle, name = tempfile.mkstemp(dir=folder, prefix=f".{library.file_name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library.source)
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target


def csp_hash(source: bytes) -> str:
    """Return `'sha256-…'` of a script or style as a content security policy writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source).digest()).decode('ascii')}'"
