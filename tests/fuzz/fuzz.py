# mypy: disable-error-code="import-not-found"
"""Random runs, and what must hold in each of them.

As a command, `python tests/fuzz/fuzz.py --runs 10000 --jobs 2`: prints what the runs had in them, or the first seed
that fails and the command that repeats it.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from drawn_run import draw_run
from session import Session, record, replay

from boxgate_engine.digest import result_digest
from boxgate_engine.kernel import intent_records as words
from boxgate_engine.kernel import is_compiled
from boxgate_engine.results import Results
from boxgate_engine.simulation import compile_kernel
from boxgate_engine.tables import SCHEMAS

_BATCH = 100
_CLOSE = 1e-9

Outcome = tuple[Results, dict[str, Any], Session]


def check_seed(seed: int) -> Counter[str]:
    """Draw a run, do it twice, assert what must hold, and return what it had in it."""
    run = draw_run(seed)
    session, answers = record(run)
    results, metrics = session.finish()
    check_numbers(results, metrics, session)
    check_ledger(results, session)
    again = replay(run, answers)
    check_equal((results, metrics, session), (*again.finish(), again))
    if seed % 10 == 0:
        check_finite(session.benchmark(results, metrics["periods_per_year"]), "benchmark")
        other, _ = record(draw_run(seed))
        check_equal((results, metrics, session), (*other.finish(), other))
    return contents(results, session)


def check_numbers(results: Results, metrics: dict[str, Any], session: Session) -> None:
    """Assert that no NaN and no infinity leaves the engine."""
    tables = [(name, getattr(results.tables, name)) for name in SCHEMAS] + [("ledger", results.ledger)]
    for name, table in tables:
        for column in table.column_names:
            if pa.types.is_floating(table[column].type):
                values = table[column].drop_null()
                assert pc.all(pc.is_finite(values)).as_py() is not False, f"{name}.{column} has no number"
    check_finite(metrics, "metrics")
    check_finite([results.open_positions, results.spread_cost, results.funding_cost, results.swap_cost], "results")
    intents = session.simulation.sim.intents[: int(session.simulation.sim.account["intents"][0])]
    assert np.isfinite(intents["average_price"]).all()
    assert (intents["filled"] <= intents["lots"])[intents["kind"] == words.SUBMIT].all() or _was_replaced(intents)


def check_finite(value: Any, where: str) -> None:
    """Assert that every number inside is finite; None stands for what is not defined."""
    if isinstance(value, dict):
        for name, each in value.items():
            check_finite(each, f"{where}.{name}")
    elif isinstance(value, (list, tuple)):
        for each in value:
            check_finite(each, where)
    elif isinstance(value, float):
        assert math.isfinite(value), f"{where} is {value}"


def check_ledger(results: Results, session: Session) -> None:
    """Assert that bookings, trades and fills say the same of the cash, to 1e-9 of all that moved."""
    account, book = session.simulation.sim.account[0], session.simulation.sim.book
    assert session.watch is not None
    ledger, tables, scale = results.ledger, results.tables, session.watch.moved
    assert ledger is not None
    final, initial = float(account["cash"]), session.rules.cash

    def near(what: str, found: float, expected: float) -> None:
        assert abs(found - expected) <= _CLOSE * scale, f"{what}: {found} instead of {expected}"

    near("debit and credit", _total(ledger["debit"]), _total(ledger["credit"]))
    lines = ledger.group_by("account").aggregate([("debit", "sum"), ("credit", "sum")]).to_pylist()
    sums = {line["account"]: line["debit_sum"] - line["credit_sum"] for line in lines}
    gross, fees = _total(tables.trades["gross_pnl"]), _total(tables.fills["fee"])
    near("ledger cash", sums["cash"], final)
    near("ledger capital", -sums["capital"], initial)
    near("ledger pnl", -sums.get("pnl", 0.0), gross)
    near("ledger fees", sums.get("fees", 0.0), fees)
    near("ledger funding", sums.get("funding", 0.0), results.funding_cost)
    near("ledger swap", sums.get("swap", 0.0), results.swap_cost)
    near("ledger identity", initial + gross - fees - results.funding_cost - results.swap_cost, final)
    # What open positions have paid and received stands in no trade yet.
    pending = float((book["funding_pool"] + book["swap_pool"] - book["fee_pool"]).sum())
    near("trades", _total(tables.trades["net_pnl"]) + pending, final - initial)
    if session.run.config.execution.close_at_end:
        near("closed trades", _total(tables.trades["net_pnl"]), final - initial)
        assert not results.open_positions


def check_equal(first: Outcome, second: Outcome) -> None:
    """Assert that two sessions made the same of the same answers, to the last bit."""
    (results, metrics, session), (results2, metrics2, other) = first, second
    assert result_digest(results.tables) == result_digest(results2.tables)
    for name in SCHEMAS:
        assert getattr(results.tables, name).equals(getattr(results2.tables, name)), name
    assert results.ledger is not None
    assert results.ledger.equals(results2.ledger)
    assert metrics == metrics2
    one, two = session.simulation.sim, other.simulation.sim
    for name in ("updates", "intents"):
        count = int(one.account[name][0])
        assert count == int(two.account[name][0]), name
        for column in getattr(one, name).dtype.names:
            if column != "event":  # its index in the chunk
                assert (getattr(one, name)[column][:count] == getattr(two, name)[column][:count]).all(), (name, column)


def contents(results: Results, session: Session) -> Counter[str]:
    """Return what a run had in it."""
    found = Counter({"runs": 1, "sessions of orders": int(session.run.orders), "events": session.tape.events})
    found["sessions with named positions"] = int(session.run.hedging)
    found["runs with fills"] = int(results.tables.fills.num_rows > 0)
    for reason, count in Counter(results.tables.fills["reason"].to_pylist()).items():
        found[f"fills {reason}"] = count
    for name in ("liquidations", "margin_calls", "funding_stamps", "rejected"):
        found[name] = results.counts[name]
    intents = session.simulation.sim.intents[: int(session.simulation.sim.account["intents"][0])]
    names = {
        words.FILLED: "FILLED",
        words.CANCELLED: "CANCELLED",
        words.EXPIRED: "EXPIRED",
        words.DONE: "DONE",
        4: "REJECTED",
    }
    for outcome, count in Counter(intents["outcome"].tolist()).items():
        found[f"intents {names.get(outcome, 'others')}"] += count
    return found


def _was_replaced(intents: Any) -> bool:
    return bool((intents["kind"] == words.REPLACE).any())


def _total(column: pa.ChunkedArray) -> float:
    return math.fsum(column.to_pylist())


# ---------------------------------------------------------------------------------------------------------------------
# The command


def check_seeds(seeds: range) -> Counter[str] | tuple[int, str]:
    """Check seeds; return what they had in them, or the first that fails and its traceback."""
    found: Counter[str] = Counter()
    for seed in seeds:
        try:
            found += check_seed(seed)
        except Exception:
            return seed, traceback.format_exc()
    return found


def main(arguments: Sequence[str]) -> int:
    """Check as many runs as the arguments say; return 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    if not is_compiled():
        print("compiling the engine", flush=True)
        compile_kernel()
    began = time.monotonic()
    found: Counter[str] = Counter()
    for outcome in _outcomes(options.first, options.first + options.runs, options.jobs):
        if isinstance(outcome, tuple):
            seed, report = outcome
            print(f"{report}\nseed {seed} fails; again: .venv/bin/python tests/fuzz/fuzz.py --first {seed} --runs 1")
            return 1
        found += outcome
        if found["runs"] % 1000 == 0:
            print(f"{found['runs']:7,d} runs, {time.monotonic() - began:.0f} s", flush=True)
    for name, count in sorted(found.items()):
        print(f"{count:12,d}  {name}")
    print(f"all hold, {time.monotonic() - began:.0f} s")
    return 0


def _outcomes(first: int, end: int, jobs: int) -> Iterator[Counter[str] | tuple[int, str]]:
    batches = [range(seed, min(seed + _BATCH, end)) for seed in range(first, end, _BATCH)]
    if jobs == 1 or len(batches) == 1:
        yield from map(check_seeds, batches)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(check_seeds, batches)
        finally:
            pool.shutdown(cancel_futures=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
