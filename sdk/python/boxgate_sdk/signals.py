"""What a strategy answers: whole new targets.

A signal states everything about the target of one instrument; what it leaves out is part of the statement
(no sl and tp = no bracket). No signal = change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Side(IntEnum):
    """What a target is, with the numbers of the contract."""

    BUY = 1
    """Be long qty."""
    SELL = 2
    """Be short qty."""
    FLAT = 3
    """Hold nothing."""


class Signal:
    """One target. Made by Signal.buy, Signal.sell and Signal.flat.

    qty: base units of the instrument, > 0; put on the lot grid toward zero. price: None for market, else a limit.
    sl, tp: stop loss and take profit, None for none. trail: distance of a stop loss that follows the market, None for
    none. valid_until_ns: tape time at which the target expires, None for
    never. adjust_only: change risk, price or size of a position of this side, otherwise do nothing (trailing).
    instrument: symbol, None for that of the event. meta: anything JSON, kept in debug runs only.
    """

    __slots__ = ("adjust_only", "instrument", "meta", "price", "qty", "side", "sl", "tp", "trail", "valid_until_ns")

    def __init__(
        self,
        side: Side,
        qty: float | None,
        price: float | None,
        sl: float | None,
        tp: float | None,
        valid_until_ns: int | None,
        adjust_only: bool,
        instrument: str | None,
        meta: Mapping[str, Any] | None,
        trail: float | None = None,
    ) -> None:
        self.side = side
        self.qty = None if qty is None else float(qty)
        self.price = None if price is None else float(price)
        self.sl = None if sl is None else float(sl)
        self.tp = None if tp is None else float(tp)
        self.valid_until_ns = None if valid_until_ns is None else int(valid_until_ns)
        self.adjust_only = bool(adjust_only)
        self.instrument = instrument
        self.meta = meta
        self.trail = None if trail is None else float(trail)

    @classmethod
    def buy(
        cls,
        qty: float,
        price: float | None = None,
        sl: float | None = None,
        tp: float | None = None,
        valid_until_ns: int | None = None,
        adjust_only: bool = False,
        instrument: str | None = None,
        meta: Mapping[str, Any] | None = None,
        trail: float | None = None,
    ) -> Signal:
        """Be long qty."""
        return cls(Side.BUY, qty, price, sl, tp, valid_until_ns, adjust_only, instrument, meta, trail)

    @classmethod
    def sell(
        cls,
        qty: float,
        price: float | None = None,
        sl: float | None = None,
        tp: float | None = None,
        valid_until_ns: int | None = None,
        adjust_only: bool = False,
        instrument: str | None = None,
        meta: Mapping[str, Any] | None = None,
        trail: float | None = None,
    ) -> Signal:
        """Be short qty."""
        return cls(Side.SELL, qty, price, sl, tp, valid_until_ns, adjust_only, instrument, meta, trail)

    @classmethod
    def flat(
        cls,
        price: float | None = None,
        valid_until_ns: int | None = None,
        instrument: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> Signal:
        """Be flat. With a price: a limit exit, and the bracket stays until the position is closed."""
        return cls(Side.FLAT, None, price, None, None, valid_until_ns, False, instrument, meta)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Signal):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]  # meta is free to be mutable

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name in self.__slots__ if (value := getattr(self, name)) not in (None, False)]
        return f"Signal({', '.join(shown)})"


class Signals:
    """The answer of on_window: one row per signal, as arrays.

    event_index: whole numbers in [0, count), any order; rows of one event keep theirs. Each other argument is an array
    of the same length, or one value for all rows. side: Side numbers. qty is not read for FLAT.
    NaN in price, sl, tp and trail means absent; valid_until_ns 0 means never. instrument: indices in ctx.instruments,
    None for that of the event.
    """

    __slots__ = (
        "adjust_only", "event_index", "instrument", "price", "qty", "side", "sl", "tp", "trail", "valid_until_ns"
    )  # fmt: skip

    def __init__(
        self,
        *,
        event_index: ArrayLike,
        side: ArrayLike,
        qty: ArrayLike,
        price: ArrayLike | None = None,
        sl: ArrayLike | None = None,
        tp: ArrayLike | None = None,
        valid_until_ns: ArrayLike | None = None,
        adjust_only: ArrayLike | None = None,
        instrument: ArrayLike | None = None,
        trail: ArrayLike | None = None,
    ) -> None:
        self.event_index = event_index
        self.side = side
        self.qty = qty
        self.price = price
        self.sl = sl
        self.tp = tp
        self.valid_until_ns = valid_until_ns
        self.adjust_only = adjust_only
        self.instrument = instrument
        self.trail = trail
