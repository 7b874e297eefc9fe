"""The deterministic heart: what a moment does to the account.

Free functions over plain arrays, compiled by numba, with no clock, no file and no randomness. The rules and the order
in which they apply are docs/spec/execution.md; `settle.settle_moment` is the place to start reading.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import numba


def _compiled_folder() -> Path:
    """Return where compiled functions are kept: a folder named by all of the kernel's sources.

    numba notices a change of the file that holds a function, not of the functions it calls in other files, and would
    go on running rules that no longer stand in the source. Where neither the package nor the user's cache can be
    written, it is a private folder of this process: each process compiles anew.
    """
    here = Path(__file__).parent
    state = hashlib.sha256(numba.__version__.encode())
    for source in sorted(here.glob("*.py")):
        state.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    name = f"kernel-{state.hexdigest()[:16]}"
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.path.expanduser("~")) / ".cache")  # noqa: PTH111 (never raises)
    for parent in (here / "__pycache__", user / "boxgate"):
        folder = parent / name
        try:
            is_new = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                if is_new:
                    _remove_old(parent)
                return folder
        except OSError:
            continue
    private = tempfile.mkdtemp(prefix="boxgate-kernel-")
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return Path(private)


def _remove_old(parent: Path) -> None:
    """Remove what earlier sources left behind, but for the latest. Who still uses it compiles what it lacks anew."""
    with contextlib.suppress(OSError):  # another process does the same
        folders = sorted(parent.glob("kernel-*"), key=lambda folder: folder.stat().st_mtime_ns)
        for folder in folders[:-_FOLDERS_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)


_FOLDERS_KEPT = 3
_FOLDER = _compiled_folder()
numba.config.CACHE_DIR = str(_FOLDER)  # type: ignore[attr-defined]  # made at run time from the environment


def is_compiled() -> bool:
    """Return whether compiled functions of these sources were kept by an earlier process."""
    return any(_FOLDER.rglob("loop.step-*.nbi"))
