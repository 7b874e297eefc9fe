"""Where the makers of fixtures find the market data, and how they write or check what they made."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import Any

from peer_cases import FIXTURES, load, text_of

TOLERANCE = 1e-12
"""Greatest relative difference between a fixture and what is made again: another processor may round otherwise."""


def data_folder() -> Path:
    """Return the folder of the market data: BOXGATE_DATA, else ../shared/data beside the checkout."""
    repository = Path(__file__).resolve().parents[2]
    folder = (repository / os.environ.get("BOXGATE_DATA", "../shared/data")).resolve()
    if not (folder / "MANIFEST.tsv").is_file():
        sys.exit(f"peers: no market data at {folder}; set BOXGATE_DATA to the folder that holds its MANIFEST.tsv")
    return folder


def finish(name: str, versions: dict[str, str], content: dict[str, Any]) -> None:
    """Write the fixture, or with --check compare it and exit with 1 where it differs."""
    made = {"made_by": f"make peers; .ci/peers make {name}", "versions": versions, **content}
    if sys.argv[1:] != ["--check"]:
        (FIXTURES / f"{name}.json").write_text(text_of(made) + "\n", encoding="utf-8")
        print(f"peers: {name}.json is written")
        return
    kept = load(name)
    kept["versions"].pop("python")
    made["versions"].pop("python")
    where = difference(kept, made, name)
    if where:
        sys.exit(f"peers: {where}")
    print(f"peers: {name}.json is what it was")


def difference(kept: Any, made: Any, where: str) -> str:
    """Return where two JSON values differ, empty if they do not."""
    if isinstance(kept, dict) and isinstance(made, dict) and kept.keys() == made.keys():
        return next(filter(None, (difference(kept[key], made[key], f"{where}/{key}") for key in kept)), "")
    if isinstance(kept, list) and isinstance(made, list) and len(kept) == len(made):
        pairs = enumerate(zip(kept, made, strict=True))
        return next(filter(None, (difference(*pair, f"{where}/{i}") for i, pair in pairs)), "")
    if isinstance(kept, float) and isinstance(made, float):
        same = kept == made or math.isclose(kept, made, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        return "" if same else f"{where}: {kept!r} is now {made!r}"
    return "" if kept == made else f"{where}: {kept!r:.80} is now {made!r:.80}"
