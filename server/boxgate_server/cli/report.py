"""`boxgate report`: build the page of a published run again, and export what it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Literal

from rich.console import Console

from boxgate_engine.artefacts import StoredRun, put_report
from boxgate_engine.datasets import Dataset, local_root, open_dataset
from boxgate_engine.errors import DataRefused, UserMistake
from boxgate_engine.market import Market
from boxgate_engine.report import page_data
from boxgate_server.cli.answer import JsonObject, answer, line, visible
from boxgate_server.cli.published import config_of, open_published
from boxgate_server.page import price_panels, quality_of, render_page

SCHEMA: Final = "boxgate.report/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exports:
    """Where what the page shows is written: a folder of pictures, a folder of CSV files, a JSON file; None for not."""

    png: Path | None = None
    csv: Path | None = None
    figures: Path | None = None


def report(
    run: str,
    *,
    assets: Literal["inline", "shared"],
    store: Path,
    root: str,
    cache: Path,
    as_json: bool,
    debug: bool,
    exports: Exports = Exports(),
) -> None:
    """Render, export and answer. run: as `open_published` takes it."""
    known: JsonObject = {}

    def work() -> JsonObject:
        stored = open_published(run, store)
        known["run_id"] = stored.run_id
        window = stored.json("config.json")["identity"]["window"]
        market, dataset = _source(stored, root, cache)
        render = render_page(
            market,
            dataset,
            start_ns=int(window["start_ns"]),
            end_ns=int(window["end_ns"]),
            run_id=stored.run_id,
            digest=stored.result_digest,
            assets=assets,
        )
        written = _export(
            exports,
            lambda: page_data(
                stored.folder,
                run_id=stored.run_id,
                result_digest=stored.result_digest,
                prices=price_panels(market, int(window["start_ns"]), int(window["end_ns"])) if market else (),
                quality=quality_of(market, dataset) if market and dataset else {},
                instruments=market.instruments if market else (),
            ),
        )
        page = put_report(stored, render)
        return {
            "status": "complete",
            "run_id": stored.run_id,
            "report": str(page),
            "bytes": page.stat().st_size,
            "assets": assets,
            "prices": market is not None,
            **({"exports": [str(path) for path in written]} if written else {}),
        }

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug, known=known)


def _export(exports: Exports, data: Callable[[], dict[str, Any]]) -> list[Path]:
    """Write what was asked for and return the files. Raises UserMistake where a place cannot be written."""
    if exports == Exports():
        return []
    from boxgate_engine.report.exports import write_pictures, write_sheets

    figures = data()
    written: list[Path] = []
    try:
        if exports.png is not None:
            written += write_pictures(figures, exports.png)
        if exports.csv is not None:
            written += write_sheets(figures, exports.csv)
        if exports.figures is not None:
            exports.figures.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(figures, sort_keys=True, allow_nan=False, ensure_ascii=False, indent=2)
            exports.figures.write_text(text + "\n", encoding="utf-8", newline="\n")
            written.append(exports.figures)
    except OSError as error:
        raise UserMistake(
            f"an export cannot be written: {error.strerror or error}",
            code="EXPORT_UNWRITABLE",
            where=str(error.filename or "--png, --csv or --figures"),
            expected="a place that can be written",
            remedy="name another one",
        ) from error
    return written


def _source(stored: StoredRun, root: str, cache: Path) -> tuple[Market | None, Dataset | None]:
    """Return the market of the run and its dataset, None where it is not in the store."""
    config = config_of(stored, root=root, cache=cache)
    try:
        dataset = open_dataset(local_root(root, cache, config.dataset), config.dataset, cache_dir=cache)
    except DataRefused as refusal:
        if refusal.error_code == "DATASET_UNKNOWN":
            return None, None
        raise
    return Market(config, dataset), dataset


def _show(fields: JsonObject, console: Console) -> None:
    if not fields["prices"]:
        line(console, "the dataset of the run is not here, so the page shows no prices; --data-root says where it is")
    for place, files in groupby(fields.get("exports", []), key=lambda path: str(Path(path).parent)):
        line(console, visible(f"{len(list(files))} files in {place}"))
    line(console, visible(fields["report"]))
