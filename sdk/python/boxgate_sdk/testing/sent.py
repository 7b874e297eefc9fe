"""A signal as the gateway takes it: checked and put on the grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import MessageToDict

from boxgate_proto.strategy.v1 import signal_pb2
from boxgate_sdk.errors import SignalInvalid
from boxgate_sdk.grid import round_price, round_qty
from boxgate_sdk.signals import Side

Ratio = tuple[int, int]
"""A grid step as (numerator, denominator)."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One signal as it was sent, values on the grid of the instrument."""

    seq: int
    symbol: str
    side: Side
    qty: float | None
    price: float | None
    sl: float | None
    tp: float | None
    valid_until_ns: int | None
    adjust_only: bool
    trail: float | None = None
    meta: Mapping[str, Any] | None = field(default=None, compare=False)


def read_signal(signal: signal_pb2.Signal, seq: int, symbol: str) -> Sent:
    """Return a signal whose values are on the grid already."""
    return Sent(
        seq=seq,
        symbol=symbol,
        side=Side(int(signal.side)),
        qty=signal.qty if signal.HasField("qty") else None,
        price=signal.price if signal.HasField("price") else None,
        sl=signal.risk.sl if signal.risk.HasField("sl") else None,
        tp=signal.risk.tp if signal.risk.HasField("tp") else None,
        valid_until_ns=signal.valid_until_ns if signal.HasField("valid_until_ns") else None,
        adjust_only=signal.adjust_only,
        trail=signal.risk.trail if signal.risk.HasField("trail") else None,
        meta=MessageToDict(signal.meta) if signal.HasField("meta") else None,
    )


def on_grid(signal: signal_pb2.Signal, tick_size: Ratio, lot_size: Ratio) -> signal_pb2.Signal:
    """Return a copy with its values on the grid."""
    rounded = signal_pb2.Signal()
    rounded.CopyFrom(signal)
    if signal.HasField("qty"):
        rounded.qty = round_qty(signal.qty, *lot_size)
    if signal.HasField("price"):
        rounded.price = round_price(signal.price, *tick_size)
    if signal.risk.HasField("sl"):
        rounded.risk.sl = round_price(signal.risk.sl, *tick_size)
    if signal.risk.HasField("tp"):
        rounded.risk.tp = round_price(signal.risk.tp, *tick_size)
    if signal.risk.HasField("trail"):
        rounded.risk.trail = round_price(signal.risk.trail, *tick_size)
    return rounded


def check_signal(signal: signal_pb2.Signal, seq: int) -> None:
    """Raise SignalInvalid for what can never be right and would fail a run."""
    values = {"qty": signal.qty, "price": signal.price}
    present = [name for name in ("qty", "price") if signal.HasField(name)]
    for name in ("sl", "tp", "trail"):
        values[name] = getattr(signal.risk, name)
        present += [name] if signal.risk.HasField(name) else []
    wrong = [f"{n} is {values[n]}" for n in present if not (math.isfinite(values[n]) and values[n] > 0)]
    if signal.side != signal_pb2.SIDE_FLAT and not signal.HasField("qty"):
        wrong.append("qty is missing")
    if signal.risk.HasField("sl") and signal.risk.HasField("tp"):
        up = 1 if signal.side == signal_pb2.SIDE_BUY else -1
        if (signal.risk.tp - signal.risk.sl) * up <= 0:
            wrong.append(f"sl {signal.risk.sl} and tp {signal.risk.tp} are on contradictory sides of each other")
    if wrong:
        raise SignalInvalid(
            "; ".join(wrong),
            where=f"signal at seq {seq}",
            expected="finite numbers > 0, and for a long position sl below tp, for a short one above",
            remedy="check the values before the signal is made",
        )
