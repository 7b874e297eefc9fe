"""The times of the page's data as they were before they were packed."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxgate_engine.report.extremes import Integers


def times_ns(packed: dict[str, Any]) -> Integers:
    """Return the times of {unit_ms, steps}, as `time_steps` gives them: shape (n,), nanoseconds."""
    steps: Integers = np.cumsum(np.array(packed["steps"], dtype=np.int64))
    return steps * (int(packed["unit_ms"]) * 1_000_000)
