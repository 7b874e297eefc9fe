"""What `boxgate matrix plan` tells: how many runs there are, and what they will take."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from boxgate_server.cli.answer import JsonObject
from boxgate_server.cli.numerals import count, duration
from boxgate_server.cli.progress import watching
from boxgate_server.cli.summary import show_rows
from boxgate_server.matrix.planning.estimate import estimate
from boxgate_server.matrix.planning.plan import Plan


def plan_fields(plan: Plan) -> JsonObject:
    """Return the numbers of a plan, after three runs that are computed and thrown away."""
    with watching({}) as watcher:
        expected = estimate(plan, folder=Path.cwd(), stage=watcher.stage)
    folds = {(role.window, role.fold) for one in plan.settings for role in one.roles if role.fold is not None}
    return {
        "matrix_id": plan.matrix_id,
        "runs": plan.count,
        "product": plan.product,
        "capped": plan.capped,
        "parameter_sets": plan.space.size,
        "settings": len(plan.settings),
        "folds": len(folds),
        "seconds_est": expected.seconds,
        "artifact_bytes_est": expected.artifact_bytes,
        "per_instrument": _per_instrument(plan),
    }


def show_plan(fields: JsonObject, console: Console) -> None:
    """Show what plan_fields gave."""
    product = f" of {count(fields['product'])}" if fields["capped"] else ""
    rows = [
        ("matrix", fields["matrix_id"]),
        ("runs", f"{count(fields['runs'])}{product}"),
        ("parameter sets", count(fields["parameter_sets"])),
        *((name, f"{count(number)} runs") for name, number in fields["per_instrument"].items()),
        ("time", f"about {duration(fields['seconds_est'])} by one worker"),
        ("on disk", f"about {_size(fields['artifact_bytes_est'])}"),
    ]
    if fields["folds"]:
        rows.insert(3, ("folds", count(fields["folds"])))
    show_rows(console, rows)


def _per_instrument(plan: Plan) -> dict[str, int]:
    runs: dict[str, int] = {}
    for block, number in zip(plan.blocks, plan.runs_of_blocks, strict=True):
        name = "+".join(block[0].instruments)
        runs[name] = runs.get(name, 0) + number
    return runs


def _size(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"
