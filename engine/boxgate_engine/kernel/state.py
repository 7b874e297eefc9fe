"""The state of a simulation as the kernel passes it on: one pointer instead of all arrays."""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.core import types
from numba.experimental import structref

from boxgate_engine.kernel.records import Sim


@structref.register
class _StateType(types.StructRef):
    """The type of `State`: the arrays of `Sim` by their names."""

    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class State(structref.StructRefProxy):
    """The arrays of a `Sim`, which kernel functions read by the same names."""


structref.define_proxy(State, _StateType, list(Sim._fields))  # type: ignore[no-untyped-call]


@njit(cache=True)
def state_of(sim: Sim) -> Sim:
    """Return the state with the arrays of `sim`. It stays valid until one of these is exchanged."""
    return State(  # type: ignore[no-untyped-call, return-value]
        sim.book,
        sim.specs,
        sim.account,
        sim.rules,
        sim.signals,
        sim.fills,
        sim.trades,
        sim.updates,
        sim.equity,
        sim.executing,
        sim.scratch,
        sim.funding,
        sim.swap,
        sim.intents,
        sim.orders,
        sim.order_copies,
        sim.order_numbers,
    )
