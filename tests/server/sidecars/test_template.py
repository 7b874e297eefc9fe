"""The template: a fork of it is the same as a started interpreter, and it leaves as little behind as the guard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trials import HERE, IMPATIENT, Starter, exchange, parents, processes_of, until_empty

from boxgate_engine.errors import BoxgateError
from boxgate_server.sidecars import SidecarHost, SidecarPool, guard

REPORT = """
import json, os, resource, signal, sys, threading
import {import_}
seen = {{
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "flags": str(sys.flags), "exe": sys.executable,
    "name": __name__, "file": __file__, "spec": __spec__ and __spec__.name, "package": repr(__package__),
    "cached": repr(globals().get("__cached__", 0)),
    "doc": __doc__, "loader": [type(__loader__).__name__, __loader__.name, __loader__.path],
    "builtins": repr(__builtins__), "annotations": globals().get("__annotations__"),
    "names": sorted(n for n in vars() if n[0] == "_"),
    "main": vars(sys.modules["__main__"]) is globals(),
    "environment": {{k: v for k, v in os.environ.items() if k not in ("BOXGATE_COOKIE", "BOXGATE_ENDPOINT")}},
    "keys": sorted(os.environ), "cwd": os.getcwd(), "umask": oct(os.umask(0)), "uid": os.getuid(),
    "leader": os.getpid() == os.getsid(0) == os.getpgid(0), "parent": os.getppid() == 0 or os.getppid() != os.getpid(),
    "signals": {{s.name: str(signal.getsignal(s)) for s in signal.Signals}},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": {{n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT")}},
    "files": len(os.listdir("/proc/self/fd")), "threads": len(os.listdir("/proc/self/task")),
    "active": threading.active_count(), "main_thread": threading.current_thread() is threading.main_thread(),
    "streams": [str(sys.stdin), str(sys.stdout), str(sys.stderr), sys.stdout.line_buffering],
    "warnings": sys.warnoptions, "options": str(sys._xoptions), "recursion": sys.getrecursionlimit(),
    "comm": open("/proc/self/comm").read(), "hook": sys.excepthook is sys.__excepthook__,
}}
open({out!r}, "w").write(json.dumps(seen))
"""


@pytest.fixture
def forks(host: SidecarHost) -> Starter:
    return Starter(host, forked=True)


def end_of(host: SidecarHost, script: Path, *arguments: str, forked: bool, module: bool = False) -> BoxgateError:
    """Start a script that ends before it serves and return the error that says so."""
    before = ["-m", "boxgate_sdk"] if module else []
    with pytest.raises(BoxgateError) as caught:
        host.start(
            ["python", *before, script.name, *arguments],
            cwd=script.parent,
            mode="debug",
            limits=IMPATIENT,
            forked=forked,
        )
    return caught.value


def others(folder: Path, pid: int | None, containment: str) -> list[int]:
    """Return the processes of a folder that are not needed by the sidecar with this pid."""
    assert pid is not None
    left = [each for each in processes_of(folder) if each not in (pid, *parents(pid))]
    return left[0 if containment == guard.PROCESS_TREE else 1 :]  # the first process of its namespace


@pytest.mark.parametrize("module", [False, True], ids=["python FILE", "python -m boxgate_sdk FILE"])
def test_a_forked_script_finds_what_a_started_one_finds(
    runtime_folder: Path, tmp_path: Path, containment: str, module: bool
) -> None:
    (tmp_path / "beside.py").write_text("")
    seen: list[dict[str, Any]] = []
    with SidecarHost(runtime_folder=runtime_folder, containment=containment) as host:
        for forked in (False, True):
            out = tmp_path / f"seen{forked}.json"
            (tmp_path / "report.py").write_text(REPORT.format(import_="beside", out=str(out)))
            end_of(host, tmp_path / "report.py", *([] if module else ["a", "-b"]), forked=forked, module=module)
            seen.append(json.loads(out.read_text()))
    assert seen[0] == seen[1]
    assert seen[0]["path"][0] == str(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "raise SystemExit(3)",
        "raise SystemExit('a sentence')",
        "raise SystemExit",
        "import os; os.abort()",
        "def deep(n):\n    return 1 / n if n == 0 else deep(n - 1)\ndeep(5)",
        "this is no Python",
        "import no_such_module",
        "import atexit, threading, sys\natexit.register(print, 'at exit', file=sys.stderr)\n"
        "threading.Timer(0.1, print, ['of a thread'], {'file': sys.stderr}).start()",
        "import sys\nclass Late:\n    def __del__(self, out=sys.stderr):\n        out.write('deleted')\n"
        "late = Late()\nraise SystemExit",
        "import sys\nsys.excepthook = lambda *found: sys.stderr.write(f'hook {found[0].__name__}')\nraise KeyError",
    ],
)
def test_a_forked_script_ends_as_a_started_one_ends(host: SidecarHost, tmp_path: Path, body: str) -> None:
    script = tmp_path / "ends.py"
    script.write_text(body)
    started, forked = (end_of(host, script, forked=forked) for forked in (False, True))
    assert forked.what == started.what


def test_what_is_random_is_not_shared_by_forks(host: SidecarHost, tmp_path: Path) -> None:
    script = tmp_path / "draw.py"
    script.write_text(
        "import os, random, secrets, sys, uuid\nimport numpy as np\n"
        "drawn = [random.random(), np.random.random(), np.random.default_rng().random(), uuid.uuid4().hex]\n"
        "open(sys.argv[1], 'w').write(repr([*drawn, secrets.token_hex()]))\n"
    )
    drawn = []
    for number in range(3):
        end_of(host, script, str(tmp_path / str(number)), forked=True)
        drawn.append(eval((tmp_path / str(number)).read_text()))
    for one, two, three in zip(*drawn, strict=True):
        assert len({one, two, three}) == 3


def test_a_module_that_a_fork_changes_is_unchanged_in_the_next(host: SidecarHost, tmp_path: Path) -> None:
    script = tmp_path / "mark.py"
    script.write_text("import boxgate_sdk, sys\nprint(hasattr(boxgate_sdk, 'mark'), file=sys.stderr)\n")
    with script.open("a") as file:
        file.write("boxgate_sdk.mark = 1\n")
    for _ in range(2):
        assert "False" in end_of(host, script, forked=True).what


def test_a_forked_sidecar_goes_through_a_session_and_stops(forks: Starter) -> None:
    sidecar = forks.run()
    assert sidecar.forked
    assert not sidecar.stop_unclean


def test_the_template_has_one_thread_and_no_environment(forks: Starter) -> None:
    sidecar = forks.start()
    assert sidecar.pid is not None
    template = Path(f"/proc/{parents(sidecar.pid)[1]}")
    assert b"template.py" in (template / "cmdline").read_bytes()
    assert len(list((template / "task").iterdir())) == 1
    assert (template / "environ").read_bytes() == b""


@pytest.mark.parametrize(
    "command", [["python", "-c", "pass"], ["python", "-u", "misbehaving.py"], ["python", "-m", "json"], ["true"]]
)
def test_other_programs_are_started_as_ever(host: SidecarHost, runtime_folder: Path, command: list[str]) -> None:
    with pytest.raises(BoxgateError):
        host.start(command, cwd=HERE, mode="debug", limits=IMPATIENT, forked=True)
    assert len(list(runtime_folder.iterdir())) == 1  # of the guard, none of a template


def test_a_lost_template_is_replaced_and_after_some_given_up(forks: Starter) -> None:
    kinds = []
    for _ in range(5):
        sidecar = forks.start()
        assert sidecar.pid is not None
        kinds.append((sidecar.forked, sidecar.start_note is not None))
        if sidecar.forked:
            os.kill(parents(sidecar.pid)[1], signal.SIGKILL)
        other = forks.run()
        kinds.append((other.forked, other.start_note is not None))
    forked, noted, plain = (True, False), (False, True), (False, False)
    assert kinds == [forked, noted, forked, noted, forked, noted, plain, plain, plain, plain]


def test_a_template_that_cannot_import_the_sdk_is_done_without(
    runtime_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "template.py"
    broken.write_text("raise ImportError")
    monkeypatch.setattr("boxgate_server.sidecars.host._TEMPLATE", broken)
    with SidecarHost(runtime_folder=runtime_folder) as host, SidecarPool(host) as pool:
        command = ["python", str(HERE / "raw_sidecar.py")]
        with pool.lease(command, cwd=HERE, mode="debug", limits=IMPATIENT, digest="", fresh="forked") as lease:
            assert lease.notes == ["the template of sidecars was lost; this one was started normally"]


def test_a_template_that_is_killed_takes_its_sidecars_along(runtime_folder: Path, containment: str) -> None:
    with SidecarHost(runtime_folder=runtime_folder, containment=containment) as host:
        plain = Starter(host).start()
        sidecar, stream = Starter(host, forked=True).open("daemonise")
        exchange(stream, 0)
        assert sidecar.pid is not None
        tree = Path(f"/proc/{sidecar.pid}")
        os.kill(parents(sidecar.pid)[1], signal.SIGKILL)
        assert until_empty(lambda: [tree] if tree.exists() else []) == []
        with pytest.raises(BoxgateError) as caught:
            exchange(stream, 1)
        assert caught.value.error_code == "GUARD_LOST"
        sidecar.kill()
        assert until_empty(lambda: others(runtime_folder, plain.pid, containment)) == []
        plain.stop()
        assert not plain.stop_unclean


def test_a_keeper_of_a_fork_that_is_killed_takes_its_tree_along(runtime_folder: Path, containment: str) -> None:
    with SidecarHost(runtime_folder=runtime_folder, containment=containment) as host:
        starter = Starter(host, forked=True)
        doomed, spared = starter.start("daemonise"), starter.start()
        assert doomed.pid is not None
        os.kill(parents(doomed.pid)[0], signal.SIGKILL)
        assert until_empty(lambda: others(runtime_folder, spared.pid, containment)) == []
        doomed.stop()
        assert doomed.stop_unclean
        spared.stop()
        assert not spared.stop_unclean


@pytest.mark.parametrize("delay_s", [0.0, 0.2, 0.4, 0.6, 1.5])
def test_nothing_is_left_of_a_gateway_that_was_killed_at_any_stage(runtime_folder: Path, delay_s: float) -> None:
    program = f"""
from pathlib import Path
from boxgate_server.sidecars import SidecarHost
from trials import Starter
print("begun", flush=True)
with SidecarHost(runtime_folder=Path({str(runtime_folder)!r})) as host:
    while True:
        Starter(host, forked=True).start("daemonise")
"""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore", "GRPC_VERBOSITY": "NONE"}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as gateway:
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == "begun\n"
        try:
            gateway.wait(delay_s)
        except subprocess.TimeoutExpired:
            gateway.kill()
    assert until_empty(lambda: [*processes_of(runtime_folder), *runtime_folder.iterdir()]) == []
