"""The messages of lockstep, written all at once: byte for byte those that are written one by one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from plain_tape import tapes

from boxgate_engine.tape import Chunk, Source, Tape
from boxgate_server.sessions._moment_rows import lockstep_messages
from boxgate_server.sessions._wire import window_message


def one_by_one(chunk: Chunk) -> list[tuple[int, bytes]]:
    written = []
    first = 0
    for m in range(chunk.moments):
        if chunk.quotes.delivered[m]:
            written.append((m + 1, window_message(chunk, first, m + 1)))
            first = m + 1
    return written


@settings(max_examples=40)
@given(tapes(), st.sampled_from([-7, -1, 0, 1, 300]), st.integers(1, 40))
def test_the_messages_of_a_chunk_are_those_of_its_moments(sources: list[Source], first_seq: int, events: int) -> None:
    tape = Tape(sources, first_seq=first_seq)
    if tape.merged_events:
        chunk = tape.chunk(0, events)
        assert list(lockstep_messages(chunk)) == one_by_one(chunk)


@settings(max_examples=40)
@given(tapes(), st.sampled_from([-7, -1, 0, 1, 300]), st.integers(2, 40), st.data())
def test_the_messages_of_one_series_are_those_of_its_moments(
    sources: list[Source], first_seq: int, events: int, data: st.DataObject
) -> None:
    delivered = [source for source in sources if source.delivered >= 0 and len(source)]
    if delivered:
        tape = Tape([data.draw(st.sampled_from(delivered))], first_seq=first_seq)
        chunk = tape.chunk(0, events)
        assert list(lockstep_messages(chunk)) == one_by_one(chunk)
