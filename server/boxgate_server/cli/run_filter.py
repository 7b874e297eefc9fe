"""Which runs a listing shows: words, facts and conditions on metrics, and by what they are sorted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from boxgate_engine.artefacts.listing import RunFacts
from boxgate_engine.errors import UserMistake

_CONDITION: Final = re.compile(r"\s*([A-Za-z_][\w.]*)\s*(>=|<=|!=|==|=|>|<)\s*(.+?)\s*")
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFilter:
    """What a run must have to be shown. Empty means anything.

    search: words that must all occur, in any of id, strategy, command, instruments, frames, params, tags.
    where: conditions such as `sharpe>1` on a metric or `length=50` on a parameter; all must hold.
    """

    search: Sequence[str] = ()
    tags: Sequence[str] = ()
    instruments: Sequence[str] = ()
    frames: Sequence[str] = ()
    strategy: str | None = None
    mode: str | None = None
    dataset: str | None = None
    where: Sequence[str] = ()

    def of(self, runs: Sequence[RunFacts]) -> list[RunFacts]:
        """Return the runs that have it all, in their order. Raises UserMistake for a condition that says nothing."""
        conditions = [_condition(text, runs) for text in self.where]
        return [run for run in runs if self._meets(run) and all(holds(run) for holds in conditions)]

    def _meets(self, run: RunFacts) -> bool:
        if run.problem:  # Shown unless something is asked for that it cannot be seen to have.
            return self == RunFilter(where=self.where)
        text = _text(run)
        return (
            all(word.lower() in text for word in self.search)
            and set(self.tags) <= set(run.tags)
            and set(self.instruments) <= set(run.instruments)
            and set(self.frames) <= set(run.frames)
            and (self.strategy is None or self.strategy.lower() in run.strategy.lower())
            and (self.mode is None or self.mode == run.mode)
            and (self.dataset is None or run.dataset.startswith(self.dataset.removeprefix("sha256:")))
        )


def sorted_by(runs: Sequence[RunFacts], key: str, *, ascending: bool) -> list[RunFacts]:
    """Return the runs by a metric or by `published`, the largest first unless `ascending`; undefined ones last.

    Raises UserMistake (METRIC_UNKNOWN).
    """
    value = (lambda run: run.published_ns) if key == "published" else _reader(key, runs, "--sort")
    known = [run for run in runs if isinstance(value(run), int | float)]
    return sorted(known, key=value, reverse=not ascending) + [run for run in runs if run not in known]


def flat_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of metrics.json by dotted path, such as `ratio.sharpe`."""
    return {
        f"{group}.{name}": value
        for group, values in metrics.items()
        if isinstance(values, Mapping)
        for name, value in values.items()
    }


def _condition(text: str, runs: Sequence[RunFacts]) -> Callable[[RunFacts], bool]:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UserMistake(
            f"{text[:60]!r} is no condition",
            code="CONDITION_INVALID",
            where="--where",
            expected="a metric or parameter, one of > < >= <= = !=, and a value",
            remedy="write for example --where 'sharpe>1' or --where 'params.length=50'",
        )
    name, sign, wanted = match.groups()
    value, compare = _reader(name, runs, "--where"), _COMPARE[sign]
    number = _number(wanted)
    if number is None and sign in (">", "<", ">=", "<="):
        raise UserMistake(
            f"{wanted[:40]!r} is no number",
            code="CONDITION_INVALID",
            where=f"--where {text[:60]}",
            expected=f"a number behind {sign}",
            remedy="correct the condition",
        )

    def holds(run: RunFacts) -> bool:
        found = value(run)
        if isinstance(found, int | float) and not isinstance(found, bool) and number is not None:
            return compare(found, number)
        return sign in ("=", "==", "!=") and found is not None and compare(str(found).lower(), wanted.lower())

    return holds


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _reader(name: str, runs: Sequence[RunFacts], where: str) -> Callable[[RunFacts], Any]:
    """Return what reads a metric (dotted, or its last word where that is enough) or a parameter of a run."""
    metrics = sorted({path for run in runs for path in flat_metrics(run.metrics)})
    params = sorted({param for run in runs for param in run.params})
    if name.removeprefix("params.") in params and (name.startswith("params.") or name not in _words(metrics)):
        return lambda run: run.params.get(name.removeprefix("params."))
    found = [path for path in metrics if path == name or path.rsplit(".", 1)[1] == name]
    if len(found) == 1 or name in found:
        path = name if name in found else found[0]
        return lambda run: flat_metrics(run.metrics).get(path)
    if not runs:
        return lambda _: None
    known = sorted({*metrics, *_words(metrics), *params})
    close = difflib.get_close_matches(name, known, n=1)
    raise UserMistake(
        f"{name[:40]!r} is {'more than one metric' if found else 'no metric and no parameter of these runs'}",
        code="METRIC_UNKNOWN",
        where=where,
        expected=f"one of {', '.join(found or metrics)}",
        remedy=f"did you mean {close[0]}?" if close and not found else "name one of them",
    )


def _words(metrics: Sequence[str]) -> list[str]:
    return [path.rsplit(".", 1)[1] for path in metrics]


def _text(run: RunFacts) -> str:
    params = (f"{name}={value}" for name, value in run.params.items())
    parts = (run.run_id, run.strategy, run.version, *run.command, *run.instruments, *run.frames, *run.tags, *params)
    return "\n".join(map(str, parts)).lower()
