"""The equity curve as it is stored: every mark, or the last of each hour or day where there are very many.

Source: docs/spec/artefacts.md, section 4.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from boxgate_engine.metrics.arrays import DAY_NS, floats, integers
from boxgate_engine.metrics.drawdowns import Drawdown, deepest_drawdowns
from boxgate_engine.metrics.returns import last_of_each

CURVE_FILE: Final = "equity_curve.parquet"
"""Its name in the folder of a run."""
MARKS_MAX: Final = 250_000
"""Most rows that are stored of a curve whose resolution is `auto`; of days there may be more."""
DEEPEST_KEPT: Final = 10
"""Drawdowns of the full curve that a thinned one tells of."""

_KEY: Final = b"boxgate.equity_curve"
_SPANS_NS: Final = {"hour": 3_600_000_000_000, "day": DAY_NS}


@dataclass(frozen=True, kw_only=True)
class FullCurve:
    """What a thinned curve tells of the full one. resolution: `hour` or `day`. marks: rows of the full curve.

    drawdowns: how many times below a peak there were. deepest: of these at most DEEPEST_KEPT, deepest first.
    """

    resolution: str
    marks: int
    drawdowns: int
    deepest: list[Drawdown]


def stored_curve(equity: pa.Table, resolution: str) -> pa.Table:
    """Return the rows of the full curve that are stored; where these are fewer, the schema's metadata tell of the rest.

    resolution: `bar`, every mark; `hour` or `day`, the last mark of each that has one, in UTC, besides the first row;
    `auto`, the first of these with at most MARKS_MAX rows, or else days.
    """
    marks = equity.num_rows
    if resolution == "bar" or (resolution == "auto" and marks <= MARKS_MAX):
        return equity
    times_ns = integers(equity["time"])
    spans = ("hour", "day") if resolution == "auto" else (resolution,)
    for span in spans:
        rows = last_of_each(times_ns, _SPANS_NS[span])
        rows = rows if rows[0] == 0 else np.append(0, rows)
        if len(rows) <= MARKS_MAX:
            break
    if len(rows) == marks:
        return equity
    count, deepest = deepest_drawdowns(times_ns, floats(equity["equity"]), DEEPEST_KEPT)
    told = FullCurve(resolution=span, marks=marks, drawdowns=count, deepest=deepest)
    text = json.dumps(asdict(told), sort_keys=True, separators=(",", ":"))
    return equity.take(pa.array(rows)).replace_schema_metadata({_KEY: text})


def full_curve(metadata: Mapping[bytes, bytes] | None) -> FullCurve | None:
    """Return what the metadata of a stored curve's schema tell of the full one, None if all its marks are there."""
    if metadata is None or _KEY not in metadata:
        return None
    told: dict[str, Any] = json.loads(metadata[_KEY])
    return FullCurve(**{**told, "deepest": [Drawdown(**one) for one in told["deepest"]]})
