"""From the order intents that a strategy answered to what the kernel takes: checked, on the grid, in order, by number.

Names of orders and of their groups stay here: what goes further has numbers instead. Faults that can never be right end
the run; faults relative to the market are left to the kernel, which rejects and reports them.
Source: docs/spec/strategy-protocol.md, section 18, and docs/spec/execution.md, section 15.2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from boxgate_engine.errors import SignalError
from boxgate_engine.instruments import Instrument
from boxgate_engine.kernel.grid import grid_value, lots_within, nearest_price
from boxgate_engine.kernel.intent_records import (
    CANCEL,
    DAY,
    FOK,
    GTC,
    GTD,
    INTENT_ROW,
    IOC,
    LIMIT,
    MARKET,
    MARKET_CLOSED,
    PROTECT,
    REPLACE,
    STOP,
    STOP_LIMIT,
    SUBMIT,
    TRAILING_STOP,
)
from boxgate_engine.kernel.records import NO_EXPIRY, Record, Records
from boxgate_engine.signal_intake import BUY, SELL, STEPS_MAX

RAW_INTENT: Final = np.dtype(
    [
        ("event", "i8"),
        ("kind", "i8"),
        ("instrument", "i8"),
        ("side", "i8"),
        ("type", "i8"),
        ("tif", "i8"),
        *((f"has_{name}", "?") for name in ("qty", "price", "stop_price", "trail", "valid_until_ns")),
        *((f"has_{name}", "?") for name in ("sl", "tp", "risk_trail")),
        ("reduce_only", "?"),
        ("post_only", "?"),
        *((name, "f8") for name in ("qty", "price", "stop_price", "trail", "sl", "tp", "risk_trail")),
        ("valid_until_ns", "i8"),
    ]
)
"""One intent as the sidecar sent it, but for its names: presence beside the values. event: index in its window."""

DayEnd = Callable[[int, int], int]
"""From an index of an instrument and a time to the first end of a trading day after it."""

IsOpen = Callable[[int, int], bool]
"""From an index of an instrument and a time to whether its market is open."""

_DAY_NS: Final = 86_400_000_000_000
_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_NAME_WORDS: Final = "1 to 64 characters of A-Z a-z 0-9 _ . : -"
_KINDS: Final = {SUBMIT: "SUBMIT", REPLACE: "REPLACE", CANCEL: "CANCEL", PROTECT: "PROTECT"}
_PRICES: Final = ("price", "stop_price", "trail", "sl", "tp", "risk_trail")
_NEEDED: Final[dict[int, tuple[str, ...]]] = {
    MARKET: (),
    LIMIT: ("price",),
    STOP: ("stop_price",),
    STOP_LIMIT: ("stop_price", "price"),
    TRAILING_STOP: ("trail",),
}
"""What an order of a type has, beside qty; it may not have the others."""
_RISK: Final = ("sl", "tp", "risk_trail")
_TERMS: Final = ("qty", "price", "stop_price", "trail", "valid_until_ns")
_FLAGS: Final = ("side", "type", "tif", "reduce_only", "post_only", "oco")


@dataclass(frozen=True, eq=False)
class RawIntents:
    """Intents as they were sent. rows: RAW_INTENT records; the others: the names of each, empty for none.

    positions: names of positions, () if there are none at all.
    """

    rows: Records
    client_ids: Sequence[str] = ()
    ocos: Sequence[str] = ()
    positions: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class NamedOrder:
    """What the intake has to know of an order that was submitted. number: from 1."""

    number: int
    instrument: int
    type: int
    alone: bool
    """Neither post_only nor oco, so that it may become IOC or FOK."""


@dataclass(eq=False)
class OrderNames:
    """The names of a session's orders, groups and positions, and their numbers."""

    orders: dict[str, NamedOrder] = field(default_factory=dict)
    client_ids: list[str] = field(default_factory=list)
    _groups: dict[tuple[int, int, str], int] = field(default_factory=dict)
    _group_names: list[str] = field(default_factory=list)
    _positions: dict[str, int] = field(default_factory=dict)
    _position_names: list[str] = field(default_factory=list)

    def client_id(self, number: int) -> str:
        """Return the name of an order, empty for 0."""
        return self.client_ids[number - 1] if number else ""

    def oco(self, number: int) -> str:
        """Return the name of a group, empty for 0."""
        return self._group_names[number - 1] if number else ""

    def submit(self, client_id: str, instrument: int, kind: int, *, alone: bool) -> int:
        """Take a new order in and return its number."""
        self.client_ids.append(client_id)
        self.orders[client_id] = NamedOrder(len(self.client_ids), instrument, kind, alone)
        return len(self.client_ids)

    def group(self, instrument: int, position: int, name: str) -> int:
        """Return the number of a group of orders of a position, 0 for the empty name."""
        if not name:
            return 0
        number = self._groups.setdefault((instrument, position, name), len(self._groups) + 1)
        if number > len(self._group_names):
            self._group_names.append(name)
        return number

    def position(self, number: int) -> str:
        """Return the name of a position, empty for 0."""
        return self._position_names[number - 1] if number else ""

    def position_number(self, name: str) -> int:
        """Return the number of a name of positions, of whatever instrument; 0 for the empty name."""
        if not name:
            return 0
        number = self._positions.setdefault(name, len(self._positions) + 1)
        if number > len(self._position_names):
            self._position_names.append(name)
        return number


