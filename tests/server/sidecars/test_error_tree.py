"""The tree of errors printed at the top of errors.py is the tree that exists."""

from __future__ import annotations

import inspect
import re

import pytest

from boxgate_engine.errors import BoxgateError, RunFailed, UserMistake
from boxgate_server import errors

LEAVES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, BoxgateError) and value.__module__ == errors.__name__
]


def test_the_printed_tree_names_every_leaf_with_its_code() -> None:
    printed = dict(re.findall(r"[├└]── (\w+) +([A-Z_]+):", errors.__doc__ or ""))
    assert printed == {leaf.__name__: leaf.code for leaf in LEAVES}


def test_no_two_leaves_share_a_code() -> None:
    assert len({leaf.code for leaf in LEAVES}) == len(LEAVES)


@pytest.mark.parametrize("leaf", LEAVES)
def test_every_leaf_is_a_mistake_of_the_user_or_a_failed_run_and_says_so(leaf: type[BoxgateError]) -> None:
    assert issubclass(leaf, UserMistake) != issubclass(leaf, RunFailed)
    section = (errors.__doc__ or "").partition("└── RunFailed")[2 if issubclass(leaf, RunFailed) else 0]
    assert leaf.__name__ in section
