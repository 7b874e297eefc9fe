"""The command as a process of its own: terminal or pipe, interrupts, readers that go away, start without ballast."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boxgate_server.__main__ import main

pytestmark = pytest.mark.usefixtures("nothing_left", "workspace")

COMMAND = [sys.executable, "-m", "boxgate_server"]
GONE_S = 60.0


def environment(**changes: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return {**plain, "TERM": "xterm-256color", **changes}


def test_help_loads_nothing_that_help_does_not_need() -> None:
    code = (
        "import sys\n"
        "from boxgate_server.__main__ import main\n"
        "assert main(['--help']) == main(['run', '--help']) == 0\n"
        "heavy = {'grpc', 'numba', 'numpy', 'plotly', 'polars', 'pyarrow', 'yaml'}\n"
        "sys.exit(', '.join(heavy & sys.modules.keys()) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_help_shows_no_type_beside_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["run", "--help"], ["data", "--help"], ["data", "list", "--help"]):
        assert main(words) == 0
    assert "bool" not in capsys.readouterr().out.lower()


def test_only_what_parses_text_loads_its_library() -> None:
    code = (
        "import sys\n"
        "import boxgate_server.run, boxgate_server.cli.data, boxgate_server.cli.run\n"
        "sys.exit('polars' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("html", ["true", "false"])
def test_a_run_loads_nothing_that_a_run_does_not_need(html: str) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "boxgate_server", "run", "run.yaml"]
    command += ["--set", f"report.html={html}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert {"boxgate_engine.simulation", "pyarrow.parquet"} <= loaded
    assert ("boxgate_engine.report" in loaded) == (html == "true")
    needless = ("ray", "plotly", "pandas.core", "polars", "exchange_calendars", "matplotlib", "optuna", "rich.progress")
    more = ("pyarrow.flight", "pyarrow.dataset", "boxgate_server.cli.data", "boxgate_server.matrix", "boxgate_sdk")
    assert sorted(name for name in loaded if name in (*needless, *more)) == []


def test_a_pipe_gets_plain_lines() -> None:
    done = subprocess.run([*COMMAND, "run", "run.yaml"], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert "starting the strategy" in done.stderr
    assert "net profit" in done.stdout


def test_a_terminal_gets_progress_and_a_table(workspace: Path) -> None:
    code, shown = on_terminal("run", "run.yaml")
    assert code == 0, shown
    assert "\x1b[" in shown
    assert "net profit" in shown
    assert "of 360 events" in shown or "starting the strategy" in shown


def test_json_on_a_terminal_is_still_the_last_line(workspace: Path) -> None:
    code, shown = on_terminal("run", "run.yaml", "--json", split=True)
    assert code == 0
    assert json.loads(shown.splitlines()[-1])["status"] == "complete"


def test_an_interrupt_ends_the_strategy_too(workspace: Path, runs: Callable[[], list[str]]) -> None:
    told = workspace / "stderr.txt"
    with told.open("w") as stderr:
        running = subprocess.Popen(
            [*COMMAND, "run", "run.yaml", "--json", "--set", "strategy.params.fault=hang"],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    until = time.monotonic() + GONE_S
    while "running" not in told.read_text() and running.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.3)
    assert running.poll() is None, told.read_text()
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    out, _ = running.communicate(timeout=GONE_S)
    assert running.returncode == 130, told.read_text()
    answered = json.loads(out)
    assert (answered["status"], answered["error"]["code"]) == ("failed", "INTERRUPTED")
    assert "Traceback" not in told.read_text()
    assert runs() == []


@pytest.mark.parametrize(
    "command", ["data list", "data show small", "data list --json", "runs list", "runs list --json", "doctor --help"]
)
def test_a_reader_that_goes_away_is_no_error_of_ours(command: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *command.split()], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert done.returncode == 1
    if "--json" in command:  # then the words for people stand in stderr
        assert "INTERNAL" not in done.stderr
        assert "Exception" not in done.stderr
    else:
        assert done.stderr == ""


def test_a_running_strategy_can_be_attached_to(boxgate: Callable[..., Any]) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="bt-") as folder:
        endpoint = f"unix:{folder}/s"
        strategy = subprocess.Popen(
            [sys.executable, "strategies/trader.py"],
            env=environment(BOXGATE_ENDPOINT=endpoint, BOXGATE_COOKIE="c" * 32, BOXGATE_PROTOCOLS="1"),
        )
        try:
            until = time.monotonic() + GONE_S
            while not Path(folder, "s").exists() and time.monotonic() < until:
                time.sleep(0.02)
            no_command = ("--set", "strategy.command=[]")
            attached = ("run", "run.yaml", "--json", *no_command, "--attach", endpoint, "--cookie")
            first, second = boxgate(*attached, "c" * 32).json, boxgate(*attached, "c" * 32, "--reuse").json
            assert (first["published"], second["published"], second["reused"]) == ("new", "kept", False)
            assert first["result_digest"] == second["result_digest"]
            assert boxgate(*attached, "wrong").error["code"] == "COOKIE_REFUSED"
            again = boxgate("rerun", first["run_id"], "--json")
            assert again.error["code"] == "STRATEGY_ATTACHED"
            again = boxgate("rerun", first["run_id"], "--json", "--attach", endpoint, "--cookie", "c" * 32)
            assert again.json["equal"] is True
            assert strategy.poll() is None, "an attached strategy is never killed"
        finally:
            strategy.terminate()
            strategy.wait()
    own = boxgate("run", "run.yaml", "--json").json
    assert own["result_digest"] == first["result_digest"]
    assert own["run_id"] != first["run_id"], "an attached strategy is not identified"


def on_terminal(*arguments: str, split: bool = False) -> tuple[int, str]:
    """Run on a terminal of its own; return exit code and what it showed. split: stdout goes to a pipe."""
    terminal, end = pty.openpty()
    running = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=end,
        stdout=subprocess.PIPE if split else end,
        stderr=end,
        env=environment(),
        start_new_session=True,
    )
    os.close(end)
    shown = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the last one that held it has closed it
            break
        if not part:
            break
        shown += part
    piped = running.stdout.read() if running.stdout else b""
    code = running.wait(GONE_S)
    if running.stdout:
        running.stdout.close()
    os.close(terminal)
    return code, (piped if split else shown).decode()
