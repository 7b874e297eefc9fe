"""`boxgate data check`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from boxgate_engine.datasets import check_dataset, local_root
from boxgate_server.cli.answer import JsonObject, answer, fail_with, print_error
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.options import SCHEMA, Cache, Root


def check_command(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="Name or hash.")],
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Verify a dataset and its cache, byte for byte. Exit code 1 if anything differs."""

    def work() -> JsonObject:
        result = check_dataset(local_root(root, cache, dataset), dataset, cache)
        fields: JsonObject = {"name": result.name, "hash": result.hash, "rows": result.rows, "files": result.files}
        if result.problems:
            for problem in result.problems[1:]:
                print_error(problem)
            fields["problems"] = [problem.as_dict() for problem in result.problems]
            fail_with(SCHEMA, result.problems[0], fields, as_json=as_json)
        return fields

    answer(SCHEMA, work, _show_check, as_json=as_json, debug=debug)


def _show_check(fields: JsonObject, console: Console) -> None:
    console.print(f"dataset {fields['name']}  {fields['hash']}", markup=False, soft_wrap=True)
    console.print(f"{fields['files']} files with {fields['rows']:,} rows are as they were written.")
