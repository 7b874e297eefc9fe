"""The command `boxgate`: reads the command line, hands over to one module per command, gives the exit code."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from typer import Abort, Exit
from typer.exceptions import TyperException
from typer.main import get_command

from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import leave_pipe, report_failure
from boxgate_server.cli.app import app


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line says and return its exit code: 0, 1 failed, 2 the user's mistake, 130 interrupted.

    arguments: without the program's name, default those of the process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's encoding lacks is written out, it does not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    command = get_command(app)
    try:
        # Not command.main(): it turns an interrupt into an exit code without an answer.
        with command.make_context("boxgate", arguments) as context:
            command.invoke(context)
        sys.stdout.flush()
    except Exit as end:
        return end.exit_code
    except BrokenPipeError:
        leave_pipe()
        return 1
    except (TyperException, Abort, KeyboardInterrupt, Exception) as error:
        return _failed(error, arguments)
    return 0


def _failed(error: BaseException, arguments: Sequence[str]) -> int:
    """Answer for what was raised outside a command's own work, such as an option that does not exist."""
    if isinstance(error, Abort):
        error = KeyboardInterrupt()
    shown = _usage_mistake(error) if isinstance(error, TyperException) else error
    if shown is None:
        return 2  # a command group without a command: its help was shown
    words = [argument for argument in arguments if not argument.startswith("-")]
    schema = f"boxgate.{words[0] if words and words[0] in COMMANDS else 'command'}/1"
    return report_failure(schema, shown, {}, as_json="--json" in arguments, debug="--debug" in arguments)


def _usage_mistake(error: TyperException) -> UserMistake | None:
    text = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "boxgate"
    return UserMistake(
        " ".join(text.split()),
        code="USAGE",
        where=command,
        expected=" ".join(context.get_usage().split()) if context else "a command and its options",
        remedy=f"{command} --help tells what there is",
    )


COMMANDS = frozenset({"run", "rerun", "report", "compare", "runs", "data", "new", "strategies", "doctor", "matrix"})
"""First words that have a JSON schema of their own."""


if __name__ == "__main__":
    sys.exit(main())
