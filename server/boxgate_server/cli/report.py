"""`boxgate report`: build the page of a published run again."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from rich.console import Console

from boxgate_engine.artefacts import StoredRun, put_report
from boxgate_engine.datasets import Dataset, local_root, open_dataset
from boxgate_engine.errors import DataRefused
from boxgate_engine.market import Market
from boxgate_server.cli.answer import JsonObject, answer, line, visible
from boxgate_server.cli.published import config_of, open_published
from boxgate_server.page import render_page

SCHEMA: Final = "boxgate.report/1"


def report(
    run: str,
    *,
    assets: Literal["inline", "shared"],
    store: Path,
    root: str,
    cache: Path,
    as_json: bool,
    debug: bool,
) -> None:
    """Render and answer. run: as `open_published` takes it."""
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
        page = put_report(stored, render)
        return {
            "status": "complete",
            "run_id": stored.run_id,
            "report": str(page),
            "bytes": page.stat().st_size,
            "assets": assets,
            "prices": market is not None,
        }

    answer(SCHEMA, work, _show, as_json=as_json, debug=debug, known=known)


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
    line(console, visible(fields["report"]))
