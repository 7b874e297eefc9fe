"""What a strategy knows of its session: ctx."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import length_hint
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from boxgate_sdk.account import Account, read_account
from boxgate_sdk.errors import (
    FeedbackNotGranted,
    HedgingNotGranted,
    HistoryNotGranted,
    InstrumentUnknown,
    OutsideEvent,
    SeriesUnknown,
)
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.grid import round_price, round_qty
from boxgate_sdk.history import History
from boxgate_sdk.philox import Random

if TYPE_CHECKING:
    from boxgate_sdk._events import Events
    from boxgate_sdk._wire import Column, Marks
    from boxgate_sdk.data import Data
    from boxgate_sdk.intents import Intent


@dataclass(frozen=True, kw_only=True, slots=True)
class Instrument:
    """One tradable symbol. tick_size and lot_size are exact as (numerator, denominator).

    leverage: notional per unit of margin, 0.0 where it is not known. quote_is_account: profit needs no conversion.
    """

    index: int
    symbol: str
    tick_ratio: tuple[int, int]
    lot_ratio: tuple[int, int]
    contract_ratio: tuple[int, int] = (1, 1)
    quote_currency: str = ""
    inverse: bool = False
    leverage: float = 0.0
    quote_is_account: bool = False

    @property
    def tick_size(self) -> float:
        """Smallest price step, quote currency."""
        return self.tick_ratio[0] / self.tick_ratio[1]

    @property
    def lot_size(self) -> float:
        """Smallest quantity step and smallest quantity, base units."""
        return self.lot_ratio[0] / self.lot_ratio[1]

    def round_price(self, price: float) -> float:
        """Return the nearest price on the tick grid, as the gateway will round it."""
        return round_price(price, *self.tick_ratio)

    def round_qty(self, qty: float) -> float:
        """Return the quantity on the lot grid, toward zero, as the gateway will round it."""
        return round_qty(qty, *self.lot_ratio)


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One instrument at one frame. price_basis: LAST, BID or MID. warmup_events precede the tape."""

    index: int
    symbol: str
    frame: str
    instrument: int
    price_basis: str
    has_ask: bool
    warmup_events: int

    @property
    def is_tick(self) -> bool:
        """True for ticks, False for bars."""
        return self.frame == "tick"


