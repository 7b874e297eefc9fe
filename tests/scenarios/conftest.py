"""The option that writes outcomes, and where the modules of this folder and the engine's runner are found."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_HERE = Path(__file__).parent
for folder in (_HERE, _HERE.parent / "reference", _HERE.parent / "engine" / "kernel"):
    sys.path.insert(0, str(folder))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite", action="store_true", help="write the reference's outcomes into the scenarios")


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether outcomes are written instead of compared: `pytest tests/scenarios --rewrite`."""
    return bool(request.config.getoption("--rewrite", default=False))
