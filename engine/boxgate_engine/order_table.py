"""The table of the orders that a strategy had of its own, and what became of them in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from boxgate_engine.kernel import intent_records as intents_of
from boxgate_engine.kernel import records
from boxgate_engine.kernel.intent_records import ORDER_ENDED, ORDER_WORKING, SUBMIT, UPDATE_CANCELLATION
from boxgate_engine.kernel.records import NO_EXPIRY, UNEXECUTED, UPDATE_EXPIRY, UPDATE_FILL, UPDATE_REJECTION, Records
from boxgate_engine.simulation import Simulation
from boxgate_engine.tables import ORDER_TYPES, TIMES_IN_FORCE, build_table, coded, named, nullable

REJECT_REASONS: Final = {
    records.INSUFFICIENT_MARGIN: "INSUFFICIENT_MARGIN",
    records.QTY_BELOW_MINIMUM: "QTY_BELOW_MINIMUM",
    records.STOP_LOSS_SIDE: "STOP_LOSS_SIDE",
    records.TAKE_PROFIT_SIDE: "TAKE_PROFIT_SIDE",
    intents_of.MARKET_CLOSED: "MARKET_CLOSED",
    records.SHORT_NOT_ALLOWED: "SHORT_NOT_ALLOWED",
    records.RATE_UNKNOWN: "RATE_UNKNOWN",
    intents_of.STOP_PRICE_SIDE: "STOP_PRICE_SIDE",
    intents_of.POST_ONLY: "POST_ONLY",
    intents_of.TOO_MANY_ORDERS: "TOO_MANY_ORDERS",
    intents_of.ORDER_NOT_WORKING: "ORDER_NOT_WORKING",
    intents_of.NO_POSITION: "NO_POSITION",
    intents_of.TOO_MANY_POSITIONS: "TOO_MANY_POSITIONS",
}
"""Names of the kernel's reasons of rejection."""

CANCEL_REASONS: Final = {
    intents_of.CANCEL_INTENT: "INTENT",
    intents_of.CANCEL_REDUCE_ONLY: "REDUCE_ONLY",
    intents_of.CANCEL_OCO: "OCO",
    intents_of.CANCEL_IOC: "IOC",
    intents_of.CANCEL_FOK: "FOK",
}
"""Names of the kernel's reasons of cancellation."""

_OUTCOMES: Final = {
    intents_of.FILLED: "FILLED",
    intents_of.CANCELLED: "CANCELLED",
    intents_of.EXPIRED: "EXPIRED",
    records.REJECTED: "REJECTED",
    intents_of.WORKING: "WORKING",
    UNEXECUTED: "UNEXECUTED",
}


def orders_table(
    simulation: Simulation, names: Sequence[str], meta: Sequence[str | None] | None, client_ids: Sequence[str]
) -> pa.Table:
    """Return the orders of a finished run by their numbers, with the values that they had last.

    names: symbols of the instruments. meta: in debug, the canonical JSON of each intent in the order of the kernel;
    client_ids then has the name of each order.
    """
    sim = simulation.sim
    account = sim.account[0]
    intents = sim.intents[: int(account["intents"])]
    orders = sim.orders[: int((intents["kind"] == SUBMIT).sum())]
    submitted = intents[orders["intent"]]
    spec = sim.specs[orders["instrument"]]
    state = orders["state"]
    outcome = np.where(state == ORDER_ENDED, orders["outcome"], UNEXECUTED)
    outcome[state == ORDER_WORKING] = intents_of.WORKING
    end = _last_updates(sim.updates[: int(account["updates"])], len(orders))
    ended = (state == ORDER_ENDED) & (end >= 0)
    assert bool((ended == (state == ORDER_ENDED)).all()), "each end of an order is an account update"
    last = sim.updates[np.where(ended, end, 0)]
    columns: dict[str, Any] = {
        "number": orders["number"].copy(),
        "seq": submitted["seq"].copy(),
        "time": submitted["time_ns"].copy(),
        "instrument": coded(orders["instrument"], names),
        "position": nullable(orders["name"].copy(), orders["name"] > 0),
        "side": coded(np.where(orders["side"] > 0, 0, 1), ("BUY", "SELL")),
        "type": coded(orders["type"] - 1, ORDER_TYPES),
        "qty": (orders["lots"] * spec["lot_num"]) / spec["lot_den"],
        **{name: nullable(orders[name].copy(), orders[name] > 0) for name in ("price", "stop_price", "trail")},
        "tif": coded(orders["tif"] - 1, TIMES_IN_FORCE),
        "valid_until_ns": nullable(orders["valid_until_ns"].copy(), orders["valid_until_ns"] != NO_EXPIRY),
        "reduce_only": orders["reduce_only"] != 0,
        "post_only": orders["post_only"] != 0,
        "oco": nullable(orders["oco"].copy(), orders["oco"] > 0),
        **{name: nullable(orders[name].copy(), orders[name] > 0) for name in ("sl", "tp", "risk_trail")},
        "outcome": named(outcome, _OUTCOMES),
        "reason": _reasons(outcome, orders["reason"]),
        "filled_qty": (orders["filled"] * spec["lot_num"]) / spec["lot_den"],
        "average_price": nullable(orders["average_price"].copy(), orders["filled"] > 0),
        "ended_seq": nullable(last["seq"].copy(), ended),
        "ended_time_ns": nullable(last["time_ns"].copy(), ended),
    }
    if meta is not None:
        columns["client_id"] = list(client_ids)
        columns["meta"] = pa.array([meta[row] for row in orders["intent"]], pa.string())
    return build_table("orders", columns)


def order_counts(orders: pa.Table, intents: Records) -> dict[str, int]:
    """Return how many orders there were, what became of them, and how many changes of them were refused."""
    found = {entry["values"]: entry["counts"] for entry in orders["outcome"].value_counts().to_pylist()}
    changes = intents[intents["kind"] != SUBMIT]
    return {
        "orders": orders.num_rows,
        **{f"orders_{name.lower()}": found.get(name, 0) for name in ("FILLED", "CANCELLED", "EXPIRED", "REJECTED")},
        "changes_refused": int((changes["outcome"] == records.REJECTED).sum()),
    }


def _last_updates(updates: Records, count: int) -> np.ndarray:
    """Return the row of the last account update that may have ended each order, −1 for none. Shape (count,)."""
    ends = np.isin(updates["kind"], (UPDATE_FILL, UPDATE_EXPIRY, UPDATE_CANCELLATION))
    ends |= (updates["kind"] == UPDATE_REJECTION) & (updates["intent_kind"] == SUBMIT)
    rows = np.flatnonzero(ends & (updates["order"] > 0))
    last = np.full(count, -1)
    last[updates["order"][rows] - 1] = rows  # of several the last one stays
    return last


def _reasons(outcome: np.ndarray, reason: np.ndarray) -> pa.Array:
    rejected = named(np.where(outcome == records.REJECTED, reason, 0), {0: "", **REJECT_REASONS}).to_pylist()
    cancelled = named(np.where(outcome == intents_of.CANCELLED, reason, 0), {0: "", **CANCEL_REASONS}).to_pylist()
    return pa.array([one or other or None for one, other in zip(rejected, cancelled, strict=True)], pa.string())
