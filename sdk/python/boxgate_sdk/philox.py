"""Random numbers that depend on nothing but the seed, the number of the event and the number of the draw.

Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). Key = (low, high word of the
seed); counter = (low, high word of the event's seq in two's complement, draw, 0). One draw is one block.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import TypeVar

from boxgate_sdk.errors import OutsideEvent

T = TypeVar("T")

_WORD = 0xFFFFFFFF
_MULTIPLY_0 = 0xD2511F53
_MULTIPLY_1 = 0xCD9E8D57
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85
_ROUNDS = 10


class Random:
    """The draws of one event. Draw 0 is the first after the event began, whatever was drawn before."""

    __slots__ = ("_draw", "_key", "_seq")

    def __init__(self, seed: int, seq: int | None = None) -> None:
        self._key = (seed & _WORD, (seed >> 32) & _WORD)
        self._seq = seq
        self._draw = 0

    def random(self) -> float:
        """Return a number in [0, 1) with 53 random bits."""
        seq = self._seq
        if seq is None:
            raise OutsideEvent("ctx.rng", "use ctx.rng.at(seq) where no single event is handled")
        draw = self._draw
        self._draw = draw + 1
        first, second, _, _ = philox4x32((seq & _WORD, (seq >> 32) & _WORD, draw, 0), self._key)
        return ((first >> 5) * 67108864 + (second >> 6)) / 9007199254740992

    def uniform(self, low: float, high: float) -> float:
        """Return low + (high − low) · random()."""
        return low + (high - low) * self.random()

    def integers(self, low: int, high: int) -> int:
        """Return a whole number in [low, high), low + floor(random() · (high − low)). Raises ValueError if empty."""
        if high <= low:
            raise ValueError(f"integers({low}, {high}) has no number to draw; high must be greater than low")
        return low + int(self.random() * (high - low))

    def choice(self, items: Sequence[T]) -> T:
        """Return one of the items. Raises ValueError if there is none."""
        return items[self.integers(0, len(items))]

    def shuffle(self, items: MutableSequence[T]) -> None:
        """Reorder the items in place, from the last to the second, one draw each (Fisher and Yates)."""
        for i in range(len(items) - 1, 0, -1):
            j = self.integers(0, i + 1)
            items[i], items[j] = items[j], items[i]

    def at(self, seq: int) -> Random:
        """Return the draws of the event with this number, from draw 0 on. For the vector form."""
        low, high = self._key
        return Random(low | high << 32, seq)

    def follow(self, seq: int | None) -> None:
        """Begin the draws of the event with this number, unless they have begun. The session calls it."""
        if seq != self._seq:
            self._seq = seq
            self._draw = 0


def philox4x32(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the block of four 32-bit words for a counter and a key, all of 32-bit words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        product_0 = _MULTIPLY_0 * c0
        product_1 = _MULTIPLY_1 * c2
        c0, c1, c2, c3 = (
            (product_1 >> 32) ^ c1 ^ k0,
            product_1 & _WORD,
            (product_0 >> 32) ^ c3 ^ k1,
            product_0 & _WORD,
        )
        k0 = (k0 + _WEYL_0) & _WORD
        k1 = (k1 + _WEYL_1) & _WORD
    return c0, c1, c2, c3
