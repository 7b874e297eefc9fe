"""A test whose surroundings are missing says so and is skipped; in CI it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_NEEDS_A_PROGRAM = "def test_it(require_program):\n    require_program('no-such-program')\n"
_NEEDS_DATA = "def test_it(shared_data):\n    raise AssertionError\n"


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_a_test_without_its_data_is_skipped_with_the_reason_and_fails_in_ci(
    repository: Path, tmp_path: Path, ci: str, outcome: str
) -> None:
    text = _run_pytest(repository, tmp_path, _NEEDS_DATA, ci)
    assert outcome in text
    assert "no market data at" in text


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 failed")])
def test_a_test_without_its_program_is_skipped_with_the_reason_and_fails_in_ci(
    repository: Path, tmp_path: Path, ci: str, outcome: str
) -> None:
    text = _run_pytest(repository, tmp_path, _NEEDS_A_PROGRAM, ci)
    assert outcome in text
    assert "run make system-packages" in text


def _run_pytest(repository: Path, folder: Path, test: str, ci: str) -> str:
    shutil.copy(repository / "tests" / "conftest.py", folder / "conftest.py")
    (folder / "test_planted.py").write_text(test, encoding="utf-8")
    environment = {**os.environ, "CI": ci, "BOXGATE_DATA": str(folder / "absent"), "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", f"--rootdir={folder}", str(folder)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder).stdout
