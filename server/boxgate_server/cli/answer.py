"""What every command shares: one answer, for a person or for a program, and the exit code that goes with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from boxgate_engine.errors import BoxgateError, RunFailed, UserMistake

INTERRUPTED: Final = 130
"""Exit code after an interrupt from the keyboard."""

JsonObject = dict[str, Any]


def answer(
    schema: str,
    work: Callable[[], JsonObject],
    show: Callable[[JsonObject, Console], None],
    *,
    as_json: bool,
    debug: bool = False,
) -> None:
    """Do the work of a command and answer.

    work: returns the fields of the answer. show: prints them for a person. as_json: everything for people goes to
    stderr, and the last line of stdout is one JSON object {schema, status, …}, also on failure, where it has
    `error {code, what, where, expected, remedy}`. debug: let a traceback through.
    Raises typer.Exit with 2 for the user's mistake, 1 for a failure, 130 after an interrupt.
    """
    try:
        fields = work()
    except BoxgateError as error:
        if debug:
            raise
        _fail(schema, error, as_json, fields={})
    except KeyboardInterrupt as error:
        if as_json:
            _print_json({"schema": schema, "status": "interrupted"})
        raise typer.Exit(INTERRUPTED) from error
    except Exception as error:  # No traceback reaches a user who did not ask for it.
        if debug:
            raise
        _fail(schema, _unforeseen(error), as_json, fields={})
    show(fields, Console(stderr=as_json, highlight=False))
    if as_json:
        _print_json({"schema": schema, "status": "ok", **fields})


def fail_with(schema: str, error: BoxgateError, fields: JsonObject, *, as_json: bool) -> NoReturn:
    """Answer with an error and further fields beside it. Raises typer.Exit with the error's exit code."""
    _fail(schema, error, as_json, fields)


def _fail(schema: str, error: BoxgateError, as_json: bool, fields: JsonObject) -> NoReturn:
    print_error(error)
    status = "refused" if isinstance(error, UserMistake) else "failed"
    if as_json:
        _print_json({**fields, "schema": schema, "status": status, "error": error.as_dict()})
    raise typer.Exit(error.exit_code)


def print_error(error: BoxgateError) -> None:
    """Print an error for a person, to stderr: what happened, where, what was expected, what to do."""
    console = Console(stderr=True, highlight=False)
    console.print(Text.assemble((error.error_code, "bold red"), f"  {error.what}"))
    for name in ("where", "expected", "remedy"):
        console.print(Text.assemble((f"  {name:<9}", "dim"), getattr(error, name)))


def _unforeseen(error: Exception) -> RunFailed:
    return RunFailed(
        f"an error that was not foreseen: {type(error).__name__}: {error}",
        code="INTERNAL",
        where="boxgate",
        expected="no such error",
        remedy="repeat the command with --debug and report what it prints",
    )


def _print_json(fields: JsonObject) -> None:
    sys.stdout.write(json.dumps(fields, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")
    sys.stdout.flush()
