"""The runs of a store at a glance: read from their small files, without hashing the large ones."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from boxgate_engine.artefacts.stored import MANIFEST
from boxgate_engine.artefacts.tags import read_tags

_RUN_FOLDER: Final = re.compile(r"r_[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """What stands in the small files of a run folder; its tables are not looked at.

    problem: why the folder cannot be read, empty if it can; then the other facts are empty. published_ns: when the
    folder was made, by the clock of its host. strategy, version: as the strategy calls itself.
    """

    folder: Path
    run_id: str
    problem: str = ""
    result_digest: str = ""
    published_ns: int = 0
    mode: str = ""
    strategy: str = ""
    version: str = ""
    command: tuple[str, ...] = ()
    dataset: str = ""
    instruments: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    start_ns: int = 0
    end_ns: int = 0
    tags: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)


def list_runs(store: Path) -> list[RunFacts]:
    """Return the runs of a store, the newest first. A folder that cannot be read is listed with its problem."""
    if not store.is_dir():
        return []
    found = [run_facts(entry) for entry in store.iterdir() if _RUN_FOLDER.fullmatch(entry.name) and entry.is_dir()]
    return sorted(found, key=lambda one: (-one.published_ns, one.run_id))


def run_facts(folder: Path) -> RunFacts:
    """Return the facts of one run folder."""
    try:
        manifest, config, metrics = (_json(folder / name) for name in (MANIFEST, "config.json", "metrics.json"))
        identity = config["identity"]
        environment = _environment(folder)
        told = environment.get("strategy", {})
        command = tuple(config["resolved"].get("strategy", {}).get("command", ()))
        return RunFacts(
            folder=folder,
            run_id=manifest["run_id"],
            result_digest=manifest["result_digest"],
            published_ns=(folder / "config.json").stat().st_mtime_ns,
            mode=identity["mode"],
            strategy=told.get("name") or _script(command),
            version=told.get("version", ""),
            command=command,
            dataset=identity["dataset"],
            instruments=tuple(identity["instruments"]),
            frames=tuple(identity["frames"]),
            start_ns=int(identity["window"]["start_ns"]),
            end_ns=int(identity["window"]["end_ns"]),
            tags=read_tags(folder),
            params=identity["strategy"]["params"],
            metrics=metrics,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return RunFacts(folder=folder, run_id=folder.name, problem=f"cannot be read ({type(error).__name__}: {error})")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _environment(folder: Path) -> dict[str, Any]:
    """Return environment.json; it is outside the manifest, so a run without it is whole."""
    try:
        environment = _json(folder / "environment.json")
    except (OSError, ValueError):
        return {}
    return environment if isinstance(environment, dict) else {}


def _script(command: tuple[str, ...]) -> str:
    return next((part for part in reversed(command) if part.endswith(".py")), command[0] if command else "")
