"""Cores: where every CPU of a machine has a worker, each keeps to one of them, with its sidecars.

A worker and its strategy hand each other windows hundreds of times a second. While a CPU is idle, the two
gain by working at the same time. Where other workers want it, wandering costs: caches grow cold, and what one thread
unmaps must be unmapped on all CPUs that its process ran on.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Final

_CLAIM: Final = "\0boxgate/core/{core}/{turn}"
_TURNS_MAX: Final = 64


def keep_to_core() -> socket.socket | None:
    """Keep this process, its threads and whatever it starts from now on to one CPU, which the fewest others keep to.

    Returns the claim, which holds until it is closed or the process ends; None where none can be made. A name of an
    abstract socket can be taken once on a machine, and leaves nothing behind, however its owner ends.
    """
    cores = sorted(os.sched_getaffinity(0))
    for turn, core in product(range(_TURNS_MAX), cores):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(_CLAIM.format(core=core, turn=turn))
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRINUSE:
                continue
            return None
        for thread in Path("/proc/self/task").iterdir():
            with suppress(OSError):  # it has ended
                os.sched_setaffinity(int(thread.name), {core})
        return claim
    return None
