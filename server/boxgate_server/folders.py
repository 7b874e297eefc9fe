"""The folders that a run config names: refused where a file stands in their way."""

from __future__ import annotations

from pathlib import Path

from boxgate_engine.config import RunConfig
from boxgate_engine.datasets.remote import is_remote
from boxgate_engine.errors import ConfigInvalid, Problem


def check_folders(config: RunConfig, folder: Path) -> None:
    """Raise ConfigInvalid for each folder of the config that is a file, or lies below one.

    folder: where relative paths start.
    """
    data = config.data_provider
    named = {
        "artifacts": config.artifacts,
        "data_provider.root": data.root,
        "data_provider.cache.local_dir": data.cache.local_dir,
    }
    problems = [
        Problem(
            path=key,
            source="",
            what=f"{file} is a file, not a folder",
            expected="a folder, which is made if it is not there",
            remedy="name a folder, or move the file away",
        )
        for key, name in named.items()
        if not is_remote(name)
        for file in [_file_in_the_way(name, folder)]
        if file is not None
    ]
    if problems:
        raise ConfigInvalid(problems)


def _file_in_the_way(name: str, folder: Path) -> str | None:
    """Return the path, or the part of it, that is a file, as the config writes it."""
    return next((str(part) for part in (Path(name), *Path(name).parents) if (folder / part).is_file()), None)
