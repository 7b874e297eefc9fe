"""The text of a scenario: what is given, read into the terms of the reference loop.

The format stands in docs/spec/scenarios.md. What is expected, below the line of dashes, is written by outcome.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from loop import sort_tape
from tape import moments_of
from terms import Event, Fees, Intent, Rules, SignalIn, Slippage, Spec, SwapTerms

LINE = "----"
"""What stands between the given and the expected part."""

MONDAY_NS = 1_767_571_200_000_000_000
"""Monday, 5 January 2026, 00:00 UTC: the first day of every scenario."""

MINUTE_NS = 60_000_000_000
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FRAMES = {"tick": 0, "M1": 1, "M5": 5, "M15": 15, "H1": 60, "H4": 240, "D1": 1440}
"""Minutes of each frame."""

_RULE = re.compile(r"execution (?P<section>\d+(\.\d+)*|[A-Z][a-z]+)( (?P<word>[^:]+))?: (?P<text>.+)")
_TIME = re.compile(r"(?:(?P<day>[A-Z][a-z]{2}) )?(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d(?:\.\d{1,9})?))?")
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ns|us|ms|s)")
_MANY = re.compile(r"\b(?P<word>[A-Za-z]+)(?P<first>\d+)\.\.(?P=word)(?P<last>\d+)\b")
_UNITS_NS = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_TIFS = ("GTC", "DAY", "GTD", "IOC", "FOK")
_FEES = ("per_lot", "per_fill", "minimum", "maker", "taker")


class TranscriptError(Exception):
    """The text of a scenario is no scenario; the message has file, line and what is wrong."""


@dataclass(frozen=True)
class PinnedRule:
    """A rule by section and, where the section has several, a word of it. section: a number, or a word of a title."""

    section: str
    word: str
    text: str


@dataclass
class Scenario:
    """What a file gives, and the text that it expects.

    signals: by the number of the event they answer; intents: likewise, in rounds. hedging: these may name positions.
    """

    pins: list[PinnedRule] = field(default_factory=list)
    specs: list[Spec] = field(default_factory=list)
    rules: Rules = field(default_factory=lambda: Rules(spread=("none",)))
    events: list[Event] = field(default_factory=list)
    start_ns: int = MONDAY_NS
    signals: dict[int, list[SignalIn]] = field(default_factory=dict)
    intents: dict[int, list[list[Intent]]] = field(default_factory=dict)
    hedging: bool = False
    shows: set[str] = field(default_factory=set)
    given: str = ""
    expected: str = ""


def read_scenario(text: str, name: str) -> Scenario:
    """Return the scenario of a file's text. Raises TranscriptError with the name and the line."""
    given, dashes, expected = text.partition(f"\n{LINE}\n")
    scenario = Scenario(given=given, expected=expected if dashes else "")
    reader = _Reader(scenario)
    for number, line in enumerate(given.splitlines(), start=1):
        try:
            reader.read(line)
        except (TranscriptError, ValueError, KeyError, IndexError) as error:
            raise TranscriptError(f"{name}:{number}: {line.strip()!r}: {error}") from error
    try:
        reader.finish()
    except (TranscriptError, ValueError, KeyError) as error:
        raise TranscriptError(f"{name}: {error}") from error
    return scenario


def time_text(time_ns: int, with_day: bool) -> str:
    """Return a time as scenarios write it: 00:05, 00:05:01.5 or, with its day, Tue 00:05."""
    minutes, rest = divmod(time_ns - MONDAY_NS, MINUTE_NS)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    second = f"{Decimal(rest) / 10**9:f}" if rest else ""
    if second:
        whole, _, part = second.partition(".")
        second = ":" + whole.zfill(2) + ("." + part.rstrip("0") if part.strip("0") else "")
    return (f"{DAYS[day]} " if with_day else "") + f"{hour:02}:{minute:02}{second}"


