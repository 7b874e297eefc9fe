"""What a computed matrix tells besides its runs: the search, the folds, and how much of the best is luck."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from boxgate_server.cli.answer import JsonObject, visible
from boxgate_server.cli.numerals import count
from boxgate_server.matrix.keeping.folder import MatrixFolder
from boxgate_server.matrix.search.outcome import SEARCH
from boxgate_server.matrix.trials.deflation import TRIALS
from boxgate_server.matrix.walk_forward.record import OOS_EQUITY, WALK_FORWARD

Rows = list[tuple[str, str]]


def outcome_fields(folder: MatrixFolder) -> JsonObject:
    """Return `trials`, `search` and `walk_forward` as they were written beside the index, each None without it."""
    trials, search, walk = (_read(folder.path / name) for name in (TRIALS, SEARCH, WALK_FORWARD))
    return {
        "trials": trials,
        "search": None if search is None else _search(search, folder.path / SEARCH),
        "walk_forward": None if walk is None else _walk(walk, folder),
    }


def outcome_rows(fields: JsonObject) -> Rows:
    """Return what outcome_fields gave, for people."""
    rows: Rows = []
    search, walk, trials = fields["search"], fields["walk_forward"], fields["trials"]
    if search is not None:
        front = f", a front of {count(len(search['front']))}" if search["front"] else ""
        told = f"{count(search['trials'])} of {count(search['of'])} trials by {search['method']}{front}"
        rows.append(("search", told))
    for block in [] if walk is None else walk["blocks"]:
        rows.append(("+".join(block["instruments"]), visible(_block_words(block))))
    if trials is not None and trials["best"] is not None:
        rows.append(("best", f"{trials['best']['run_id']}, {deflation_words(trials['trials'], trials['best'])}"))
    return rows


def deflation_words(trials: int, best: dict[str, Any]) -> str:
    """Return how much of a Sharpe ratio is luck, in words. best: has sharpe and deflated_sharpe."""
    deflated = best["deflated_sharpe"]
    chance = "undefined" if deflated is None else f"{deflated:.3f}"
    return f"deflated Sharpe ratio {chance} after {count(trials)} trials"


def _search(content: dict[str, Any], path: Path) -> JsonObject:
    told = [one for one in content["trials"] if one["generation"] < len(content["digests"])]
    best = content["best"]
    return {
        "file": str(path.absolute()),
        "method": content["method"],
        "trials": len(told),
        "of": content["of"],
        "digest": content["digests"][-1] if content["digests"] else None,
        "best": None if best is None else content["trials"][best],
        "front": [content["trials"][number] for number in content["front"]],
    }


def _walk(content: dict[str, Any], folder: MatrixFolder) -> JsonObject:
    equity = folder.path / OOS_EQUITY
    shown = ("number", "instruments", "frames", "cost_set", "efficiency", "stability", "out_of_sample")
    return {
        "file": str((folder.path / WALK_FORWARD).absolute()),
        "equity": str(equity.absolute()) if equity.exists() else None,
        "best_block": content["best_block"],
        "blocks": [
            {**{name: block[name] for name in shown}, "folds": len(block["folds"])} for block in content["blocks"]
        ],
    }


def _block_words(block: dict[str, Any]) -> str:
    made, steady = block["out_of_sample"], block["stability"]
    total, sharpe = made.get("total"), made.get("sharpe")
    words = [f"costs {block['cost_set']}", f"{count(block['folds'])} folds"]
    if total is not None:
        words.append(f"tests made {total:+.2%}")
    if sharpe is not None:
        words.append(f"Sharpe ratio {sharpe:.2f}")
    if block["efficiency"] is not None:
        words.append(f"{block['efficiency']:.0%} of the objective on train")
    if steady["folds"] > 1:
        words.append(f"choice changed {count(steady['changes'])} of {count(steady['folds'] - 1)} times")
    return ", ".join(words)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
