"""An intent as the gateway takes it: checked and put on the grid."""

from __future__ import annotations

import math
import re

from google.protobuf.json_format import MessageToDict

from boxgate_proto.strategy.v1 import order_pb2, signal_pb2
from boxgate_sdk.errors import SignalInvalid
from boxgate_sdk.grid import round_price, round_qty
from boxgate_sdk.intents import Intent, IntentKind, OrderType, TimeInForce
from boxgate_sdk.signals import Side
from boxgate_sdk.testing.sent import Ratio

_PRICES = ("price", "stop_price", "trail")
_RISK = ("sl", "tp", "trail")
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NEEDS: dict[int, tuple[str, ...]] = {
    order_pb2.ORDER_TYPE_MARKET: (),
    order_pb2.ORDER_TYPE_LIMIT: ("price",),
    order_pb2.ORDER_TYPE_STOP: ("stop_price",),
    order_pb2.ORDER_TYPE_STOP_LIMIT: ("price", "stop_price"),
    order_pb2.ORDER_TYPE_TRAILING_STOP: ("trail",),
}
_AT_ONCE = (order_pb2.TIME_IN_FORCE_IOC, order_pb2.TIME_IN_FORCE_FOK)


class IntentCheck:
    """Finds what would fail a run, in the intents of one session in order (spec/strategy-protocol.md, section 18.2)."""

    def __init__(self, instruments: int) -> None:
        self._instruments = instruments
        self._types: dict[str, int] = {}

    def check(self, intent: signal_pb2.OrderIntent, seq: int) -> None:
        """Raise SignalInvalid for what can never be right."""
        submits = intent.kind == order_pb2.ORDER_INTENT_KIND_SUBMIT
        protects = intent.kind == order_pb2.ORDER_INTENT_KIND_PROTECT
        wrong = _wrong_numbers(intent)
        if (submits or protects) and intent.instrument >= self._instruments:
            wrong.append(f"instrument {intent.instrument} is unknown")
        named = [intent.oco, intent.position, "" if protects else intent.client_id]
        wrong += [f"{name!r} is no name" for name in named if name and not _NAME.fullmatch(name)]
        if submits:
            wrong += self._wrong_order(intent)
            self._types[intent.client_id] = intent.type
        elif not protects and intent.client_id not in self._types:
            wrong.append(f"there is no order {intent.client_id!r}")
        elif intent.kind == order_pb2.ORDER_INTENT_KIND_REPLACE:
            wrong += _wrong_fields(intent, self._types[intent.client_id])
        if not submits and not protects and intent.position:
            wrong.append("position belongs to SUBMIT and PROTECT alone")
        if wrong:
            raise SignalInvalid(
                "; ".join(wrong),
                where=f"intent at seq {seq}",
                expected="the fields of its kind and type, finite numbers > 0, each order with a name of its own",
                remedy="check the values before the intent is made; ctx.limit, ctx.stop and so on take the right ones",
            )

    def _wrong_order(self, intent: signal_pb2.OrderIntent) -> list[str]:
        wrong = _wrong_fields(intent, intent.type)
        if intent.side not in (signal_pb2.SIDE_BUY, signal_pb2.SIDE_SELL):
            wrong.append("side is neither BUY nor SELL")
        if not intent.client_id or intent.client_id in self._types:
            wrong.append(f"client_id {intent.client_id!r} is empty or in use")
        if intent.post_only and intent.type != order_pb2.ORDER_TYPE_LIMIT:
            wrong.append("post_only is for LIMIT alone")
        if intent.tif in _AT_ONCE and (intent.oco or intent.post_only):
            wrong.append("IOC and FOK go with neither oco nor post_only")
        if intent.risk.HasField("sl") and intent.risk.HasField("tp"):
            up = 1 if intent.side == signal_pb2.SIDE_BUY else -1
            if (intent.risk.tp - intent.risk.sl) * up <= 0:
                wrong.append(f"sl {intent.risk.sl} and tp {intent.risk.tp} are on contradictory sides of each other")
        return wrong


def intent_on_grid(intent: signal_pb2.OrderIntent, tick_size: Ratio, lot_size: Ratio) -> signal_pb2.OrderIntent:
    """Return a copy with its values on the grid."""
    rounded = signal_pb2.OrderIntent()
    rounded.CopyFrom(intent)
    if intent.HasField("qty") and math.isfinite(intent.qty):
        rounded.qty = round_qty(intent.qty, *lot_size)
    for message, source, names in ((rounded, intent, _PRICES), (rounded.risk, intent.risk, _RISK)):
        for name in names:
            if source.HasField(name) and math.isfinite(getattr(source, name)):  # type: ignore[arg-type]  # a field
                setattr(message, name, round_price(getattr(source, name), *tick_size))
    return rounded


def read_intent(intent: signal_pb2.OrderIntent, symbols: list[str]) -> Intent:
    """Return an intent whose values are on the grid already."""

    def present(message: signal_pb2.OrderIntent | signal_pb2.Risk, name: str) -> float | None:
        return getattr(message, name) if message.HasField(name) else None  # type: ignore[arg-type]  # a field

    return Intent(
        kind=IntentKind(intent.kind),
        client_id=intent.client_id,
        instrument=symbols[intent.instrument],
        side=Side(int(intent.side)) if intent.side else None,
        type=OrderType(intent.type) if intent.type else None,
        qty=present(intent, "qty"),
        price=present(intent, "price"),
        stop_price=present(intent, "stop_price"),
        trail=present(intent, "trail"),
        tif=TimeInForce(intent.tif) if intent.tif else None,
        valid_until_ns=intent.valid_until_ns if intent.HasField("valid_until_ns") else None,
        reduce_only=intent.reduce_only,
        post_only=intent.post_only,
        oco=intent.oco,
        sl=present(intent.risk, "sl"),
        tp=present(intent.risk, "tp"),
        risk_trail=present(intent.risk, "trail"),
        meta=MessageToDict(intent.meta) if intent.HasField("meta") else None,
        position=intent.position,
    )


def _wrong_numbers(intent: signal_pb2.OrderIntent) -> list[str]:
    wrong = []
    for message, names in ((intent, ("qty", *_PRICES)), (intent.risk, _RISK)):
        for name in names:
            value = getattr(message, name)
            if message.HasField(name) and not (math.isfinite(value) and value > 0):  # type: ignore[arg-type]  # a field
                wrong.append(f"{name} is {value}")
    return wrong


def _wrong_fields(intent: signal_pb2.OrderIntent, type: int) -> list[str]:
    """Return what an order of a type lacks, and what it may not have."""
    if type not in _NEEDS:
        return [f"type is {type}"]
    wrong = [] if intent.HasField("qty") else ["qty is missing"]
    wrong += [
        f"{name} is missing" if name in _NEEDS[type] else f"{name} may not be there"
        for name in _PRICES
        if intent.HasField(name) != (name in _NEEDS[type])  # type: ignore[arg-type]  # a field
    ]
    if intent.HasField("valid_until_ns") != (intent.tif == order_pb2.TIME_IN_FORCE_GTD):
        wrong.append("valid_until_ns belongs to GTD and to nothing else")
    if intent.tif in _AT_ONCE and type not in (order_pb2.ORDER_TYPE_MARKET, order_pb2.ORDER_TYPE_LIMIT):
        wrong.append("IOC and FOK are for MARKET and LIMIT alone")
    return wrong
