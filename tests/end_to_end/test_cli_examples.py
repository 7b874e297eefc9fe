"""The configs of the repository, run as a newcomer runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFIGS = sorted(path.stem for path in (Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))

TRADES_MIN = {"pairs": 50, "portfolio_rotation": 20}
"""Fewest trades of those that trade less than a hundred times."""


@pytest.fixture(scope="module")
def clone(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with the examples and configs, in which the demo dataset is made on first use."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("configs", "examples"):
        (folder / name).symlink_to(repository / name)
    return folder


def run(clone: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "boxgate_server", *arguments, "--json"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(answered, dict)
    return answered


def test_there_is_a_config_for_each_example(repository: Path) -> None:
    examples = {path.parent.name for path in (repository / "examples").glob("*/strategy.py")}
    assert set(CONFIGS) == {*examples, "demo"}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_runs_on_the_demo_dataset(clone: Path, name: str) -> None:
    told = run(clone, "run", f"configs/{name}.yaml")
    counts, trades = told["metrics"]["counts"], told["metrics"]["trades"]["count"]
    if name == "demo":
        assert counts["bars"] >= 100_000
        assert trades >= 200
    else:
        assert 0 < counts["events"] <= 30_000
        assert trades >= TRADES_MIN.get(name, 100)
    assert Path(told["artifacts"], "report.html").is_file()


def test_the_matrix_of_the_repository_is_planned(clone: Path) -> None:
    told = run(clone, "matrix", "plan", "configs/matrix/demo.yaml")
    assert told["runs"] == 144
    assert told["seconds_est"] > 0


def test_a_run_of_the_demo_dataset_is_computed_again_by_its_id(clone: Path) -> None:
    first = run(clone, "run", "configs/random_targets.yaml", "--set", "report.html=false")
    again = run(clone, "rerun", first["run_id"])
    assert again["equal"] is True
    assert run(clone, "report", first["run_id"])["prices"] is True
