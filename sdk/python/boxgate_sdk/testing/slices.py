"""History handles for a test: the files that a gateway would give, written from events. Needs boxgate-sdk[history]."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_sdk.events import Bar, Tick


def write_handles(
    series: Sequence[tuple[str, str]], events: Sequence[Bar | Tick], folder: Path, *, has_ask: bool
) -> list[strategy_pb2.HistoryHandle]:
    """Write one file per series that has events and return the handles.

    series: (symbol, frame) by index. events: all that is available at or before the start, in order.
    """
    import pyarrow as pa

    handles = []
    for index, key in enumerate(series):
        mine = [event for event in events if (event.symbol, event.frame) == key]
        handle = strategy_pb2.HistoryHandle(series=index, rows=len(mine))
        if mine:
            names = _columns(mine, has_ask=has_ask)
            types = [pa.int64() if name in ("open_ns", "time_ns") else pa.float64() for name in names]
            fields = [pa.field(name, kind, nullable=False) for name, kind in zip(names, types, strict=True)]
            arrays = [
                pa.array([getattr(event, name) for event in mine], kind)
                for name, kind in zip(names, types, strict=True)
            ]
            schema = pa.schema(fields)
            path = folder / f"{index}.arrow"
            with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
                writer.write_batch(pa.record_batch(arrays, schema=schema))
            handle.path = str(path)
        handles.append(handle)
    return handles


def _columns(events: Sequence[Bar | Tick], *, has_ask: bool) -> tuple[str, ...]:
    if events[0].is_tick:
        extra = [name for name in ("last", "volume") if not all(math.isnan(getattr(e, name)) for e in events)]
        return ("time_ns", "bid", "ask", *extra)
    asks = ("ask_open", "ask_high", "ask_low", "ask_close") if has_ask else ()
    return ("open_ns", "open", "high", "low", "close", "volume", *asks)
