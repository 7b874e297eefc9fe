"""Account updates, in the order in which they happen."""

from __future__ import annotations

from boxgate_engine.kernel.compilation import compiled
from boxgate_engine.kernel.records import Sim


@compiled
def write_update(sim: Sim, kind: int, i: int, seq: int, time_ns: int, reason: int) -> None:
    """Write an account update that is no fill and moves no cash; the caller adds what else it tells."""
    account = sim.account[0]
    update = sim.updates[account.updates]
    update.kind = kind
    update.instrument = sim.book[i].instrument
    update.name = sim.book[i].name
    update.seq = seq
    update.time_ns = time_ns
    update.fill = -1
    update.reason = reason
    update.amount = 0.0
    update.order = 0
    update.intent_kind = 0
    account.updates += 1
    account.version += 1
