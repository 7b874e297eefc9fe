"""The band of a run: its result under every path assumption and at other costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxgate_engine.artefacts.content import BANDS_FILE
from boxgate_engine.errors import UserMistake
from boxgate_engine.report.markup import Cell, esc, signed, table
from boxgate_engine.report.numerals import count, money, percent, plain


def bands_table(bands: Mapping[str, Any] | None, currency: str) -> str:
    """Return the variants of a band, the run itself first; nothing for a run without one."""
    if bands is None:
        return ""
    rows: list[list[Cell]] = [
        [
            f"{variant['path']}{'' if index else ' (this run)'}",
            f"× {plain(variant['cost_factor'])}",
            # On a narrow page the unit may stand below the number.
            signed(variant["net_profit"], money(variant["net_profit"], currency, signed=True).replace("\u00a0", " ")),
            percent(variant["max_drawdown"]),
            count(variant["deciding_bars"]),
        ]
        for index, variant in enumerate(bands["variants"])
    ]
    low, high = (money(value, currency, signed=True) for value in bands["all"]["net_profit"])
    words = f"Under every path, and at lower and higher costs, the net result lies between {low} and {high}."
    head = ["Path", "Costs", "Net result", "Max drawdown", "Deciding bars"]
    return f'<p class="verdict">{esc(words)}</p>' + table(
        "Bands", head, rows, text_columns=2, compact=True, beside=True
    )


def read_bands(run_folder: Path) -> dict[str, Any] | None:
    """Return bands.json of a run folder, None if the run has no band. Raises UserMistake RUN_UNREADABLE."""
    path = run_folder / BANDS_FILE
    if not path.exists():
        return None
    try:
        bands = json.loads(path.read_text(encoding="utf-8"))
        return {
            "all": {"net_profit": [value + 0.0 for value in bands["all"]["net_profit"]]},
            "variants": [
                {
                    "path": str(one["path"]),
                    "cost_factor": one["cost_factor"] + 0.0,
                    "net_profit": one["net_profit"] + 0.0,
                    "max_drawdown": one["max_drawdown"],
                    "deciding_bars": one.get("deciding_bars"),
                }
                for one in bands["variants"]
            ],
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserMistake(
            f"{path.name} of the run cannot be read ({type(error).__name__})",
            code="RUN_UNREADABLE",
            where=str(path),
            expected="the folder of a complete run",
            remedy="name the folder of a complete run, or run it again",
        ) from error
