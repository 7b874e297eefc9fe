"""Random numbers: the published vectors, and independence of everything but seed, event and draw."""

from __future__ import annotations

import pytest

from boxgate_sdk import Bar, Signal, Strategy
from boxgate_sdk.errors import OutsideEvent
from boxgate_sdk.philox import Random, philox4x32
from boxgate_sdk.testing import InProcess, bars

_ONES = 0xFFFFFFFF
_VECTORS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((_ONES,) * 4, (_ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "block"), _VECTORS)
def test_the_published_vectors_come_out(
    counter: tuple[int, int, int, int], key: tuple[int, int], block: tuple[int, int, int, int]
) -> None:
    assert philox4x32(counter, key) == block


def test_a_draw_is_made_of_53_bits_of_its_block() -> None:
    seed = (3 << 32) | 5
    first, second, _, _ = philox4x32((7, 0, 0, 0), (5, 3))
    assert Random(seed, 7).random() == ((first >> 5) * 2**26 + (second >> 6)) / 2**53


def test_the_seq_of_the_warm_up_is_counted_in_two_s_complement() -> None:
    first, second, _, _ = philox4x32((2**32 - 2, 2**32 - 1, 0, 0), (9, 0))
    assert Random(9, -2).random() == ((first >> 5) * 2**26 + (second >> 6)) / 2**53


def test_draws_stay_in_their_ranges() -> None:
    rng = Random(1, 0)
    assert all(0.0 <= rng.random() < 1.0 for _ in range(200))
    assert {rng.integers(-1, 2) for _ in range(200)} == {-1, 0, 1}
    assert all(2.0 <= rng.uniform(2.0, 3.0) <= 3.0 for _ in range(200))
    assert {rng.choice("ab") for _ in range(50)} == {"a", "b"}
    items = list(range(20))
    rng.shuffle(items)
    assert items != list(range(20))
    assert sorted(items) == list(range(20))
    with pytest.raises(ValueError, match="no number to draw"):
        rng.integers(2, 2)


class _Draws(Strategy):
    def on_event(self, event: Bar) -> Signal:
        drawn = [self.ctx.rng.random() for _ in range(event.seq % 3 + 1)]
        return Signal.flat(meta={"seq": event.seq, "drawn": drawn})


def test_draws_begin_anew_at_each_event_whatever_the_cuts_and_the_warm_up() -> None:
    closes = [1.0 + i / 100 for i in range(60)]
    base = {s.seq: s.meta for s in InProcess(_Draws).run(bars(closes)).signals}
    assert len({str(meta) for meta in base.values()}) == 60
    for windows in (1, [3, 1, 7]):
        assert {s.seq: s.meta for s in InProcess(_Draws).run(bars(closes), windows=windows).signals} == base
    warm = InProcess(_Draws, warmup=10).run(bars(closes)).signals
    assert all(base[signal.seq] == signal.meta for signal in warm)
    assert InProcess(_Draws, seed=2).run(bars(closes)).signals[0].meta != base[0]


def test_draws_outside_an_event_are_refused() -> None:
    class Early(Strategy):
        def on_init(self, ctx: object) -> None:
            self.ctx.rng.random()

        def on_event(self, event: Bar) -> None:
            return None

    with pytest.raises(OutsideEvent):
        InProcess(Early).run(bars([1.0]))
    assert Random(4).at(11).random() == Random(4, 11).random()
