"""The metrics of a run, computed from its tables. What is undefined is None, never NaN or infinity.

`compute_metrics` gives the content of metrics.json. Source: docs/spec/metrics.md.
"""

from boxgate_engine.metrics.compute import Counts, compute_metrics
from boxgate_engine.metrics.drawdowns import drawdown

__all__ = ["Counts", "compute_metrics", "drawdown"]
