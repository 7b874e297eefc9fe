"""The answer of on_window, checked and put into the order of the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from boxgate_sdk._wire_rows import encode_signal_rows
from boxgate_sdk.errors import AnswerMistyped
from boxgate_sdk.signals import Signals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from boxgate_sdk.columns import Columns


def encode_answer(
    answer: object, columns: Columns, instrument_of_series: Sequence[int], instruments_count: int
) -> bytes:
    """Write the entries of SignalWindow.signals, by event_index. Raises AnswerMistyped."""
    if not isinstance(answer, Signals):
        raise AnswerMistyped("on_window", answer, "None or Signals")
    event_index = _column(answer, "event_index", np.int64, None, 0, columns.count - 1)
    rows = len(event_index)
    if not rows:
        return b""
    if answer.instrument is not None:
        instrument = _column(answer, "instrument", np.int64, rows, 0, instruments_count - 1)
    elif len(instrument_of_series) == 1:
        instrument = np.full(rows, instrument_of_series[0])
    else:
        instrument = np.asarray(instrument_of_series, dtype=np.int64)[columns.series[event_index]]
    side = _column(answer, "side", np.int64, rows, 1, 3)
    qty = _column(answer, "qty", np.float64, rows)
    fields: tuple[NDArray[Any] | None, ...] = (
        event_index,
        instrument,
        side,
        qty,
        _optional(answer, "price", np.float64, rows),
        _optional(answer, "sl", np.float64, rows),
        _optional(answer, "tp", np.float64, rows),
        _optional(answer, "trail", np.float64, rows),
        _optional(answer, "valid_until_ns", np.int64, rows),
        _optional(answer, "adjust_only", np.bool_, rows),
    )
    if np.count_nonzero(event_index[1:] < event_index[:-1]):
        order = np.argsort(event_index, kind="stable")
        fields = tuple(None if field is None else field[order] for field in fields)
    return encode_signal_rows(*fields)  # type: ignore[arg-type]  # the first four are there


def _optional(answer: Signals, name: str, dtype: Any, rows: int) -> NDArray[Any] | None:
    return None if getattr(answer, name) is None else _column(answer, name, dtype, rows)


def _column(
    answer: Signals, name: str, dtype: Any, rows: int | None, low: int | None = None, high: int | None = None
) -> NDArray[Any]:
    """Return one field as shape (rows,), one value repeated, a missing qty as NaN."""
    value = getattr(answer, name)
    if value is None:
        value = np.nan if dtype is np.float64 else 0
    array = np.asarray(value)
    if dtype is np.int64 and array.size and array.dtype.kind not in "iu":
        raise AnswerMistyped(f"Signals.{name}", value, "whole numbers")
    array = array.astype(dtype, copy=False)
    if rows is not None and array.shape != (rows,):
        if array.ndim:
            raise AnswerMistyped(f"Signals.{name}", value, f"one value or {rows} values, as event_index has")
        array = np.broadcast_to(array, (rows,))
    if rows is None and array.ndim != 1:
        raise AnswerMistyped(f"Signals.{name}", value, "an array of one dimension")
    if low is not None and high is not None and np.count_nonzero((array < low) | (array > high)):
        raise AnswerMistyped(f"Signals.{name}", value, f"numbers in [{low}, {high}]")
    return array
