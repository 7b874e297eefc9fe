"""What the documents for people show does what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from boxgate_engine.config import parse_config
from boxgate_sdk.testing import InProcess, bars


def test_the_strategy_of_the_readme_trades_a_breakout_whatever_the_cuts(readme: str) -> None:
    names: dict[str, Any] = {"__name__": "breakout"}
    exec(compile(_block(readme, "python"), "README.md", "exec"), names)
    params = {"length": 3}
    closes = [1.1, 1.1, 1.1, 1.2, 1.2, 1.0]
    runs = [InProcess(names["Breakout"], params).run(bars(closes), windows=size) for size in (1, 4, 100)]
    assert [(signal.seq, signal.side.name, signal.sl) for signal in runs[0].signals] == [
        (3, "BUY", 1.1),
        (5, "SELL", 1.2),
    ]
    assert runs[0].signals == runs[1].signals == runs[2].signals


def test_the_run_config_of_the_readme_is_valid(readme: str) -> None:
    text = _block(readme, "yaml")
    assert parse_config(text, name="README.md").dataset == "demo"
    (program,) = re.findall(r"^# (my/\S+\.py)$", readme, re.M)
    assert yaml.safe_load(text)["strategy"]["command"] == ["python", program]


def test_every_make_target_that_a_document_names_exists(repository: Path, documents: dict[Path, str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.M))
    named = {name for text in documents.values() for name in re.findall(r"(?:^|`)make ([a-z-]+)(?:`|$)", text, re.M)}
    assert named >= {"demo", "setup", "test"}
    assert named <= targets


@pytest.mark.parametrize("group", ["boxgate", "boxgate data"])
def test_every_command_of_the_readme_is_offered(readme: str, group: str) -> None:
    named = set(re.findall(rf"^\| `{group} ([a-z]+)[ `]", readme, re.M))
    command = [str(Path(sys.executable).parent / "boxgate"), *group.split()[1:], "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert named >= {"import", "synth"} if "data" in group else named >= {"run", "rerun", "report", "data"}
    assert [name for name in named if not re.search(rf"\b{name}\b", shown)] == []


def test_every_link_to_a_file_leads_to_one(documents: dict[Path, str]) -> None:
    broken = [
        f"{path.name}: {target}"
        for path, text in documents.items()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in target and target != "M-name.md" and not (path.parent / target).exists()
    ]
    assert broken == []


@pytest.fixture(scope="module")
def documents(repository: Path) -> dict[Path, str]:
    """Every page for people, by path."""
    pages = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md"), repository / "proto" / "README.md"]
    return {page: page.read_text(encoding="utf-8") for page in pages}


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


def _block(text: str, language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    return str(block)
