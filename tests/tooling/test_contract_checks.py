"""The checks of the contract pass as it is and find what is planted: a break, a lint fault, a stale stub."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_BIN = Path(sys.executable).parent
_RELEASED = "proto/released/v1.binpb"


@pytest.fixture
def copied(repository: Path, tmp_path: Path) -> Path:
    """A copy of the contract with its checks."""
    shutil.copy(repository / "buf.yaml", tmp_path / "buf.yaml")
    shutil.copytree(repository / "proto", tmp_path / "proto", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_contract_as_it_is_passes(repository: Path) -> None:
    assert _run(repository, "buf", "lint").stdout == ""
    assert _run(repository, "buf", "breaking", "--against", _RELEASED).stdout == ""


@pytest.mark.parametrize(
    ("file", "present", "planted", "rule"),
    [
        ("signal.proto", r"  // [^\n]*\n  bool more = 4 [^\n]*\n", "", "with name"),
        ("signal.proto", r"fixed32 consumed = 2", "fixed64 consumed = 2", "changed type"),
        ("signal.proto", r"fixed32 consumed = 2", "fixed32 consumed = 7", "was deleted"),
        ("window.proto", r"  reserved 10;\n", "", "reserved"),
        ("strategy.proto", r"returns \(stream OnEventResponse\)", "returns (OnEventResponse)", "streaming"),
    ],
)
def test_a_planted_break_is_found(copied: Path, file: str, present: str, planted: str, rule: str) -> None:
    _replace(copied / "proto/boxgate/strategy/v1" / file, present, planted)
    verdict = _run(copied, "buf", "breaking", "--against", _RELEASED)
    assert verdict.returncode != 0
    assert file in verdict.stdout
    assert rule in verdict.stdout


@pytest.mark.parametrize(
    ("present", "planted", "rule"),
    [
        (r"SIDE_UNSPECIFIED = 0", "SIDE_NONE = 0", "UNSPECIFIED"),
        (r"fixed32 consumed", "fixed32 Consumed", "lower_snake_case"),
        (r"  // Required. The first_seq of the window[^\n]*\n", "", "non-empty comment"),
    ],
)
def test_a_planted_lint_fault_is_found(copied: Path, present: str, planted: str, rule: str) -> None:
    _replace(copied / "proto/boxgate/strategy/v1/signal.proto", present, planted)
    verdict = _run(copied, "buf", "lint")
    assert verdict.returncode != 0
    assert rule in verdict.stdout


def test_the_committed_stubs_are_what_the_contract_gives(copied: Path) -> None:
    before = _stubs(copied)
    assert _run(copied, "python", "proto/generate.py", "--check").returncode == 0
    assert _run(copied, "python", "proto/generate.py").returncode == 0
    assert _stubs(copied) == before


@pytest.mark.parametrize("name", ["strategy/v1/signal_pb2.py", "strategy/v1/signal_pb2.pyi", "host/v1/__init__.py"])
def test_an_edited_stub_is_found_by_name(copied: Path, name: str) -> None:
    with (copied / "proto/python/boxgate_proto" / name).open("a", encoding="utf-8") as stub:
        stub.write("# edited\n")
    verdict = _run(copied, "python", "proto/generate.py", "--check")
    assert verdict.returncode == 1
    assert name in verdict.stdout


def test_a_stub_of_a_proto_file_that_is_gone_is_found(copied: Path) -> None:
    left_over = copied / "proto/python/boxgate_proto/strategy/v1/gone_pb2.py"
    left_over.touch()
    verdict = _run(copied, "python", "proto/generate.py", "--check")
    assert verdict.returncode == 1
    assert "gone_pb2.py" in verdict.stdout


def _replace(path: Path, present: str, planted: str) -> None:
    text, count = re.subn(present, planted, path.read_text(encoding="utf-8"))
    assert count == 1, f"{path.name} has {count} places that match {present!r}"
    path.write_text(text, encoding="utf-8")


def _run(root: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(_BIN / program), *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def _stubs(root: Path) -> dict[str, bytes]:
    files = (path for path in (root / "proto/python").rglob("*") if path.suffix in {".py", ".pyi"})
    return {str(path.relative_to(root)): path.read_bytes() for path in files}
