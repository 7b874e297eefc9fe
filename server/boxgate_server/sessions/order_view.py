"""Orders as feedback sees them: the kernel's records translated to the contract, numbers back to names."""

from __future__ import annotations

from boxgate_engine.intent_intake import OrderNames
from boxgate_engine.kernel.grid import grid_value
from boxgate_engine.kernel.intent_records import ORDER_QUEUED, UPDATE_CANCELLATION
from boxgate_engine.kernel.records import NO_EXPIRY, UPDATE_REJECTION, Record, Records
from boxgate_proto.strategy.v1 import account_pb2 as pb
from boxgate_proto.strategy.v1 import signal_pb2

_PRICES = ("price", "stop_price", "trail")


def add_orders(message: pb.Account, orders: Records, specs: Records, names: OrderNames) -> None:
    """Add the orders that work or wait, ORDER_ROW records in the order in which they are listed."""
    for order in orders:
        spec = specs[order["instrument"]]
        added = message.orders.add(
            client_id=names.client_id(int(order["number"])),
            instrument=int(order["instrument"]),
            side=signal_pb2.SIDE_BUY if order["side"] > 0 else signal_pb2.SIDE_SELL,
            qty=_qty(int(order["lots"] - order["filled"]), spec),
            type=int(order["type"]),
            filled=_qty(int(order["filled"]), spec),
            average_price=float(order["average_price"]),
            tif=int(order["tif"]),
            reduce_only=bool(order["reduce_only"]),
            post_only=bool(order["post_only"]),
            oco=names.oco(int(order["oco"])),
            triggered=bool(order["triggered"]),
            queued=bool(order["state"] == ORDER_QUEUED),
            position=names.position(int(order["name"])),
        )
        for name in _PRICES:
            if order[name] > 0:
                setattr(added, name, float(order[name]))
        for name, field in (("sl", "sl"), ("tp", "tp"), ("trail", "risk_trail")):
            if order[field] > 0:
                setattr(added.risk, name, float(order[field]))
        if order["valid_until_ns"] != NO_EXPIRY:
            added.valid_until_ns = int(order["valid_until_ns"])


def name_order(message: pb.AccountUpdate, update: Record, names: OrderNames) -> None:
    """Say which order and position an update is about, and why it was refused or cancelled."""
    message.client_id = names.client_id(int(update["order"]))
    message.position = names.position(int(update["name"]))
    if update["kind"] == UPDATE_REJECTION:
        message.intent_kind = update["intent_kind"].item()
    elif update["kind"] == UPDATE_CANCELLATION:
        message.cancel_reason = update["reason"].item()


def _qty(lots: int, spec: Record) -> float:
    return float(grid_value(lots, int(spec["lot_num"]), int(spec["lot_den"])))
