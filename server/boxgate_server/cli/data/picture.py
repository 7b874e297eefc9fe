"""The picture of a series as text: coverage, quality, gaps, spreads and volumes by hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.text import Text

from boxgate_server.cli.answer import JsonObject, line, visible

_WIDTH_MAX: Final = 140
_WIDTH_PLAIN: Final = 80
"""Columns where there is no terminal to ask."""
_LISTED_MAX: Final = 10
_MONTHS_SPAN_DAYS: Final = 124
"""A series of up to so many days is drawn by day, a line per month; a longer one by week, a line per year."""
_DAY_NS: Final = 86_400_000_000_000
_HOURS: Final = 24

_COUNTED: Final = {
    "crossed": "{} with the bid above the ask",
    "locked": "{} with the bid equal to the ask",
    "flat": "{} flat, high equal to low",
    "zero_volume": "{} without volume",
    "repeated_time": "{} at the time of the one before",
    "repeated_row": "{} equal to another of the same time",
    "off_grid_prices": "{} prices off the grid of the tick size",
    "outside_market_hours": "{} outside market hours",
}
"""What the counts of the quality report mean, as sentences."""


class _Signs:
    """What is drawn with: blocks where the terminal can show them, ASCII elsewhere."""

    def __init__(self, unicode: bool) -> None:
        self.levels = "▁▂▃▄▅▆▇█" if unicode else "12345678#"
        self.missing = "×" if unicode else "x"
        self.closed = "·" if unicode else "."
        self.beyond = " "
        self.full = "█" if unicode else "#"
        self.light = "░" if unicode else "-"
        self.parts = "▏▎▍▌▋▊▉" if unicode else ""
        self.dash = "–" if unicode else "-"

    def bar(self, value: float, most: float, width: int) -> str:
        """Return a bar of up to `width` columns; what is above zero is always seen."""
        if value <= 0 or most <= 0:
            return ""
        eighths = max(1, round(value / most * width * 8))
        whole, rest = divmod(eighths, 8)
        if not self.parts:
            return self.full * max(1, round(eighths / 8))
        return self.full * whole + (self.parts[rest - 1] if rest else "")


def show_picture(picture: JsonObject, console: Console) -> None:
    """Print the picture of a series, at most 140 columns wide; colours only where the console has them."""
    width = min(console.width, _WIDTH_MAX) if console.is_terminal else _WIDTH_PLAIN
    signs = _Signs((console.encoding or "").lower().startswith("utf"))
    tone = console.is_terminal
    for text in _lines(picture, width, signs):
        line(console, text if tone else text.plain)


def _lines(picture: JsonObject, width: int, signs: _Signs) -> Iterator[Text]:
    title = f"{picture['symbol']} {picture['frame']}"
    basis = picture["price_basis"].lower() + (" and ask" if picture["has_ask"] else "")
    rows = f"{picture['rows']:,} {_noun(picture)}"
    span = f"{_minute(picture['first_ns'])} {signs.dash} {_minute(picture['last_ns'])} UTC"
    yield Text()
    yield Text.assemble((title, "bold"), f"  {rows}, {basis}")
    yield Text(f"{span}, calendar {visible(picture['calendar'])}")
    yield Text()
    yield from _coverage(picture, width, signs)
    yield Text()
    yield from _quality(picture)
    yield from _gaps(picture, signs)
    yield Text()
    yield from _hours(picture, width, signs)


def _coverage(picture: JsonObject, width: int, signs: _Signs) -> Iterator[Text]:
    """Yield the strip: a sign per day or week, how much of what was to be is there."""
    cover = picture["coverage"]
    rows = np.array(cover["rows"], dtype=np.int64)
    expected = _expected(cover)
    start = datetime.fromtimestamp(cover["start_ns"] // 10**9, UTC)
    step = timedelta(microseconds=cover["unit_ns"] // 1000)
    weekly = len(rows) * step.days > _MONTHS_SPAN_DAYS
    groups: dict[str, list[int]] = {}
    places: dict[str, list[int]] = {}
    for index in range(len(rows)):
        day = start + index * step
        label = f"{day:%Y}" if weekly else f"{day:%Y-%m}"
        groups.setdefault(label, []).append(index)
        places.setdefault(label, []).append((day.timetuple().tm_yday - 1) // 7 if weekly else day.day - 1)
    whole = 53 if weekly else 31
    shrink = -(-whole // max(width - 18, 10))
    by = "week" if weekly else "day"
    yield Text(f"coverage, one sign a {by}" if shrink == 1 else f"coverage, one sign for {shrink} {by}s", "bold")
    for label, indices in groups.items():
        strip = Text(f"{label:<8}")
        spots = np.array(places[label]) // shrink
        for spot in range(-(-whole // shrink)):
            inside = np.array(indices)[spots == spot]
            strip.append_text(_sign(rows[inside], expected[inside], signs) if len(inside) else Text(signs.beyond))
        share = _share(rows[indices], expected[indices])
        strip.append(f"  {share}" if share else "")
        yield strip
    levels = f"{signs.levels[0]} to {signs.levels[-1]} some to all"
    if cover["expected"] is None:
        levels = f"{signs.levels[0]} to {signs.levels[-1]} few to many"
    yield Text(f"{'':<8}{levels}, {signs.missing} none, {signs.closed} market closed", "dim")


def _expected(cover: JsonObject) -> npt.NDArray[np.float64]:
    """Return what every day was to hold: bars by the calendar; ticks as many as in an hour of a busy day."""
    if cover["expected"] is not None:
        return np.array(cover["expected"], dtype=np.float64)
    rows, open_ns = np.array(cover["rows"], dtype=np.float64), np.array(cover["open_ns"], dtype=np.float64)
    some = (rows > 0) & (open_ns > 0)
    busy = float(np.quantile(rows[some] / open_ns[some], 0.9)) if some.any() else 0.0
    return open_ns * busy


def _sign(rows: npt.NDArray[np.int64], expected: npt.NDArray[np.float64], signs: _Signs) -> Text:
    here, whole = int(rows.sum()), float(expected.sum())
    if whole < 0.5 and here == 0:
        return Text(signs.closed, "dim")
    if here == 0:
        return Text(signs.missing, "red")
    share = min(here / whole, 1.0) if whole else 1.0
    # Full is full: a day that lacks one bar of many is not drawn as whole.
    level = len(signs.levels) - 1 if share >= 0.995 else min(int(share * len(signs.levels)), len(signs.levels) - 2)
    return Text(signs.levels[level], "green" if share >= 0.9 else "yellow")


def _share(rows: npt.NDArray[np.int64], expected: npt.NDArray[np.float64]) -> str:
    whole = float(expected.sum())
    if not whole:
        return ""
    there = float(np.minimum(rows, expected).sum()) / whole
    return f"{there:7.1%}" if there < 0.9995 or there >= 1 else "  >99.9%"


def _quality(picture: JsonObject) -> Iterator[Text]:
    quality, noun = picture["quality"], _noun(picture)
    yield Text("quality", "bold")
    told = False
    for name, count in quality.get("repairs", {}).items():
        told = True
        yield Text.assemble("  ", ("REPAIRED ", "yellow"), f"{count:,} {visible(name.replace('_', ' '))}")
    for name, count in quality.get("counts", {}).items():
        told = True
        sentence = _COUNTED.get(name) or "{} " + visible(name.replace("_", " "))
        subject = f"{count:,}" if name == "off_grid_prices" else f"{count:,} {noun if count != 1 else noun[:-1]}"
        none = name == "zero_volume" and count == picture["rows"]
        yield Text("  no volumes: the source has none" if none else f"  {sentence.format(subject)}")
    if not told:
        yield Text("  nothing to remark")


def _gaps(picture: JsonObject, signs: _Signs) -> Iterator[Text]:
    gaps, closures = picture["gaps"], picture["closures"]
    missing = f", {gaps['missing_bars']:,} bars missing" if gaps["missing_bars"] else ""
    yield Text()
    yield Text.assemble(("gaps", "bold"), f"  {gaps['count']:,} while the market was open{missing}")
    if gaps["longest"]:
        yield Text(f"  {'from':<16}  {'to':<16}  {'open for':>11}{'missing':>11}", "dim")
    for gap in gaps["longest"][:_LISTED_MAX]:
        bars = f"{gap['missing_bars']:>11,}" if gap["missing_bars"] else ""
        span = f"{_minute(gap['from_ns']):<16}  {_minute(gap['to_ns']):<16}"
        yield Text(f"  {span}  {_duration(gap['open_ns']):>11}{bars}")
    rest = gaps["count"] - min(len(gaps["longest"]), _LISTED_MAX)
    if gaps["longest"] and rest > 0:
        yield Text(f"  and {rest:,} shorter", "dim")
    plural = "" if closures["count"] == 1 else "s"
    yield Text(f"  {closures['count']:,} pause{plural} that the calendar explains", "dim")
    for pause in closures["longest"][:1]:
        span = f"{_minute(pause['from_ns'])} {signs.dash} {_minute(pause['to_ns'])}"
        yield Text(f"  the longest of them: {span}, {_duration(pause['to_ns'] - pause['from_ns'])}", "dim")


def _hours(picture: JsonObject, width: int, signs: _Signs) -> Iterator[Text]:
    spread, volume = picture["spread"], picture["volume"]
    kind = "mean volume" if volume["kind"] == "volume" else _noun(picture)
    amounts = volume["mean"] if volume["kind"] == "volume" else volume["rows"]
    room = max((width - (47 if spread else 20)) // (2 if spread else 1), 0)
    heads = f"{'hour':<6}"
    if spread:
        heads += f"{'':<{room + 1}}{'spread: median':>14}{'95 %':>8}  "
    legend = f"; spread in ticks of {_tick(picture)}, {signs.full} median, {signs.light} 95 %" if spread else ""
    yield Text.assemble(("by hour of the day, UTC", "bold"), legend)
    yield Text(f"{heads}{'':<{room + 1}}{kind:>12}", "dim")
    most_spread = max((value or 0 for value in spread["p95"]), default=0) if spread else 0
    most = max((value or 0 for value in amounts), default=0)
    for hour in range(_HOURS):
        shown = Text(f"{hour:02d}    ")
        if spread:
            median, p95 = spread["median"][hour], spread["p95"][hour]
            inner, outer = (
                round((value or 0) / most_spread * room) if most_spread > 0 else 0 for value in (median, p95)
            )
            inner = max(inner, 0)
            shown.append(signs.full * inner, "cyan")
            shown.append((signs.light * max(outer - inner, 0)).ljust(room + 1 - inner), "dim cyan")
            shown.append(f"{_whole(median, signs):>14}{_whole(p95, signs):>8}  ")
        shown.append(signs.bar(amounts[hour] or 0, most, room).ljust(room + 1), "blue")
        shown.append(f"{_amount(amounts[hour], signs):>12}")
        yield shown


def _noun(picture: JsonObject) -> str:
    return "ticks" if picture["frame"] == "tick" else "bars"


def _tick(picture: JsonObject) -> str:
    top, _, bottom = picture["tick_size"].partition("/")
    return f"{int(top) / int(bottom or 1):.10f}".rstrip("0").rstrip(".")


def _whole(value: int | None, signs: _Signs) -> str:
    return signs.dash if value is None else f"{value:,}"


def _amount(value: Any, signs: _Signs) -> str:
    if value is None:
        return signs.dash
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if value >= 1000 else f"{value:,.4g}"


def _minute(time_ns: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=time_ns // 10**9)
    return f"{moment:%Y-%m-%d %H:%M}"


def _duration(value_ns: int) -> str:
    minutes = value_ns // 60_000_000_000
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return f"{days:,} d {hours} h"
    return f"{hours} h {minutes:02d} m" if hours else f"{minutes} min"
