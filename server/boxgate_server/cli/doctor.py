"""`boxgate doctor`: what this machine can do, what is missing and how to get it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from boxgate_engine.datasets import local_root
from boxgate_engine.errors import RunFailed
from boxgate_server.cli.answer import JsonObject, answer, fail_with, line, people, visible
from boxgate_server.doctor import Check, examine

SCHEMA: Final = "boxgate.doctor/1"
_SIGNS: Final = {
    "ok": ("ok", "green"),
    "warning": ("!", "yellow"),
    "missing": ("NO", "bold red"),
    "absent": ("-", "dim"),
}


def doctor(*, root: str, cache: Path, store: Path, warm: bool, as_json: bool, debug: bool) -> None:
    """Examine and answer, one line a check as it is made. Exit code 1 if a run is impossible here."""

    def work() -> JsonObject:
        console = people(as_json=as_json)
        checks = []
        for check in examine(root=local_root(root, cache), cache=cache, store=store, warm=warm):
            _show(check, console)
            checks.append(check)
        missing = [check for check in checks if check.status == "missing"]
        fields: JsonObject = {"ready": not missing, "checks": [check.as_dict() for check in checks]}
        if missing:
            first = missing[0]
            error = RunFailed(
                f"{len(missing)} of {len(checks)} checks found what a run needs missing: {first.name}, {first.found}",
                code="NOT_READY",
                where=first.name,
                expected=first.needed_for,
                remedy=first.remedy,
            )
            fail_with(SCHEMA, error, fields, as_json=as_json, debug=debug)
        return fields

    answer(SCHEMA, work, _conclude, as_json=as_json, debug=debug)


def _show(check: Check, console: Console) -> None:
    sign, style = _SIGNS[check.status]
    line(console, Text.assemble((f"{sign:<3}", style), f"{check.name:<19}{visible(check.found)}"))
    if check.remedy:
        line(console, Text(f"{'':<22}for {check.needed_for}: {visible(check.remedy)}", "dim"))


def _conclude(fields: JsonObject, console: Console) -> None:
    wanting = sum(check["status"] == "warning" for check in fields["checks"])
    rest = "" if not wanting else f"; {wanting} of {len(fields['checks'])} points could be better, as said above"
    line(console, f"Ready to run{rest}.")
