"""A published run, found by its name, and the config by which it was computed."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from boxgate_engine.artefacts import LEDGER_FILE, StoredRun, find_run, read_run
from boxgate_engine.config import RunConfig
from boxgate_engine.errors import RunDamaged, RunIdConflict
from boxgate_engine.identity import run_id


def open_published(run: str, store: Path) -> StoredRun:
    """Return a published run after checking its files.

    run: its folder, its id, or the beginning of its id in `store`.
    Raises RunNotFound, RunAmbiguous, RunDamaged, RunIdConflict.
    """
    here = Path(run)
    folder = here if (here / "manifest.json").is_file() else find_run(run, store)
    stored = read_run(folder.resolve())
    identity = stored.json("config.json").get("identity", {})
    if run_id(identity) != stored.run_id:
        raise RunIdConflict(stored.run_id, where=str(stored.folder))
    return stored


def config_of(stored: StoredRun, *, root: str, cache: Path) -> RunConfig:
    """Return the config that computes the run again. root, cache: folders of the datasets and of the mapped files."""
    resolved = stored.json("config.json")["resolved"]
    operational = {
        "data_provider": {"root": root, "cache": {"local_dir": str(cache)}},
        "artifacts": str(stored.folder.parent),
        "report": {"html": False, "ledger": LEDGER_FILE in stored.files, "equity": stored.equity_resolution},
    }
    try:
        return RunConfig.model_validate({**resolved, **operational})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        raise RunDamaged(
            f"the config of the run cannot be read: {'.'.join(map(str, fault['loc']))}: {fault['msg']}",
            where=str(stored.folder / "config.json"),
            expected="the keys of boxgate.config/1",
        ) from None
