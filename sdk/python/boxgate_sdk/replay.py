"""Replay of a recorded session: the strategy meets the same windows again and must answer them in the same way.

    from boxgate_sdk.replay import replay

    def test_the_strategy_still_answers_as_recorded():
        replay(MyStrategy, "session.boxgate")

`boxgate run CONFIG --record session.boxgate` makes the file. It holds the market data that were delivered.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from boxgate_proto.strategy.v1 import order_pb2, recording_pb2, signal_pb2, strategy_pb2
from boxgate_sdk import _contract
from boxgate_sdk._events import Events, Roster
from boxgate_sdk._session import Session
from boxgate_sdk._wire import Window, decode_request
from boxgate_sdk.errors import RecordingUnreadable, Refusal, ReplayDifference
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.signals import Side
from boxgate_sdk.strategy import Strategy

VERSION: Final = 1
"""The form of recordings that this SDK reads."""

_ENTRY_BYTES_MAX: Final = 1 << 31
_RISK: Final = ("sl", "tp", "trail")

Said = signal_pb2.Signal | signal_pb2.OrderIntent
"""One part of an answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What was replayed without a difference.

    strategy, version: as recorded. windows, events, signals: how many were answered, those of the warm-up included;
    signals counts intents too. unanswered: True if the recorded session failed in its last window; the strategy has
    answered it now.
    """

    strategy: str
    version: str
    windows: int
    events: int
    signals: int
    unanswered: bool


def replay(strategy_class: type[Strategy], recording: str | Path, *, meta: bool = False) -> Replayed:
    """Let a strategy answer a recorded session and compare every answer.

    meta: compare the meta of the signals or intents too. Raises ReplayDifference at the first event that is answered
    otherwise, RecordingUnreadable, and whatever the strategy raises.
    """
    entries = read_recording(Path(recording))
    header = next(entries).header
    windows = events = signals = 0
    unanswered = False
    with tempfile.TemporaryDirectory(prefix="boxgate-replay-") as folder:
        session = _open(strategy_class, entries, Path(folder), str(recording))
        try:
            shown: Window | None = None
            for request, recorded in _exchanges(entries, str(recording)):
                window = decode_request(request.SerializeToString())
                assert isinstance(window, Window)
                # A window of count 0 goes on with the events of the one before it.
                shown = window if window.count or shown is None else shown
                answer = strategy_pb2.OnEventResponse.FromString(session.answer(window)).signals
                windows, signals = windows + 1, signals + len(answer.signals) + len(answer.intents)
                if window.count:
                    events += window.count if recorded is None else recorded.consumed
                if recorded is None:
                    unanswered = True
                elif difference := _difference(recorded, answer, meta=meta):
                    index, before, now = difference
                    raise _told(session, shown, index, before, now)
        finally:
            session.close()
    return Replayed(
        strategy=header.strategy,
        version=header.strategy_version,
        windows=windows,
        events=events,
        signals=signals,
        unanswered=unanswered,
    )


def read_recording(path: Path) -> Iterator[recording_pb2.RecordingEntry]:
    """Yield the entries of a recording, the header first. Raises RecordingUnreadable."""
    try:
        with gzip.open(path, "rb") as file:
            first = True
            while (entry := _read_entry(file, path)) is not None:
                if first and (entry.WhichOneof("entry") != "header" or entry.header.version != VERSION):
                    raise RecordingUnreadable(str(path), f"it is no recording of version {VERSION}")
                first = False
                yield entry
            if first:
                raise RecordingUnreadable(str(path), "it is empty")
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingUnreadable(str(path), getattr(error, "strerror", None) or str(error)) from error
    except DecodeError as error:
        raise RecordingUnreadable(str(path), "an entry cannot be decoded") from error


def _read_entry(file: gzip.GzipFile, path: Path) -> recording_pb2.RecordingEntry | None:
    length = shift = 0
    while byte := file.read(1):
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            break
    if not shift:
        return None
    if length > _ENTRY_BYTES_MAX:
        raise RecordingUnreadable(str(path), f"an entry has {length} bytes")
    data = file.read(length)
    if len(data) < length:
        raise RecordingUnreadable(str(path), "it ends within an entry")
    return recording_pb2.RecordingEntry.FromString(data)


def _open(
    strategy_class: type[Strategy], entries: Iterator[recording_pb2.RecordingEntry], folder: Path, name: str
) -> Session:
    """Open the session as it was opened, with the recorded history in files of `folder`."""
    paths: dict[int, Path] = {}
    for entry in entries:
        kind = entry.WhichOneof("entry")
        if kind == "history":
            paths[entry.history.series] = folder / f"{entry.history.series}.arrow"
            paths[entry.history.series].write_bytes(entry.history.arrow_file)
        elif kind == "init":
            for handle in entry.init.history:
                handle.path = str(paths[handle.series]) if handle.series in paths else ""
            opening = _contract.open_session(strategy_class, entry.init)
            if opening.session is None:
                raise Refusal(f"the strategy does not open the recorded session: {opening.response}")
            return opening.session
        else:
            break
    raise RecordingUnreadable(name, "it has no OnInit")


def _exchanges(
    entries: Iterator[recording_pb2.RecordingEntry], name: str
) -> Iterator[tuple[strategy_pb2.OnEventRequest, signal_pb2.SignalWindow | None]]:
    """Yield each window with its answer, None for the last of a session that failed."""
    for entry in entries:
        if entry.WhichOneof("entry") != "request":
            raise RecordingUnreadable(name, "a window is missing")
        answer = next(entries, None)
        if answer is not None and answer.WhichOneof("entry") != "response":
            raise RecordingUnreadable(name, "an answer is missing")
        yield entry.request, None if answer is None else answer.response.signals


def _difference(
    before: signal_pb2.SignalWindow, now: signal_pb2.SignalWindow, *, meta: bool
) -> tuple[int, list[Said], list[Said]] | None:
    """Return (index in the window, what was said, what is said now) of the first event that differs, None if none."""
    answers = [_by_event([*window.signals, *window.intents], meta) for window in (before, now)]
    for index in sorted({*answers[0], *answers[1]}):
        if [s.SerializeToString(deterministic=True) for s in answers[0].get(index, [])] != [
            s.SerializeToString(deterministic=True) for s in answers[1].get(index, [])
        ]:
            return index, answers[0].get(index, []), answers[1].get(index, [])
    if (before.consumed, before.more) != (now.consumed, now.more):
        index = min(before.consumed, now.consumed) - 1
        return index, answers[0].get(index, []), answers[1].get(index, [])
    return None


def _by_event(said: list[Said], meta: bool) -> dict[int, list[Said]]:
    grouped: dict[int, list[Said]] = {}
    for one in said:
        if not meta:
            one.ClearField("meta")
        grouped.setdefault(one.event_index, []).append(one)
    return grouped


def _told(session: Session, window: Window, index: int, before: list[Said], now: list[Said]) -> ReplayDifference:
    symbols = list(session.ctx.instruments)
    event: Bar | Tick = next(e for i, e in enumerate(Events(window, Roster(session.ctx.series))) if i == index)
    moment = datetime.fromtimestamp(event.time_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ReplayDifference(
        seq=event.seq,
        where=f"event {event.seq}, {event.symbol} {event.frame}, {moment}",
        recorded=", ".join(_text(one, symbols) for one in before) or "no signal",
        now=", ".join(_text(one, symbols) for one in now) or "no signal",
    )


def _text(said: Said, symbols: list[str]) -> str:
    """Return a signal or intent as people read it: `BUY 1000.0 EURUSD sl 1.09`."""
    return _signal_text(said, symbols) if isinstance(said, signal_pb2.Signal) else _intent_text(said, symbols)


def _intent_text(intent: signal_pb2.OrderIntent, symbols: list[str]) -> str:
    words = [_enum(order_pb2.OrderIntentKind, intent.kind), intent.client_id]
    words += [_enum(signal_pb2.Side, intent.side), _enum(order_pb2.OrderType, intent.type)]
    words.append(symbols[intent.instrument] if intent.instrument < len(symbols) else f"instrument {intent.instrument}")
    for name in ("qty", "price", "stop_price", "trail"):
        words += [name, repr(getattr(intent, name))] if intent.HasField(name) else []
    words.append(_enum(order_pb2.TimeInForce, intent.tif))
    words += [f"until {intent.valid_until_ns}"] if intent.HasField("valid_until_ns") else []
    words += [name.replace("_", " ") for name in ("reduce_only", "post_only") if getattr(intent, name)]
    words += [f"oco {intent.oco}"] if intent.oco else []
    words += [f"position {intent.position}"] if intent.position else []
    words += [f"risk {name} {getattr(intent.risk, name)!r}" for name in _RISK if intent.risk.HasField(name)]
    words += [f"meta {MessageToDict(intent.meta)}"] if intent.HasField("meta") else []
    return " ".join(word for word in words if word)


def _enum(enum: Any, number: int) -> str:
    """Return the last word of the name of an enum value, nothing for 0."""
    if not number:
        return ""
    name: str = enum.Name(number) if number in enum.values() else f"unknown {number}"
    return name.removeprefix(f"{enum.Name(0).removesuffix('UNSPECIFIED')}")


def _signal_text(signal: signal_pb2.Signal, symbols: list[str]) -> str:
    side = Side(int(signal.side)).name if int(signal.side) in [int(s) for s in Side] else f"side {int(signal.side)}"
    words = [side]
    if signal.HasField("qty"):
        words.append(repr(signal.qty))
    words.append(symbols[signal.instrument] if signal.instrument < len(symbols) else f"instrument {signal.instrument}")
    if signal.HasField("price"):
        words.append(f"price {signal.price!r}")
    words += [f"{name} {getattr(signal.risk, name)!r}" for name in _RISK if signal.risk.HasField(name)]
    if signal.HasField("valid_until_ns"):
        words.append(f"until {signal.valid_until_ns}")
    if signal.adjust_only:
        words.append("adjust only")
    if signal.HasField("meta"):
        words.append(f"meta {MessageToDict(signal.meta)}")
    return " ".join(words)