class _Reader:
    """Takes a scenario's lines one by one: pins, then settings, then blocks of rows."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.block = ""
        self.leverages: dict[str, float] = {}
        self.costs: dict[str, dict[str, Any]] = {}
        self.swaps: dict[str, SwapTerms] = {}
        self.roles: list[tuple[Event, str]] = []
        self.signals: list[tuple[int, int, SignalIn]] = []
        self.intents: list[tuple[int, int, int, Intent]] = []
        self.hours: dict[str, tuple[tuple[int, int], ...]] = {}
        self.stamps: list[tuple[str, int, int, float]] = []

    def read(self, line: str) -> None:
        """Read one line."""
        text = line.partition("#")[0].strip()
        rule = _RULE.fullmatch(text)
        if not text:
            return
        if rule is not None:
            self.scenario.pins.append(PinnedRule(rule["section"], rule["word"] or "", rule["text"]))
            return
        word, _, rest = text.partition(" ")
        settings: dict[str, Callable[[str], None]] = {
            "instrument": self.read_instrument,
            "account": self.read_account,
            "costs": self.read_costs,
            "execution": self.read_execution,
            "hours": self.read_hours,
            "start": self.read_start,
            "show": self.read_show,
        }
        blocks: dict[str, Callable[[int, list[str]], None]] = {
            "tape": self.read_event,
            "signals": self.read_signal,
            "orders": self.read_intent,
            "stamps": self.read_stamp,
        }
        if text in blocks:
            self.block = text
        elif word in settings:
            settings[word](rest.strip())
        elif self.block:
            for each in _rows(text):
                time_ns, row = time_of(each)
                blocks[self.block](time_ns, row.split())
        else:
            raise TranscriptError("neither a rule (execution 5.1 b: sentence), a setting, a block nor a row of a block")

    def read_instrument(self, rest: str) -> None:
        """Read `EURUSD  tick 0.0001, lot 1000, contract 1, quote USD, leverage 30`."""
        symbol, _, items = rest.partition(" ")
        spec = Spec(symbol)
        for key, values in _items(items):
            if key == "leverage":
                self.leverages[symbol] = float(values[0])
            elif key in ("tick", "lot", "contract"):
                size: dict[str, Any] = {key: Fraction(values[0]).as_integer_ratio()}
                spec = replace(spec, **size)
            elif key == "quote":
                spec = replace(spec, quote=values[0])
            else:
                raise TranscriptError(f"no setting of an instrument: {key}")
        self.scenario.specs.append(spec)

    def read_account(self, rest: str) -> None:
        """Read `cash 10000 USD, leverage 30, type cash, margin isolated, maintenance 0.5, ...`."""
        changes: dict[str, Any] = {}
        for key, values in _items(rest):
            if key == "cash":
                changes["cash"] = float(values[0])
                changes["currency"] = values[1] if len(values) > 1 else "USD"
            elif key == "leverage":
                changes["leverage"] = float(values[0])
            elif key == "type":
                changes["cash_account"] = {"cash": True, "margin": False}[values[0]]
            elif key == "margin":
                changes["margin_mode"] = {"cross": "cross", "isolated": "isolated"}[values[0]]
            elif key == "maintenance":
                changes["maintenance"] = float(values[0])
            elif key == "call":
                changes["margin_call"] = float(values[0])
            elif key == "liquidation_fee":
                changes["liquidation_fee_bps"] = float(values[0])
            elif key == "equivalent":
                changes["equivalents"] = (tuple(values),)
            else:
                raise TranscriptError(f"no setting of an account: {key}")
        self.change(**changes)

    def read_costs(self, rest: str) -> None:
        """Read `EURUSD  fees 2, spread ticks 2, slippage bps 10, swap points -0.5 0.2`; without symbol for all."""
        symbol, _, items = rest.partition(" ")
        if symbol not in [spec.symbol for spec in self.scenario.specs]:
            symbol, items = "", rest
        costs = self.costs.setdefault(symbol, {})
        for key, values in _items(items):
            if key == "fees":
                costs["maker_bps"] = costs["taker_bps"] = float(values[0])
            elif key in _FEES:
                costs[f"{key}_bps" if key in ("maker", "taker") else key] = float(values[0])
                if values[1:]:
                    costs["lot_qty"] = float(values[2])
            elif key == "slippage":
                costs["slippage"] = Slippage(values[0], float(values[1]))
            elif key == "swap":
                lot_qty = float(values[4]) if values[3:] else 100_000.0
                self.swaps[symbol] = SwapTerms(values[0], float(values[1]), float(values[2]), lot_qty)
            elif key == "spread" and not symbol:
                self.change(spread=_spread(values))
            else:
                raise TranscriptError(f"no setting of costs: {key}")

    def read_execution(self, rest: str) -> None:
        """Read `path ohlc, close at end, hedging, volume_limit 0.5, latency 30ms, jitter 10ms, seed 7`."""
        for key, values in _items(rest):
            if key == "path":
                # The tape of a scenario has the finer events already; what is left of `real` is pessimistic.
                self.change(path="pessimistic" if values == ["real"] else values[0])
            elif (key, *values) == ("close", "at", "end"):
                self.change(close_at_end=True)
            elif (key, *values) == ("hedging",):
                self.scenario.hedging = True
            elif key == "volume_limit":
                self.change(volume_limit=float(values[0]))
            elif key in ("latency", "jitter"):
                self.change(**{f"{key}_ns": _duration_ns(values[0])})
            elif key == "seed":
                self.change(seed=int(values[0]))
            else:
                raise TranscriptError(f"no setting of execution: {key}")

    def read_hours(self, rest: str) -> None:
        """Read when a market is open: `EURUSD  00:00 to 00:05, 00:07 to 01:00`."""
        symbol, _, items = rest.partition(" ")
        found = []
        for item in items.split(","):
            opens_ns, left = time_of(item.strip())
            closes_ns, _ = time_of(left.removeprefix("to").strip())
            found.append((opens_ns, closes_ns))
        self.hours[symbol] = tuple(found)

    def read_start(self, rest: str) -> None:
        """Read the time at which the run starts."""
        self.scenario.start_ns = time_of(rest)[0]

    def read_show(self, rest: str) -> None:
        """Read what the outcome shows besides."""
        self.scenario.shows |= {key for key, _ in _items(rest)}
        if not self.scenario.shows <= {"costs", "curve", "excursions", "seq"}:
            raise TranscriptError("can show costs, curve, excursions and seq")

    def read_event(self, time_ns: int, row: list[str]) -> None:
        """Read `EURUSD M5 [information|hidden|both] O H L C [ask O H L C] [volume V]`, or `EURUSD tick BID ASK`."""
        symbol, frame, *row = row
        role = row.pop(0) if row[0].isalpha() else ""
        if role not in ("", "information", "hidden", "both"):
            raise TranscriptError(f"no role of an event: {role}")
        volume = float(row[-1]) if "volume" in row else None
        numbers = [float(value) for value in row[: row.index("volume") if "volume" in row else None] if value != "ask"]
        duration = FRAMES[frame] * MINUTE_NS
        bids: Any = tuple(numbers[:4])
        asks: Any = tuple(numbers[4:]) or None
        if frame == "tick":
            bid, ask = numbers
            bids, asks = (bid,) * 4, (ask,) * 4
        elif len(numbers) not in (4, 8):
            raise TranscriptError("a bar has four prices, and four after `ask` if it has any")
        event = Event(
            kind="tick" if frame == "tick" else "bar",
            instrument=self.index(symbol),
            time_ns=time_ns + duration,
            open_ns=time_ns,
            bid=bids,
            ask=asks,
            frame_ns=duration,
            volume=volume,
        )
        self.roles.append((event, role))

    def read_signal(self, time_ns: int, row: list[str]) -> None:
        """Read `BUY EURUSD 10000 [limit P] [sl P] [tp P] [trail D] [until TIME] [adjust_only]`.

        `(2) BUY …` answers the second moment of that time.
        """
        place = _place(row)
        side, symbol, *row = row
        fields: dict[str, Any] = {}
        if side != "FLAT":
            fields["qty"] = float(row.pop(0))
        while row:
            key = row.pop(0)
            if key == "adjust_only":
                fields["adjust_only"] = True
            elif key == "until":
                fields["valid_until_ns"], left = time_of(" ".join(row))
                row = left.split()
            else:
                fields[{"limit": "price", "sl": "sl", "tp": "tp", "trail": "trail"}[key]] = float(row.pop(0))
        self.signals.append((time_ns, place, SignalIn(self.index(symbol), side, **fields)))

    def read_intent(self, time_ns: int, row: list[str]) -> None:
        """Read `NAME BUY EURUSD 10000 …`, `NAME REPLACE 10000 …`, `NAME CANCEL` or `PROTECT EURUSD …`.

        Before it `(2)` for the second moment of that time and `more` for what an unfinished answer goes on with.
        """
        place = _place(row)
        number = 0
        while row[0] == "more":
            number += 1
            row.pop(0)
        fields: dict[str, Any] = {"instrument": 0, "kind": row[0]}
        if row[0] == "PROTECT":
            _, symbol, *row = row
            fields["instrument"] = self.index(symbol)
        else:
            name, kind, *row = row
            fields |= {"client_id": name, "kind": kind if kind in ("REPLACE", "CANCEL") else "SUBMIT"}
            if fields["kind"] == "SUBMIT":
                fields |= {"side": kind, "instrument": self.index(row.pop(0))}
            if kind != "CANCEL":
                fields["qty"] = float(row.pop(0))
        self.read_terms(fields, row)
        if fields["kind"] == "SUBMIT":
            fields["type"] = _type_of(fields)
        self.intents.append((time_ns, place, number, Intent(**fields)))

    def read_terms(self, fields: dict[str, Any], row: list[str]) -> None:
        """Read `[limit P] [stop P] [trailing D] [GTD TIME or another] [oco G] [position N] [sl P] …` of an intent."""
        names = {"limit": "price", "stop": "stop_price", "trailing": "trail", "sl": "sl", "tp": "tp"}
        names["trail"] = "risk_trail"
        while row:
            key = row.pop(0)
            if key in ("reduce_only", "post_only"):
                fields[key] = True
            elif key in ("oco", "position"):
                fields[key] = row.pop(0)
            elif key in _TIFS:
                fields["tif"] = key
                if key == "GTD":
                    fields["valid_until_ns"], left = time_of(" ".join(row))
                    row = left.split()
            else:
                fields[names[key]] = float(row.pop(0))

    def read_stamp(self, time_ns: int, row: list[str]) -> None:
        """Read `BTCUSD funding 0.0001` or `EURUSD swap 3`."""
        symbol, kind, number = row
        if kind not in ("funding", "swap"):
            raise TranscriptError(f"no stamp: {kind}")
        self.stamps.append((kind, self.index(symbol), time_ns, float(number)))

    def finish(self) -> None:
        """Put together what several lines say."""
        scenario = self.scenario
        if not scenario.pins:
            raise TranscriptError("the first line names no rule: execution 5.1 b: a sentence")
        symbols = [spec.symbol for spec in scenario.specs]
        if self.leverages:
            usual = scenario.rules.leverage
            self.change(leverages=tuple(self.leverages.get(symbol, usual) for symbol in symbols))
        if self.hours:
            always = ((MONDAY_NS, MONDAY_NS + 7 * 1440 * MINUTE_NS),)
            self.change(hours=tuple(self.hours.get(symbol, always) for symbol in symbols))
        if self.intents:
            self.change(orders=True)
        if not scenario.hedging and any(intent.position for *_, intent in self.intents):
            raise TranscriptError("only a session with `execution hedging` names positions")
        costs = [self.costs.get("", {}) | self.costs.get(symbol, {}) for symbol in symbols]
        slippage = [cost.pop("slippage", None) for cost in costs]
        if any(costs):
            self.change(fees=tuple(Fees(**cost) for cost in costs))
        if any(slippage):
            self.change(slippage=tuple(model or Slippage() for model in slippage))
        stamps: dict[str, list[list[tuple[int, float]]]] = {kind: [[] for _ in symbols] for kind in ("funding", "swap")}
        for kind, instrument, time_ns, number in sorted(self.stamps):
            stamps[kind][instrument].append((time_ns, number))
        if any(stamps["funding"]):
            self.change(funding=tuple(tuple(rows) for rows in stamps["funding"]))
        if self.swaps:
            self.change(
                swap_terms=tuple(self.swaps.get(symbol, self.swaps.get("")) for symbol in symbols),
                swap_stamps=tuple(tuple((at, int(nights)) for at, nights in rows) for rows in stamps["swap"]),
            )
        scenario.events = sort_tape(self.events())
        self.number_signals()

    def events(self) -> Iterator[Event]:
        """Give each event its role: the finest series of an instrument executes, all are delivered."""
        for event, role in self.roles:
            finest = min(other.frame_ns for other, _ in self.roles if other.instrument == event.instrument)
            executes = role in ("hidden", "both") or (not role and event.frame_ns == finest)
            yield replace(event, execution=executes, delivered=role != "hidden")

    def number_signals(self) -> None:
        """Find the event that each signal answers: the first of the moment of its time."""
        moments = moments_of([event for event in self.scenario.events if event.time_ns > self.scenario.start_ns])
        numbers: dict[int, list[int]] = {}
        for moment in moments:
            if moment.delivered:
                numbers.setdefault(moment.time_ns, []).append(moment.first_seq)

        def seq_of(time_ns: int, place: int) -> int:
            at = numbers.get(time_ns, [])
            if place > len(at):
                raise TranscriptError(f"no moment {place} at {time_text(time_ns, with_day=True)} that is delivered")
            return at[place - 1]

        for time_ns, place, signal in self.signals:
            self.scenario.signals.setdefault(seq_of(time_ns, place), []).append(signal)
        for time_ns, place, number, intent in self.intents:
            rounds = self.scenario.intents.setdefault(seq_of(time_ns, place), [])
            rounds += [[] for _ in range(number + 1 - len(rounds))]
            rounds[number].append(intent)

    def change(self, **changes: Any) -> None:
        """Change the rules of the run."""
        self.scenario.rules = replace(self.scenario.rules, **changes)

    def index(self, symbol: str) -> int:
        """Return the index of an instrument."""
        return [spec.symbol for spec in self.scenario.specs].index(symbol)


def time_of(text: str) -> tuple[int, str]:
    """Read a time at the beginning of a text; return it in ns, and the rest."""
    found = _TIME.match(text)
    if found is None:
        raise TranscriptError("a time such as 00:05, 00:05:01.5 or Tue 00:05 is missing")
    minutes = (DAYS.index(found["day"] or "Mon") * 24 + int(found["hour"])) * 60 + int(found["minute"])
    second_ns = int(Decimal(found["second"] or 0) * 10**9)
    return MONDAY_NS + minutes * MINUTE_NS + second_ns, text[found.end() :].strip()


def _rows(text: str) -> list[str]:
    """Return the rows that `a1..a3 …` stands for: one for each number, of all such words of the row alike."""
    found = _MANY.search(text)
    if found is None:
        return [text]
    return [
        _MANY.sub(lambda many, k=k: f"{many['word']}{int(many['first']) + k}", text)  # type: ignore[misc]
        for k in range(int(found["last"]) - int(found["first"]) + 1)
    ]


def _place(row: list[str]) -> int:
    """Take `(2)` off the beginning of a row; without it, it is the first moment of its time."""
    return int(row.pop(0).strip("()")) if row[0].startswith("(") else 1


def _type_of(fields: dict[str, Any]) -> str:
    """Return the type of an order by the prices that it has."""
    if "trail" in fields:
        return "TRAILING_STOP"
    if "stop_price" in fields:
        return "STOP_LIMIT" if "price" in fields else "STOP"
    return "LIMIT" if "price" in fields else "MARKET"


def _duration_ns(text: str) -> int:
    """Read `30ms`."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise TranscriptError(f"no duration: {text}")
    return int(Decimal(found["number"]) * _UNITS_NS[found["unit"]])


def _items(text: str) -> list[tuple[str, list[str]]]:
    """Return the comma-separated items of a setting: the first word, and the others."""
    items = [item.split() for item in text.split(",")] if text.strip() else []
    if not all(items):
        raise TranscriptError("an item between commas is empty")
    return [(words[0], words[1:]) for words in items]


def _spread(values: list[str]) -> Any:
    """Read `data`, `none`, `price 0.0002`, `ticks 2` or `hours 2 Mon-22 15`: 2 ticks, in that hour 15."""
    kind, *rest = values
    if kind in ("data", "none"):
        return (kind,)
    if kind == "price":
        return (kind, float(rest[0]))
    if kind == "ticks":
        return (kind, int(rest[0]))
    if kind != "hours":
        raise TranscriptError(f"no spread: {kind}")
    hours = [float(rest[0])] * 168
    for hour, ticks in zip(rest[1::2], rest[2::2], strict=True):
        day, _, number = hour.partition("-")
        hours[DAYS.index(day) * 24 + int(number)] = float(ticks)
    return (kind, tuple(hours))
