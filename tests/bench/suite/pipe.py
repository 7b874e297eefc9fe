"""A player: a process that is asked for one repeat after another, so that imports, compilers and data are outside.

Only the standard library is used: players of other systems run in environments of their own.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Outcome = Mapping[str, Any]
"""What a repeat gives: `seconds`, `fills`, and what else a player tells."""


def serve(repeat: Callable[[], Outcome], versions: Mapping[str, str]) -> None:
    """Answer requests until the pipe is closed, after one repeat that only warms.

    Each repeat begins after a full collection of garbage.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a system prints is no answer
    repeat()
    _tell(answers, versions)
    for _ in sys.stdin:
        gc.collect()
        _tell(answers, repeat())


class Failed(Exception):
    """A part of the benchmark that gave no result."""


class Player:
    """The other end of the pipe."""

    def __init__(self, command: Sequence[str | Path], log: Path) -> None:
        """Start it and wait until it is ready. log: file for what it prints."""
        self._log = log
        self.command = [str(part) for part in command]
        with log.open("a", encoding="utf-8") as errors:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        self.versions: dict[str, str] = self._answer()

    def repeat(self) -> dict[str, Any]:
        """Let it run once."""
        assert self._process.stdin is not None
        self._process.stdin.write("repeat\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            tail = "\n".join(self._log.read_text(encoding="utf-8").splitlines()[-15:])
            raise Failed(f"a player ended: {' '.join(self.command)}\n{tail}")
        return dict(json.loads(line))

    def close(self) -> None:
        """Close the pipe and wait for its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def _tell(answers: Any, content: Mapping[str, Any]) -> None:
    answers.write(json.dumps(dict(content)) + "\n")
    answers.flush()
