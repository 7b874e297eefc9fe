"""The ledger of a run: every movement of cash, booked on both sides.

Source: docs/spec/artefacts.md, section 6.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from boxgate_engine.kernel.records import (
    ENTRY,
    UPDATE_FILL,
    UPDATE_FUNDING,
    UPDATE_LIQUIDATION,
    UPDATE_SWAP,
    Records,
)
from boxgate_engine.simulation import Simulation
from boxgate_engine.tables import coded, nullable

ACCOUNTS: Final = ("cash", "capital", "pnl", "fees", "funding", "swap")
"""What lines are booked on. cash is an asset; the others say where it came from and where it went."""
_CASH, _CAPITAL, _PNL, _FEES, _FUNDING, _SWAP = range(len(ACCOUNTS))

LEDGER: Final = pa.schema(
    [
        pa.field("booking", pa.int64(), nullable=False),
        pa.field("time", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("seq", pa.int64(), nullable=True),
        pa.field("account", pa.string(), nullable=False),
        pa.field("instrument", pa.string(), nullable=True),
        pa.field("debit", pa.float64(), nullable=False),
        pa.field("credit", pa.float64(), nullable=False),
        pa.field("fill", pa.int64(), nullable=True),
        pa.field("stamp_ns", pa.int64(), nullable=True),
    ]
)
"""Two lines a booking, the debit first; both have the same amount, > 0, in account currency."""

_BOOKING: Final = np.dtype(
    [
        ("time_ns", "i8"),
        ("seq", "i8"),
        ("account", "i8"),  # the side that is not cash
        ("instrument", "i8"),
        ("amount", "f8"),  # that cash gains
        ("fill", "i8"),
        ("stamp_ns", "i8"),
    ]
)
_ABSENT: Final = np.iinfo(np.int64).min


def build_ledger(simulation: Simulation) -> pa.Table:
    """Return the bookings of a finished run in the order of the engine, with the schema LEDGER.

    The first is the opening cash. A fill gives one for its profit or loss and one for its fee, as far as they are not
    0; a stamp of funding or swap one.
    """
    bookings = _bookings(simulation)
    received = bookings["amount"] > 0
    cash = np.full(len(bookings), _CASH)
    account = np.stack([np.where(received, cash, bookings["account"]), np.where(received, bookings["account"], cash)])
    amount = np.abs(bookings["amount"])
    nothing = np.zeros(len(bookings))
    names = [instrument.symbol for instrument in simulation.instruments]

    def twice(values: Any) -> np.ndarray:
        return np.repeat(values, 2)

    def optional(name: str) -> pa.Array:
        return nullable(twice(bookings[name]), twice(bookings[name] != _ABSENT))

    return pa.Table.from_arrays(
        [
            pa.array(twice(np.arange(1, len(bookings) + 1))),
            pa.array(twice(bookings["time_ns"])).view(LEDGER.field("time").type),
            optional("seq"),
            coded(account.T.ravel(), ACCOUNTS),
            coded(twice(bookings["instrument"]), names),
            pa.array(np.stack([amount, nothing]).T.ravel()),
            pa.array(np.stack([nothing, amount]).T.ravel()),
            optional("fill"),
            optional("stamp_ns"),
        ],
        schema=LEDGER,
    )


def _bookings(simulation: Simulation) -> Records:
    sim = simulation.sim
    counts = sim.account[0]
    updates = sim.updates[: int(counts["updates"])]
    fills = sim.fills[: int(counts["fills"])]
    gross = np.zeros(len(fills))
    # Every reducing fill writes one trade, in the order of the fills.
    gross[fills["reason"] != ENTRY] = sim.trades["gross_pnl"][: int(counts["trades"])]

    opening = np.zeros(1, _BOOKING)
    opening["time_ns"] = sim.curve_ns[0]
    opening["seq"] = opening["fill"] = opening["stamp_ns"] = _ABSENT
    opening["account"] = _CAPITAL
    opening["instrument"] = -1
    opening["amount"] = simulation.initial_cash

    kinds = updates["kind"]
    filled = np.flatnonzero((kinds == UPDATE_FILL) | (kinds == UPDATE_LIQUIDATION))
    rows = updates["fill"][filled]
    parts = [
        (filled, _PNL, gross[rows], rows),
        (filled, _FEES, -fills["fee"][rows], rows),
    ]
    for kind, account in ((UPDATE_FUNDING, _FUNDING), (UPDATE_SWAP, _SWAP)):
        stamped = np.flatnonzero(kinds == kind)
        parts.append((stamped, account, updates["amount"][stamped], np.full(len(stamped), _ABSENT)))
    at = np.concatenate([part[0] for part in parts])
    moved = np.zeros(len(at), _BOOKING)
    for name in ("time_ns", "seq", "instrument"):
        moved[name] = updates[name][at]
    moved["account"] = np.concatenate([np.full(len(part[0]), part[1]) for part in parts])
    moved["amount"] = np.concatenate([part[2] for part in parts])
    moved["fill"] = np.concatenate([part[3] for part in parts])
    moved["stamp_ns"] = np.where(moved["fill"] == _ABSENT, moved["time_ns"], _ABSENT)
    order = np.argsort(at, kind="stable")
    moved = moved[order]
    return np.concatenate([opening, moved[moved["amount"] != 0.0]])
