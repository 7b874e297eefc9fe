"""What the page of a matrix needs to know besides the index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from boxgate_engine.report.extremes import Floats, Integers


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What makes one run better than another. metric: path such as `ratio.sharpe`."""

    metric: str
    is_better_large: bool = True

    def __str__(self) -> str:
        return f"{'largest' if self.is_better_large else 'smallest'} {self.metric}"


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What a run must keep to be chosen. low, high: bounds of the metric, None for none."""

    metric: str
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        least = "" if self.low is None else f" at least {self.low:g}"
        most = "" if self.high is None else f" at most {self.high:g}"
        return f"{self.metric}{least}{' and' if least and most else ''}{most}"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why a run failed."""

    code: str
    what: str
    where: str
    expected: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Stitched:
    """The equity of the chosen tests, one after another. label: instruments and costs. folds: that have a part in it.

    time_ns, equity: shape (n,), n >= 1, oldest first. cash: what it began with. total, sharpe, max_drawdown: of all of
    it, None where undefined.
    """

    label: str
    folds: int
    cash: float
    time_ns: Integers
    equity: Floats
    total: float | None
    sharpe: float | None
    max_drawdown: float | None


@dataclass(frozen=True, kw_only=True)
class Luck:
    """How much of the best run is luck. trials: runs ever made of the strategy on data of this name.

    sharpe: ratio of the best run, annualised. expected: what the best of so many worthless runs shows. deflated: the
    probability that the true ratio is above that.
    """

    trials: int
    sharpe: float
    expected: float
    deflated: float


@dataclass(frozen=True, kw_only=True)
class MatrixFacts:
    """What the matrix file says.

    name: of the strategy. objectives: one or more, the first chooses. search, walk_forward: in words; walk_forward is
    None without folds. cost_sets: what each is, in words, by its number. reasons: by run id, as far as they are known.
    runs_at: the folder of the runs as an address relative to the page. has_page: whether the folder of a run
    has one. stitched, luck: empty and None where they are not known.
    """

    matrix_id: str
    name: str
    currency: str
    search: str
    objectives: Sequence[Objective]
    constraints: Sequence[Constraint] = ()
    walk_forward: str | None = None
    cost_sets: Sequence[str] = ()
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    runs_at: str = "../../runs"
    has_page: Callable[[str], bool] = lambda _: False
    stitched: Sequence[Stitched] = ()
    luck: Luck | None = None
