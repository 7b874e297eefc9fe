"""The deflated Sharpe ratio of a run: how likely it is no luck, being the best of so many trials."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from boxgate_engine.artefacts.curve import CURVE_FILE
from boxgate_engine.metrics.arrays import floats, integers
from boxgate_engine.metrics.returns import daily_marks, expected_best_sharpe, growth_figures
from boxgate_server.matrix.keeping.folder import MatrixFolder, write_json
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.run_store import RunStore
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.trials.ledger import TrialLedger, period_sharpe

TRIALS: Final = "trials.json"
_PERIODS: Final = 252


@dataclass(frozen=True, kw_only=True)
class Deflation:
    """What is known of luck. trials: runs ever made of the strategy on the dataset family, this one among them.

    sharpe_deviation: standard deviation of their Sharpe ratios. expected_best: what the best of so many worthless ones
    is expected to show. Both annualised as the ratio of the run, `sharpe`. probabilistic_sharpe: the probability that
    the true ratio of the run is above 0; deflated_sharpe: above expected_best. None where undefined.
    """

    trials: int
    sharpe_deviation: float
    expected_best: float
    sharpe: float | None = None
    probabilistic_sharpe: float | None = None
    deflated_sharpe: float | None = None


def deflate(trials: int, ratios: npt.NDArray[np.float64], *, returns: list[float] | None, periods: int) -> Deflation:
    """Return what so many trials mean for the returns of one of them.

    ratios: Sharpe ratios of the trials, per period. returns: daily, of the run; None where there are none. periods: of
    a year. Source: docs/spec/metrics.md, `ratio.deflated_sharpe`.
    """
    trials = max(trials, 1)
    deviation = float(np.std(ratios, ddof=1)) if len(ratios) > 1 else 0.0
    year = math.sqrt(periods)
    figures = growth_figures(returns, periods, trials=trials, trial_deviation=deviation)
    return Deflation(
        trials=trials,
        sharpe_deviation=deviation * year,
        expected_best=expected_best_sharpe(trials, deviation) * year,
        sharpe=figures["sharpe"],
        probabilistic_sharpe=figures["probabilistic_sharpe"],
        deflated_sharpe=figures["deflated_sharpe"],
    )


def count_trials(folder: MatrixFolder, ledger: Ledger, plan: Plan, family: str) -> None:
    """Count the runs of a matrix, and what else the store has, in its trial ledger. family: name of the dataset."""
    versions = plan.versions
    with TrialLedger(folder.path.parent) as counted:
        counted.name_family(versions.dataset, family)
        counted.count(
            versions.strategy,
            versions.dataset,
            (
                (one.run_id, period_sharpe((one.metrics or {}).get("ratio_sharpe"), _periods(one.metrics)))
                for one in ledger.entries("complete")
            ),
        )
        counted.count_published(folder.run_store)


def deflation(folder: MatrixFolder, ledger: Ledger, plan: Plan, run_id: str | None) -> Deflation:
    """Return what the trials of the store mean for a run of a matrix. run_id: None where no run was chosen."""
    with TrialLedger(folder.path.parent) as counted:
        count, ratios = counted.trials(plan.versions.strategy, plan.versions.dataset)
    entry = None if run_id is None else ledger.find(run_id)
    returns = None if run_id is None else _returns(folder.run_store, run_id)
    return deflate(count, ratios, returns=returns, periods=_periods(None if entry is None else entry.metrics))


def write_trials(folder: MatrixFolder, plan: Plan, run_id: str | None, found: Deflation) -> None:
    """Write trials.json beside the index. run_id: of the best run."""
    with TrialLedger(folder.path.parent) as counted:
        family = counted.family(plan.versions.dataset)
    content: dict[str, Any] = {
        "schema": "boxgate.matrix-trials/1",
        "matrix_id": folder.matrix_id,
        "strategy_digest": plan.versions.strategy,
        "dataset": plan.versions.dataset,
        "dataset_family": family,
        "trials": found.trials,
        "sharpe_deviation": found.sharpe_deviation,
        "expected_best_sharpe": found.expected_best,
        "best": None
        if run_id is None
        else {
            "run_id": run_id,
            "sharpe": found.sharpe,
            "probabilistic_sharpe": found.probabilistic_sharpe,
            "deflated_sharpe": found.deflated_sharpe,
        },
    }
    write_json(folder.path / TRIALS, content)


def _periods(metrics: Any) -> int:
    return int((metrics or {}).get("periods_per_year") or _PERIODS)


def _returns(runs: RunStore, run_id: str) -> list[float] | None:
    """Return the daily returns of a published run, None if it is gone or they have no meaning."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(pa.BufferReader(runs.read(run_id, CURVE_FILE)))
        # Without threads: one of Arrow's that still holds bytes of Python when the process ends, aborts it.
        curve = file.read(["time", "equity"], use_threads=False)
    except (OSError, pa.ArrowException):
        return None
    return daily_marks(integers(curve["time"]), floats(curve["equity"])).returns
