"""The lock file covers every distribution, pins all it names by hash, and can be installed from any registry."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

_PROJECTS = ("", "proto", "sdk/python", "engine", "server")
_OURS = {"boxgate", "boxgate-engine", "boxgate-proto", "boxgate-sdk"}


@pytest.fixture(scope="module")
def lock(repository: Path) -> str:
    return (repository / "requirements.lock").read_text(encoding="utf-8")


def test_every_requirement_is_pinned_to_one_version_by_hashes(lock: str) -> None:
    entries = re.sub(r" \\\n +", " ", lock).splitlines()
    assert [
        entry for entry in entries if not re.fullmatch(r"[a-z0-9-]+==\S+( ;.*?)?( --hash=sha256:\w{64})+", entry)
    ] == []
    # One version for each Python: a second one stands with the Pythons that it is for.
    places = [(entry.partition("==")[0], *re.findall(r" ; (.*?) --hash", entry)) for entry in entries]
    assert sorted(set(places)) == places
    assert [
        name for name, count in Counter(place[0] for place in places).items() if count > 1 and (name,) in places
    ] == []


def test_it_names_no_place(lock: str) -> None:
    assert "/" not in lock
    assert "index" not in lock


@pytest.mark.parametrize("project", _PROJECTS)
def test_every_dependency_of_a_distribution_is_in_it(repository: Path, lock: str, project: str) -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, re.M))
    described = tomllib.loads((repository / project / "pyproject.toml").read_text(encoding="utf-8"))
    needed = {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0].lower().replace("_", "-") for line in _needs(described)}
    assert needed - _OURS <= pinned


def _needs(described: dict[str, Any]) -> list[str]:
    groups = [
        described["project"].get("dependencies", []),
        described.get("build-system", {}).get("requires", []),
        *described["project"].get("optional-dependencies", {}).values(),
        *described.get("dependency-groups", {}).values(),
    ]
    return [line for group in groups for line in group]
