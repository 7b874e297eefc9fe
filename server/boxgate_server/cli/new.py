"""`boxgate new`: a strategy, its config and its test, ready to run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console

from boxgate_server.cli.answer import JsonObject, answer, line
from boxgate_server.scaffold import create_project

SCHEMA: Final = "boxgate.new/1"


def new(name: str, *, language: str, as_json: bool, debug: bool) -> None:
    """Make the project in the working directory and say what to do with it."""

    def work() -> JsonObject:
        folder, files = create_project(name, language, parent=Path.cwd())
        return {
            "name": name,
            "language": language,
            "folder": str(folder),
            "files": files,
            "next": [f"cd {name}", f"boxgate run {name}.yaml", "python -m pytest"],
        }

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug)


def _show(fields: JsonObject, console: Console) -> None:
    line(console, f"{fields['name']}/ holds {', '.join(fields['files'])}")
    line(console, "Next:")
    for command in fields["next"]:
        line(console, f"  {command}")
