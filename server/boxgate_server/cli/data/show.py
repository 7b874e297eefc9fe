"""`boxgate data show`."""

from __future__ import annotations

from typing import Annotated

import typer

from boxgate_engine.datasets import open_dataset
from boxgate_server.cli.answer import JsonObject, answer
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.details import details, show_details
from boxgate_server.cli.data.options import SCHEMA, Cache, Root


def show_command(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="Name or hash.")],
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show instruments, series and quality of a dataset."""

    def work() -> JsonObject:
        opened = open_dataset(root, dataset, cache_dir=cache)
        return {"name": opened.name, "hash": opened.hash, **details(opened.manifest, opened.manifest.series)}

    answer(SCHEMA, work, show_details, as_json=as_json, debug=debug)
