"""The additions of boxgate_sdk.rolling, written out for one length.

A loop over the blocks of a length spends most of its time on finding them. So the text of a generator is made for the
length and compiled, as dataclasses make their methods: what is needed soon waits in local variables that are moved on
by one with each value, what is needed later in rings. The order of the additions is the same, at half the time.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import lru_cache
from math import nan
from typing import Any

Sums = Generator[float, float, None]
"""Send it a value and it gives the sum, or the mean, of the last n; NaN until there are n."""
State = tuple[Any, ...]
"""What a generator keeps: the waiting sums, then its rings, then the place in these."""

_WAITING_MAX = 16
"""Sums of one size that are moved on; beyond it a ring is faster."""


def begin_sums(n: int, *, mean: bool, state: State | None = None) -> Sums:
    """Return the generator for length n >= 1, ready to be sent the first value. state: of one to go on with."""
    make, fresh = _compiled(n, mean)
    sums: Sums = make(fresh() if state is None else state)
    next(sums)
    return sums


def state_of(sums: Sums) -> State:
    """Return a copy of what a generator keeps."""
    kept = sums.gi_frame.f_locals  # type: ignore[attr-defined]  # of generators made by a function
    return tuple(list(kept[name]) if isinstance(kept[name], list) else kept[name] for name in kept["names"])


def block_offsets(n: int) -> list[tuple[int, int]]:
    """Return (offset, k) for each block of 2^k values that makes up n; the newest value has offset 0."""
    offsets = []
    offset = 0
    for k in range(n.bit_length()):
        if n >> k & 1:
            offsets.append((offset, k))
            offset += 1 << k
    return offsets


@lru_cache(maxsize=256)
def _compiled(n: int, mean: bool) -> tuple[Any, Any]:
    """Return the function that makes generators, and one that makes their first state."""
    levels = n.bit_length()
    offsets = {k: offset for offset, k in block_offsets(n)}
    # Level k has the sums of 2^k values. One is needed 2^k values later for the next level, and at its offset in n.
    reach = [max(1 << k if k + 1 < levels else 0, offsets.get(k, 0)) for k in range(levels)]
    waiting = [k for k in range(levels) if reach[k] <= _WAITING_MAX]
    rings = [k for k in range(levels) if reach[k] > _WAITING_MAX]

    def earlier(k: int, values: int) -> str:
        return f"sum_{k}_{values}" if k in waiting else f"ring_{k}[place - {values}]"

    (_, newest), *older = block_offsets(n)
    total = f"sum_{newest}"
    for offset, k in older:
        total = f"({earlier(k, offset)} + {total})"
    names = [f"sum_{k}_{values}" for k in waiting for values in range(1, reach[k] + 1)]
    names += [*(f"ring_{k}" for k in rings), "place"]
    lines = [
        "def make(state):",
        f" names = {names!r}",
        f" {', '.join(names)}, = state",
        " value = nan",
        " while True:",
        "  sum_0 = yield value",
        *(f"  sum_{k + 1} = {earlier(k, 1 << k)} + sum_{k}" for k in range(levels - 1)),
        f"  value = {total}{f' / {n}' if mean else ''}",
        # A negative index wraps round the ring by itself.
        *(f"  ring_{k}[place] = sum_{k}" for k in rings),
        f"  place = place + 1 if place < {n - 1} else 0" if rings else "",
    ]
    for k in waiting:
        lines += [f"  sum_{k}_{values} = sum_{k}_{values - 1}" for values in range(reach[k], 1, -1)]
        lines += [f"  sum_{k}_1 = sum_{k}"] if reach[k] else []
    scope: dict[str, Any] = {"nan": nan}
    exec("\n".join(lines), scope)  # the text has nothing but numbers from n

    def fresh() -> State:
        return (*[nan] * (len(names) - len(rings) - 1), *([nan] * n for _ in rings), 0)

    return scope["make"], fresh
