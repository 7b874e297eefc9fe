"""Walk-forward windows equal those of a plain loop over dates."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from boxgate_server.matrix.config.model import WalkForwardConfig
from boxgate_server.matrix.planning.folds import walk

HOUR_NS = 3_600_000_000_000
START = datetime(2020, 1, 1, tzinfo=UTC)


def _ns(moment: datetime) -> int:
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)) * 1_000_000_000


def _plain(hours: dict[str, int], mode: str, end: datetime) -> list[tuple[int, int, int, int]]:
    """One fold after another by calendar arithmetic: the boundary moves by the step, the rest hangs on it."""
    found: list[tuple[int, int, int, int]] = []
    boundary = START + timedelta(hours=hours["train"])
    while True:
        test_from = boundary + timedelta(hours=hours["embargo"])
        test_to = test_from + timedelta(hours=hours["test"])
        if test_to > end:
            return found
        train_from = START if mode == "anchored" else boundary - timedelta(hours=hours["train"])
        train_to = boundary - timedelta(hours=hours["purge"])
        found.append((_ns(train_from), _ns(train_to), _ns(test_from), _ns(test_to)))
        boundary = boundary + timedelta(hours=hours["step"])


@given(
    train=st.integers(2, 400),
    test=st.integers(1, 100),
    more=st.integers(0, 50),
    purge=st.integers(0, 30),
    embargo=st.integers(0, 30),
    length=st.integers(0, 2000),
    mode=st.sampled_from(("rolling", "anchored")),
)
def test_folds_are_those_of_a_plain_loop(
    train: int, test: int, more: int, purge: int, embargo: int, length: int, mode: Literal["rolling", "anchored"]
) -> None:
    purge = min(purge, train - 1)
    hours = {"train": train, "test": test, "step": test + more, "purge": purge, "embargo": embargo}
    rule = WalkForwardConfig.model_validate({**{name: f"{n}h" for name, n in hours.items()}, "mode": mode})
    end = START + timedelta(hours=length)
    folds = walk(rule, _ns(START), _ns(end))
    assert [(f.train.start_ns, f.train.end_ns, f.test.start_ns, f.test.end_ns) for f in folds] == _plain(
        hours, mode, end
    )


def test_a_year_of_days_is_twelve_tests_of_thirty_behind_a_train_of_a_hundred_and_eighty() -> None:
    rule = WalkForwardConfig.model_validate({"train": "180d", "test": "30d", "purge": "1d", "embargo": "1d"})
    folds = walk(rule, 0, 541 * 24 * HOUR_NS)
    assert len(folds) == 12
    day_ns = 24 * HOUR_NS
    assert (folds[0].train.start_ns, folds[0].train.end_ns) == (0, 179 * day_ns)
    assert (folds[0].test.start_ns, folds[0].test.end_ns) == (181 * day_ns, 211 * day_ns)
    assert all(one.train.end_ns + 2 * day_ns == one.test.start_ns for one in folds)
    assert [b.test.start_ns - a.test.end_ns for a, b in itertools.pairwise(folds)] == [0] * 11
