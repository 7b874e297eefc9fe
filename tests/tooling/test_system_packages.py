"""Where the system's programs cannot be installed it is said; only in CI it is an error."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_without_apt_the_missing_packages_are_named(repository: Path, tmp_path: Path, ci: str, status: int) -> None:
    done = _run(repository, tmp_path, ci)
    assert done.returncode == status
    assert "apt-get is not on this machine; missing: chromium" in done.stderr
    assert ("skipped" in done.stderr) == (ci == "")


def test_nothing_is_installed_where_nothing_is_missing(repository: Path, tmp_path: Path) -> None:
    planted = tmp_path / "chromium"
    planted.touch(mode=0o755)
    done = _run(repository, tmp_path, "true")
    assert done.returncode == 0
    assert done.stderr == ""


def _run(repository: Path, folder: Path, ci: str) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing on the PATH but what is in the folder."""
    command = [str(shutil.which("bash")), str(repository / ".ci" / "system-packages")]
    return subprocess.run(command, env={"PATH": str(folder), "CI": ci}, capture_output=True, text=True, check=False)
