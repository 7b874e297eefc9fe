"""The generator of accounts gives the same case for the same seed and reaches every feature often enough."""

from __future__ import annotations

import pytest
from random_accounts import FEATURES, occurrences, random_account_case
from random_tapes import run_case


@pytest.mark.parametrize("seed", range(3))
def test_the_same_seed_gives_the_same_account_and_the_same_result(seed: int) -> None:
    assert random_account_case(seed) == random_account_case(seed)
    assert run_case(random_account_case(seed)) == run_case(random_account_case(seed))


def test_each_feature_occurs_in_at_least_three_of_a_hundred_cases() -> None:
    found = occurrences(range(500))
    print("\n".join(f"{count / 500:7.1%}  {name}" for name, count in sorted(found.items())))
    rare = {name: found[name] for name in FEATURES if found[name] < 15}
    assert rare == {}, {name: found[name] for name in FEATURES}
