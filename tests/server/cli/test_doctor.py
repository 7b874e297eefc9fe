"""`boxgate doctor` tries what a run needs and says what to do about what is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import boxgate_server.doctor


def test_a_machine_that_runs_these_tests_is_ready(boxgate: Callable[..., Any]) -> None:
    answered = boxgate("doctor", "--json")
    assert answered.code == 0
    checks = {check["name"]: check for check in answered.json["checks"]}
    assert answered.json["ready"] is True
    assert checks["sidecar"]["status"] == checks["engine"]["status"] == "ok"
    assert checks["containment"]["found"] in ("pid_namespace", "user_pid_namespace", "process_tree")
    for check in checks.values():
        assert check["found"]
        assert check["needed_for"]
        assert check["status"] == "ok" or check["remedy"], check


def test_after_warming_a_run_of_another_process_compiles_nothing(boxgate: Callable[..., Any], workspace: Path) -> None:
    boxgate("doctor", "--warm")
    again = boxgate("doctor", "--warm", "--json").json
    engine = next(check for check in again["checks"] if check["name"] == "engine")
    assert (engine["status"], engine["found"]) == ("ok", "compiled, nothing was left to do")
    code = (
        "import sys\n"
        "from numba.core.event import install_recorder\n"
        "from boxgate_server.__main__ import main\n"
        "with install_recorder('numba:compile') as recorder:\n"
        "    assert main(['run', 'run.yaml', '--json', *sys.argv[1:]]) == 0\n"
        "sys.exit(', '.join(event.data['dispatcher'].py_func.__qualname__ for _, event in recorder.buffer) or 0)\n"
    )
    for overrides in (
        [],
        ["instruments=[EURUSD, BTCUSDT]", "costs.spread={ticks: 2}", "account.equivalents=[[USD, USDT]]"],
        ["execution.delivery=lockstep"],
    ):
        arguments = [part for override in overrides for part in ("--set", override)]
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, (overrides, done.stderr)


def test_a_person_reads_one_line_a_check_and_a_verdict(boxgate: Callable[..., Any]) -> None:
    told = boxgate("doctor").out
    assert "processors" in told
    assert told.rstrip().splitlines()[-1].startswith("Ready to run")


def test_what_a_run_cannot_do_without_is_named_and_fails_the_command(
    boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxgate_server.doctor, "LIBRARIES", ("boxgate-engine", "no-such-library"))
    answered = boxgate("doctor", "--json")
    assert answered.code == 1
    assert answered.error["code"] == "NOT_READY"
    assert answered.error["remedy"] == "pip install no-such-library"
    assert answered.json["ready"] is False


def test_a_folder_for_temporary_files_that_is_too_deep_for_a_socket_is_told(
    boxgate: Callable[..., Any], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = workspace / ("x" * 90)
    deep.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("tempfile.tempdir", str(deep))
        answered = boxgate("doctor", "--json")
    sidecar = next(check for check in answered.json["checks"] if check["name"] == "sidecar")
    assert answered.code == 1
    assert sidecar["status"] == "missing"
    assert "TMPDIR" in sidecar["remedy"]


def test_what_is_only_for_building_in_another_language_is_absent_and_harms_nothing(
    boxgate: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boxgate_server.doctor, "TOOL_CHAINS", {"no-such-compiler": ("Logo", "draw one")})
    answered = boxgate("doctor", "--json")
    assert answered.code == 0
    assert answered.json["checks"][-1] == {
        "name": "no-such-compiler",
        "status": "absent",
        "found": "not found",
        "needed_for": "building a strategy in Logo",
        "remedy": "draw one",
    }
