"""What is wrong with the dataset and the instruments of a config that is refused already: one look mends all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boxgate_engine.config import config_document, locate_problems
from boxgate_engine.datasets import DEMO_NAME, has_demo, is_remote
from boxgate_engine.datasets.dataset import unknown_symbol
from boxgate_engine.datasets.store import find
from boxgate_engine.errors import BoxgateError, ConfigInvalid, Problem
from boxgate_server.cli.app import DEFAULT_ROOT


def with_data_problems(error: ConfigInvalid, config: Path, overrides: Sequence[str]) -> ConfigInvalid:
    """Return the error with the problems of dataset and instruments added.

    error: what `load_config` raised for the file `config` with these overrides.
    """
    try:
        document = config_document(config, overrides)
    except ConfigInvalid:
        return error
    keys = document.value if isinstance(document.value, dict) else {}
    told = {problem.path for problem in error.problems}
    found = [problem for problem in _data_problems(keys) if problem.path not in told]
    return locate_problems(ConfigInvalid([*error.problems, *found]), document)


def _data_problems(keys: dict[str, Any]) -> list[Problem]:
    provider = keys.get("data_provider")
    given = provider.get("root") if isinstance(provider, dict) else None
    if isinstance(given, str) and is_remote(given):
        return []  # told by the run itself, which has to fetch it
    root = Path(given if isinstance(given, str) else DEFAULT_ROOT)
    dataset, symbols = keys.get("dataset"), keys.get("instruments")
    if not isinstance(dataset, str) or not isinstance(symbols, list):
        return []
    try:
        if dataset == DEMO_NAME and not has_demo(root):
            return []  # made or completed by the run itself
        name, manifest = find(root, dataset)
    except BoxgateError as refusal:
        return [_problem("dataset", refusal)]
    known = [instrument.symbol for instrument in manifest.instruments]
    return [
        _problem(f"instruments[{i}]", unknown_symbol(name, str(symbol), known))
        for i, symbol in enumerate(symbols)
        if symbol not in known
    ]


def _problem(path: str, error: BoxgateError) -> Problem:
    return Problem(
        path=path, source="", what=error.what, expected=error.expected, remedy=error.remedy, code=error.error_code
    )
