"""The semantic part of a config: what makes a result, in one normal form."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from boxgate_engine.config.account import MarginConfig
from boxgate_engine.config.model import ParamValue, RunConfig
from boxgate_engine.timestamps import format_utc

_LATER: Final[dict[str, dict[str, Any]]] = {
    "account": {"margin": MarginConfig().model_dump(mode="json"), "equivalents": []},
    "execution": {"bands": False, "volume_limit": None, "latency": None, "hours": "data", "calendars": {}},
    "costs": {"fees": None, "slippage": None, "instruments": {}, "funding": "auto", "swap": "none"},
}
"""Keys that came later, with the values that say nothing: a config that does without them keeps its identity."""

_LATER_OF_INSTRUMENTS: Final = ("funding", "swap")
_OPERATIONAL: Final[dict[str, Any]] = {
    "data_provider": True,
    "artifacts": True,
    "tags": True,
    "report": True,
    "limits": True,
    "execution": {"delivery", "window_events"},
}
"""Keys that never change a result and so enter neither the identity nor config.json."""


def resolve_config(
    config: RunConfig, *, dataset: str, params: Mapping[str, ParamValue], start_ns: int, end_ns: int, folder: Path
) -> RunConfig:
    """Return the config as it was run: nothing in it depends on the machine or on what comes later.

    dataset: hash. params: all parameters, defaults filled in. start_ns, end_ns: the window in nanoseconds.
    folder: working directory; absolute paths of strategy and calendars become relative to it.
    """
    strategy = config.strategy.model_copy(
        update={
            "params": dict(params),
            "command": tuple(_relative(part, folder) for part in config.strategy.command),
            "sources": tuple(_relative(part, folder) for part in config.strategy.sources),
        }
    )
    execution = config.execution.model_copy(
        update={"calendars": {symbol: _calendar(name, folder) for symbol, name in config.execution.calendars.items()}}
    )
    window = config.window.model_copy(update={"start": format_utc(start_ns), "end": format_utc(end_ns)})
    return config.model_copy(
        update={"strategy": strategy, "dataset": dataset, "window": window, "execution": execution}
    )


def semantic_keys(config: RunConfig) -> dict[str, Any]:
    """Return the keys that make a result, as JSON values; `RunConfig.model_validate` reads them back."""
    keys = config.model_dump(mode="json", exclude=_OPERATIONAL)
    for section, silent in _LATER.items():
        keys[section] = {
            name: value for name, value in keys[section].items() if name not in silent or value != silent[name]
        }
    for costs in keys["costs"].get("instruments", {}).values():
        for name in _LATER_OF_INSTRUMENTS:
            if costs[name] is None:
                del costs[name]
    return keys


def _calendar(name: str, folder: Path) -> str:
    """Return the name of a calendar, the file of a table relative to the folder."""
    if not name.startswith("lean:"):
        return name
    file, _, entry = name.removeprefix("lean:").rpartition("#")
    return f"lean:{_relative(file, folder)}#{entry}"


def _relative(part: str, folder: Path) -> str:
    return Path(os.path.relpath(part, folder)).as_posix() if Path(part).is_absolute() else part
