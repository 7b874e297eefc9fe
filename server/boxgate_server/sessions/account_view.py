"""The account of a session of orders as feedback sees it: the kernel's records translated to the contract.

That of a session of targets is written beside its window, in _feedback_windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boxgate_engine.intent_intake import OrderNames
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.records import (
    UPDATE_FILL,
    UPDATE_LIQUIDATION,
    UPDATE_REJECTION,
    Marks,
    Record,
    Records,
    Sim,
)
from boxgate_proto.strategy.v1 import account_pb2 as pb
from boxgate_proto.strategy.v1 import signal_pb2
from boxgate_server.sessions._wire import Held, Levels
from boxgate_server.sessions.order_view import add_orders, name_order


@dataclass(frozen=True, eq=False)
class OpenOrders:
    """What an account of a session with ORDERS has instead of targets.

    rows: ORDER_ROW records of the orders that work or wait, as they are listed. names: of all orders.
    """

    rows: Records
    names: OrderNames


def account_message(sim: Sim, updates_sent: int, orders: OpenOrders) -> bytes:
    """Return the serialised Account of the kernel's state, with the updates from row `updates_sent` on."""
    account = sim.account[0]
    message = pb.Account(version=int(account["version"]), cash=float(account["cash"]))
    for i, _, name in held_positions(sim, orders.names):
        _add_position(message, sim.book[i], sim.specs[i], name)
    add_orders(message, orders.rows, sim.specs, orders.names)
    for row in range(updates_sent, int(account["updates"])):
        name_order(_add_update(message, sim, row), sim.updates[row], orders.names)
    return message.SerializeToString()


def held_positions(sim: Sim, names: OrderNames) -> list[Held]:
    """Return the open positions."""
    rows = np.flatnonzero(sim.book["lots"])
    return [Held(int(i), int(sim.book[i]["instrument"]), names.position(int(sim.book[i]["name"]))) for i in rows]


def trail_levels(sim: Sim, held: list[Held], marks: Marks, names: OrderNames) -> Levels:
    """Return where trailing stops stand in a window. names: of all orders."""
    trail = sim.book["trail"]
    positions = {row: marks.level[row] for row, *_ in held if trail[row] > 0}
    return Levels(positions, {names.client_id(int(n)): marks.order_level[k] for k, n in enumerate(marks.trailing)})


def _add_position(message: pb.Account, book: Record, spec: Record, name: str) -> None:
    lots = int(book["lots"])
    if lots:
        position = message.positions.add(
            position_id=int(book["position_id"]),
            instrument=int(book["instrument"]),
            side=_side(lots),
            qty=_qty(abs(lots), spec),
            entry_price=float(book["entry_price"]),
            position=name,
        )
        if book["sl"] > 0:
            position.sl = float(book["sl"])
        if book["tp"] > 0:
            position.tp = float(book["tp"])
        if book["trail"] > 0:
            position.trail = float(book["trail"])


def _add_update(message: pb.Account, sim: Sim, row: int) -> pb.AccountUpdate:
    update = sim.updates[row]
    added = message.updates.add(
        kind=int(update["kind"]),
        instrument=int(update["instrument"]),
        seq=int(update["seq"]),
        time_ns=int(update["time_ns"]),
    )
    if update["kind"] in (UPDATE_FILL, UPDATE_LIQUIDATION):
        fill = sim.fills[int(update["fill"])]
        added.side = _side(int(fill["direction"]))
        added.qty = float(fill["qty"])
        added.price = float(fill["price"])
        added.fee = float(fill["fee"])
        added.fill_reason = fill["reason"].item()
    elif update["kind"] == UPDATE_REJECTION:
        added.reject_reason = update["reason"].item()
    added.amount = float(update["amount"])
    return added


def _side(sign: int) -> signal_pb2.Side.ValueType:
    if sign > 0:
        return signal_pb2.SIDE_BUY
    return signal_pb2.SIDE_SELL if sign < 0 else signal_pb2.SIDE_FLAT


def _qty(lots: int, spec: Record) -> float:
    return float(grid_value(lots, int(spec["lot_num"]), int(spec["lot_den"])))
