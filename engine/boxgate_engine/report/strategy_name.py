"""The name by which people know the strategy of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

from boxgate_engine.report.run_files import RunFiles

_PLAIN_SCRIPTS: Final = frozenset({"strategy", "main", "__main__", "run", "app"})
"""Script names that say less than the folder they are in."""


def strategy_name(files: RunFiles) -> str:
    """Return a name for people: the strategy's own, else of its script, else of the script's folder."""
    identity, resolved = files.config["identity"]["strategy"], files.config["resolved"].get("strategy", {})
    if identity.get("name"):
        return str(identity["name"])
    return command_name(resolved.get("command", [])) or "Attached strategy"


def command_name(command: Sequence[str]) -> str:
    """Return the name of what a command starts, empty for no command."""
    scripts = [PurePosixPath(part) for part in command]
    script = next((part for part in scripts if part.suffix), scripts[-1] if scripts else None)
    if script is None:
        return ""
    return script.parent.name if script.stem in _PLAIN_SCRIPTS and script.parent.name else script.stem
