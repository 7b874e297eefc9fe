"""`boxgate runs`: find old runs again, look at one, tag it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from boxgate_engine.artefacts import find_run
from boxgate_engine.artefacts.listing import RunFacts, list_runs, run_facts
from boxgate_engine.artefacts.tags import change_tags
from boxgate_engine.timestamps import format_utc
from boxgate_server.cli.answer import JsonObject, answer, line, visible
from boxgate_server.cli.numerals import count, percent, ratio
from boxgate_server.cli.published import open_published
from boxgate_server.cli.run_filter import RunFilter, flat_metrics, sorted_by
from boxgate_server.cli.summary import show_rows

SCHEMA: Final = "boxgate.runs/1"


def list_command(
    store: Path, wanted: RunFilter, *, sort: str, ascending: bool, limit: int, as_json: bool, debug: bool
) -> None:
    """List the runs of a store. limit: most rows, 0 = all."""

    def work() -> JsonObject:
        everything = list_runs(store)
        found = sorted_by(wanted.of(everything), sort, ascending=ascending)
        shown = found[:limit] if limit else found
        return {
            "store": str(store.resolve()),
            "runs": [_listed(run) for run in shown],
            "found": len(found),
            "total": len(everything),
        }

    answer(SCHEMA, work, _show_list, as_json=as_json, debug=debug)


def show_command(run: str, store: Path, *, as_json: bool, debug: bool) -> None:
    """Show one run whole, after checking its files. run: as `open_published` takes it."""

    def work() -> JsonObject:
        stored = open_published(run, store)
        facts = run_facts(stored.folder)
        page = stored.folder / "report.html"
        return {
            **_listed(facts),
            "config": stored.json("config.json")["resolved"],
            "metrics": stored.json("metrics.json"),
            "report": str(page) if page.is_file() else None,
            "files": {name: entry["bytes"] for name, entry in stored.files.items()},
        }

    answer(SCHEMA, work, _show_run, as_json=as_json, debug=debug)


def tag_command(
    run: str, add: Sequence[str], remove: Sequence[str], store: Path, *, as_json: bool, debug: bool
) -> None:
    """Add tags to a run and remove others. run: its folder, its id, or the beginning of its id."""

    def work() -> JsonObject:
        folder = find_run(run, store)
        return {"run_id": run_facts(folder).run_id, "tags": list(change_tags(folder, add=add, remove=remove))}

    def show(fields: JsonObject, console: Console) -> None:
        line(console, f"{fields['run_id']}  {', '.join(fields['tags']) or 'no tags'}")

    answer(SCHEMA, work, show, as_json=as_json, debug=debug)


def _listed(run: RunFacts) -> JsonObject:
    return {
        "run_id": run.run_id,
        "folder": str(run.folder.resolve()),
        "problem": run.problem or None,
        "result_digest": run.result_digest,
        "published_ns": run.published_ns,
        "mode": run.mode,
        "strategy": run.strategy,
        "version": run.version,
        "dataset": run.dataset,
        "instruments": list(run.instruments),
        "frames": list(run.frames),
        "start_ns": run.start_ns,
        "end_ns": run.end_ns,
        "tags": list(run.tags),
        "params": dict(run.params),
        "metrics": dict(run.metrics),
    }


def _show_list(fields: JsonObject, console: Console) -> None:
    runs = fields["runs"]
    if not runs:
        nothing = "No run here yet: `boxgate run CONFIG` makes one." if not fields["total"] else "No run is like that."
        line(console, f"{nothing} ({fields['store']})")
        return
    width = _id_width([run["run_id"] for run in runs])
    differing = _differing(runs)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("run", no_wrap=True, min_width=width)
    for title in ("published", "strategy", "data", "window", "params"):
        table.add_column(title, overflow="fold")
    for title in ("trades", "return", "Sharpe", "max DD"):
        table.add_column(title, justify="right", no_wrap=True, min_width=8)
    table.add_column("tags", overflow="fold")
    for run in runs:
        table.add_row(*(Text(visible(cell)) for cell in _cells(run, width, differing)))
    console.print(table)
    if len(runs) < fields["found"]:
        line(console, f"{count(len(runs))} of {count(fields['found'])} runs; --limit 0 shows all")


def _cells(run: JsonObject, width: int, differing: Sequence[str]) -> list[str]:
    if run["problem"]:
        return [run["run_id"][:width], "", run["problem"]]
    flat = flat_metrics(run["metrics"])
    params = ", ".join(f"{name}={run['params'][name]}" for name in differing if name in run["params"])
    return [
        run["run_id"][:width],
        datetime.fromtimestamp(run["published_ns"] // 10**9, UTC).strftime("%Y-%m-%d %H:%M"),
        f"{run['strategy']} {run['version']}".strip(),
        f"{'+'.join(run['instruments'])} {' '.join(run['frames'])}",
        f"{_day(run['start_ns'])} – {_day(run['end_ns'])}",
        params,
        count(flat["trades.count"]),
        percent(flat["return.total"], signed=True),
        "–" if flat["ratio.sharpe"] is None else ratio(flat["ratio.sharpe"]),
        percent(flat["risk.max_drawdown"]),
        ", ".join(run["tags"]),
    ]


def _id_width(run_ids: Sequence[str]) -> int:
    """Return so many characters of the ids as tell them apart, at least ten."""
    return next((n for n in range(10, 34) if len({one[:n] for one in run_ids}) == len(set(run_ids))), 34)


def _differing(runs: Sequence[JsonObject]) -> list[str]:
    """Return the parameters that are not the same in all runs that have them; those of a single run are all told."""
    names = sorted({name for run in runs for name in run["params"]})
    if len(runs) == 1:
        return names
    return [n for n in names if len({json.dumps(run["params"][n]) for run in runs if n in run["params"]}) > 1]


def _show_run(fields: JsonObject, console: Console) -> None:
    metrics = fields["metrics"]
    rows = [
        ("run", fields["run_id"]),
        ("result", fields["result_digest"]),
        ("strategy", f"{fields['strategy']} {fields['version']}".strip()),
        ("params", ", ".join(f"{name}={value}" for name, value in fields["params"].items()) or "none"),
        ("dataset", fields["dataset"]),
        ("data", f"{'+'.join(fields['instruments'])} {' '.join(fields['frames'])}"),
        ("window", f"{format_utc(fields['start_ns'])} to {format_utc(fields['end_ns'])}"),
        ("mode", fields["mode"]),
        ("tags", ", ".join(fields["tags"]) or "none"),
    ]
    for section in ("account", "costs", "execution", "warmup"):
        keys = fields["config"].get(section, {})
        rows.append((section, ", ".join(f"{key} {value}" for key, value in keys.items() if value is not None)))
    rows += [(path, _plain(value)) for path, value in flat_metrics(metrics).items()]
    rows.append(("folder", fields["folder"]))
    if fields["report"]:
        rows.append(("report", fields["report"]))
    show_rows(console, rows)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.6g}"
    return "undefined" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _day(time_ns: int) -> str:
    return format_utc(time_ns)[:10]
