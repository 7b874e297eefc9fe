"""Each planted violation of the dependency law is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCES = ("proto/python/boxgate_proto", "sdk/python/boxgate_sdk", "engine/boxgate_engine", "server/boxgate_server")
_BIN = Path(sys.executable).parent


@pytest.fixture
def copied(repository: Path, tmp_path: Path) -> Path:
    """A copy of the configuration and the four packages."""
    shutil.copy(repository / "pyproject.toml", tmp_path / "pyproject.toml")
    for source in _SOURCES:
        shutil.copytree(repository / source, tmp_path / source, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_packages_as_they_are_keep_the_law(copied: Path) -> None:
    verdict = _lint_imports(copied)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("engine/boxgate_engine", "boxgate_proto.strategy.v1.signal_pb2"),
        ("engine/boxgate_engine", "boxgate_sdk"),
        ("engine/boxgate_engine", "boxgate_server"),
        ("engine/boxgate_engine", "grpc"),
        ("engine/boxgate_engine", "ray"),
        ("engine/boxgate_engine/kernel", "boxgate_engine.frames"),
        ("proto/python/boxgate_proto", "boxgate_engine"),
        ("sdk/python/boxgate_sdk", "boxgate_engine.frames"),
        ("sdk/python/boxgate_sdk", "pyarrow"),
    ],
)
def test_a_planted_import_is_found(copied: Path, importer: str, imported: str) -> None:
    (copied / importer / "planted.py").write_text(f"def late() -> None:\n    import {imported}\n", encoding="utf-8")
    verdict = _lint_imports(copied)
    assert verdict.returncode == 1
    assert "planted" in verdict.stdout


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("engine/boxgate_engine", "import random"),
        ("engine/boxgate_engine", "from time import time"),
        ("engine/boxgate_engine", "import pyarrow.flight"),
        ("engine/boxgate_engine", "import time\n\nSTARTED = time.time_ns()"),
        ("engine/boxgate_engine", "from datetime import UTC, datetime\n\nTODAY = datetime.now(UTC)"),
        *((f, f"import {name}") for f in ("engine/boxgate_engine", "tests/engine") for name in ("engine", "proto")),
        *((f, f"import {name}.x") for f in ("server/boxgate_server", "sdk/python") for name in ("sdk", "server")),
        ("server/boxgate_server", "from . import session"),
    ],
)
def test_a_banned_name_is_found(repository: Path, folder: str, line: str) -> None:
    verdict = subprocess.run(
        [str(_BIN / "ruff"), "check", "--no-cache", "--select", "TID", f"--stdin-filename={folder}/planted.py", "-"],
        input=f"{line}\n",
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verdict.returncode == 1
    assert "TID25" in verdict.stdout


def _lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    search_path = os.pathsep.join(str((root / source).parent) for source in _SOURCES)
    return subprocess.run(
        [str(_BIN / "lint-imports"), "--no-logo", "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": search_path},
        capture_output=True,
        text=True,
        check=False,
    )
