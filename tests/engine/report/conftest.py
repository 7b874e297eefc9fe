"""Run folders that are ready for the page."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def run_folders() -> ModuleType:
    """The module beside this file; tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("report_run_folders", Path(__file__).with_name("run_folders.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run_folder(run_folders: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that writes a run folder: keyword arguments of `write_run_folder`."""

    def write(**given: Any) -> Any:
        return run_folders.write_run_folder(tmp_path / "runs" / run_folders.RUN_ID, **given)

    return write
