"""The files of a strategy: their digest, computed anew only where the file system says that one of them changed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from boxgate_engine.config import RunConfig
from boxgate_engine.identity import files_digest, source_files

_KEPT_MAX: Final = 8
SETTLED_NS: Final = 2_000_000_000
"""A file that was last changed this long before it was looked at has another time of change when it changes again."""


class StrategyFiles:
    """Gives the digest of strategies as their files are now."""

    def __init__(self, folder: Path) -> None:
        """Begin without a memory. folder: where relative paths start."""
        self._folder = folder
        self._known: dict[Any, tuple[list[str], list[Facts | None], str]] = {}

    def digest(self, config: RunConfig, store: Path) -> str:
        """Return the digest of a config's strategy; see identity.strategy_digest. store: never part of a strategy."""
        strategy = config.strategy
        folders = _folders(config)
        files = self.files(config, store)
        key = (strategy.command, strategy.sources, store, folders)
        now_ns = time.time_ns()
        names, facts = list(files), [file_facts(path) for path in files.values()]
        known = self._known.pop(key, None)
        digest = known[2] if known is not None and known[:2] == (names, facts) else files_digest(files)
        if all(is_settled(one, now_ns) for one in facts):
            self._known[key] = (names, facts, digest)
            while len(self._known) > _KEPT_MAX:
                del self._known[next(iter(self._known))]
        return digest

    def files(self, config: RunConfig, store: Path) -> dict[str, Path]:
        """Return name → file of all that a digest covers."""
        exclude = [store, *(self._folder / name for name in _folders(config))]
        strategy = config.strategy
        return source_files(strategy.command, strategy.sources, folder=self._folder, exclude=exclude)


class Facts(NamedTuple):
    """What the file system says of a file; one that is changed later than SETTLED_NS after it has others."""

    content_changed_ns: int
    changed_ns: int
    size_bytes: int
    number: int
    device: int


def _folders(config: RunConfig) -> tuple[str, ...]:
    """Return the folders of a config, which are never part of a strategy. Matrices lie beside the runs of a store."""
    data = config.data_provider
    return config.artifacts, f"{config.artifacts}/../matrices", data.root, data.cache.local_dir


def file_facts(path: Path) -> Facts | None:
    """Return the facts of a file, None if there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return Facts(facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino, facts.st_dev)


def is_settled(facts: Facts | None, now_ns: int) -> bool:
    """Return whether any change of the file from now on would show in its facts."""
    return facts is not None and max(facts.content_changed_ns, facts.changed_ns) < now_ns - SETTLED_NS
