"""Counter-based random numbers: Philox4x32-10 (Salmon et al., 2011), as docs/spec/strategy-protocol.md has it.

A number depends on key and counter alone, so neither cuts nor order nor repetition change it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROUNDS: Final = 10
_FACTORS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_BUMPS: Final = (0x9E3779B9, 0xBB67AE85)
_WORD: Final = 2**32
_LOW: Final = np.uint64(_WORD - 1)
_BITS: Final = np.uint64(32)

Words = NDArray[np.uint64]


def uniform(
    seed: int, seq: NDArray[np.int64], third: NDArray[np.int64], fourth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return u in [0, 1), 53 bits, one for each counter (low word of seq, high word of seq, third, fourth)."""
    position = seq.astype(np.uint64)
    w0, w1 = _block(
        position & _LOW,
        position >> _BITS,
        third.astype(np.uint64),
        fourth.astype(np.uint64),
        seed % _WORD,
        seed // _WORD,
    )
    return ((w0 >> np.uint64(5)).astype(np.float64) * 2.0**26 + (w1 >> np.uint64(6)).astype(np.float64)) / 2.0**53


def _block(c0: Words, c1: Words, c2: Words, c3: Words, key0: int, key1: int) -> tuple[Words, Words]:
    """Return the first two words of the block of each counter."""
    for _ in range(_ROUNDS):
        product0, product1 = c0 * _FACTORS[0], c2 * _FACTORS[1]
        c0, c1, c2, c3 = (
            (product1 >> _BITS) ^ c1 ^ np.uint64(key0),
            product1 & _LOW,
            (product0 >> _BITS) ^ c3 ^ np.uint64(key1),
            product0 & _LOW,
        )
        key0, key1 = (key0 + _BUMPS[0]) % _WORD, (key1 + _BUMPS[1]) % _WORD
    return c0, c1
