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
        strategy, data = config.strategy, config.data_provider
        # The matrices of a store lie beside its runs.
        folders = (config.artifacts, f"{config.artifacts}/../matrices", data.root, data.cache.local_dir)
        exclude = [store, *(self._folder / name for name in folders)]
        files = source_files(strategy.command, strategy.sources, folder=self._folder, exclude=exclude)
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


class Facts(NamedTuple):
    """What the file system says of a file; one that is changed later than SETTLED_NS after it has others."""

    content_changed_ns: int
    changed_ns: int
    size_bytes: int
    number: int
    device: int


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
