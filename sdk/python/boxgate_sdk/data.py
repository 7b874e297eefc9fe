"""ctx.data: the history of the series, up to the event that is handled and never beyond."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from boxgate_sdk._series_rows import SeriesRows, rows_of_window
from boxgate_sdk.columns import Columns
from boxgate_sdk.errors import HistoryBeyondEvent, HistoryQueryInvalid, HistoryShort, OutsideEvent, SeriesUnknown
from boxgate_sdk.history_view import HistoryView

if TYPE_CHECKING:
    from boxgate_sdk._wire import Window
    from boxgate_sdk.context import Context

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_MIN = -(1 << 62)
_NS_MAX = (1 << 63) - 1


class Data:
    """History by series. Needs the capability HISTORY_HANDLES."""

    def __init__(self, rows: Sequence[SeriesRows], start_ns: int) -> None:
        """Take the rows of each series of the session, by index."""
        self._rows = {(one.series.symbol, one.series.frame): one for one in rows}
        self._all = tuple(rows)
        self._vector = False
        self._ctx: Context | None = None
        self._window: Window | None = None
        # The time of the last event that was handled before the window; before the first one, the start.
        self._last_ns = start_ns

    def history(
        self, symbol: str, frame: str, end_ts: int | datetime | str, lookback_bars: int, *, at: int | None = None
    ) -> HistoryView:
        """Return exactly the last `lookback_bars` rows of a series that lie before `end_ts`.

        end_ts: nanoseconds since 1970-01-01 UTC, or a datetime or ISO 8601 text with a zone; exclusive: a bar counts
        if it has closed by then, a tick if its time is before. At most the time of the event that is handled + 1; in
        on_init the start + 1. at: in on_window, and only there, the index of the event that counts as being handled;
        the rows are then what on_event would see at that event, wherever the window begins.
        Raises SeriesUnknown, HistoryBeyondEvent, HistoryShort, HistoryQueryInvalid, OutsideEvent.
        """
        rows = self._rows.get((symbol, frame))
        if rows is None:
            raise SeriesUnknown(symbol, frame, [f"{s} {f}" for s, f in self._rows], where="ctx.data.history")
        end_ns = _nanoseconds(end_ts)
        count = _count(lookback_bars)
        index, now_ns = self._now(at)
        if end_ns > now_ns + 1:
            raise HistoryBeyondEvent(symbol, frame, end_ns, now_ns)
        found = rows.last(end_ns, count, index)
        if isinstance(found, int):
            raise HistoryShort(
                symbol,
                frame,
                count,
                found,
                where="ctx.data.history",
                remedy="ask for fewer, start the run later, or call ctx.require_history in on_init",
            )
        before, tape = found
        parts = [
            (columns, begin, end) for columns, (begin, end) in ((rows.before, before), (rows.tape, tape)) if end > begin
        ]
        return HistoryView(symbol, frame, rows.names, parts)

    def attach(self, ctx: Context) -> None:
        """Take the context whose event is the one that is handled. The context calls it."""
        self._ctx = ctx

    def enter_window(self, window: Window, *, vector: bool) -> None:
        """Take the events of a window; each shows once it is handled. The session calls it."""
        assert self._ctx is not None
        columns = Columns(window, self._ctx.series)
        found = rows_of_window(columns, len(self._all))
        for rows, mine in zip(self._all, found, strict=True):
            rows.enter_window(mine, columns.time_ns, window.warmup)
        self._vector = vector
        self._window = window

    def leave_window(self, consumed: int) -> None:
        """Keep the events that were handled. The session calls it."""
        assert self._window is not None
        for rows in self._all:
            rows.leave_window(consumed)
        if consumed:
            self._last_ns = self._window.time_ns[consumed - 1]
        self._window = None

    def _now(self, at: int | None) -> tuple[int, int]:
        """Return index in the window, and time, of the event that is handled."""
        window = self._window
        if window is None:
            if at is not None:
                raise HistoryQueryInvalid("at", at, "no `at` outside on_window")
            return -1, self._last_ns
        if self._vector:
            if at is None:
                raise OutsideEvent(
                    "ctx.data.history", "name the event in on_window: history(…, at=i) reads as at event i"
                )
            index = _index(at, window.count)
        else:
            if at is not None:
                raise HistoryQueryInvalid("at", at, "no `at` outside on_window")
            assert self._ctx is not None
            seq = self._ctx.seq
            assert seq is not None
            index = seq - window.first_seq
        return index, window.time_ns[index]


def _nanoseconds(value: int | datetime | str) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise HistoryQueryInvalid("end_ts", value, "nanoseconds, or a time with a zone") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise HistoryQueryInvalid("end_ts", value, "a time with a zone, such as 2024-01-02T00:00:00Z")
        return (value - _EPOCH) // timedelta(microseconds=1) * 1000
    try:
        plain = operator.index(value)
    except TypeError:
        plain = None
    if plain is None or isinstance(value, bool) or not _NS_MIN <= plain <= _NS_MAX:
        raise HistoryQueryInvalid("end_ts", value, "whole nanoseconds since 1970-01-01 UTC, or a time with a zone")
    return plain


def _count(value: int) -> int:
    try:
        plain = operator.index(value)
    except TypeError:
        plain = 0
    if plain < 1 or isinstance(value, bool):
        raise HistoryQueryInvalid("lookback_bars", value, "a whole number of rows, at least 1")
    return plain


def _index(value: int, count: int) -> int:
    try:
        plain = operator.index(value)
    except TypeError:
        plain = -1
    if not 0 <= plain < count or isinstance(value, bool):
        raise HistoryQueryInvalid("at", value, f"the index of an event of the window, 0 to {count - 1}")
    return plain
