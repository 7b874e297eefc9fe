"""`boxgate data list`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from boxgate_engine.datasets import Manifest, list_datasets, listed_root
from boxgate_server.cli.answer import JsonObject, answer
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.details import day
from boxgate_server.cli.data.options import SCHEMA, Cache, Root


def list_command(
    root: Root = DEFAULT_ROOT, cache: Cache = DEFAULT_CACHE, as_json: AsJson = False, debug: Debug = False
) -> None:
    """List the datasets of the store and their names."""

    def work() -> JsonObject:
        return {
            "datasets": [
                {
                    "names": list(one.names),
                    "hash": one.hash,
                    **(_summary(one.manifest) if one.manifest else {}),
                    **({"error": one.problem.as_dict()} if one.problem else {}),
                }
                for one in list_datasets(listed_root(root, cache))
            ]
        }

    answer(SCHEMA, work, _show_list, as_json=as_json, debug=debug)


def _summary(manifest: Manifest) -> JsonObject:
    return {
        "rows": sum(series.rows for series in manifest.series),
        "series": [{"symbol": s.symbol, "frame": s.frame, "rows": s.rows} for s in manifest.series],
        "first_ns": min(series.first_ns for series in manifest.series),
        "last_ns": max(series.last_ns for series in manifest.series),
    }


def _show_list(fields: JsonObject, console: Console) -> None:
    if not fields["datasets"]:
        console.print("No dataset yet: `boxgate data import` takes files, `boxgate data synth` makes some.")
        return
    table = Table("name", "hash", "series", "rows", "from", "to")
    for one in fields["datasets"]:
        name, digest = ", ".join(one["names"]) or "-", one["hash"][: 16 if console.is_terminal else None]
        if "error" in one:
            table.add_row(name, digest, f"{one['error']['code']}: {one['error']['what']}", "", "", "")
            continue
        symbols = ", ".join(f"{series['symbol']} {series['frame']}" for series in one["series"])
        table.add_row(name, digest, symbols, f"{one['rows']:,}", day(one["first_ns"]), day(one["last_ns"]))
    console.print(table)