def utc_day_end(instrument: int, time_ns: int) -> int:
    """Return the first midnight UTC after a time."""
    return (time_ns // _DAY_NS + 1) * _DAY_NS


def always_open(instrument: int, time_ns: int) -> bool:
    """Return True: no market is ever closed."""
    return True


def take_intents(
    raw: RawIntents,
    names: OrderNames,
    specs: Records,
    instruments: Sequence[Instrument],
    *,
    seq: Sequence[int] | np.ndarray,
    moment: np.ndarray,
    time_ns: np.ndarray,
    day_end: DayEnd = utc_day_end,
    is_open: IsOpen = always_open,
    show_names: bool = False,
) -> tuple[Records, int, np.ndarray]:
    """Return (intents for the kernel, number of intents that were rounded, order).

    seq, moment, time_ns: shape (events,), number, moment and time of each event of the window. The intents are
    INTENT_ROW records by moment, instrument, event and place in the answer; `event` stays the index in the window.
    order: shape (n,), index in `raw` of each. names gains the orders that are new. show_names: errors name the order.
    Raises SignalError for the first fault by event, then place.
    """
    rows = np.zeros(len(raw), INTENT_ROW)
    rounded = 0
    for k in np.argsort(raw.rows["event"], kind="stable"):
        intent = _Intent(raw, int(k), names, instruments, seq, show_names)
        intent.check()
        rounded += _fill(rows[k], intent, specs, time_ns, day_end, is_open)
    order = np.lexsort((np.arange(len(rows)), rows["event"], rows["instrument"], moment[rows["event"]]))
    return rows[order], rounded, order


class _Intent:
    """One intent and what is known of the order that it names."""

    def __init__(
        self,
        raw: RawIntents,
        k: int,
        names: OrderNames,
        instruments: Sequence[Instrument],
        seq: Sequence[int] | np.ndarray,
        show_names: bool,
    ) -> None:
        self.row: Record = raw.rows[k]
        self.kind = int(self.row["kind"])
        self.client_id = raw.client_ids[k]
        self.oco = raw.ocos[k]
        self.position = raw.positions[k] if raw.positions else ""
        self.names = names
        self.known = names.orders.get(self.client_id)
        self.instruments = instruments
        self.seq = seq
        self.show_names = show_names

    @property
    def type(self) -> int:
        """The type of its order, also where it is not said; 0 for PROTECT."""
        return int(self.row["type"]) if self.kind == SUBMIT else self.known.type if self.known else 0

    @property
    def instrument(self) -> int:
        """The instrument, for REPLACE and CANCEL that of their order whatever they say."""
        changes = self.kind in (REPLACE, CANCEL) and self.known is not None
        return self.known.instrument if changes and self.known else int(self.row["instrument"])

    def check(self) -> None:
        """Raise SignalError for what can never be right."""
        self._check_scope()
        for name in ("qty", *_PRICES):
            if self.has(name) and not math.isfinite(self.row[name]):
                raise self.fault("SIGNAL_NOT_FINITE", f"{name} is not a finite number", f"a finite {name}")
        self._check_names()
        self._check_fields()
        self._check_ranges()

    def has(self, name: str) -> bool:
        """Return whether a field is there: has presence, is no zero or is no empty name."""
        if name in ("client_id", "oco", "position"):
            return bool(getattr(self, name))
        return bool(self.row[name if name in _FLAGS else f"has_{name}"])

    def fault(self, code: str, what: str, expected: str) -> SignalError:
        """Return the error of this intent."""
        event, index = int(self.row["event"]), self.instrument
        inside = 0 <= event < len(self.seq)
        number = int(self.seq[event]) if inside else None
        symbol = self.instruments[index].symbol if 0 <= index < len(self.instruments) else f"instrument {index}"
        named = f" of order {self.client_id[:64]!r}" if self.show_names and self.client_id else ""
        return SignalError(
            what,
            code=code,
            where=f"{_KINDS.get(self.kind, 'intent')}{named} for {symbol} at event "
            f"{number if inside else f'index {event}'}",
            expected=expected,
            remedy="correct the strategy's answer",
            seq=number,
        )

    def _check_scope(self) -> None:
        row = self.row
        if not 0 <= row["event"] < len(self.seq):
            raise self.fault("PROTO_SEQ", "event_index is outside its window", "event_index in [0, consumed)")
        if self.kind not in _KINDS:
            raise self.fault("SIGNAL_ENUM", "unknown kind of intent", " ".join(_KINDS.values()))
        if self.kind in (SUBMIT, PROTECT) and not 0 <= row["instrument"] < len(self.instruments):
            raise self.fault("PROTO_SCOPE", "unknown instrument", f"an index in [0, {len(self.instruments)})")
        if not 0 <= row["tif"] <= FOK:
            raise self.fault("SIGNAL_ENUM", "unknown time in force", "GTC DAY GTD IOC FOK")
        if self.kind == SUBMIT and row["type"] not in _NEEDED:
            raise self.fault("SIGNAL_ENUM", "unknown type of order", "MARKET LIMIT STOP STOP_LIMIT TRAILING_STOP")
        if self.kind == SUBMIT and row["side"] not in (BUY, SELL):
            raise self.fault("SIGNAL_ENUM", "unknown side", "BUY or SELL")

    def _check_names(self) -> None:
        if self.oco and not _NAME.fullmatch(self.oco):
            raise self.fault("ORDER_ID", "oco is no name", _NAME_WORDS)
        if self.position and not _NAME.fullmatch(self.position):
            raise self.fault("ORDER_ID", "position is no name", _NAME_WORDS)
        if self.kind == PROTECT:
            return
        if not _NAME.fullmatch(self.client_id):
            raise self.fault("ORDER_ID", "client_id is no name", _NAME_WORDS)
        if self.kind == SUBMIT and self.known is not None:
            raise self.fault("ORDER_ID", "an order of this client_id was submitted before", "a new client_id")
        if self.kind != SUBMIT and self.known is None:
            raise self.fault("ORDER_ID", "no order of this client_id was submitted", "the client_id of an order")

    def _check_fields(self) -> None:
        row, kind = self.row, self.kind
        needed: set[str] = set()
        allowed: set[str] = set() if kind == PROTECT else {"client_id"}
        if kind in (SUBMIT, REPLACE):
            needed = {"qty", *_NEEDED[self.type]} | ({"valid_until_ns"} if row["tif"] == GTD else set())
            allowed.add("tif")
        if kind == SUBMIT:
            allowed |= {*_FLAGS, *_RISK, "position"}
        if kind == PROTECT:
            allowed |= {*_RISK, "position"}
        for name in ("client_id", *_TERMS, *_FLAGS, *_RISK, "position"):
            if name in needed and not self.has(name):
                raise self.fault("ORDER_FIELDS", f"{name} is missing", f"{name}, which this order needs")
            if name not in needed | allowed and self.has(name):
                raise self.fault("ORDER_FIELDS", f"{name} is there", f"no {name} in this intent")
        if kind == SUBMIT and row["post_only"] and row["type"] != LIMIT:
            raise self.fault("ORDER_FIELDS", "post_only is there", "post_only with LIMIT alone")
        if kind in (SUBMIT, REPLACE) and row["tif"] in (IOC, FOK):
            if self.type not in (MARKET, LIMIT):
                raise self.fault("ORDER_FIELDS", "IOC or FOK on an order that waits", "MARKET or LIMIT")
            if not (self.known.alone if self.known else not (row["post_only"] or self.oco)):
                raise self.fault("ORDER_FIELDS", "IOC or FOK with post_only or oco", "neither of them")

    def _check_ranges(self) -> None:
        row = self.row
        instrument = self.instruments[self.instrument]
        for name in ("qty", *_PRICES):
            if not self.has(name):
                continue
            grid = instrument.lot_size if name == "qty" else instrument.tick_size
            if row[name] <= 0:
                raise self.fault("SIGNAL_RANGE", f"{name} is not positive", f"{name} > 0")
            if float(row[name]) * grid.denominator >= STEPS_MAX:
                raise self.fault("SIGNAL_RANGE", f"{name} is beyond 2^53 grid steps", f"a smaller {name}")
        if self.kind == SUBMIT and row["has_sl"] and row["has_tp"]:
            crossed = row["sl"] >= row["tp"] if row["side"] == BUY else row["sl"] <= row["tp"]
            if crossed:
                what = "sl and tp are on contradictory sides of each other"
                raise self.fault("SIGNAL_RISK_SIDE", what, "sl < tp for BUY, sl > tp for SELL")


def _fill(out: Record, intent: _Intent, specs: Records, time_ns: np.ndarray, day_end: DayEnd, is_open: IsOpen) -> bool:
    """Write a checked intent as an INTENT_ROW; return whether a value of it was rounded."""
    raw, kind, names = intent.row, intent.kind, intent.names
    instrument = intent.instrument
    spec = specs[instrument]
    out["instrument"] = instrument
    for name in ("event", "kind", "reduce_only", "post_only"):
        out[name] = raw[name]
    changed = False
    if intent.has("qty"):
        out["lots"] = lots_within(float(raw["qty"]), int(spec["lot_num"]), int(spec["lot_den"]))
        changed = bool(grid_value(int(out["lots"]), int(spec["lot_num"]), int(spec["lot_den"])) != raw["qty"])
    for name in _PRICES:
        if intent.has(name):
            out[name] = nearest_price(float(raw[name]), int(spec["tick_num"]), int(spec["tick_den"]))
            if out[name] <= 0:
                raise intent.fault("SIGNAL_RANGE", f"{name} is less than half a tick", f"{name} > 0")
            changed = changed or bool(out[name] != raw[name])
    out["valid_until_ns"] = NO_EXPIRY
    if kind in (SUBMIT, REPLACE):
        out["type"] = intent.type
        out["tif"] = raw["tif"] or GTC
        if out["tif"] == DAY:
            out["valid_until_ns"] = day_end(instrument, int(time_ns[raw["event"]]))
        elif out["tif"] == GTD:
            out["valid_until_ns"] = raw["valid_until_ns"]
    out["name"] = names.position_number(intent.position)
    if kind == SUBMIT:
        out["side"] = 1 if raw["side"] == BUY else -1
        if out["tif"] not in (GTC, GTD) and not is_open(instrument, int(time_ns[raw["event"]])):
            out["reason"] = MARKET_CLOSED
        out["oco"] = names.group(instrument, int(out["name"]), intent.oco)
        alone = not (raw["post_only"] or intent.oco)
        out["order"] = names.submit(intent.client_id, instrument, int(raw["type"]), alone=alone)
    elif intent.known is not None and kind != PROTECT:
        out["order"] = intent.known.number
    return changed
