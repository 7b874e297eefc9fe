"""Timeframes: their names and durations."""

from __future__ import annotations

from typing import Final

from boxgate_engine.errors import UserMistake

_MINUTE_NS: Final = 60_000_000_000

FRAME_NS: Final[dict[str, int]] = {
    "S1": 1_000_000_000,
    "M1": _MINUTE_NS,
    "M5": 5 * _MINUTE_NS,
    "M15": 15 * _MINUTE_NS,
    "M30": 30 * _MINUTE_NS,
    "H1": 60 * _MINUTE_NS,
    "H4": 240 * _MINUTE_NS,
    "D1": 1440 * _MINUTE_NS,
    "W1": 7 * 1440 * _MINUTE_NS,
}
"""Duration of each bar frame in nanoseconds. A bar is available at open time + duration."""

TICK: Final = "tick"
"""The frame name of ticks; they have no duration."""


def frame_duration_ns(frame: str) -> int:
    """Return the duration of a frame in nanoseconds, 0 for ticks. Raises UserMistake for an unknown name."""
    if frame == TICK:
        return 0
    if frame not in FRAME_NS:
        raise UserMistake(
            f"unknown frame {frame!r}",
            code="FRAME_UNKNOWN",
            where="frames",
            expected=f"one of {' '.join(FRAME_NS)} {TICK}",
            remedy="correct the name; seconds are S, minutes M, hours H, days D, weeks W",
        )
    return FRAME_NS[frame]
