"""An account of its own beside the engine's: from fills and stamps alone, moment by moment, with the limits of a run.

It is written from docs/spec/execution.md, sections 6, 9, 10, 13 and 17, and shares no code with the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from boxgate_engine.kernel import records
from boxgate_engine.rules import AccountRules

_CLOSE = 1e-9
"""Relative: what sums of doubles may differ by."""


@dataclass
class Held:
    """A position of an instrument. lots: signed. margin: set aside, in isolated mode."""

    instrument: int
    lots: int = 0
    entry: float = 0.0
    margin: float = 0.0


class AccountWatch:
    """Follows a simulation and asserts after each moment that its account is what fills and stamps made of it."""

    def __init__(self, simulation: Any, rules: AccountRules) -> None:
        self.simulation = simulation
        self.rules = rules
        specs = simulation.instruments
        self.lots = [one.lot_size.as_integer_ratio() for one in specs]
        self.contract = [one.contract_size.numerator / one.contract_size.denominator for one in specs]
        leverage = rules.leverage
        self.leverage = list(leverage) if isinstance(leverage, (list, tuple)) else [float(leverage)] * len(specs)  # type: ignore[arg-type]
        self.held: dict[tuple[int, int], Held] = {}
        """By instrument and number of the name, 0 for none."""
        self.marks: list[tuple[float, float] | None] = [None] * len(specs)
        self.units = self._units()
        self.cash = rules.cash
        self.moved = rules.cash
        """Sum of all that ever moved: the scale of what sums may differ by."""
        self.updates = 0
        self._used: dict[int, int] = {}

    def follow(self, quotes: Any, first: int, end: int, *, again: bool = False) -> None:
        """Take what events [first, end) of one moment have done. again: they were settled before (`more`)."""
        events = [quotes.events[e] for e in range(first, end) if quotes.events[e]["execution"]]
        allowance: dict[int, float] = {}
        for quote in events:
            i = int(quote["instrument"])
            self.marks[i] = (float(quote["bid_open"]), float(quote["ask_open"]))
            if self.rules.volume_limit is not None:
                allowance[i] = float(quote["volume"]) * self.rules.volume_limit
        used = dict(self._used) if again else {}
        self._take_updates(used, allowance)
        self._used = used
        for quote in events:
            self.marks[int(quote["instrument"])] = (float(quote["bid_close"]), float(quote["ask_close"]))
        self.units = self._units()

    def end(self) -> None:
        """Take what closing at the end has done."""
        self._take_updates({}, {})

    def check_row(self, row: Any) -> None:
        """Assert that a row of the equity curve is that of this account."""
        held = self._open()
        profit = sum(self._profit(one) for one in held)
        notional = [self._notional(one) for one in held]
        margin = sum(amount / self.leverage[one.instrument] for amount, one in zip(notional, held, strict=True))
        net = sum(amount if one.lots > 0 else -amount for amount, one in zip(notional, held, strict=True))
        self._same("cash", float(row["cash"]), self.cash)
        scale = sum(notional) + self.moved
        self._same("unrealised_pnl", float(row["unrealised_pnl"]), profit, scale)
        self._same("equity", float(row["equity"]), self.cash + profit, scale)
        self._same("margin_used", float(row["margin_used"]), margin, scale)
        self._same("exposure_gross", float(row["exposure_gross"]), sum(notional), scale)
        self._same("exposure_net", float(row["exposure_net"]), net, scale)

    # -- movements

    def _take_updates(self, used: dict[int, int], allowance: dict[int, float]) -> None:
        sim = self.simulation.sim
        count = int(sim.account["updates"][0])
        for update in sim.updates[self.updates : count]:
            kind = int(update["kind"])
            if kind in (records.UPDATE_FUNDING, records.UPDATE_SWAP):
                self._move(float(update["amount"]))
            elif kind in (records.UPDATE_FILL, records.UPDATE_LIQUIDATION):
                self._take_fill(sim.fills[int(update["fill"])], int(update["name"]), used, allowance)
        self.updates = count

    def _take_fill(self, fill: Any, name: int, used: dict[int, int], allowance: dict[int, float]) -> None:
        i, lots, sign = int(fill["instrument"]), int(fill["lots"]), int(fill["direction"])
        price, fee, reason = float(fill["price"]), float(fill["fee"]), int(fill["reason"])
        one = self.held.setdefault((i, name), Held(i))
        quantity = self._quantity(i, lots)
        assert lots > 0
        assert price > 0
        assert float(fill["qty"]) == quantity
        unit = float(fill["unit"])
        if reason == records.LIQUIDATION:
            # By the marks at the end of the moment, rates are new: no limit depends on it.
            assert unit > 0
        elif reason != records.END:
            self._same("unit", unit, self.units[i])
        if reason == records.ENTRY:
            assert one.lots * sign >= 0, "an increase of the other side"
            before = self._quantity(i, abs(one.lots))
            one.entry = (one.entry * before + price * quantity) / (before + quantity) if one.lots else price
            one.margin = (one.margin if one.lots else 0.0) + price * quantity * unit / self.leverage[i]
            one.lots += sign * lots
            self._move(-fee)
            self._check_limits(one, price)
        else:
            assert one.lots * sign < 0, "a reduction without a position"
            assert lots <= abs(one.lots), "a reduction of more than the position"
            gain = (price - one.entry) * quantity * unit * (1 if one.lots > 0 else -1)
            self.moved += quantity * price * unit
            self._move(gain - fee)
            one.margin -= one.margin * lots / abs(one.lots)
            one.lots += sign * lots
        if reason in (records.ENTRY, records.SIGNAL) and i in allowance:
            used[i] = used.get(i, 0) + lots
            assert self._quantity(i, used[i]) <= allowance[i], f"{used[i]} lots of an event that allows {allowance[i]}"

    def _move(self, amount: float) -> None:
        self.cash += amount
        self.moved += abs(amount)

    # -- limits

    def _check_limits(self, grown: Held, price: float) -> None:
        """Assert that the account carries what it has after an increase of a position at this price."""
        held = self._open()
        if self.rules.cash_account:
            assert all(one.lots > 0 for one in held), "a short in a cash account"
            spent = sum(
                one.entry * self._quantity(one.instrument, one.lots) * self.units[one.instrument] for one in held
            )
            assert spent <= self.cash + _CLOSE * self.moved, f"{spent} was spent of {self.cash}"
        if self.rules.margin.mode == "isolated":
            aside = sum(one.margin for one in held)
            assert aside <= self.cash + _CLOSE * self.moved, f"margins {aside} of cash {self.cash}"
            return
        notional = [self._notional(one, price if one is grown else None) for one in held]
        profit = sum(self._profit(one, price if one is grown else None) for one in held)
        margin = sum(amount / self.leverage[one.instrument] for amount, one in zip(notional, held, strict=True))
        scale = self.moved + sum(notional)
        assert margin <= self.cash + profit + _CLOSE * scale, f"margin {margin} of equity {self.cash + profit}"

    # -- values

    def _open(self) -> list[Held]:
        return [one for one in self.held.values() if one.lots]

    def _profit(self, one: Held, at: float | None = None) -> float:
        change = self._mark(one, at) - one.entry
        i = one.instrument
        return (change if one.lots > 0 else -change) * self._quantity(i, abs(one.lots)) * self.units[i]

    def _notional(self, one: Held, at: float | None = None) -> float:
        i = one.instrument
        return self._mark(one, at) * self._quantity(i, abs(one.lots)) * self.units[i]

    def _mark(self, one: Held, at: float | None) -> float:
        mark = self.marks[one.instrument]
        assert mark is not None
        return at if at is not None else mark[0 if one.lots > 0 else 1]

    def _units(self) -> list[float]:
        rates = self.rules.rates or [None] * len(self.contract)
        return [size * self._rate(legs) for size, legs in zip(self.contract, rates, strict=True)]

    def _rate(self, legs: Any) -> float:
        rate = 1.0
        for leg, inverse in (
            () if legs is None else ((legs.first, legs.first_inverse), (legs.second, legs.second_inverse))
        ):
            if leg is None:
                continue
            mark = self.marks[leg]
            if mark is None:
                return 0.0
            mid = (mark[0] + mark[1]) / 2
            rate *= 1 / mid if inverse else mid
        return rate

    def _quantity(self, i: int, lots: int) -> float:
        num, den = self.lots[i]
        return float(lots * num / den)

    def _same(self, what: str, found: float, expected: float, scale: float = 0.0) -> None:
        bound = _CLOSE * max(abs(found), abs(expected), scale or self.moved if what != "unit" else 0.0)
        assert abs(found - expected) <= bound, f"{what}: {found} instead of {expected}"
