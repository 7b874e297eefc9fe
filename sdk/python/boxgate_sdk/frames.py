"""Timeframes of bars and their durations."""

from __future__ import annotations

_MINUTE_NS = 60_000_000_000

TICK = "tick"
"""The frame name of ticks."""

FRAME_NS = {
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
"""Duration of each frame, nanoseconds. A bar is available at its opening time + duration."""
