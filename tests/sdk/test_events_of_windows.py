"""Events of a window: as the generated code reads it, and the session knows which one is handled."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from boxgate_proto.strategy.v1 import strategy_pb2, window_pb2
from boxgate_sdk import Bar, Signal, Strategy, Tick
from boxgate_sdk._events import Events, Roster
from boxgate_sdk._wire import Window, decode_request
from boxgate_sdk.context import Series
from boxgate_sdk.testing import InProcess, bars

_FRAMES = ("M1", "tick", "M5", "tick")


def _series(frames: tuple[str, ...]) -> tuple[Series, ...]:
    return tuple(
        Series(index=i, symbol=f"S{i}", frame=frame, instrument=i, price_basis="BID", has_ask=False, warmup_events=0)
        for i, frame in enumerate(frames)
    )


def _window(first_seq: int, of: list[int], frames: tuple[str, ...], *, named: bool) -> Window:
    """Return a window whose event i has the time 1000 + i and the close or bid i."""
    message = window_pb2.EventWindow(first_seq=first_seq, count=len(of))
    for i, series in enumerate(of):
        message.time_ns.append(1000 + i)
        if named:
            message.series.append(series)
        if frames[series] == "tick":
            message.ticks.bid.append(i)
            message.ticks.ask.append(i + 0.5)
        else:
            for name in ("open", "high", "low", "close", "volume"):
                getattr(message.bars, name).append(i)
            message.bars.open_ns.append(i)
    window = decode_request(strategy_pb2.OnEventRequest(window=message).SerializeToString())
    assert isinstance(window, Window)
    return window


@given(
    frames=st.lists(st.sampled_from(_FRAMES), min_size=1, max_size=4).map(tuple),
    first_seq=st.integers(-500, 500),
    data=st.data(),
)
def test_the_place_in_a_window_is_known_at_each_event(
    frames: tuple[str, ...], first_seq: int, data: st.DataObject
) -> None:
    of = data.draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=400))
    series = _series(frames)
    events = Events(_window(first_seq, of, frames, named=len(frames) > 1), Roster(series))
    assert events.index == -1
    seen = 0
    for i, event in enumerate(events):
        assert events.index == i
        assert events.series is series[of[i]]
        price = event.bid if isinstance(event, Tick) else event.close
        assert (event.seq, event.time_ns, price) == (first_seq + i, 1000 + i, i)
        assert (event.series, event.symbol, event.frame) == (of[i], f"S{of[i]}", frames[of[i]])
        seen += 1
    assert seen == len(of)
    assert events.index == len(of) - 1


def test_ctx_seq_is_that_of_the_event_in_every_window_and_after_the_last() -> None:
    class Watcher(Strategy):
        def on_init(self, ctx: Any) -> None:
            self.seqs = [(ctx.seq, ctx.seq)]

        def on_event(self, event: Bar) -> Signal | None:
            self.seqs.append((event.seq, self.ctx.seq))
            return None

        def on_stop(self) -> dict[str, Any]:
            return {"seqs": [list(pair) for pair in self.seqs], "last": self.ctx.seq}

    for windows in (1, 7, [64, 65, 400], 4096):
        report = InProcess(Watcher, warmup=3).run(bars([1.0] * 700), windows=windows).report
        assert report is not None
        assert report["seqs"] == [[None, None], *([seq, seq] for seq in range(-3, 697))]
        assert report["last"] == 696
