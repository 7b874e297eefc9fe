"""Which runs a plan has: exact steps, identities equal to those of single runs, counts without expansion, draws."""

from __future__ import annotations

import itertools
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxgate_engine import identity as identities
from boxgate_engine.config import RunConfig
from boxgate_engine.config.model import ParamValue
from boxgate_engine.errors import ConfigInvalid, UserMistake
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.matrix.config.model import RangeConfig
from boxgate_server.matrix.planning.plan import Plan
from boxgate_server.matrix.planning.sampling import draw
from boxgate_server.matrix.planning.setting import Role, Setting, Versions
from boxgate_server.matrix.planning.space import ParamSpace, axis_size, param_space
from boxgate_server.matrix.planning.template import Template
from boxgate_server.sessions.parameters import complete_parameters

CONFIG = RunConfig.model_validate(
    {
        "strategy": {"command": ["python", "s.py"]},
        "dataset": "d",
        "instruments": ["EURUSD"],
        "frames": ["M1"],
        "window": {"start": "2024-01-01", "end": "2024-02-01"},
        "account": {"currency": "USD", "cash": 1000},
        "determinism": {"master_seed": 2**60 + 1},
    }
)


def _declared(name: str, kind: Any, default: Any, **bounds: Any) -> pb.ParameterSchema:
    fields = {
        pb.PARAMETER_TYPE_INT: "int_value",
        pb.PARAMETER_TYPE_FLOAT: "float_value",
        pb.PARAMETER_TYPE_STRING: "string_value",
        pb.PARAMETER_TYPE_BOOL: "bool_value",
    }
    declared = pb.ParameterSchema(name=name, type=kind, **bounds)
    setattr(declared.default_value, fields[kind], default)
    return declared


SCHEMA = [
    _declared("length", pb.PARAMETER_TYPE_INT, 5, min=1),
    _declared("width", pb.PARAMETER_TYPE_FLOAT, 1.5),
    _declared("kind", pb.PARAMETER_TYPE_STRING, "plain"),
    _declared("flag", pb.PARAMETER_TYPE_BOOL, False),
    _declared('Ünï " \\ 😀', pb.PARAMETER_TYPE_FLOAT, 0.0),
    _declared("\ufffd", pb.PARAMETER_TYPE_INT, 0),
]


def _range(low: float, high: float, step: float) -> RangeConfig:
    return RangeConfig.model_validate({"from": low, "to": high, "step": step})


def _space(axes: dict[str, Any], given: dict[str, ParamValue] | None = None) -> ParamSpace:
    return param_space(given or {}, axes, SCHEMA, debug=True)


def _setting(number: int, day: int = 1, config: RunConfig = CONFIG) -> Setting:
    start_ns = day * 86_400_000_000_000
    end_ns = start_ns + 86_400_000_000_000
    identity = _identity(config, {}, start_ns, end_ns)
    scenario = identities.build_scenario(
        params={}, instruments=config.instruments, frames=config.frames, start_ns=start_ns, end_ns=end_ns
    )
    return Setting(
        number=number,
        config=config,
        start_ns=start_ns,
        end_ns=end_ns,
        cost_set=0,
        events=1440,
        roles=(Role(0, None, "full"),),
        identity=Template(identity),
        scenario=Template(scenario),
    )


def _identity(config: RunConfig, params: dict[str, ParamValue], start_ns: int, end_ns: int) -> dict[str, Any]:
    return identities.build_identity(
        config,
        contract="1",
        engine="0",
        strategy_digest="sha256:0",
        dataset="d",
        params=params,
        start_ns=start_ns,
        end_ns=end_ns,
    )


def _plan(space: ParamSpace, blocks: int = 1, each: int = 1, **fields: Any) -> Plan:
    numbers = itertools.count()
    made = [[_setting(number := next(numbers), day=number + 1) for _ in range(each)] for _ in range(blocks)]
    versions = Versions(contract="1", engine="0", strategy="sha256:0", dataset="d")
    return Plan(versions=versions, blocks=made, space=space, seed=fields.pop("seed", 7), **fields)


