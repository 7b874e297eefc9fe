# mypy: disable-error-code="import-not-found"
"""Random answers of a strategy: targets or order intents near the market, right ones and those that it rejects.

None is an error of the protocol: what ends a run is not drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
from drawn_run import MINUTE_NS, DrawnRun

from boxgate_engine.intent_intake import RAW_INTENT, RawIntents
from boxgate_engine.kernel import intent_records as words
from boxgate_engine.signal_intake import BUY, FLAT, RAW_SIGNAL, SELL

Answer = dict[str, Any]
"""One signal or intent: the fields that it has. event: its place in the moment."""

_SIGNAL_OPTIONAL = {"qty": "has_qty", "price": "has_price", "sl": "has_sl", "tp": "has_tp", "trail": "has_trail",
                    "valid_until_ns": "has_until"}  # fmt: skip
_INTENT_OPTIONAL = ("qty", "price", "stop_price", "trail", "valid_until_ns", "sl", "tp", "risk_trail")


@dataclass
class Drawer:
    """Draws the answers of one session. goes_on: how often an answer to a tick goes on."""

    run: DrawnRun
    rng: Random
    goes_on: float = 0.0
    quotes: dict[int, tuple[float, float]] = field(default_factory=dict)
    submitted: list[Answer] = field(default_factory=list)
    last: dict[int, Answer] = field(default_factory=dict)
    calm: bool = False

    def __post_init__(self) -> None:
        self.eagerness = self.rng.choice((0.1, 0.3, 0.6))
        self.crowded = self.rng.random() < 0.05
        self.shift = self.rng.choice((1, 1, 3))

    def answer(self, sim: Any, time_ns: int, events: int) -> list[Answer]:
        """Return what is answered to a moment with so many events, at the first ones most."""
        rng = self.rng
        self.calm = self.calm != (rng.random() < 0.08)
        chance = self.eagerness / 6 if self.calm else self.eagerness
        given: list[Answer] = []
        while rng.random() < chance:
            chance = 0.5
            given += self._intents(sim, time_ns) if self.run.orders else [self._signal(time_ns)]
        # What names an order comes after it.
        places = sorted(rng.randrange(events) for _ in given)
        return [one | {"event": place} for one, place in zip(given, places, strict=True)]

    # -- targets

    def _signal(self, time_ns: int) -> Answer:
        rng = self.rng
        i = rng.randrange(len(self.run.lots))
        if i in self.last and rng.random() < 0.1:
            return self.last[i]
        side = rng.choice((BUY, BUY, SELL, SELL, FLAT))
        before = self.last.get(i)
        if before is not None and before["side"] != FLAT and rng.random() < 0.3:
            side = before["side"]
        signal: Answer = {"instrument": i, "side": side, "adjust_only": rng.random() < 0.1}
        if rng.random() < 0.4 and i in self.quotes:
            signal["price"] = self._near(i, -1 if side == BUY else 1)
        if rng.random() < 0.2:
            signal["valid_until_ns"] = self._until(time_ns)
        if side != FLAT:
            signal["qty"] = self._qty(i)
            signal |= self._risk(i, 1 if side == BUY else -1, signal.get("price"), "trail")
        self.last[i] = signal
        return signal

    # -- orders

    def _intents(self, sim: Any, time_ns: int) -> list[Answer]:
        rng = self.rng
        chosen = rng.random()
        if self.crowded and chosen < 0.2 and self.quotes:
            i = rng.choice(sorted(self.quotes))
            price = self.quotes[i][0] / 2
            return [self._submit(i, BUY, words.LIMIT, {"price": price}) for _ in range(rng.randint(10, 40))]
        if chosen < 0.25 and self.submitted:
            order = rng.choice(self.submitted[-rng.choice((3, 12, 60)) :])
            if chosen < 0.1:
                return [{"kind": words.CANCEL, "instrument": order["instrument"], "client_id": order["client_id"]}]
            return [self._replace(order, time_ns)]
        if chosen < 0.35 and self.quotes:
            held = sim.book["instrument"][sim.book["lots"] != 0]
            i = int(rng.choice(held)) if len(held) and rng.random() < 0.9 else rng.choice(sorted(self.quotes))
            intent = {"kind": words.PROTECT, "instrument": i} | self._position()
            return [intent | self._risk(i, rng.choice((1, -1)), None, "risk_trail")]
        group = f"g{len(self.submitted)}" if rng.random() < 0.15 else ""
        i = rng.randrange(len(self.run.lots))
        position = self._position()
        return [self._order(sim, i, time_ns, group, position) for _ in range(rng.randint(2, 3) if group else 1)]

    def _position(self) -> Answer:
        """Return the name of a position, where the session has such."""
        if not self.run.hedging or self.rng.random() < 0.3:
            return {}
        return {"position": f"p{self.rng.randrange(90 if self.crowded else 3)}"}

    def _order(self, sim: Any, i: int, time_ns: int, group: str, position: Answer) -> Answer:
        rng = self.rng
        side = rng.choice((BUY, SELL))
        sign = 1 if side == BUY else -1
        if i not in self.quotes:
            return self._submit(i, side, words.MARKET, position)
        kind = rng.choice(
            (words.MARKET, words.MARKET, words.LIMIT, words.LIMIT, words.STOP, words.STOP_LIMIT, words.TRAILING_STOP)
        )
        terms: Answer = {**position, "oco": group, "reduce_only": rng.random() < 0.2}
        if terms["reduce_only"] and rng.random() < 0.8 and sim.book[i]["lots"]:
            side, sign = (SELL, -1) if sim.book[i]["lots"] > 0 else (BUY, 1)
        if kind in (words.STOP, words.STOP_LIMIT):
            terms["stop_price"] = self._near(i, sign)
        if kind == words.LIMIT:
            terms["price"] = self._near(i, -sign)
        if kind == words.STOP_LIMIT:
            terms["price"] = max(terms["stop_price"] + sign * self._far(i) * rng.choice((-1, 0, 1)), self._tick(i))
        if kind == words.TRAILING_STOP:
            terms["trail"] = self._far(i) + self._tick(i)
        terms |= self._risk(i, sign, terms.get("price", terms.get("stop_price")), "risk_trail")
        terms["post_only"] = kind == words.LIMIT and rng.random() < 0.2
        alone = kind in (words.MARKET, words.LIMIT) and not (terms["post_only"] or group)
        terms["tif"] = rng.choice(
            (words.GTC, words.GTC, words.GTC, words.DAY, words.GTD)
            + ((words.IOC, words.FOK, words.FOK) if alone else ())
        )
        if terms["tif"] == words.GTD:
            terms["valid_until_ns"] = self._until(time_ns)
        return self._submit(i, side, kind, terms)

    def _submit(self, i: int, side: int, kind: int, terms: Answer) -> Answer:
        name = f"o{len(self.submitted)}"
        order = {
            "kind": words.SUBMIT,
            "instrument": i,
            "client_id": name,
            "side": side,
            "type": kind,
            "qty": self._qty(i),
        }
        self.submitted.append(order | terms)
        return self.submitted[-1]

    def _replace(self, order: Answer, time_ns: int) -> Answer:
        rng, i = self.rng, order["instrument"]
        kept = ("instrument", "client_id")
        intent = {name: order[name] for name in kept} | {"kind": words.REPLACE, "qty": self._qty(i), "tif": words.GTC}
        for name in ("price", "stop_price"):
            if name in order:
                step = self._far(i) * rng.choice((-1, 0, 0, 1))
                intent[name] = max(order[name] + step, self._tick(i))
        if "trail" in order:
            intent["trail"] = order["trail"] if rng.random() < 0.5 else self._far(i) + self._tick(i)
        if rng.random() < 0.3:
            intent |= {"tif": words.GTD, "valid_until_ns": self._until(time_ns)}
        return intent

    # -- values

    def _qty(self, i: int) -> float:
        rng = self.rng
        size = float(self.run.market.instruments[i].lot_size)
        if rng.random() < 0.02:
            return size * rng.choice((0.4, 2.0**40))
        lots = max(rng.choice((1, 2, 3)), round(self.run.lots[i] * rng.choice((0.01, 0.05, 0.2, 0.5, 1.0, 1.6))))
        qty: float = min(lots, 2**50) * size * rng.choice((1.0, 1.0, 1.0, 1.3))
        return qty

    def _tick(self, i: int) -> float:
        return float(self.run.market.instruments[i].tick_size)

    def _far(self, i: int) -> float:
        """Return a distance, also one of nothing."""
        far: float = self.run.move[i] * self.shift * self.rng.choice((0.0, 0.3, 1.0, 1.0, 2.5))
        return far

    def _near(self, i: int, direction: int) -> float:
        """Return a price mostly on one side of the market, at times beyond it."""
        reference = self.quotes[i][self.rng.randrange(2)]
        away = self._far(i) * (direction if self.rng.random() < 0.85 else -direction)
        return max(reference + away, self._tick(i))

    def _risk(self, i: int, sign: int, reference: float | None, trail: str) -> Answer:
        rng, tick = self.rng, self._tick(i)
        if i not in self.quotes or rng.random() < 0.4:
            return {}
        price = self.quotes[i][0] if reference is None else reference
        if rng.random() < 0.05:
            price += rng.choice((-3, 3)) * self.run.move[i]
        risk: Answer = {}
        if rng.random() < 0.6 and (sl := price - sign * (self._far(i) + tick)) > tick:
            risk["sl"] = sl
        if rng.random() < 0.6 and (tp := price + sign * (self._far(i) + tick)) > tick:
            risk["tp"] = tp
        if rng.random() < 0.35:
            risk[trail] = self._far(i) + tick
        return risk

    def _until(self, time_ns: int) -> int:
        return int(time_ns + MINUTE_NS * self.rng.choice((0, 1, 3, 15, 200)) + self.rng.choice((-1, 0, 1)))


def raw_signals(answers: Sequence[tuple[int, Answer]]) -> np.ndarray:
    """Return RAW_SIGNAL records of signals by the index of the event that they answer."""
    raw = np.zeros(len(answers), RAW_SIGNAL)
    for row, (event, one) in zip(raw, answers, strict=True):
        row["event"] = event
        for name in ("instrument", "side", "adjust_only"):
            row[name] = one[name]
        for name, present in _SIGNAL_OPTIONAL.items():
            if name in one:
                row[name], row[present] = one[name], True
    return raw


def raw_intents(answers: Sequence[tuple[int, Answer]]) -> RawIntents:
    """Return the intents likewise, beside the names of their orders and groups."""
    raw = np.zeros(len(answers), RAW_INTENT)
    for row, (event, one) in zip(raw, answers, strict=True):
        row["event"] = event
        for name in ("kind", "instrument", "side", "type", "tif", "reduce_only", "post_only"):
            row[name] = one.get(name, 0)
        for name in _INTENT_OPTIONAL:
            if name in one:
                row[name], row[f"has_{name}"] = one[name], True
    return RawIntents(
        raw, *([str(one.get(name, "")) for _, one in answers] for name in ("client_id", "oco", "position"))
    )
