"""What every command shares: one answer, for a person or for a program, and the exit code that goes with it."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from boxgate_engine.errors import BoxgateError, ConfigInvalid, RunFailed, UserMistake

INTERRUPTED: Final = 130
"""Exit code after an interrupt from the keyboard."""

JsonObject = dict[str, Any]

_PIPE_WIDTH: Final = 10_000
"""Columns where there is no terminal: nothing is cut to fit."""
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_TRACEBACK: Final = re.compile(
    r"^[^\n]*Traceback \(most recent call last\):\n(?:[ \t][^\n]*(?:\n|\Z)|\n)*(?P<end>[^\n]*)", re.MULTILINE
)
_EMPTY_END: Final = re.compile(r"; its stderr ends:\s*\Z")
_FRAME: Final = re.compile(r'^ +File "([^"\n]+)", line (\d+)', re.MULTILINE)
_LIBRARY: Final = re.compile(r"/site-packages/|/dist-packages/|/lib/python\d|/boxgate_sdk/|^<")
"""Files that no author of a strategy wrote."""


def answer(
    schema: str,
    work: Callable[[], JsonObject],
    show: Callable[[JsonObject, Console], None],
    *,
    as_json: bool,
    debug: bool = False,
    known: JsonObject | None = None,
) -> None:
    """Do the work of a command and answer.

    work: returns the fields of the answer. show: prints them for a person. as_json: everything for people goes to
    stderr, and the last line of stdout is one JSON object {schema, status, …}, also on failure, where it has
    `error {code, what, where, expected, remedy}`. debug: show tracebacks. known: fields that `work` fills in as it
    learns them, for the answer of a failure.
    Raises typer.Exit with 2 for the user's mistake, 1 for a failure, 130 after an interrupt.
    """
    known = {} if known is None else known
    try:
        fields = work()
        show(fields, people(as_json=as_json))
        if as_json:
            _print_json({"schema": schema, "status": "ok", **fields})
        sys.stdout.flush()
    except typer.Exit:
        raise
    except BrokenPipeError:
        leave_pipe()
        raise typer.Exit(1) from None
    except (BoxgateError, KeyboardInterrupt, Exception) as error:
        raise typer.Exit(report_failure(schema, error, known, as_json=as_json, debug=debug)) from None


def fail_with(schema: str, error: BoxgateError, fields: JsonObject, *, as_json: bool, debug: bool = False) -> NoReturn:
    """Answer with an error and further fields beside it. Raises typer.Exit with the error's exit code."""
    raise typer.Exit(report_failure(schema, error, fields, as_json=as_json, debug=debug))


def report_failure(schema: str, error: BaseException, fields: JsonObject, *, as_json: bool, debug: bool) -> int:
    """Say what went wrong, to a person and, if asked for, to a program. Returns the exit code."""
    named = _named(error)
    if debug:
        sys.stderr.write("".join(traceback.format_exception(error)))
    print_error(named, debug=debug)
    if as_json:
        status = "refused" if isinstance(named, UserMistake) else "failed"
        told: JsonObject = dict(named.as_dict())
        told["what"] = without_frames(named.what, debug)
        if isinstance(named, ConfigInvalid):
            told["problems"] = [asdict(problem) for problem in named.problems]
        _print_json({**fields, "schema": schema, "status": status, "error": told})
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else named.exit_code


def print_error(error: BoxgateError, *, debug: bool = False) -> None:
    """Print an error for a person, to stderr: what happened, where, what was expected, what to do."""
    console = Console(stderr=True, highlight=False)
    title = Text(error.error_code, "bold red")
    if isinstance(error, ConfigInvalid) and len(error.problems) > 1:
        line(console, Text.assemble(title, f"  {len(error.problems)} problems"))
        for problem in error.problems:
            place = Text(f"  {visible(problem.where)}: " if problem.where else "  ", "bold")
            code = "" if problem.code == error.error_code else f"{problem.code}: "
            rest = f"{code}{problem.what}; expected {problem.expected}; {problem.remedy}"
            line(console, Text.assemble(place, visible(rest)))
        return
    line(console, Text.assemble(title, f"  {visible(without_frames(error.what, debug))}"))
    for name in ("where", "expected", "remedy"):
        line(console, Text.assemble((f"  {name:<9} ", "dim"), visible(getattr(error, name))))


def people(*, as_json: bool) -> Console:
    """Return where the words for people go: stdout, or stderr where stdout is for a program."""
    console = Console(stderr=as_json, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    return console


def line(console: Console, text: Text | str) -> None:
    """Print one line; it is never cut or wrapped where there is no terminal."""
    console.print(text, soft_wrap=True, markup=False, emoji=False, highlight=False)


def visible(text: str) -> str:
    """Return a text whose control characters are written out, so that it can do nothing to a terminal."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def without_frames(text: str, debug: bool) -> str:
    """Return a text without the frames of a strategy's traceback; what was raised, its last line, is told once."""
    if debug:
        return text
    first = _TRACEBACK.search(text)
    if first is None:
        return text
    said = text[: first.start()]
    shorter = _TRACEBACK.sub(lambda found: "" if _message(found["end"]) in said else found["end"], text)
    shorter = _EMPTY_END.sub("", shorter)
    place = _raised_at(text)
    return f"{shorter.rstrip()} ({f'raised at {place}; ' if place else ''}--debug shows the traceback)"


def _message(raised: str) -> str:
    """Return the last line of a traceback without the name of the error, which a status gives another one."""
    return raised.partition(": ")[2] or raised


def _raised_at(text: str) -> str:
    """Return file:line of the last frame that the strategy's author wrote, empty if there is none."""
    frames = [frame for frame in _FRAME.findall(text) if not _LIBRARY.search(frame[0])]
    if not frames:
        return ""
    file, number = Path(frames[-1][0]), frames[-1][1]
    return f"{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}:{number}"


def _named(error: BaseException) -> BoxgateError:
    if isinstance(error, BoxgateError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return RunFailed(
            "interrupted from the keyboard",
            code="INTERRUPTED",
            where="boxgate",
            expected="to be left alone until the command is done",
            remedy="nothing half done was published; repeat the command when you like",
        )
    detail = " ".join(str(error).split())
    return RunFailed(
        f"internal error: {type(error).__name__}{f': {detail}' if detail else ''}",
        code="INTERNAL",
        where="boxgate",
        expected="no such error",
        remedy="run again with --debug and report what it prints",
    )


def leave_pipe() -> None:
    """Let the interpreter's last flush go nowhere: the reader of stdout has gone, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_json(fields: JsonObject) -> None:
    sys.stdout.write(json.dumps(fields, sort_keys=True, allow_nan=False) + "\n")
    sys.stdout.flush()
