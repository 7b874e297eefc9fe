"""The deterministic heart: what a moment does to the account.

Free functions over plain arrays, compiled by numba, with no clock, no file and no randomness. The rules and the order
in which they apply are docs/spec/execution.md; `settle.settle_moment` is the place to start reading.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numba


def _compiled_folder() -> Path | None:
    """Return where compiled functions are kept: a folder named by all of the kernel's sources, None if unwritable.

    numba notices a change of the file that holds a function, not of the functions it calls in other files, and would
    go on running rules that no longer stand in the source.
    """
    here = Path(__file__).parent
    state = hashlib.sha256(numba.__version__.encode())
    for source in sorted(here.glob("*.py")):
        state.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    name = f"kernel-{state.hexdigest()[:16]}"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for parent in (here / "__pycache__", user / "boxgate"):
        try:
            folder = parent / name
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


_FOLDER = _compiled_folder()
if _FOLDER is not None:
    numba.config.CACHE_DIR = str(_FOLDER)


def is_compiled() -> bool:
    """Return whether compiled functions of these sources were kept by an earlier process."""
    return _FOLDER is not None and any(_FOLDER.rglob("loop.advance-*.nbi"))
