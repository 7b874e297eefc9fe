"""The keys of a matrix file besides those of a run config, their types, limits and defaults."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from boxgate_engine.config import CostsConfig, RunConfig, WindowConfig
from boxgate_engine.config.fields import Section, Text, entries, refusal
from boxgate_engine.config.model import ParamValue, Scalar
from boxgate_server.matrix.config.instruments import InstrumentsEntry
from boxgate_server.matrix.config.metrics import METRICS, close_metric
from boxgate_server.matrix.config.places import IoConfig
from boxgate_server.matrix.config.runner import RunnerConfig
from boxgate_server.matrix.config.spans import Span, span_text

TRIALS_MAX: Final = 10_000_000
"""Most parameter sets that a search may try."""

PROPOSED_MAX: Final = 100_000
"""Most parameter sets that a search may propose."""
_GENERATIONS: Final = {"tpe": 16, "nsga2": 50}
"""Sets of a generation if the file does not say it."""


def _metric(value: Any) -> str:
    if value not in METRICS:
        close = close_metric(value) if isinstance(value, str) else None
        raise refusal(
            f"{value!r} names no metric",
            expected="group and name of a number of metrics.json, such as ratio.sharpe, return.cagr, risk.max_drawdown",
            remedy=f"did you mean {close}?" if close else "docs/spec/metrics.md lists them all",
        )
    return str(value)


Metric = Annotated[str, BeforeValidator(_metric)]


class RangeConfig(Section):
    """Values of a parameter from `low` by `step` up to `high`, which is one of them if the steps meet it.

    Without a step every value between is possible, which only a search that proposes values can use.
    """

    low: Annotated[int | float, Field(alias="from")]
    high: Annotated[int | float, Field(alias="to")]
    step: int | float | None = None

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.step is not None and self.step <= 0:
            raise refusal(f"the step {self.step} leads nowhere", expected="a step above 0", remedy="correct the step")
        if self.high < self.low:
            raise refusal(
                f"the range is empty: it ends at {self.high}, before it begins at {self.low}",
                expected="to at least from",
                remedy="correct one of the two",
            )
        return self


def _value(value: Any) -> Any:
    parts = value if isinstance(value, list) else [value]
    if not all(isinstance(part, Scalar) for part in parts):
        raise refusal(
            "a value of the parameter is nothing or has keys of its own",
            expected="true or false, a number, text, or a list of texts",
            remedy="correct the value",
        )
    return value


Values = Annotated[tuple[Annotated[ParamValue, BeforeValidator(_value)], ...], entries(1)]
Axis = Annotated[
    Annotated[RangeConfig, Tag("range")] | Annotated[Values, Tag("values")],
    Discriminator(lambda value: "range" if isinstance(value, (dict, RangeConfig)) else "values"),
    BeforeValidator(lambda value: value if isinstance(value, (dict, list, tuple, RangeConfig)) else [value]),
]
"""The values of one parameter: a range, a list in its order, or one value."""


class ObjectiveConfig(Section):
    """What is better: a metric that shall be large, or one that shall be small."""

    maximize: Metric | None = None
    minimize: Metric | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.maximize is None) == (self.minimize is None):
            raise refusal(
                "an objective is one metric",
                expected="a name such as ratio.sharpe, {maximize: …} or {minimize: …}",
                remedy="leave one of the two",
            )
        return self

    @property
    def metric(self) -> str:
        """Group and name in metrics.json."""
        return self.maximize or self.minimize or ""

    @property
    def is_better_large(self) -> bool:
        """Whether more of the metric is better."""
        return self.maximize is not None

    def __str__(self) -> str:
        """Return the objective in words."""
        return f"{'largest' if self.is_better_large else 'smallest'} {self.metric}"


def _objective(value: Any) -> Any:
    return {"maximize": value} if isinstance(value, str) else value


Objective = Annotated[ObjectiveConfig, BeforeValidator(_objective)]


class ConstraintConfig(Section):
    """A metric that must be at least `min` and at most `max` for a run to be chosen."""

    metric: Metric
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise refusal("the constraint has no bound", expected="min, max or both", remedy="add one")
        if self.min is not None and self.max is not None and self.max < self.min:
            raise refusal(
                f"nothing is at least {self.min:g} and at most {self.max:g}",
                expected="max at least min",
                remedy="correct one of the two",
            )
        return self

    def holds(self, value: float | None) -> bool:
        """Return whether a value keeps the constraint; one that is undefined does not."""
        if value is None:
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


class SearchConfig(Section):
    """How parameter sets are chosen, and what makes one better than another.

    grid: all of them. random: `trials` of them, drawn by `seed` (default: the master seed). tpe, nsga2: proposed in
    generations of a fixed size from what the earlier ones made. constraints: what a run must keep to be chosen.
    aggregate: what a proposed set made of several instruments, windows, folds and costs, in one number.
    """

    method: Literal["grid", "random", "tpe", "nsga2"] = "grid"
    trials: Annotated[int | None, Field(ge=1, le=TRIALS_MAX)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**64)] = None
    objectives: Annotated[tuple[Objective, ...], entries(1)] = (ObjectiveConfig(maximize="ratio.sharpe"),)
    constraints: Annotated[tuple[ConstraintConfig, ...], entries()] = ()
    generation: Annotated[int | None, Field(ge=2, le=10_000)] = None
    aggregate: Literal["mean", "median", "worst"] | None = None

    @property
    def proposes(self) -> bool:
        """Whether sets are proposed from what earlier ones made."""
        return self.method in _GENERATIONS

    @property
    def generation_size(self) -> int:
        """Sets that are proposed together."""
        assert self.trials is not None
        return min(self.generation or _GENERATIONS[self.method], self.trials)

    @property
    def rule(self) -> Literal["mean", "median", "worst"]:
        """How what a set made in several settings becomes one number."""
        return self.aggregate or "mean"

    @model_validator(mode="after")
    def _has_what_its_method_needs(self) -> Self:
        if self.method == "grid":
            given = [name for name in ("trials", "seed") if getattr(self, name) is not None]
            if given:
                raise refusal(
                    f"a grid takes every parameter set, so it has no {' and no '.join(given)}",
                    expected="search: grid alone, or another method",
                    remedy="remove it, choose random, or cap the matrix by matrix.target_runs",
                )
        elif self.trials is None:
            raise refusal(
                f"the search {self.method} does not know when to end",
                expected="trials",
                remedy="add for example trials: 200",
            )
        for name, told in (("generation", "no generations"), ("aggregate", "nothing to aggregate for")):
            if getattr(self, name) is not None and not self.proposes:
                raise refusal(f"the search {self.method} has {told}", expected="tpe or nsga2", remedy=f"remove {name}")
        if self.proposes and (self.trials or 0) > PROPOSED_MAX:
            raise refusal(
                f"{self.trials:,} sets are more than can be proposed one from another",
                expected=f"at most {PROPOSED_MAX:,} trials",
                remedy="take fewer, or search: random",
            )
        if len(self.objectives) > 1 and self.method != "nsga2":
            raise refusal(
                f"the search {self.method} has one objective",
                expected="one objective, or nsga2",
                remedy="keep one, or choose nsga2",
            )
        if self.method == "nsga2" and len(self.objectives) < 2:
            raise refusal(
                "nsga2 weighs objectives against each other",
                expected="two objectives or more",
                remedy="add one, or choose tpe",
            )
        metrics = [one.metric for one in self.objectives]
        if len(set(metrics)) < len(metrics):
            raise refusal("a metric is an objective twice", expected="each metric once", remedy="remove one")
        return self


def _search(value: Any) -> Any:
    if isinstance(value, str):
        return {"method": value}
    if isinstance(value, dict) and "objective" in value:
        if "objectives" in value:
            raise refusal(
                "objective and objectives both say it", expected="one of the two", remedy="leave one of the two out"
            )
        rest = {name: entry for name, entry in value.items() if name != "objective"}
        return {**rest, "objectives": [value["objective"]]}
    return value


class WalkForwardConfig(Section):
    """Pairs of windows: the best of `train` is judged on the `test` behind it; the next pair is `step` later.

    mode: rolling trains on the last `train`, anchored on all since the start. purge: cut from the end of each train
    window. embargo: between the end of the uncut train window and the test.
    """

    train: Span
    test: Span
    step: Span | None = None
    mode: Literal["rolling", "anchored"] = "rolling"
    purge: Span = 0
    embargo: Span = 0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in ("train", "test", "step"):
            if getattr(self, name) == 0:
                raise refusal(f"{name} has no length", expected="a length above 0", remedy="write for example 30d")
        if self.purge >= self.train:
            raise refusal(
                f"purge {span_text(self.purge)} leaves nothing of train {span_text(self.train)}",
                expected="purge below train",
                remedy="correct one of the two",
            )
        if self.step_ns < self.test:
            raise refusal(
                f"step {span_text(self.step_ns)} is shorter than test {span_text(self.test)}: the tests would overlap",
                expected="step at least test",
                remedy="lengthen step or shorten test",
            )
        return self

    @property
    def step_ns(self) -> int:
        """From one pair to the next, in nanoseconds: `step`, or without it the length of a test."""
        return self.test if self.step is None else self.step


class MatrixConfig(Section):
    """What varies. What is left out is as in the run config beside it.

    instruments: names, lists of names that are traded together, or entries with frames or windows of their own.
    windows: start and end of each. params: by name.
    costs: what differs from the costs beside it, one set of runs for each. target_runs: at most so many runs.
    """

    instruments: Annotated[tuple[InstrumentsEntry, ...] | None, entries(1)] = None
    windows: Annotated[tuple[WindowConfig, ...] | None, entries(1)] = None
    params: dict[Text, Axis] = Field(default_factory=dict)
    search: Annotated[SearchConfig, BeforeValidator(_search)] = SearchConfig()
    walk_forward: WalkForwardConfig | None = None
    costs: Annotated[tuple[CostsConfig, ...] | None, entries(1)] = None
    target_runs: Annotated[int | None, Field(ge=1)] = None

    @model_validator(mode="after")
    def _ends_once(self) -> Self:
        if self.search.proposes and self.target_runs is not None:
            raise refusal(
                f"the search {self.search.method} ends by its trials, of which target_runs could leave none out",
                expected="trials alone",
                remedy="remove target_runs, or lower search.trials",
            )
        return self


class MatrixKeys(Section):
    """The keys that a matrix file has besides those of a run config."""

    matrix: MatrixConfig = MatrixConfig()
    runner: RunnerConfig = RunnerConfig()
    io: IoConfig = IoConfig()


class MatrixDocument(MatrixKeys, RunConfig):
    """All keys of a matrix file: what an unknown key may have meant."""
