"""Places of named positions (docs/spec/execution.md, section 20).

Behind the books of all instruments lie those of the places, by instrument. A book is the whole state of a position, so
that every rule that takes the index of a book holds for named positions too.
"""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.intent_records import SUBMIT
from boxgate_engine.kernel.records import Quotes, Records, Sim


@compiled
def is_in_use(sim: Sim, i: int) -> bool:
    """Return whether the place of book i holds a position, or an order or change of one that works or waits."""
    book = sim.book[i]
    if book.lots != 0 or book.open_orders != 0:
        return True
    row = book.queue_head
    while row >= 0:
        # What submitted an order that has ended stays in the queue and does nothing any more.
        if sim.intents[row].kind != SUBMIT:
            return True
        row = sim.intents[row].next
    return False


@compiled
def any_in_use(sim: Sim) -> bool:
    """Return whether any place is in use."""
    places = sim.rules[0].places
    if places:
        for i in range(sim.book.shape[0] // (1 + places), sim.book.shape[0]):
            if is_in_use(sim, i):
                return True
    return False


@compiled
def is_live(sim: Sim, i: int) -> bool:
    """Return whether book i is that of an instrument or of a place in use."""
    return bool(i == sim.book[i].instrument or is_in_use(sim, i))


@compiled
def first_place(sim: Sim, instrument: int) -> int:
    """Return the index of the book of an instrument's first place; its others follow."""
    places = sim.rules[0].places
    return int(sim.book.shape[0] // (1 + places) + instrument * places)


@compiled
def place_in_use(sim: Sim, instrument: int, name: int) -> int:
    """Return the index of the book that bears a name, that of the instrument for none, or -1."""
    if name == 0:
        return instrument
    first = first_place(sim, instrument)
    for i in range(first, first + sim.rules[0].places):
        if sim.book[i].name == name and is_in_use(sim, i):
            return i
    return -1


@compiled
def place_for(sim: Sim, instrument: int, name: int) -> int:
    """Return the index of the book that bears a name; if none does, the first free one, which then does; or -1."""
    found = place_in_use(sim, instrument, name)
    if found >= 0:
        return found
    first = first_place(sim, instrument)
    for i in range(first, first + sim.rules[0].places):
        if not is_in_use(sim, i):
            _prepare(sim.book, instrument, i, name)
            return i
    return -1


@compiled
def _prepare(books: Records, instrument: int, i: int, name: int) -> None:
    """Give a free place the marks of its instrument, as if it had seen them."""
    own = books[instrument]
    book = books[i]
    book.name = name
    book.mark_bid = own.mark_bid
    book.mark_ask = own.mark_ask
    book.volume = own.volume
    book.events = own.events
    book.unit = own.unit
    book.next_funding = own.next_funding
    book.next_swap = own.next_swap
    book.decided_ns = 0
    book.queue_head = -1
    book.queue_tail = -1


@compiled
def execute_places(sim: Sim, q: Quotes, e: int) -> None:
    """Let event e of the quotes be executed by the places in use of its instrument."""
    first = first_place(sim, q.events[e].instrument)
    for i in range(first, first + sim.rules[0].places):
        if is_in_use(sim, i):
            sim.executing[i] = e
            sim.book[i].events += 1
        else:
            sim.book[i].queue_head = sim.book[i].queue_tail = -1  # only orders that have ended
