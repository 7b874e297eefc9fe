"""The template: a guard that has imported what Python strategies need, and whose sidecars are forks of itself.

Executed as `python template.py CONTROL_FD GATEWAY_PID PARENT_FOLDER CONTAINMENT`, with the interpreter, the
flags and the empty environment of a strategy. It is a guard in all else: keepers, containment, limits and the end are
those of guard.py, and what it imports is imported before any gRPC object or thread exists. A forked process sets its
arguments, path, environment and `__main__` as a start of the interpreter does, unwinds to the top of this file and runs
the script there: an exception, an exit, and the end of the interpreter are the ordinary ones.
"""

from __future__ import annotations

import sys

sys.path.pop(0)  # the folder of this file is none that a strategy imports from

import atexit
import contextlib
import gc
import importlib
import importlib.util
import os
import runpy
import signal
import threading
import types
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from boxgate_server.sidecars import guard
else:
    _spec = importlib.util.spec_from_file_location("boxgate_guard", Path(__file__).with_name("guard.py"))
    guard = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(guard)


class Become(guard.Become):
    """Carries the arguments behind the interpreter up to the top of this file."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__()
        self.arguments = arguments


def main(control_fd: str, gateway_pid: str, parent_folder: str, containment: str) -> None:
    """Import, then serve as a guard does. Raises Become in the processes that are to be sidecars."""
    importlib.import_module("boxgate_sdk._preload").preload()
    gc.freeze()  # a collection in a fork then leaves the shared pages alone
    guard.main(int(control_fd), int(gateway_pid), parent_folder, containment, launch)


def launch(request: dict[str, Any], fds: list[int], failure: int) -> NoReturn:
    """Take on what a started interpreter would find."""
    guard.confine(request, fds, failure)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    coerced = os.environ.get("LC_CTYPE")  # set by the interpreter itself where the locale is C
    os.environ.clear()
    os.environ.update({} if coerced is None else {"LC_CTYPE": coerced})
    os.environ.update(request["env"])
    arguments = request["argv"][1:]
    sys.argv[:] = arguments if arguments[0] != "-m" else ["-m", *arguments[2:]]
    sys.orig_argv[:] = request["argv"]
    if "numpy.random" in sys.modules:  # `random` does it by itself
        sys.modules["numpy.random"].seed()
    os.close(failure)
    raise Become(arguments)


def run(arguments: list[str]) -> None:
    """Make `__main__` and the first folder of sys.path, and run what the arguments name: FILE, or -m MODULE."""
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    vars(module).update(__builtins__=sys.modules["builtins"], __annotations__={})
    if arguments[0] == "-m":
        sys.path.insert(0, str(Path.cwd()))
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        return
    path = str(Path.cwd() / arguments[0])
    module.__file__ = path
    vars(module)["__cached__"] = None
    module.__loader__ = SourceFileLoader("__main__", path)
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))  # noqa: PTH120
    code = compile(Path(path).read_bytes(), path, "exec", dont_inherit=True)
    scope = vars(module)
    del module  # at the end of the interpreter nothing here may hold it
    exec(code, scope)


def leave() -> None:
    """End as an interpreter does, but for the deletion of all that exists: it would copy every page that is shared.

    Where a part of it fails, return: the ordinary end then says so.
    """
    with contextlib.suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for output in (sys.stdout, sys.stderr):
            output.flush()
        os._exit(0)


if __name__ == "__main__":
    script: list[str] = []
    try:
        main(*sys.argv[1:])
    except Become as become:
        script = become.arguments
    if script:
        try:
            run(script)
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
                trace = trace.tb_next
            sys.excepthook(type(error), error.with_traceback(trace), trace)
            sys.exit(1)
        leave()
