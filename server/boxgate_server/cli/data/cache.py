"""`boxgate data cache`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from boxgate_engine.datasets import cache_entries, clear_cache, local_root
from boxgate_engine.datasets.store import find
from boxgate_engine.errors import UserMistake
from boxgate_server.cli.answer import JsonObject, answer, line
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.options import SCHEMA, Cache, Root


def cache_command(
    dataset: Annotated[str | None, typer.Argument(metavar="[NAME]", help="With --clear: name or hash.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the files of NAME, or with --all of all.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="With --clear: the files of all datasets.")] = False,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what lies in the cache, the least recently used first, or remove it. Files in use always stay."""

    def work() -> JsonObject:
        if clear != (everything or dataset is not None) or (everything and dataset is not None):
            raise UserMistake(
                "what is to be removed is not said in one way",
                code="CACHE_CLEAR",
                where="boxgate data cache",
                expected="no option to show the cache, --clear NAME, or --clear --all",
                remedy="name the dataset, or take --all",
            )
        fields: JsonObject = {"removed_bytes": 0}
        if clear:
            digest = None if dataset is None else find(local_root(root, cache), dataset)[1].hash
            fields["removed_bytes"] = clear_cache(cache, digest)[0]
        entries = cache_entries(cache)
        files = [
            {
                "path": entry.path.relative_to(cache).as_posix(),
                "dataset": entry.dataset,
                "bytes": entry.bytes,
                "used_ns": entry.used_ns,
                "in_use": entry.in_use,
            }
            for entry in entries
        ]
        return {**fields, "cleared": clear, "bytes": sum(entry.bytes for entry in entries), "files": files}

    answer(SCHEMA, work, _show_cache, as_json=as_json, debug=debug)


def _show_cache(fields: JsonObject, console: Console) -> None:
    if fields["cleared"]:
        line(console, f"{fields['removed_bytes']:,} bytes removed.")
    if fields["files"]:
        table = Table("dataset", "file", "bytes", "last use (UTC)", "in use")
        for file in fields["files"]:
            used = datetime.fromtimestamp(file["used_ns"] // 1_000_000_000, UTC)
            digest, name = file["path"].split("/", 1)
            table.add_row(
                digest[:16], name, f"{file['bytes']:,}", f"{used:%Y-%m-%d %H:%M:%S}", "yes" if file["in_use"] else ""
            )
        console.print(table)
    line(console, f"{len(fields['files'])} files with {fields['bytes']:,} bytes are in the cache.")
