"""The files of the repository speak of the project alone, and lie where the layout puts them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

_FOLDERS = {"proto", "server", "sdk", "bridges", "engine", "tests", "examples", "configs", "docs"}

# Joined here, so that this file does not hold what it forbids.
_FORBIDDEN = {
    "a package registry": "|".join(["pypi" + r"\.org", "python" + "hosted", "crates" + r"\.io", "npm" + "js"]),
    "a path of one machine": r"(?<![\w.~-])/(?:" + "|".join(["work", "root", "home", "Users"]) + r")/\w",
    "an unfinished word": r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "HA" + "CK", "X" + "XX"]) + r")\b",
}


@pytest.fixture(scope="module")
def texts(repository: Path) -> dict[PurePosixPath, str]:
    """Path and content of every text file that is, or would be, committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    return dict(_read(repository, sorted(filter(None, listed.split("\0")))))


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_file_names(texts: dict[PurePosixPath, str], what: str) -> None:
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(_FORBIDDEN[what], line)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a package registry", "index = https://" + "pypi" + ".org/simple"),
        ("a path of one machine", "cd /" + "home/me/boxgate"),
        ("an unfinished word", "# TO" + "DO later"),
    ],
)
def test_what_is_forbidden_is_found(what: str, line: str) -> None:
    assert re.search(_FORBIDDEN[what], line)


def test_text_has_unix_lines_without_trailing_space_and_ends_with_a_newline(texts: dict[PurePosixPath, str]) -> None:
    untidy = [
        str(path)
        for path, text in texts.items()
        if text and ("\r" in text or re.search(r"[ \t]$", text, re.MULTILINE) or not text.endswith("\n"))
    ]
    assert untidy == []


def test_the_top_level_folders_are_the_nine_and_none_is_a_package(texts: dict[PurePosixPath, str]) -> None:
    assert {path.parts[0] for path in texts if len(path.parts) > 1 and not path.parts[0].startswith(".")} <= _FOLDERS
    assert [str(path) for path in texts if path.name == "__init__.py" and len(path.parts) == 2] == []


def test_a_module_is_one_noun(texts: dict[PurePosixPath, str]) -> None:
    assert [str(path) for path in texts if path.stem.strip("_") in {"utils", "util", "helpers", "misc", "common"}] == []


def _read(repository: Path, names: list[str]) -> Iterator[tuple[PurePosixPath, str]]:
    for name in names:
        path = repository / name
        if not path.is_file():  # deleted, not yet committed
            continue
        content = path.read_bytes()
        if b"\0" in content or path.suffix in {".binpb", ".png", ".zip", ".parquet"}:
            continue
        yield PurePosixPath(name), content.decode("utf-8")
