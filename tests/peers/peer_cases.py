"""What Boxgate and its peers are both given: series of real bars, and signals that were decided beforehand.

The standard library alone, for it is imported in the environments of the peers too.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from real_markets import HOUR_NS, MINUTE_NS, Row, klines, lean_hours, lean_minutes

FIXTURES = Path(__file__).parent / "fixtures"
CASH = 1_000_000.0
EQUITY_STEP = 97
"""Every so many bars the equity is compared; a prime, so that it meets all hours of the day."""


class Decision(NamedTuple):
    """A target decided at the close of a bar. side: 1 long, -1 short, 0 flat. qty: whole units. sl, tp: 0 for none."""

    bar: int
    side: int
    qty: int
    sl: float
    tp: float


@dataclass(frozen=True, kw_only=True)
class Series:
    """Bars of one instrument. digits: decimals of its prices. qty: units of a position of ordinary size."""

    symbol: str
    frame_ns: int
    digits: int
    qty: int
    fees_bps: float
    leverage: float
    files: Callable[[Path], list[Path]]
    read: Callable[[list[Path]], list[Row]]
    rows_max: int
    two_sided: bool = False
    """The ask is traded too: brackets of shorts are measured from it."""

    def rows(self, data: Path) -> list[Row]:
        """Return the last rows of the files, oldest first."""
        return self.read(self.files(data))[-self.rows_max :]

    @property
    def frame(self) -> str:
        """Return the name of the frame."""
        return {MINUTE_NS: "M1", HOUR_NS: "H1"}[self.frame_ns]


def lean_days_of(folder: str) -> Callable[[Path], list[Path]]:
    """Return what finds the daily zips of May 2014 in a folder of LEAN data."""
    return lambda data: sorted((data / "lean" / folder).glob("201405*.zip"))


SERIES = {
    "eurusd_h1": Series(
        symbol="EURUSD",
        frame_ns=HOUR_NS,
        digits=5,
        qty=100_000,
        fees_bps=0.2,
        leverage=30.0,
        files=lambda data: [data / "lean/forex/oanda/hour/eurusd.zip"],
        read=lambda files: lean_hours(files[0]),
        rows_max=8_000,
    ),
    "btcusdt_h1": Series(
        symbol="BTCUSDT",
        frame_ns=HOUR_NS,
        digits=1,
        qty=3,
        fees_bps=4.0,
        leverage=5.0,
        files=lambda data: [data / "binance_usdm/1h/BTCUSDT.csv"],
        read=lambda files: klines(files[0]),
        rows_max=4_500,
    ),
    "xauusd_m1": Series(
        symbol="XAUUSD",
        frame_ns=MINUTE_NS,
        digits=3,
        qty=100,
        fees_bps=0.3,
        leverage=20.0,
        files=lean_days_of("cfd/oanda/minute/xauusd"),
        read=lean_minutes,
        rows_max=8_000,
    ),
    "eurusd_m1": Series(
        symbol="EURUSD",
        frame_ns=MINUTE_NS,
        digits=5,
        qty=100_000,
        fees_bps=0.2,
        leverage=30.0,
        files=lean_days_of("forex/oanda/minute/eurusd"),
        read=lean_minutes,
        rows_max=5_000,
        two_sided=True,
    ),
    "nzdusd_m1": Series(
        symbol="NZDUSD",
        frame_ns=MINUTE_NS,
        digits=5,
        qty=100_000,
        fees_bps=0.2,
        leverage=30.0,
        files=lean_days_of("forex/oanda/minute/nzdusd"),
        read=lean_minutes,
        rows_max=5_000,
        two_sided=True,
    ),
    "usdjpy_m1": Series(
        symbol="USDJPY",
        frame_ns=MINUTE_NS,
        digits=3,
        qty=10_000,
        fees_bps=0.2,
        leverage=25.0,
        files=lambda data: [data / f"nautilus/fxcm/usdjpy-m1-{side}-2013.csv" for side in ("bid", "ask")],
        read=lambda files: two_sides(*files),
        rows_max=5_000,
        two_sided=True,
    ),
}


def two_sides(bid: Path, ask: Path) -> list[Row]:
    """Return the bars of two files of the same minutes, one per side: time with its zone, open, high, low, close."""
    rows = []
    with bid.open(encoding="ascii", newline="") as bids, ask.open(encoding="ascii", newline="") as asks:
        pairs = zip(csv.reader(bids), csv.reader(asks), strict=True)
        next(pairs)
        for left, right in pairs:
            assert left[0] == right[0]
            time_ns = int(datetime.fromisoformat(left[0]).astimezone(UTC).timestamp()) * 1_000_000_000
            sides = [tuple(float(text) for text in line[1:5]) for line in (left, right)]
            rows.append(Row(time_ns, sides[0], sides[1]))  # type: ignore[arg-type] # four prices each
    return rows


def cross(series: Series, rows: Sequence[Row], *, distance: float) -> list[Decision]:
    """Return the side of the mean of 12 closes against that of 48 at each change, with a narrow bracket.

    distance: fraction of the close. The stop loss is at half of it, the take profit at three quarters.
    """
    closes = [row.bid[3] for row in rows]
    decisions = []
    before = 0
    for bar in range(48, len(rows)):
        difference = sum(closes[bar - 11 : bar + 1]) / 12 - sum(closes[bar - 47 : bar + 1]) / 48
        side = (difference > 0) - (difference < 0)
        if side not in (0, before):
            decisions.append(bracketed(series, rows, bar, side, 0.5 * distance, 0.75 * distance))
            before = side
    return decisions


def flips(series: Series, rows: Sequence[Row], *, distance: float, every: int = 25) -> list[Decision]:
    """Return long, short and flat targets at random, one size, each with a narrow bracket.

    every: bars between two decisions in the mean. A target of the side that is held moves the bracket.
    """
    draw = draws(1)
    decisions = []
    for bar in range(48, len(rows)):
        if draw() * every >= 1.0:
            continue
        side = int(draw() * 3) - 1
        if side == 0:
            decisions.append(Decision(bar, 0, 0, 0.0, 0.0))
            continue
        stop, target = (distance * (0.25 + draw()) for _ in range(2))
        decisions.append(bracketed(series, rows, bar, side, stop, target))
    return decisions


def sizes(series: Series, rows: Sequence[Row], *, every: int = 40) -> list[Decision]:
    """Return targets of one to five times the ordinary size at random, without brackets: grown, cut and reversed."""
    draw = draws(2)
    decisions = []
    side = 1
    for bar in range(48, len(rows)):
        if draw() * every >= 1.0:
            continue
        if draw() < 0.2:
            side = -side
        decisions.append(Decision(bar, side, series.qty * (1 + int(draw() * 5)), 0.0, 0.0))
    return decisions


RULES: dict[str, Callable[..., list[Decision]]] = {"cross": cross, "flips": flips, "sizes": sizes}
DISTANCE = {
    "eurusd_h1": 0.0015,
    "btcusdt_h1": 0.006,
    "xauusd_m1": 0.0004,
    "eurusd_m1": 0.0003,
    "nzdusd_m1": 0.0004,
    "usdjpy_m1": 0.0005,
}
"""Distance of the brackets: about the range of two bars, so that many bars reach both levels."""


def decisions_of(name: str, rule: str, rows: Sequence[Row]) -> list[Decision]:
    """Return the decisions of a rule on the rows of a series."""
    arguments = {} if rule == "sizes" else {"distance": DISTANCE[name]}
    return RULES[rule](SERIES[name], rows, **arguments)


def bracketed(series: Series, rows: Sequence[Row], bar: int, side: int, stop: float, target: float) -> Decision:
    """Return a decision whose levels lie at least three ticks from the close."""
    bid, ask = rows[bar].bid[3], rows[bar].ask
    price = ask[3] if ask and series.two_sided and side < 0 else bid
    least = 3 * 10.0**-series.digits
    sl = round(price - side * max(stop * price, least), series.digits)
    tp = round(price + side * max(target * price, least), series.digits)
    return Decision(bar, side, series.qty, sl, tp)


def draws(seed: int) -> Callable[[], float]:
    """Return a source of numbers in [0, 1): the splitmix64 of a counter."""
    counter = count(seed << 32)

    def draw() -> float:
        z = (next(counter) * 0x9E3779B97F4A7C15) & (2**64 - 1)
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53

    return draw


def load(name: str) -> dict[str, Any]:
    """Return a fixture."""
    content: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    return content


def text_of(content: Any, depth: int = 0) -> str:
    """Return JSON with one line for each row of numbers."""
    pad = " " * (depth + 1)
    if isinstance(content, dict):
        body = ",\n".join(f"{pad}{json.dumps(key)}: {text_of(value, depth + 1)}" for key, value in content.items())
        return "{\n" + body + "\n" + " " * depth + "}"
    if isinstance(content, list) and content and isinstance(content[0], list):
        return "[\n" + ",\n".join(pad + json.dumps(row) for row in content) + "\n" + " " * depth + "]"
    return json.dumps(content)
