"""How kernel functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit
from numba.core.types import unliteral

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called, once for its types, and keep it for later processes.

    It leaves the interpreter to other threads while it runs: those that carry messages, above all.
    numba by itself compiles a function anew for every constant that it is called with, and all that calls it with all
    of these copies in it.
    """
    dispatcher: Any = njit(cache=True, nogil=True)(function)
    find = dispatcher.get_call_template

    def find_plain(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        plain: Any = unliteral
        return find(tuple(map(plain, args)), {name: plain(kind) for name, kind in kws.items()})

    dispatcher.get_call_template = find_plain
    return dispatcher


def inlined(function: _Function) -> _Function:
    """Copy a function into the few that call it: it is not compiled by itself, nor optimised twice."""
    dispatcher: Any = njit(cache=True, nogil=True, inline="always")(function)
    return dispatcher
