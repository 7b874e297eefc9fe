"""The counter-based random number of docs/spec/strategy-protocol.md, section 11: Philox4x32-10."""

from __future__ import annotations

Words = tuple[int, int, int, int]

WORD = 2**32


def uniform(seed: int, seq: int, draw: int) -> float:
    """Return u in [0, 1). draw: its low word is the third word of the counter, its high word the fourth."""
    counter = (seq % WORD, seq % 2**64 // WORD, draw % WORD, draw // WORD)
    w0, w1, _, _ = block(counter, (seed % WORD, seed // WORD))
    return ((w0 >> 5) * 2**26 + (w1 >> 6)) / 2**53


def block(counter: Words, key: tuple[int, int]) -> Words:
    """Return the block of a counter: ten rounds, the key bumped after each."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, WORD)
        high1, low1 = divmod(0xCD9E8D57 * c2, WORD)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % WORD, (k1 + 0xBB67AE85) % WORD
    return c0, c1, c2, c3
