"""What each fold chooses: the best on its train window, and what that made on the test behind it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from boxgate_server.matrix.choice import Chosen, chosen_of, is_better, qualifies, value_of
from boxgate_server.matrix.config.model import SearchConfig
from boxgate_server.matrix.keeping.ledger import Entry, Ledger
from boxgate_server.matrix.planning.plan import Plan


def choices(plan: Plan, ledger: Ledger, search: SearchConfig) -> dict[int, list[Chosen]]:
    """Return what each fold chooses, by the number of the block (portfolio and costs), folds rising.

    A fold in which no complete train run qualifies chooses nothing.
    """
    block_of = {one.number: number for number, block in enumerate(plan.blocks) for one in block}
    trained: dict[tuple[int, int], Entry] = {}
    for entry in ledger.entries("complete"):
        if qualifies(entry, search):
            for role in plan.settings[entry.setting].roles:
                if role.segment == "train" and role.fold is not None:
                    key = block_of[entry.setting], role.fold
                    if key not in trained or is_better(entry, trained[key], search):
                        trained[key] = entry
    test_of = {
        (block_of[one.number], role.fold): one for one in plan.settings for role in one.roles if role.segment == "test"
    }
    by_block: dict[int, list[Chosen]] = defaultdict(list)
    for (block, fold), entry in sorted(trained.items(), key=lambda item: item[0]):
        test = test_of[block, fold].run_id(plan.space.text(entry.params))
        found = ledger.find(test)
        tested = found if found is not None and found.state == "complete" else None
        by_block[block].append(
            replace(
                chosen_of(plan, entry, search),
                fold=fold,
                test=None if tested is None else test,
                test_value=None if tested is None else value_of(tested, search),
            )
        )
    return dict(by_block)


def walks(plan: Plan) -> bool:
    """Return whether a plan has folds."""
    return any(role.fold is not None for one in plan.settings for role in one.roles)


def best_block(by_block: Mapping[int, Sequence[Chosen]], search: SearchConfig) -> int | None:
    """Return the block whose tests are the best on average, of equal ones the first; None if there is none."""
    return max(by_block, key=lambda number: _mean_of_tests(by_block[number], search), default=None)


def _mean_of_tests(folds: Sequence[Chosen], search: SearchConfig) -> float:
    """Return the mean objective of the tests, larger for better; the smallest where no test has one."""
    values = [one.test_value for one in folds if one.test_value is not None]
    if not values:
        return -math.inf
    mean = math.fsum(values) / len(values)
    return mean if search.objectives[0].is_better_large else -mean
