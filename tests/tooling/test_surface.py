"""What each distribution shows to its users is documented, complete and light."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from types import ModuleType

import pytest

_ERRORS = ["boxgate_engine.errors", "boxgate_sdk.errors", "boxgate_server.errors"]


@pytest.mark.parametrize("name", _ERRORS)
def test_every_error_has_a_sentence_a_code_and_a_place_in_the_tree_at_the_top(name: str) -> None:
    module = importlib.import_module(name)
    classes = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == name]
    leaves = [value for value in classes if issubclass(value, Exception)]
    assert leaves
    for leaf in leaves:
        assert leaf.__doc__, f"{leaf.__name__} has no docstring"
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+", vars(leaf).get("code", "INHERITED")), leaf.__name__
        assert re.search(rf"\b{leaf.__name__}\b", module.__doc__ or ""), f"{leaf.__name__} is not in the tree of {name}"


def test_the_sdk_exports_what_it_lists_and_nothing_else() -> None:
    sdk = importlib.import_module("boxgate_sdk")
    shown = {name for name, value in vars(sdk).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    listed = {name for name in sdk.__all__ if not isinstance(getattr(sdk, name), ModuleType)}
    assert shown == listed
    assert sdk.__all__ == sorted(sdk.__all__)
    for name in sdk.__all__:
        assert getattr(sdk, name).__doc__, f"{name} has no docstring"


@pytest.mark.parametrize("name", ["boxgate_sdk", "boxgate_sdk.testing"])
def test_importing_the_sdk_brings_neither_numpy_nor_the_engine(name: str) -> None:
    program = f"import sys, {name}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) & {"boxgate_engine", "boxgate_server", "numba", "numpy", "polars", "pyarrow"} == set()
