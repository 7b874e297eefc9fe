"""A strategy author installs two wheels, gets little else, and runs a strategy with them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

_OURS = {"boxgate-proto", "boxgate-sdk"}
_ALLOWED = _OURS | {"grpcio", "protobuf", "typing-extensions"}

# In the same process and over a real socket: what a strategy author's own test would do.
_EXAMPLE = """
import importlib.util, json, math, sys
from boxgate_sdk.testing import InProcess, OverSocket, bars

spec = importlib.util.spec_from_file_location("strategy", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
tape = bars([1.1 + 0.01 * math.sin(i / 10) for i in range(400)])
params = {"rate": 0.5}
answers = [kind(module.RandomTargets, params).run(tape, windows=[1, 7, 64]).signals for kind in (InProcess, OverSocket)]
print(json.dumps({"signals": len(answers[0]), "equal": answers[0] == answers[1], "numpy": "numpy" in sys.modules}))
"""


@pytest.fixture(scope="module")
def vendor_python(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment with the two wheels in it."""
    folder = tmp_path_factory.mktemp("vendor")
    wheels = [_wheel(repository / project, folder) for project in ("proto", "sdk/python")]
    uv, python = _uv(repository), folder / "venv" / "bin" / "python"
    _run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], folder)
    constraint: list[str | Path] = ["--constraint", repository / "requirements.lock"]
    _run([uv, "pip", "install", "--quiet", "--python", python, *constraint, *wheels], folder)
    return python


def test_the_two_wheels_bring_grpc_protobuf_and_typing_extensions_only(repository: Path, vendor_python: Path) -> None:
    listed = _run([_uv(repository), "pip", "list", "--format=json", "--python", vendor_python], vendor_python.parent)
    names = {distribution["name"] for distribution in json.loads(listed)}
    assert names >= _OURS
    assert names <= _ALLOWED


def test_the_wheels_are_typed_and_hold_the_package_alone(vendor_python: Path) -> None:
    (site,) = vendor_python.parent.parent.glob("lib/python3*/site-packages")
    assert (site / "boxgate_proto" / "py.typed").is_file()
    assert (site / "boxgate_sdk" / "py.typed").is_file()
    generic = {"engine", "examples", "proto", "python", "sdk", "server", "tests"}
    assert {path.name for path in site.iterdir()} & generic == set()


def test_an_example_strategy_runs_there(repository: Path, vendor_python: Path, tmp_path: Path) -> None:
    strategy = shutil.copy(repository / "examples" / "random_targets" / "strategy.py", tmp_path / "strategy.py")
    answer = json.loads(_run([vendor_python, "-c", _EXAMPLE, strategy], tmp_path))
    assert answer["signals"] >= 100
    assert answer["equal"]
    assert not answer["numpy"]


@pytest.mark.parametrize(
    ("project", "package"),
    [
        ("proto", "python/boxgate_proto"),
        ("sdk/python", "boxgate_sdk"),
        ("engine", "boxgate_engine"),
        ("server", "boxgate_server"),
    ],
)
def test_a_wheel_holds_every_file_of_its_package(repository: Path, tmp_path: Path, project: str, package: str) -> None:
    root = repository / project / package
    present = {path.relative_to(root.parent).as_posix() for path in root.rglob("*") if path.is_file()}
    with zipfile.ZipFile(_wheel(repository / project, tmp_path)) as wheel:
        packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in present if "__pycache__" not in name}


def _wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a distribution into `folder`."""
    before = {*folder.glob("*.whl")}
    _run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder], project)
    (wheel,) = {*folder.glob("*.whl")} - before
    return wheel


def _uv(repository: Path) -> Path:
    """The uv that `make setup` uses."""
    return Path(shutil.which("uv") or repository / ".tools" / "uv" / "bin" / "uv")


def _run(command: list[str | Path], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment["UV_SYSTEM_CERTS"] = "1"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
