"""The command of a sidecar: what the run config says, made executable or refused before anything is started."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from boxgate_server.errors import BundleExec


def resolve(command: list[str], cwd: Path) -> list[str]:
    """Return the command with an absolute first word.

    `python` is the gateway's own interpreter; a name without a slash is looked up on the gateway's PATH (the sidecar
    gets none); any other relative path starts at `cwd`.
    Raises BundleExec if there is no such file or it cannot be executed.
    """
    if not command or not command[0]:
        raise BundleExec(
            "the command is empty",
            where="strategy.command",
            expected="a program and its arguments",
            remedy="give at least the program, for example [python, strategy.py]",
        )
    if any("\0" in word for word in command):
        raise refusal(command[0], "or one of its arguments holds a NUL character", "remove it")
    if not cwd.is_dir():
        raise BundleExec(
            f"the working directory {str(cwd)!r} does not exist",
            where="strategy.command",
            expected="a folder",
            remedy="start boxgate in the folder that the command is relative to",
        )
    program = sys.executable if command[0] == "python" else _locate(command[0], cwd)
    return [program, *command[1:]]


def can_be_forked(command: list[str], cwd: Path) -> bool:
    """Return whether a process that has the SDK imported can become this: a script in Python, or `-m boxgate_sdk`."""
    if command[0] != "python" or len(command) < 2:
        return False
    return command[1:3] == ["-m", "boxgate_sdk"] or (
        not command[1].startswith("-") and command[1].endswith(".py") and (cwd / command[1]).is_file()
    )


def _locate(name: str, cwd: Path) -> str:
    path = cwd / name  # an absolute name stays as it is
    if "/" not in name:
        found = shutil.which(name)
        if found is None:
            raise refusal(name, "is not on the PATH", "install it, or give its path")
        return str(Path(found).absolute())
    if not path.exists():
        raise refusal(name, "does not exist", "correct the path; a relative one starts at the working directory")
    if not path.is_file():
        raise refusal(name, "is not a file", "name the program, not its folder")
    if not os.access(path, os.X_OK):
        raise refusal(name, "is not executable", "make it executable (chmod +x), or put its interpreter before it")
    return str(path.absolute())


def refusal(name: str, fault: str, remedy: str) -> BundleExec:
    """Return the refusal of a program, named as the run config names it."""
    return BundleExec(
        f"{name!r} {fault}", where="strategy.command[0]", expected="a program that runs on this machine", remedy=remedy
    )
