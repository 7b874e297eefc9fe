"""Folders that measurements write to."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SITTING: Final = "BOXGATE_BENCH_SCRATCH"
"""Environment: the folder of a sitting of several measurements, whose owner removes it after the last one.

ext4 gives the number of a removed file to no other for some minutes, and looks at each of them for every file that is
made: after the 7,000 files of one measurement were removed, the runs of the next took 8 ms longer.
"""


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A new folder, removed at the end, or with its sitting. parent: default that for temporary files."""
    sitting = os.environ.get(SITTING)
    folder = Path(tempfile.mkdtemp(prefix="boxgate-bench-", dir=sitting or parent))
    try:
        yield folder
    finally:
        if sitting is None:
            shutil.rmtree(folder)


@contextmanager
def sitting(parent: Path | None = None) -> Iterator[None]:
    """Let the processes started meanwhile keep what they write until all have ended."""
    with tempfile.TemporaryDirectory(prefix="boxgate-bench-", dir=parent) as folder:
        os.environ[SITTING] = folder
        yield
