"""The table of differences to TA-Lib, as the command makes it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def table(repository: Path) -> ModuleType:
    """tests/bench/indicators.py as a module."""
    spec = importlib.util.spec_from_file_location("bench_indicators", repository / "tests/bench/indicators.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
