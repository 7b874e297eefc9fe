"""A strategy that the test starts itself: one process that several runs attach to, one after another."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from boxgate_server.outcome import Attachment

_START_S_MAX = 30.0


@contextmanager
def running_strategy(script: Path, *arguments: str) -> Iterator[Attachment]:
    """Start a strategy's script and return where it is reached; it is ended at the exit of the block.

    Asserts that the process lives until then: no run may end one that it did not start.
    """
    # A short path of its own: a socket's path holds 107 bytes, and the folders of tests have long names.
    with tempfile.TemporaryDirectory(prefix="bt-") as folder:
        socket = Path(folder, "s")
        attachment = Attachment(address=f"unix:{socket}", cookie=secrets.token_hex(16))
        environment = {
            **os.environ,
            "BOXGATE_ENDPOINT": attachment.address,
            "BOXGATE_COOKIE": attachment.cookie,
            "BOXGATE_PROTOCOLS": "1",
        }
        process = subprocess.Popen([sys.executable, str(script), *arguments], env=environment)
        try:
            deadline = time.monotonic() + _START_S_MAX
            while not socket.exists():
                assert process.poll() is None, "the strategy ended before it served"
                assert time.monotonic() < deadline, "the strategy does not serve"
                time.sleep(0.01)
            yield attachment
            assert process.poll() is None, "an attached strategy ended during the runs"
        finally:
            process.kill()
            process.wait()