VALUES = {
    "length": st.integers(1, 2**53),
    "width": st.floats(allow_nan=False, allow_infinity=False),
    "kind": st.text(st.characters(exclude_categories=["Cs"])),
    "flag": st.booleans(),
    'Ünï " \\ 😀': st.floats(allow_nan=False, allow_infinity=False),
    "\ufffd": st.integers(-(2**53), 2**53),
}


@given(st.fixed_dictionaries({name: st.lists(values, min_size=1, max_size=3) for name, values in VALUES.items()}))
@settings(max_examples=150)
def test_ids_and_seeds_of_a_plan_are_those_of_the_runs_computed_alone(values: dict[str, list[Any]]) -> None:
    axes = {name: tuple(listed) for name, listed in values.items() if len(listed) > 1}
    fixed = {name: listed[0] for name, listed in values.items() if len(listed) == 1}
    space, setting = _space(axes, fixed), _setting(0)
    for number in (0, space.size // 2, space.size - 1):
        params = complete_parameters(space.params(number), SCHEMA)
        text = space.text(number)
        assert text == identities.canonical_params(params)
        assert setting.run_id(text) == identities.run_id(_identity(CONFIG, params, setting.start_ns, setting.end_ns))
        scenario = identities.scenario_id(
            params=params, instruments=["EURUSD"], frames=["M1"], start_ns=setting.start_ns, end_ns=setting.end_ns
        )
        assert setting.seed(text) == identities.seed(2**60 + 1, scenario)


@given(low=st.integers(-1000, 1000), count=st.integers(1, 200), step=st.integers(1, 99), digits=st.integers(0, 6))
def test_steps_are_exact_in_decimals(low: int, count: int, step: int, digits: int) -> None:
    scale = Decimal(1).scaleb(-digits)
    wanted = [float((low + k * step) * scale) for k in range(count)]
    axis = _range(wanted[0], wanted[-1], float(step * scale))
    assert axis_size(axis) == count
    space = _space({"width": axis})
    assert [space.params(k)["width"] for k in range(count)] == wanted


def test_a_range_that_its_steps_do_not_meet_ends_before_its_end() -> None:
    space = _space({"length": _range(10, 25, 10)})
    assert [space.params(k)["length"] for k in range(space.size)] == [10, 20]


def test_values_that_the_schema_makes_equal_are_one() -> None:
    space = _space({"length": (3, 3.0, 4), "width": (1, 1.0)})
    assert space.size == 2
    assert _plan(space).count == 2


def test_what_the_schema_refuses_is_told_at_the_key_of_the_matrix_all_at_once() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _space({"length": _range(1, 2, 0.5), "width": ("wide",), "lenght": (1,), "flag": (0,)})
    told = {one.path: one.remedy for one in caught.value.problems}
    assert set(told) == {"matrix.params.length", "matrix.params.width", "matrix.params.lenght", "matrix.params.flag"}
    assert told["matrix.params.lenght"] == "did you mean 'length'?"


def test_every_value_that_the_schema_refuses_is_told_and_of_many_the_first() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _space({"length": (3, "three", 3.5, -4)})
    assert {one.path for one in caught.value.problems} == {"matrix.params.length"}
    assert [one.what.split()[0] for one in caught.value.problems] == ["'three'", "3.5", "-4"]
    with pytest.raises(ConfigInvalid) as caught:
        _space({"length": tuple(f"word {number}" for number in range(1000))})
    assert len(caught.value.problems) == 10


def test_the_order_is_that_of_nested_loops() -> None:
    axes: dict[str, Any] = {"length": (3, 1, 2), "kind": ("b", "a")}
    plan = _plan(_space(axes), blocks=2)
    found = [(one.setting, *plan.space.varied(one.params).values()) for one in plan]
    assert found == [(s, a, b) for s in (0, 1) for a in (3, 1, 2) for b in ("b", "a")]
    assert plan.count == len(found)
    assert len({one.run_id for one in plan}) == len(found)


def test_c05_a_billion_runs_are_refused_before_any_is_made() -> None:
    tracemalloc.start()
    plan = _plan(_space({"width": _range(0, 999_999, 1), "length": _range(1, 1000, 1)}))
    with pytest.raises(UserMistake) as caught:
        plan.check()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.error_code == "MATRIX_TOO_LARGE"
    assert "1,000,000,000 runs" in caught.value.what
    assert "target_runs" in caught.value.remedy
    assert peak < 50_000_000


def test_a_cap_draws_from_a_product_that_nobody_could_write_out() -> None:
    space = _space({"width": _range(0, 999_999_999, 1), "length": _range(1, 1_000_000, 1)})
    plan = _plan(space, blocks=3, target_runs=1000)
    plan.check()
    runs = list(plan)
    assert plan.capped
    assert plan.product == 3 * 10**15
    assert plan.count == len(runs) == len({one.run_id for one in runs}) == 1000
    assert [one for one in plan] == runs  # noqa: C416 (a second time over)
    of_settings = [sum(one.setting == number for one in runs) for number in range(3)]
    assert max(of_settings) - min(of_settings) <= 2
    assert list(_plan(space, blocks=3, target_runs=1000, seed=8)) != runs


@given(total=st.integers(1, 5000), share=st.floats(0.0, 1.0), seed=st.integers(0, 2**64 - 1))
def test_a_draw_is_without_replacement_and_any_part_of_it_is_the_same(total: int, share: float, seed: int) -> None:
    count = max(1, round(total * share))
    drawn = list(draw(total, count, seed=seed, domain=1))
    assert len(set(drawn)) == len(drawn) == count
    assert drawn == sorted(drawn)
    assert drawn[0] >= 0
    assert drawn[-1] < total
    middle = count // 2
    assert list(draw(total, count, seed=seed, domain=1, first=middle)) == drawn[middle:]
    if count == total:
        assert drawn == list(range(total))


def test_every_number_is_drawn_about_as_often() -> None:
    hits = [0] * 100
    for seed in range(2000):
        for number in draw(100, 10, seed=seed, domain=1):
            hits[number] += 1
    assert min(hits) > 140  # 200 expected, standard deviation 13
    assert max(hits) < 260


def test_the_settings_of_a_block_have_the_same_parameter_sets_under_a_cap() -> None:
    plan = _plan(_space({"width": _range(0, 999, 1)}), blocks=2, each=4, target_runs=103)
    sets = {number: [one.params for one in plan if one.setting == number] for number in range(8)}
    assert sets[0] == sets[1] == sets[2] == sets[3]
    assert sets[4] == sets[5] == sets[6] == sets[7]
    assert plan.count == 100  # 25 sets of 4 runs each: the most that 103 has room for


def test_a_cap_below_one_parameter_set_is_refused() -> None:
    with pytest.raises(UserMistake) as caught:
        _plan(_space({"width": (1.0, 2.0)}), each=4, target_runs=3).check()
    assert caught.value.error_code == "MATRIX_EMPTY"


def test_random_trials_are_the_same_for_every_setting() -> None:
    plan = _plan(_space({"width": _range(0, 9999, 1)}), blocks=3, trials=20)
    sets = [[one.params for one in plan if one.setting == number] for number in range(3)]
    assert sets[0] == sets[1] == sets[2]
    assert len(set(sets[0])) == 20
    capped = _plan(_space({"width": _range(0, 9999, 1)}), blocks=3, trials=20, target_runs=30)
    assert capped.count == 30
    assert {one.params for one in capped} <= set(sets[0])


def test_the_id_of_a_matrix_depends_on_its_runs_alone() -> None:
    same = _plan(_space({"length": (1, 2)})).matrix_id
    assert _plan(_space({"length": (1.0, 2)}), seed=99).matrix_id == same
    assert _plan(_space({"length": (1, 2)}), target_runs=2).matrix_id == same
    others = [
        _plan(_space({"length": (1, 3)})),
        _plan(_space({"length": (1, 2)}, {"width": 3.0})),
        _plan(_space({"length": (1, 2)}), blocks=2),
        _plan(_space({"length": (1, 2)}), target_runs=1),
    ]
    assert len({same, *(one.matrix_id for one in others)}) == 5


def test_planning_holds_no_run_in_memory() -> None:
    plan = _plan(_space({"width": _range(0, 99_999, 1)}), blocks=1)
    tracemalloc.start()
    count = sum(1 for _ in plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 1_000_000
