"""Replay of a session with named positions: the same answers, and a difference in a name alone."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest

from boxgate_proto.strategy.v1 import recording_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import Bar, IntentStrategy, Side, Tick, errors
from boxgate_sdk._wire import _varint
from boxgate_sdk.replay import VERSION, replay
from boxgate_sdk.testing import InProcess, bars, tick
from boxgate_sdk.testing.events import START_NS


def ticketed(prefix: str) -> type[IntentStrategy]:
    """Return a strategy that opens a long and a short at each event, waits for the long, and closes by profit."""

    class Ticketed(IntentStrategy):
        hedging = True

        def trade(self, event: Bar | Tick) -> None:
            self.ctx.market(Side.BUY, 1.0, position=f"{prefix}{event.seq}", wait=event.is_tick)
            self.ctx.market(Side.SELL, 1.0, position=f"s{event.seq}")
            for ticket in self.ctx.positions():
                if self.ctx.unrealised(ticket.symbol, ticket.name) > 0.05:
                    self.ctx.close(position=ticket.name)
                else:
                    self.ctx.protect(position=ticket.name, sl=2.0 if ticket.side is Side.SELL else 0.5)

        def on_bar(self, bar: Bar) -> None:
            self.trade(bar)

        def on_tick(self, tick: Tick) -> None:
            self.trade(tick)

    return Ticketed


class Recorder(InProcess):
    """Keeps what goes to and fro as a gateway records it."""

    def _session(self, request: strategy_pb2.OnInitRequest, run: Any) -> Any:
        self.entries = [
            recording_pb2.RecordingEntry(header=recording_pb2.RecordingHeader(version=VERSION, strategy="ticketed")),
            recording_pb2.RecordingEntry(init=request),
        ]
        return super()._session(request, run)

    def _take(self, message: window_pb2.EventWindow, answer: signal_pb2.SignalWindow) -> None:
        request = strategy_pb2.OnEventRequest(window=message)
        self.entries.append(recording_pb2.RecordingEntry(request=request))
        self.entries.append(recording_pb2.RecordingEntry(response=strategy_pb2.OnEventResponse(signals=answer)))

    def _deliver(self, tape: Any, exchange: Any, run: Any, granted: Any, windows: Any) -> None:
        def kept(message: window_pb2.EventWindow) -> signal_pb2.SignalWindow:
            answer: signal_pb2.SignalWindow = exchange(message)
            self._take(message, answer)
            return answer

        super()._deliver(tape, kept, run, granted, windows)

    def write(self, path: Path) -> None:
        with gzip.open(path, "wb") as file:
            for entry in self.entries:
                data = entry.SerializeToString()
                file.write(_varint(len(data)) + data)


TICKS = [tick(1.0 + i % 3 / 10, 1.01 + i % 3 / 10, time_ns=START_NS + i) for i in range(12)]


@pytest.mark.parametrize("events", [bars([1.0, 1.1, 1.0, 1.2, 1.0, 1.1]), TICKS], ids=["bars", "ticks"])
def test_a_session_with_named_positions_is_repeated(tmp_path: Path, events: list[Any]) -> None:
    recorder = Recorder(ticketed("l"))
    run = recorder.run(events)
    assert any(intent.reduce_only for _, intent in run.intents)
    recorder.write(tmp_path / "session.boxgate")
    replayed = replay(ticketed("l"), tmp_path / "session.boxgate", meta=True)
    assert replayed.signals == len(run.intents)
    assert replayed.events == len(events)


def test_another_name_of_a_position_is_a_difference_that_is_told(tmp_path: Path) -> None:
    recorder = Recorder(ticketed("l"))
    recorder.run(TICKS)
    recorder.write(tmp_path / "session.boxgate")
    with pytest.raises(errors.ReplayDifference, match=r"position k0.*position l0"):
        replay(ticketed("k"), tmp_path / "session.boxgate")
