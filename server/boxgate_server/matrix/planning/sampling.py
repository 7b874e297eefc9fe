"""Drawing from a product that nobody writes out: without replacement, in order, by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from boxgate_engine.randomness import uniform

_CHUNK: Final = 4096
_STEPS: Final = 53
"""Bits of a uniform number."""


def draw(total: int, count: int, *, seed: int, domain: int, first: int = 0, last: int | None = None) -> Iterator[int]:
    """Yield `count` different numbers of [0, total), rising: one from each of `count` equal parts.

    1 <= count <= total. domain: tells draws of one seed apart. first, last: only the picks [first, last) of them.
    Equal parts draw without a memory of what was drawn, and no value of a slowly changing axis is left out by chance.
    """
    assert 1 <= count <= total, (count, total)
    last = count if last is None else last
    for begin in range(first, last, _CHUNK):
        picks = np.arange(begin, min(begin + _CHUNK, last), dtype=np.int64)
        zeros = np.zeros_like(picks)
        chances = (uniform(seed, picks, zeros + domain, zeros) * 2.0**_STEPS).astype(np.int64).tolist()
        for pick, chance in enumerate(chances, begin):
            low, high = pick * total // count, (pick + 1) * total // count
            yield low + (chance * (high - low) >> _STEPS)
