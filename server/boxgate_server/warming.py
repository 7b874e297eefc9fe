"""Making ready what the first run on a machine would have to make: what is compiled on its first call."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Warmed:
    """What was done. compiled: names of the functions that no earlier process had compiled. seconds: for all of it."""

    compiled: tuple[str, ...]
    seconds: float


def warm_up() -> Warmed:
    """Call every compiled function of a run once. What is compiled is kept for later processes; what was is loaded."""
    from numba.core.event import install_recorder

    from boxgate_engine.simulation import compile_kernel
    from boxgate_server.sessions._feedback_windows import compile_writer
    from boxgate_server.sessions._signal_rows import compile_reader

    began = time.monotonic()
    with install_recorder("numba:compile") as recorder:
        compile_kernel()
        compile_reader()
        compile_writer()
    names = [event.data["dispatcher"].py_func.__qualname__ for _, event in recorder.buffer if event.is_start]
    return Warmed(compiled=tuple(names), seconds=time.monotonic() - began)
