"""§20: the places of named positions: which are in use, which one a new name takes."""

from __future__ import annotations

from account import Book, State
from terms import Intent

MOST_PLACES = 64
"""Named positions of one instrument that are in use."""


def take_place(state: State, intent: Intent) -> int:
    """Return the number of the book that an accepted intent goes to: one in use, else the first free place."""
    number = find_place(state, intent)
    if number is not None:
        return number
    used = {book.place for book in state.books if book.instrument == intent.instrument}
    place = next(place for place in range(1, MOST_PLACES + 1) if place not in used)
    taken = (intent.instrument, intent.position)
    state.fired["place_taken"] += 1
    state.fired["place_taken_below_others"] += place < max(used)
    state.fired["name_used_again"] += taken in state.names_taken
    state.names_taken.add(taken)
    book = Book(intent.instrument, place, intent.position)
    state.books = sorted([*state.books, book], key=lambda b: (b.place > 0, b.instrument, b.place))
    return next(number for number, each in enumerate(state.books) if each is book)


def find_place(state: State, intent: Intent) -> int | None:
    """Return the number of the book in use that bears the name; that of the unnamed position for no name."""
    for number, book in enumerate(state.books):
        if book.instrument == intent.instrument and book.name == intent.position:
            return number
    return None


def is_full(state: State, instrument: int) -> bool:
    """All places of the instrument are in use."""
    return sum(book.instrument == instrument and book.place > 0 for book in state.books) == MOST_PLACES


def forget_free_places(state: State) -> None:
    """A place with no position, no working order and an empty queue is free: it loses its name and all it had."""
    for book in state.books:
        kinds = {state.intents[queued.record].intent.kind for queued in book.intents}
        only_queue = book.position is None and not book.orders and bool(kinds)
        state.fired["place_kept_by_changes_that_wait"] += book.place > 0 and only_queue and "SUBMIT" not in kinds
    state.books = [book for book in state.books if book.place == 0 or not book.is_free]
