"""What becomes of the position of one instrument: which scenario opened it, how long it was held, when it ends.

It reads the account (FEEDBACK) instead of following its own signals, because the ends that matter are not the
strategy's own: a stop loss or a take profit inside a bar, an entry that the margin refused. Both would leave a
strategy that only remembers its signals with a position that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable

from boxgate_sdk import Side
from boxgate_sdk.account import Order, Position

HOLD = ""
"""Nothing is to be done."""
REVERTED = "reverted"
"""The price is back at its mean."""
TOO_LONG = "held too long"
"""The longest holding time is over."""


class PositionManager:
    """Follows the position of one instrument. side: +1 long, −1 short, 0 none. held_bars: closes seen while open.

    It assumes that one position at a time is open in an instrument and that a position_id is never used twice. A
    position is counted from the close of the bar in which it was opened.
    """

    def __init__(self, symbol: str, *, hold_bars: int, z_exit: float) -> None:
        self.symbol = symbol
        self.hold_bars = hold_bars
        self.z_exit = z_exit
        self.scenario = ""
        self.side = 0
        self.held_bars = 0
        self._position_id = 0
        self._asked = ""

    def ask(self, scenario: str) -> None:
        """Note that an entry was asked for by a scenario."""
        self._asked = scenario

    def follow(self, position: Position | None) -> None:
        """Take the position as it is at the close of a bar, None where there is none. Once per bar."""
        if position is None:
            self.side = self.held_bars = 0
        elif position.position_id == self._position_id:
            self.held_bars += 1
        else:
            self._position_id = position.position_id
            self.scenario = self._asked
            self.held_bars = 1
        if position is not None:
            self.side = 1 if position.side is Side.BUY else -1

    def waits(self, orders: Iterable[Order]) -> bool:
        """Return True while an order for the instrument works: nothing else is asked for until it is settled."""
        return any(order.symbol == self.symbol for order in orders)

    def verdict(self, z: float) -> str:
        """Return why the position ends at this bar, or HOLD. z: of the scenario that opened it; NaN says nothing."""
        if z * self.side >= -self.z_exit:
            return REVERTED
        return TOO_LONG if self.held_bars >= self.hold_bars else HOLD
