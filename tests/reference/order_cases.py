"""Short words for hand-computed cases of orders, beside those of `cases`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loop import run_with_intents
from terms import Event, Intent, Result, Rules, Spec

Answers = Mapping[int, Sequence[Intent] | Intent]


def trade(events: Sequence[Event], answers: Answers, specs: int = 1, **rules: Any) -> Result:
    """Run events with intents by seq. Without a spread rule the ask is the bid; specs: instruments A, B, ... of 1."""
    rounds = {seq: [[given] if isinstance(given, Intent) else list(given)] for seq, given in answers.items()}
    return trade_in_rounds(events, rounds, specs, **rules)


def trade_in_rounds(
    events: Sequence[Event], rounds: Mapping[int, Sequence[Sequence[Intent]]], specs: int = 1, **rules: Any
) -> Result:
    """Run events with intents by seq and round."""
    rules.setdefault("spread", ("none",))
    return run_with_intents([Spec(symbol) for symbol in "ABC"[:specs]], Rules(**rules), events, 0, rounds)


def market(name: str, side: str, qty: float = 1.0, **fields: Any) -> Intent:
    """Submit a MARKET order for instrument 0; so for the others below."""
    return Intent(**{"kind": "SUBMIT", "instrument": 0, **fields}, client_id=name, side=side, type="MARKET", qty=qty)


def limit(name: str, side: str, price: float, qty: float = 1.0, **fields: Any) -> Intent:
    return Intent(
        **{"kind": "SUBMIT", "instrument": 0, **fields}, client_id=name, side=side, type="LIMIT", qty=qty, price=price
    )


def stop(name: str, side: str, stop_price: float, qty: float = 1.0, **fields: Any) -> Intent:
    return Intent(
        **{"kind": "SUBMIT", "instrument": 0, **fields},
        client_id=name,
        side=side,
        type="STOP",
        qty=qty,
        stop_price=stop_price,
    )


def stop_limit(name: str, side: str, stop_price: float, price: float, qty: float = 1.0, **fields: Any) -> Intent:
    return Intent(
        **{"kind": "SUBMIT", "instrument": 0, **fields},
        client_id=name,
        side=side,
        type="STOP_LIMIT",
        qty=qty,
        stop_price=stop_price,
        price=price,
    )


def trailing(name: str, side: str, trail: float, qty: float = 1.0, **fields: Any) -> Intent:
    return Intent(
        **{"kind": "SUBMIT", "instrument": 0, **fields},
        client_id=name,
        side=side,
        type="TRAILING_STOP",
        qty=qty,
        trail=trail,
    )


def again(name: str, **fields: Any) -> Intent:
    """Replace the values of an order."""
    return Intent("REPLACE", 0, name, **fields)


def cancel(name: str) -> Intent:
    return Intent("CANCEL", 0, name)


def protect(**fields: Any) -> Intent:
    """State the bracket of the position: sl, tp, risk_trail."""
    return Intent(**{"kind": "PROTECT", "instrument": 0, **fields})


def ends(result: Result) -> list[str]:
    """Return what became of each intent, in the order of the table: its outcome, and the reason if there is one."""
    return [row.outcome if row.reason is None else f"{row.outcome} {row.reason}" for row in result.orders]
