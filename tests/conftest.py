"""What every test may ask for: the real market data beside the checkout and programs of the system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parent.parent

# The same cases each time: a failure of today is not an accident of today. HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("repeatable"), derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real market data: BOXGATE_DATA, else ../shared/data beside the checkout.

    Skips the test where it is absent; with CI=true that is a failure.
    """
    folder = (REPOSITORY / os.environ.get("BOXGATE_DATA", "../shared/data")).resolve()
    if not (folder / "MANIFEST.tsv").is_file():
        _unavailable(f"no market data at {folder}; set BOXGATE_DATA to the folder that holds its MANIFEST.tsv")
    return folder


@pytest.fixture(scope="session")
def require_program() -> Callable[[str], Path]:
    """Return the path of a program of the system by name, for example `require_program("chromium")`.

    Skips the test where it is missing; with CI=true that is a failure.
    """

    def find(name: str) -> Path:
        found = shutil.which(name)
        if found is None:
            _unavailable(f"the program {name} is missing; run make system-packages")
        return Path(found)

    return find


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