class Context:
    """Facts of the session, and what holds at the event that is handled.

    parameters: values by name. instruments: by symbol, in the order of the config. series: in the order of their
    index. seed: of the random numbers. mode: "debug" or "prod". granted: capabilities, without prefix.
    start_ns: events available after it are the tape. account_currency: as configured. leverage: the least of the
    instruments. fees_bps, slippage_bps: of the first instrument.
    """

    def __init__(
        self,
        *,
        parameters: Mapping[str, object],
        instruments: tuple[Instrument, ...],
        series: tuple[Series, ...],
        seed: int,
        mode: str,
        granted: frozenset[str],
        start_ns: int,
        account_currency: str,
        leverage: float,
        fees_bps: float,
        slippage_bps: float,
        opening_account: Account,
        history: History,
        data: Data | None = None,
    ) -> None:
        self.parameters = MappingProxyType(dict(parameters))
        self.instruments: Mapping[str, Instrument] = MappingProxyType({i.symbol: i for i in instruments})
        self._symbols = tuple(self.instruments)
        self.series = series
        self.seed = seed
        self.mode = mode
        self.granted = granted
        self.start_ns = start_ns
        self.account_currency = account_currency
        self.leverage = leverage
        self.fees_bps = fees_bps
        self.slippage_bps = slippage_bps
        self.needs: dict[int, int] = {}
        """Events that require_history asked for beyond the warm-up, by index of the series."""
        self._feedback = "FEEDBACK" in granted
        self._history = history
        self._data = data
        if data is not None:
            data.attach(self)
        self._random = Random(seed)
        # The events of the current window, which know where the session is; None before the first.
        self._events: Events | None = None
        self._vector = False
        # The account of the current window; enter_window sets its bytes, current_account reads them when it is needed.
        self._account = opening_account
        self._account_bytes: bytes | None = None
        self._marks: Marks | None = None
        self._equity: Column | None = None
        # The numbers of the events that are to come in the window: marks are counted from its end.
        self._to_come: Iterator[int] = iter(())
        self._continued = False
        self._ask: Callable[[Sequence[Intent]], None] | None = None

    @property
    def rng(self) -> Random:
        """Random numbers of the event that is handled: the same for the same seed and event, however it arrives."""
        self._random.follow(self.seq)
        return self._random

    @property
    def account(self) -> Account:
        """The account at the event that is handled. Raises FeedbackNotGranted."""
        if not self._feedback:
            raise FeedbackNotGranted("account")
        account = self._account if self._account_bytes is None else self.current_account()
        if account.updates and not self._in_first_moment():
            # An update is news in the moment that it became known with, wherever the window ends.
            self._account = account = account.without_updates()
        return account

    @property
    def equity(self) -> float:
        """Cash and unrealised profit at the event, account currency. Raises FeedbackNotGranted."""
        # Read at every event by many a strategy, so that the column is at hand.
        column = self._equity
        if column is not None:
            equity: float = column[~length_hint(self._to_come)]
            return equity
        if not self._feedback:
            raise FeedbackNotGranted("equity")
        return self._account.cash

    @property
    def free_margin(self) -> float:
        """Equity less the margin in use at the event, account currency. Raises FeedbackNotGranted."""
        if not self._feedback:
            raise FeedbackNotGranted("free_margin")
        return self._account.cash if self._marks is None else self._marks.free_margin[~length_hint(self._to_come)]

    def unrealised(self, symbol: str, position: str = "") -> float:
        """Return the profit of an open position at the event, account currency, 0.0 without a position.

        position: with HEDGING the name of one, left out for the unnamed one of the instrument.
        Raises FeedbackNotGranted, HedgingNotGranted and InstrumentUnknown.
        """
        key = self._mark_key("unrealised", symbol, position)
        column = None if self._marks is None else self._marks.unrealised.get(key)
        return 0.0 if column is None else column[~length_hint(self._to_come)]

    def trail_level(self, symbol: str, position: str = "") -> float | None:
        """Return where the trailing stop of a position stands at the event, None where there is none.

        position: as in unrealised. Raises FeedbackNotGranted, HedgingNotGranted and InstrumentUnknown.
        """
        key = self._mark_key("trail_level", symbol, position)
        column = None if self._marks is None else self._marks.trail_levels.get(key)
        return None if column is None else _level(column[~length_hint(self._to_come)])

    @property
    def data(self) -> Data:
        """History of any length, as tables: ctx.data.history(…). Raises HistoryNotGranted."""
        if self._data is None:
            raise HistoryNotGranted
        return self._data

    def history(self, symbol: str, frame: str, events: int) -> list[Any]:
        """Return exactly the last `events` of a series, Bars or Ticks, oldest first, the one being handled included.

        Raises SeriesUnknown; HistoryBeyondDeclared if history_events() declares fewer; HistoryShort if fewer were
        delivered so far; OutsideEvent in the vector form, which has columns instead.
        """
        if self._vector:
            raise OutsideEvent("ctx.history", "keep what you need of the columns in the vector form")
        return self._history.last(self._find(symbol, frame).index, events, symbol, frame)

    def require_history(self, events: int, symbol: str | None = None, frame: str | None = None) -> None:
        """Ask in on_init for at least so many events before the tape, of all series or of those named.

        If the warm-up is shorter, the gateway starts over with more after on_init has returned.
        """
        for series in self.series:
            if symbol not in (None, series.symbol) or frame not in (None, series.frame):
                continue
            self._history.require(series.index, events)
            if series.warmup_events < events:
                self.needs[series.index] = max(events, self.needs.get(series.index, 0))

    def log(self, message: str, **fields: Any) -> None:
        """Write one line to stderr in debug runs: the message, the number of the event, the fields as JSON."""
        if self.mode != "debug":
            return
        import json

        seq = "" if self.seq is None else f" seq={self.seq}"
        extra = f" {json.dumps(fields, sort_keys=True, default=str)}" if fields else ""
        sys.stderr.write(f"{message}{seq}{extra}\n")
        sys.stderr.flush()

    def enter_window(self, events: Events, account: bytes | None, marks: Marks | None) -> None:
        """Begin a window. account, marks: of the window; None in the warm-up. The session calls it."""
        self._events = events
        self._account_bytes = account
        self._marks = marks
        self._equity = None if marks is None else marks.equity
        self._to_come = events.numbers
        self._continued = False

    def enter_continuation(self, account: bytes, marks: Marks) -> None:
        """Go on at the same event with the account as it is now; marks have one entry. The session calls it."""
        self._account_bytes = account
        self._marks = marks
        self._equity = marks.equity
        self._to_come = iter(())
        self._continued = True

    def attach_session(self, ask: Callable[[Sequence[Intent]], None]) -> None:
        """Take what sends intents at once and comes back with the account behind them. The session calls it."""
        self._ask = ask

    @property
    def seq(self) -> int | None:
        """Number of the event that is handled, or was handled last; None before the first."""
        return None if self._events is None else self._events.window.first_seq + self._events.index

    def enter_vector_form(self) -> None:
        """Say that whole windows are answered. The session calls it."""
        self._vector = True

    def current_account(self) -> Account:
        """Return the account of the window, in its first moment with the updates. The session calls it."""
        if self._account_bytes is not None:
            self._account = read_account(self._account_bytes, self._symbols, news=self._in_first_moment())
            self._account_bytes = None
        return self._account

    @property
    def delivered(self) -> Data | None:
        """Where the session puts the events of its windows; None without HISTORY_HANDLES."""
        return self._data

    @property
    def keep(self) -> Callable[[Bar | Tick], None] | None:
        """What the session hands each event to, for ctx.history; None where nothing was declared."""
        return self._history.keep

    def _in_first_moment(self) -> bool:
        events = self._events
        return events is None or self._continued or events.index < events.moment_end(0)

    def _mark_key(self, attribute: str, symbol: str, position: str) -> tuple[int, str]:
        if not self._feedback:
            raise FeedbackNotGranted(attribute)
        if symbol not in self.instruments:
            raise InstrumentUnknown(symbol, self.instruments)
        if position and "HEDGING" not in self.granted:
            raise HedgingNotGranted(position)
        return self.instruments[symbol].index, position

    def _find(self, symbol: str, frame: str) -> Series:
        for series in self.series:
            if series.symbol == symbol and series.frame == frame:
                return series
        raise SeriesUnknown(symbol, frame, [f"{s.symbol} {s.frame}" for s in self.series])


def _level(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
