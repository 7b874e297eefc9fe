"""`boxgate new`: from nothing to a run and a test that passes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_new_strategy_runs_and_its_test_passes_at_once(
    boxgate: Call, workspace: Path, datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = boxgate("new", "trend_1", "--json")
    assert made.code == 0
    assert made.json["schema"] == "boxgate.new/1"
    folder = workspace / "trend_1"
    assert Path(made.json["folder"]) == folder
    assert sorted(path.name for path in folder.iterdir()) == sorted(made.json["files"])
    assert sorted(made.json["files"]) == ["README.md", "strategy.py", "test_trend_1.py", "trend_1.yaml"]
    assert "my_strategy" not in "".join(path.read_text() for path in folder.iterdir())
    assert "type: ignore" not in "".join(path.read_text() for path in folder.iterdir())
    monkeypatch.chdir(folder)
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout
    # As its config says, but for the dataset: the demo takes seconds to make.
    (folder / "datasets").symlink_to(datasets)
    changes = ("dataset=small", "window={start: 2024-01-03, end: last}")
    ran = boxgate("run", "trend_1.yaml", "--json", *(word for change in changes for word in ("--set", change)))
    assert ran.code == 0
    assert ran.json["metrics"]["trades"]["count"] > 0
    # What is not the strategy may change without making another run.
    (folder / "README.md").write_text("changed")
    again = boxgate("run", "trend_1.yaml", "--json", *(word for change in changes for word in ("--set", change)))
    assert again.json["run_id"] == ran.json["run_id"]


def test_a_person_is_told_what_to_do_next(boxgate: Call) -> None:
    told = boxgate("new", "mine").out
    assert told.splitlines()[-3:] == ["  cd mine", "  boxgate run mine.yaml", "  python -m pytest"]


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("My-Strategy", "boxgate new my_strategy"),
        ("../up", "boxgate new up"),
        ("9lives", "boxgate new my_strategy"),
        ("", "boxgate new my_strategy"),
        ("a" * 41, "boxgate new"),
        ("münze", "boxgate new m_nze"),
    ],
)
def test_a_name_that_is_none_is_refused_with_one_that_is(
    boxgate: Call, workspace: Path, name: str, remedy: str
) -> None:
    before = sorted(path.name for path in workspace.iterdir())
    answered = boxgate("new", name, "--json")
    assert (answered.error["code"], answered.code) == ("NAME_INVALID", 2)
    assert remedy in answered.error["remedy"]
    assert sorted(path.name for path in workspace.iterdir()) == before


def test_a_folder_that_exists_is_left_alone(boxgate: Call, workspace: Path) -> None:
    (workspace / "mine").mkdir()
    answered = boxgate("new", "mine", "--json")
    assert (answered.error["code"], answered.code) == ("FOLDER_EXISTS", 2)
    assert list((workspace / "mine").iterdir()) == []


def test_an_unknown_language_is_refused_with_those_that_there_are(boxgate: Call) -> None:
    answered = boxgate("new", "mine", "--language", "cobol", "--json")
    assert (answered.error["code"], answered.code) == ("LANGUAGE_UNKNOWN", 2)
    assert "python" in answered.error["expected"]
