"""The course of a search: one generation after another, each proposed, computed by the driver, and told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import RunFailed
from boxgate_server.matrix.keeping.ledger import Ledger
from boxgate_server.matrix.keeping.proposals import Told, Trial
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.proposed import ListedSpace
from boxgate_server.matrix.search.judgement import judge


def generations(plan: Plan, ledger: Ledger) -> Iterator[tuple[Plan, int]]:
    """Yield the sets of each generation that are new, as a plan, and how many sets may still come behind them.

    When it is asked for the next generation, they are computed.

    What the ledger has of an earlier course is proposed again and compared: the search goes on exactly as it would
    have. What a generation was told stays, also if a run that failed then is mended later. Raises RunFailed
    (SEARCH_DIVERGED).
    """
    from boxgate_server.matrix.search.proposer import Proposer

    assert plan.proposing is not None
    rule = plan.proposing
    proposer = Proposer(rule.config, rule.space.axes, plan.seed)
    known, digests = ledger.trials(), ledger.generations()
    sets: list[Mapping[str, ParamValue]] = []
    numbers: dict[str, int] = {}
    state = ""
    for generation, begin in enumerate(range(0, rule.trials, rule.config.generation_size)):
        count = min(rule.config.generation_size, rule.trials - begin)
        proposed = [rule.space.values(point) for point in proposer.propose(count)]
        recorded = known[begin : begin + count]
        if not recorded:
            ledger.propose(generation, proposed)
        elif [_text(one.params) for one in recorded] != [_text(values) for values in proposed]:
            raise _diverged(ledger, generation)
        first = len(sets)
        for values in proposed:
            if numbers.setdefault(_text(values), len(sets)) == len(sets):
                sets.append(values)
        part = replace(plan, space=ListedSpace(rule.space, tuple(sets), len(sets)), first=first)
        yield part, rule.trials - begin - count
        told = _told_before(recorded)
        if told is None:
            judged = {number: judge(part, ledger, number) for number in {numbers[_text(one)] for one in proposed}}
            told = [judged[numbers[_text(one)]] for one in proposed]
        state = _state(state, proposed, told)
        if generation < len(digests) and digests[generation] != state:
            raise _diverged(ledger, generation)
        ledger.close_generation(generation, told, state)
        proposer.tell(told)


def known_plan(plan: Plan, ledger: Ledger) -> Plan:
    """Return the plan with the sets that the ledger knows; any other plan is what it was."""
    if plan.proposing is None:
        return plan
    sets = list({_text(one.params): one.params for one in ledger.trials()}.values())
    return replace(plan, space=ListedSpace(plan.proposing.space, sets, len(sets)), first=0)


def sets_to_come(plan: Plan, ledger: Ledger) -> int:
    """Return how many sets a search may still propose, 0 for any other plan."""
    return 0 if plan.proposing is None else plan.proposing.trials - len(ledger.trials())


def _told_before(recorded: Sequence[Trial]) -> list[Told] | None:
    told = [one.told for one in recorded if one.told is not None]
    return told if told and len(told) == len(recorded) else None


def _state(before: str, proposed: Sequence[Mapping[str, ParamValue]], told: Sequence[Told]) -> str:
    """Return the digest of a search up to here."""
    content: dict[str, Any] = {
        "before": before,
        "proposed": list(proposed),
        "told": [[one.values, one.broken] for one in told],
    }
    return f"sha256:{hashlib.sha256(_text(content).encode()).hexdigest()}"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _diverged(ledger: Ledger, generation: int) -> RunFailed:
    return RunFailed(
        f"generation {generation} of the search is not the one that was recorded",
        code="SEARCH_DIVERGED",
        where=str(ledger.path.parent),
        expected="the same proposals from the same seed and results, as the ledger has them",
        remedy="use the versions of Python, NumPy and Optuna that began it, or begin anew by removing this folder: "
        "its runs are kept beside it and found again",
    )
