"""Conversion: the rate from each quote currency to the account's, and the unit value that it gives an instrument."""

from __future__ import annotations

from account import State
from grids import grid_value
from terms import ReferenceError, Spec

Leg = tuple[int, bool]
"""A rate instrument, and whether its rate is taken as it is (direct) or inverted."""


def unit_value(state: State, instrument: int) -> float:
    """Return V = K × R."""
    return grid_value(1, state.specs[instrument].contract) * state.markets[instrument].rate


def convert(state: State) -> None:
    """Take the rate of every instrument from the last marks; 0.0 while a rate instrument has none."""
    for instrument, market in enumerate(state.markets):
        legs = legs_of(state, instrument)
        assert legs is not None
        rate = 1.0
        for place, leg in enumerate(legs):
            other = rate_of(state, leg)
            rate = other if place == 0 else rate * other
        market.rate = rate


def check_rates(state: State) -> None:
    """Raise RATE_MISSING where the instruments of the run give no rate."""
    for instrument, spec in enumerate(state.specs):
        legs = legs_of(state, instrument)
        if legs is None:
            raise ReferenceError("RATE_MISSING", f"{spec.symbol}: {quote_of(state, spec)}")
        kinds = ["direct" if direct else "inverse" for _, direct in legs]
        state.fired["rate_" + ("_".join(kinds) or "one")] += 1
        state.fired["rate_of_its_own"] += [leg[0] for leg in legs] == [instrument]


def legs_of(state: State, instrument: int) -> list[Leg] | None:
    """Return what the rate is made of: nothing, one leg or two; None if there is no rate."""
    quote = quote_of(state, state.specs[instrument])
    account = as_one(state, state.rules.currency)
    if quote == account:
        return []
    leg = leg_between(state, quote, account)
    if leg is not None:
        return [leg]
    for first, spec in enumerate(state.specs):
        if base_of(state, spec) == quote:
            start, over = (first, True), quote_of(state, spec)
        elif quote_of(state, spec) == quote:
            start, over = (first, False), base_of(state, spec)
        else:
            continue
        leg = leg_between(state, over, account)
        if leg is not None:
            return [start, leg]
    return None


def leg_between(state: State, source: str, goal: str) -> Leg | None:
    """Return the first direct instrument, else the first inverse one."""
    for instrument, spec in enumerate(state.specs):
        if base_of(state, spec) == source and quote_of(state, spec) == goal:
            return (instrument, True)
    for instrument, spec in enumerate(state.specs):
        if base_of(state, spec) == goal and quote_of(state, spec) == source:
            return (instrument, False)
    return None


def rate_of(state: State, leg: Leg) -> float:
    """Return mid or 1.0 ÷ mid of the last mark; 0.0 without one."""
    mark = state.markets[leg[0]].mark
    if mark is None:
        return 0.0
    mid = (mark[0] + mark[1]) / 2
    return mid if leg[1] else 1.0 / mid


def quote_of(state: State, spec: Spec) -> str:
    """Return the quote currency, as one of its group."""
    return as_one(state, spec.quote or state.rules.currency)


def base_of(state: State, spec: Spec) -> str:
    """Return the symbol without its quote currency at the end; empty where it does not end so."""
    quote = spec.quote or state.rules.currency
    return as_one(state, spec.symbol.removesuffix(quote)) if spec.symbol.endswith(quote) else ""


def as_one(state: State, currency: str) -> str:
    """Return the first currency of the group that counts as one with this."""
    return next((group[0] for group in state.rules.equivalents if currency in group), currency)
