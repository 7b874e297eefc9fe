"""A run that is chosen among others by the first objective of a search."""

from __future__ import annotations

from dataclasses import dataclass

from boxgate_engine.config.model import ParamValue
from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.keeping.ledger import Entry
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.search.judgement import column


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A run that was chosen. value: of the objective. params: what varies.

    trial, aggregate: of the search that proposed it, what its parameters made of all settings that count.
    fold: that it was chosen on; then `test` is the run with the same parameters behind it, and `test_value` its
    objective; None where it has not been computed or has none.
    """

    run_id: str
    setting: int
    params: dict[str, ParamValue]
    value: float
    fold: int | None = None
    test: str | None = None
    test_value: float | None = None
    trial: int | None = None
    aggregate: float | None = None


def qualifies(entry: Entry, search: SearchConfig) -> bool:
    """Return whether a run has the first objective and keeps every constraint."""
    metrics = entry.metrics or {}
    return value_of(entry, search) is not None and all(
        one.holds(metrics.get(column(one.metric))) for one in search.constraints
    )


def is_better(entry: Entry, than: Entry, search: SearchConfig) -> bool:
    """Return whether an entry is better; entries come by their id, so that an equal one is not."""
    value, other = value_of(entry, search), value_of(than, search)
    assert value is not None
    assert other is not None
    return value > other if search.objectives[0].is_better_large else value < other


def value_of(entry: Entry, search: SearchConfig) -> float | None:
    """Return the first objective of a run, None if it is undefined."""
    return (entry.metrics or {}).get(column(search.objectives[0].metric))


def chosen_of(plan: Plan, entry: Entry, search: SearchConfig) -> Chosen:
    """Return a run that has the objective as one that was chosen."""
    value = value_of(entry, search)
    assert value is not None
    return Chosen(
        run_id=entry.run_id,
        setting=entry.setting,
        params=plan.space.varied(entry.params),
        value=value,
    )
