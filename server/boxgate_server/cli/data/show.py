"""`boxgate data show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from boxgate_engine.calendars import calendar_by_name
from boxgate_engine.datasets import Dataset, local_root, open_dataset
from boxgate_engine.datasets.picture import Picture, draw_series
from boxgate_engine.errors import StoreFailed
from boxgate_server.cli.answer import JsonObject, answer, line, visible
from boxgate_server.cli.app import DEFAULT_CACHE, DEFAULT_ROOT, AsJson, Debug
from boxgate_server.cli.data.details import details, show_details
from boxgate_server.cli.data.options import SCHEMA, Cache, Root
from boxgate_server.cli.data.picture import show_picture

_PICTURES_MAX: Final = 4
"""So many series are drawn without being asked for by name."""


def show_command(
    dataset: Annotated[str, typer.Argument(metavar="NAME", help="Name or hash.")],
    symbol: Annotated[str | None, typer.Option(help="Draw this symbol only.")] = None,
    frame: Annotated[str | None, typer.Option(help="Draw this frame only; one that is not stored is made.")] = None,
    calendar: Annotated[
        str | None, typer.Option(help="Measure gaps by another calendar: always, fx, XNYS, lean:FILE#ENTRY.")
    ] = None,
    html: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the pictures as one offline page.")] = None,
    root: Root = DEFAULT_ROOT,
    cache: Cache = DEFAULT_CACHE,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show what a dataset holds, and draw coverage, quality, spreads and volumes of its series."""

    def work() -> JsonObject:
        opened = open_dataset(local_root(root, cache, dataset), dataset, cache_dir=cache)
        measured = calendar_by_name(calendar) if calendar is not None else None
        chosen = _chosen(opened, symbol, frame)
        named = symbol is not None or frame is not None or html is not None
        drawn = chosen if named or len(chosen) <= _PICTURES_MAX else []
        pictures = [draw_series(opened, *one, calendar=measured) for one in drawn]
        fields = {"name": opened.name, "hash": opened.hash, **details(opened.manifest, opened.manifest.series)}
        fields |= {"pictures": pictures, "html": None}
        if html is not None:
            _write(html, opened, pictures)
            fields["html"] = str(html.resolve())
        return fields

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug)


def _chosen(opened: Dataset, symbol: str | None, frame: str | None) -> list[tuple[str, str]]:
    symbols = list(opened.instruments) if symbol is None else [symbol]
    if frame is not None:
        return [(one, frame) for one in symbols]
    return [(one, stored) for one in symbols for stored in opened.frames(one)]


def _write(path: Path, opened: Dataset, pictures: list[Picture]) -> None:
    from boxgate_engine.report.coverage import render_coverage

    page = render_coverage(name=opened.name, digest=opened.hash, pictures=pictures)
    try:
        path.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StoreFailed(
            f"the page cannot be written: {error.strerror}", where=visible(str(path)), code="STORE_IO"
        ) from error


def _show(fields: JsonObject, console: Console) -> None:
    show_details(fields, console)
    for picture in fields["pictures"]:
        show_picture(picture, console)
    if not fields["pictures"]:
        line(console, "Name a series by --symbol and --frame to see its picture, or take --html for all of them.")
    if fields["html"]:
        line(console, f"The page is {visible(fields['html'])}")
