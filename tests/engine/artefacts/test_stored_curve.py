"""Which marks of a long equity curve are stored, and what is told of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from boxgate_engine.artefacts import RunArtefacts, full_curve, publish_run, read_run, stored_curve, table_files
from boxgate_engine.artefacts.curve import CURVE_FILE, MARKS_MAX
from boxgate_engine.digest import result_digest
from boxgate_engine.metrics import drawdown
from boxgate_engine.metrics.drawdowns import drawdowns
from boxgate_engine.tables import SCHEMAS, Tables, build_table

MINUTE_NS = 60 * 10**9
SPANS_NS = {"hour": 60 * MINUTE_NS, "day": 1440 * MINUTE_NS}
START_NS = 1_704_067_200_000_000_000 + 17 * MINUTE_NS


def curve(marks: int, *, step_ns: int = MINUTE_NS, key: int = 1) -> pa.Table:
    random = np.random.Generator(np.random.Philox(key=key))
    equity = 1000.0 + np.concatenate([[0.0], np.cumsum(random.normal(0, 0.01, marks - 1))])
    columns = {name: random.random(marks) for name in SCHEMAS["equity"].names}
    # With gaps, so that some hours have no mark.
    gaps = np.where(random.random(marks) < 0.001, 300, 1)
    columns |= {"time": START_NS + np.cumsum(gaps) * step_ns, "equity": equity, "drawdown": drawdown(equity)}
    return build_table("equity", columns)


def plain_rows(table: pa.Table, span_ns: int) -> list[int]:
    last = {time // span_ns: k for k, time in enumerate(table["time"].cast("int64").to_pylist())}
    return sorted({0, *last.values()})


@pytest.mark.parametrize("resolution", ["hour", "day"])
def test_of_each_hour_or_day_the_last_mark_is_stored_and_the_first_of_all(resolution: str) -> None:
    table = curve(20_000)
    stored = stored_curve(table, resolution)
    rows = plain_rows(table, SPANS_NS[resolution])
    assert stored.to_pylist() == table.take(rows).to_pylist()
    assert (rows[0], rows[-1]) == (0, 19_999)
    told = full_curve(stored.schema.metadata)
    assert told is not None
    assert (told.resolution, told.marks) == (resolution, 20_000)
    found = drawdowns(table["time"].cast("int64").to_numpy(), table["equity"].to_numpy())
    assert told.drawdowns == len(found)
    assert told.deepest == sorted(found, key=lambda one: (-one.depth, one.from_ns))[:10]


def test_auto_keeps_every_mark_as_long_as_they_are_not_very_many() -> None:
    assert MARKS_MAX == 250_000
    table = curve(250_000)
    assert stored_curve(table, "auto").equals(table, check_metadata=True)
    longer = curve(250_001)
    assert stored_curve(longer, "auto").num_rows == len(plain_rows(longer, SPANS_NS["hour"]))
    assert stored_curve(longer, "bar").equals(longer, check_metadata=True)


def test_auto_takes_days_where_the_hours_are_too_many() -> None:
    table = curve(250_001, step_ns=60 * MINUTE_NS)
    stored = stored_curve(table, "auto")
    assert stored.num_rows == len(plain_rows(table, SPANS_NS["day"]))
    told = full_curve(stored.schema.metadata)
    assert told is not None
    assert told.resolution == "day"


def test_where_every_hour_has_one_mark_nothing_is_left_out_and_nothing_told() -> None:
    table = curve(500, step_ns=60 * MINUTE_NS)
    stored = stored_curve(table, "hour")
    assert stored.equals(table, check_metadata=True)
    assert full_curve(stored.schema.metadata) is None


def test_the_file_tells_what_it_holds_and_the_digest_is_of_all_marks(
    tmp_path: Path, make_run: Callable[..., RunArtefacts], make_tables: Callable[..., Tables]
) -> None:
    small = make_tables()
    tables = Tables(signals=small.signals, fills=small.fills, trades=small.trades, equity=curve(3000))
    digest = result_digest(tables)
    for resolution, told in (("bar", "bar"), ("auto", "bar"), ("hour", "hour"), ("day", "day")):
        run = make_run(tables=tables, result_digest=digest)
        files = table_files(tables, mode="debug", equity=resolution)
        changed = {field: getattr(run, field) for field in run.__dataclass_fields__} | {"tables": files}
        stored = read_run(publish_run(RunArtefacts(**changed), tmp_path / resolution).folder)
        assert stored.equity_resolution == told
        assert stored.result_digest == digest
        assert (result_digest(stored.tables()) == digest) == (told == "bar")
    plain = pq.read_table(tmp_path / "hour" / run.run_id / CURVE_FILE)
    assert plain.schema.equals(SCHEMAS["equity"])
