"""The state of a simulation as the kernel passes it on: one pointer instead of all arrays."""

from __future__ import annotations

from typing import Any

from numba import njit
from numba.core import cgutils, types
from numba.core.datamodel import default_manager, models
from numba.core.typing.templates import AttributeTemplate
from numba.experimental import structref
from numba.extending import infer_getattr, lower_getattr_generic, lower_setattr_generic

from boxgate_engine.kernel.records import Sim


class _StateType(types.StructRef):
    """The type of `State`: the arrays of `Sim` by their names."""

    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


default_manager.register(_StateType, models.StructRefModel)


@infer_getattr
class _StateAttributes(AttributeTemplate):
    key = _StateType

    def generic_resolve(self, typ: Any, attr: str) -> Any:
        return typ.field_dict.get(attr)


@lower_getattr_generic(_StateType)
def _borrow(context: Any, builder: Any, typ: Any, value: Any, attr: str) -> Any:
    """Read an array of the state without counting the reference: the state holds it as long as a call runs.

    numba's own `structref` counts up and down at each reading, atomically, which is a good part of the time of a fill.
    """
    held = getattr(_fields(context, builder, typ, value), attr)
    array = context.make_array(typ.field_dict[attr])(context, builder, value=held)
    array.meminfo = cgutils.get_null_value(array.meminfo.type)
    return array._getvalue()


@lower_setattr_generic(_StateType)
def _hold(context: Any, builder: Any, signature: Any, arguments: Any, attr: str) -> None:
    """Put an array into a state that is made: from then on the state holds it."""
    typ, kind = signature.args
    value, array = arguments
    array = context.cast(builder, array, kind, typ.field_dict[attr])
    context.nrt.incref(builder, kind, array)
    setattr(_fields(context, builder, typ, value), attr, array)


def _fields(context: Any, builder: Any, typ: Any, value: Any) -> Any:
    reference = cgutils.create_struct_proxy(typ)(context, builder, value=value)
    data = context.nrt.meminfo_data(builder, reference.meminfo)
    kind = typ.get_data_type()
    pointer = builder.bitcast(data, context.data_model_manager[kind].get_value_type().as_pointer())
    return cgutils.create_struct_proxy(kind)(context, builder, ref=pointer)


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
        sim.curve_ns,
        sim.curve,
        sim.executing,
        sim.scratch,
        sim.funding,
        sim.swap,
        sim.intents,
        sim.orders,
        sim.order_copies,
        sim.kept_book,
        sim.kept_account,
        sim.kept_order,
        sim.order_numbers,
    )
