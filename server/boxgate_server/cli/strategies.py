"""`boxgate strategies`: what lies in a drop-in folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from boxgate_server.cli.answer import JsonObject, answer, line, people, visible
from boxgate_server.drop_in import strategies_in

SCHEMA: Final = "boxgate.strategies/1"


def strategies(folder: Path, *, timeout_s: float, as_json: bool, debug: bool) -> None:
    """Describe each strategy of the folder as it is found; a broken one is listed with its error."""

    def work() -> JsonObject:
        console = people(as_json=as_json)
        found = []
        for listed in strategies_in(folder, timeout_s=timeout_s):
            found.append(listed.as_dict())
            _show(found[-1], console)
        return {"folder": str(folder.resolve()), "strategies": found}

    answer(SCHEMA, work, _conclude, as_json=as_json, debug=debug)


def _show(listed: JsonObject, console: Console) -> None:
    fault = listed["error"]
    if fault is not None:
        place = listed["file"] if fault["line"] is None else f"{listed['file']}:{fault['line']}"
        words = f"  {fault['code']}  {visible(fault['what'])}"
        line(console, Text.assemble((visible(place), "bold red"), words))
        line(console, "")
        return
    author = f"  by {visible(listed['author'])}" if listed["author"] else ""
    title = (f"{visible(listed['name'])} {visible(listed['version'])}", "bold")
    line(console, Text.assemble(title, author, (f"  {visible(listed['file'])}", "dim")))
    if listed["description"]:
        line(console, f"  {visible(listed['description'])}")
    frames = " ".join(listed["frames"]) or "any"
    needs = " ".join(listed["requires"]) or "nothing"
    line(console, f"  frames {frames} · requires {needs} · supports {' '.join(listed['supports']) or 'nothing'}")
    line(console, Text(f"  command: [{', '.join(visible(word) for word in listed['command'])}]", "dim"))
    if listed["parameters"]:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("  parameter", no_wrap=True)
        for title_of_column in ("type", "default", "range", "what it is"):
            table.add_column(title_of_column, overflow="fold")
        for parameter in listed["parameters"]:
            kind = parameter["type"].lower().replace("_", " ")
            cells = (f"  {parameter['name']}", kind, _value(parameter["default"]), _range(parameter), parameter["doc"])
            table.add_row(*(Text(visible(cell)) for cell in cells))
        console.print(table)
    line(console, "")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else str(value)


def _range(parameter: JsonObject) -> str:
    if parameter["choices"]:
        return " | ".join(parameter["choices"])
    low, high = parameter["min"], parameter["max"]
    if low is None and high is None:
        return ""
    if high is None:
        return f"≥ {_value(low)}"
    return f"≤ {_value(high)}" if low is None else f"{_value(low)} … {_value(high)}"


def _conclude(fields: JsonObject, console: Console) -> None:
    found = fields["strategies"]
    broken = sum(listed["error"] is not None for listed in found)
    if not found:
        line(console, f"No strategy in {fields['folder']}: put .py files there, or folders with a strategy.py.")
        return
    works = len(found) - broken
    line(console, f"{works} {'strategy works' if works == 1 else 'strategies work'}, {broken} broken.")
