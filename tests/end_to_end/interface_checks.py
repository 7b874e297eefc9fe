"""What the pinned interfaces say about the folder of a run, computed again from its files.

Written from the specification alone and sharing no code with the product: hashlib, struct, json, csv and, to read
Parquet, pyarrow. Each check takes the folder of a run and asserts; a number that is found again is returned.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import math
import re
import struct
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

TIME = pa.timestamp("ns", "UTC")
F, N, S, B = pa.float64(), pa.int64(), pa.string(), pa.bool_()

COLUMNS: dict[str, list[tuple[str, pa.DataType]]] = {
    "signals": [
        ("seq", N), ("time", TIME), ("instrument", S), ("side", S), ("qty", F), ("price", F), ("sl", F), ("tp", F),
        ("valid_until_ns", N), ("adjust_only", B), ("outcome", S), ("reject_reason", S),
    ],
    "fills": [
        ("seq", N), ("time", TIME), ("instrument", S), ("side", S), ("qty", F), ("price", F), ("reference_price", F),
        ("fee", F), ("slippage", F), ("liquidity", S), ("reason", S), ("signal_seq", N), ("path_dependent", B),
    ],
    "trades": [
        ("trade_id", N), ("instrument", S), ("side", S), ("qty", F), ("entry_seq", N), ("entry_time_ns", N),
        ("entry_price", F), ("exit_seq", N), ("exit_time_ns", N), ("exit_price", F), ("exit_reason", S),
        ("gross_pnl", F), ("fees", F), ("funding", F), ("swap", F), ("net_pnl", F), ("slippage_cost", F), ("mae", F),
        ("mfe", F), ("bars_held", N), ("path_dependent", B),
    ],
    "equity": [
        ("time", TIME), ("equity", F), ("cash", F), ("unrealised_pnl", F), ("margin_used", F), ("exposure_gross", F),
        ("exposure_net", F), ("drawdown", F),
    ],
}  # fmt: skip
"""The public columns of each table in the order of the interfaces, which is that of the digest."""

FILES = {
    "config.json", "params.json", "metrics.json", "equity_curve.parquet", "benchmark.parquet", "trades.csv",
    "fills.parquet", "signals.parquet", "report.html", "logs.ndjson", "environment.json", "manifest.json",
}  # fmt: skip

METRICS: dict[str, set[str]] = {
    "return": {"total", "cagr", "net_profit"},
    "risk": {"volatility", "max_drawdown", "max_drawdown_daily", "max_drawdown_length_ns"},
    "ratio": {"sharpe", "sortino", "mar"},
    "trades": {
        "count", "win_rate", "payoff", "profit_factor", "expectancy", "mae_mean", "mfe_mean", "holding_mean_ns",
    },
    "exposure": {"time_fraction"},
    "costs": {"fees", "slippage", "spread", "funding", "swap"},
    "counts": {
        "events", "bars", "ticks", "warmup_events", "signals", "no_ops", "rounded", "rejected", "unexecuted",
        "path_dependent_bars", "history_restarts", "liquidations", "margin_calls", "funding_stamps",
    },
    "equity": {"initial", "final"},
}  # fmt: skip

SECTIONS = (
    "assumptions", "summary", "equity", "drawdown", "price", "trades", "monthly", "distribution", "excursions",
    "quality", "path",
)  # fmt: skip


# ---- Identity -------------------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    """RFC 8785: members by UTF-16 code units, no space, numbers as ECMAScript writes them."""
    return _canonical(value).encode()


def _canonical(value: Any) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_canonical(k)}:{_canonical(v)}" for k, v in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_canonical, value)) + "]"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(float(value))
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if value == 0.0:
        return "0"
    sign, text = ("-" if value < 0 else ""), repr(abs(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    scientific = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
    return f"{sign}{scientific}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def run_id(identity: dict[str, Any]) -> str:
    return "r_" + hashlib.sha256(canonical(identity)).hexdigest()[:32]


def seed(identity: dict[str, Any]) -> int:
    scenario = {name: identity[name] for name in ("instruments", "frames", "window")}
    scenario_id = hashlib.sha256(canonical({"params": identity["strategy"]["params"], **scenario})).digest()
    parts = (identity["master_seed"].to_bytes(8, "big"), scenario_id)
    hashed = hashlib.blake2b(b"".join(struct.pack(">I", len(part)) + part for part in parts)).digest()
    return int.from_bytes(hashed[:8], "big") >> 11


def strategy_digest(folder: Path) -> str:
    """The digest of a strategy of which every file but caches is a source."""
    sha = hashlib.sha256()
    kept = [p for p in folder.rglob("*") if p.is_file() and not _is_cache(p.relative_to(folder))]
    for path in sorted(kept, key=lambda p: p.relative_to(folder).as_posix().encode()):
        name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        sha.update(struct.pack("<I", len(name)) + name + struct.pack("<Q", len(content)) + content)
    return "sha256:" + sha.hexdigest()


def _is_cache(relative: Path) -> bool:
    folders = relative.parts[:-1]
    return any(part == "__pycache__" or part.startswith(".") for part in folders) or relative.suffix == ".pyc"


# ---- Tables ---------------------------------------------------------------------------------------------------------


def tables(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The four tables as rows; times are int64 nanoseconds."""
    read = {name: _parquet(folder / file) for name, file in PARQUET.items()}
    return {"signals": read["signals"], "fills": read["fills"], "trades": _trades(folder), "equity": read["equity"]}


PARQUET = {"signals": "signals.parquet", "fills": "fills.parquet", "equity": "equity_curve.parquet"}


def _parquet(path: Path) -> list[dict[str, Any]]:
    table = pq.read_table(path)
    at = table.schema.get_field_index("time")
    rows: list[dict[str, Any]] = table.set_column(at, "time", table.column(at).cast(pa.int64())).to_pylist()
    return rows


def _trades(folder: Path) -> list[dict[str, Any]]:
    read = {S: str, N: int, F: float, B: {"true": True, "false": False}.__getitem__}
    with (folder / "trades.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    columns = COLUMNS["trades"]
    assert rows[0] == [name for name, _ in columns]
    return [
        {name: read[kind](text) for (name, kind), text in zip(columns, row, strict=True)}  # type: ignore[operator]
        for row in rows[1:]
    ]


def check_columns(folder: Path, mode: str) -> None:
    for name, file in PARQUET.items():
        wanted = list(COLUMNS[name])
        if name == "signals" and mode == "debug":
            wanted.append(("meta", S))
        assert [(field.name, field.type) for field in pq.read_schema(folder / file)] == wanted, file
    _trades(folder)


def result_digest(folder: Path) -> str:
    """Section 3: recomputed from the files."""
    sha = hashlib.sha256()
    rows_of = tables(folder)
    for table, columns in COLUMNS.items():
        rows = rows_of[table]
        sha.update(_text(table) + struct.pack("<q", len(rows)))
        for name, kind in columns:
            type_name = {F: "float64", S: "string", B: "bool"}.get(kind, "int64")
            sha.update(_text(name) + _text(type_name))
            for row in rows:
                sha.update(_value(row[name], type_name))
    return "sha256:" + sha.hexdigest()


def _text(value: str) -> bytes:
    octets = value.encode()
    return struct.pack("<I", len(octets)) + octets


def _value(value: Any, type_name: str) -> bytes:
    if value is None:
        return b"\0"
    if type_name == "float64":
        return b"\1" + struct.pack("<d", value + 0.0)  # −0.0 + 0.0 is 0.0
    if type_name == "int64":
        return b"\1" + struct.pack("<q", value)
    return b"\1" + (bytes([value]) if type_name == "bool" else _text(value))


# ---- Files ----------------------------------------------------------------------------------------------------------


def document(folder: Path, name: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{name} holds {word}")

    text = (folder / name).read_text()
    found = json.loads(text, parse_constant=refuse)
    assert "\r" not in text
    assert json.dumps(found, sort_keys=True, ensure_ascii=False) == json.dumps(found, ensure_ascii=False), "sorted keys"
    return found


def check_manifest(folder: Path) -> None:
    manifest = document(folder, "manifest.json")
    present = {path.name for path in folder.iterdir()}
    assert present == FILES
    keys = {"schema", "run_id", "result_digest", "status", "mode", "dataset", "strategy_digest", "files"}
    assert set(manifest) == keys
    assert (manifest["schema"], manifest["status"]) == ("boxgate.manifest/1", "complete")
    assert set(manifest["files"]) == FILES - {"logs.ndjson", "environment.json", "manifest.json"}
    for name, facts in manifest["files"].items():
        content = (folder / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}, name
    identity = document(folder, "config.json")["identity"]
    assert manifest["run_id"] == folder.name
    assert manifest["dataset"] == identity["dataset"]
    assert manifest["strategy_digest"] == identity["strategy"]["digest"]
    assert manifest["mode"] == identity["mode"]
    assert manifest["result_digest"] == result_digest(folder)


def check_config(folder: Path) -> None:
    config = document(folder, "config.json")
    identity = config["identity"]
    assert set(config) == {"schema", "identity", "resolved"}
    assert config["schema"] == "boxgate.config/1"
    assert set(identity) == {
        "contract", "engine", "strategy", "dataset", "instruments", "frames", "window", "account", "costs",
        "execution", "warmup", "master_seed", "mode",
    }  # fmt: skip
    assert set(identity["strategy"]) == {"digest", "params"}
    assert not {"delivery", "window_events"} & (set(identity["execution"]) | set(config["resolved"]["execution"]))
    operational = {"report", "artifacts", "data_provider", "limits"}
    assert not operational & set(config["resolved"])
    assert run_id(identity) == folder.name
    assert document(folder, "params.json") == identity["strategy"]["params"]
    assert not re.search(r'": "/|^\s*"/', (folder / "config.json").read_text(), re.MULTILINE), "an absolute path"


def check_log(folder: Path) -> list[dict[str, Any]]:
    mode = document(folder, "manifest.json")["mode"]
    lines = [json.loads(line) for line in (folder / "logs.ndjson").read_text().splitlines()]
    for line in lines:
        assert set(line) - {"seq"} == {"ts", "level", "event", "source", "run_id", "message", "fields"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", line["ts"])
        assert line["level"] in ("debug", "info", "warning", "error")
        assert re.fullmatch(r"[a-z][a-z0-9_]*", line["event"])
        assert line["source"] in (("gateway", "engine", "sidecar") if mode == "debug" else ("gateway", "engine"))
        assert line["run_id"] == folder.name
        assert isinstance(line["fields"], dict)
        assert isinstance(line.get("seq", 0), int)
    events = [line["event"] for line in lines]
    assert events[0] == "run_started"
    assert events[-1] == "run_completed"
    assert events.count("sidecar_ready") == 1
    rejected = [row["seq"] for row in tables(folder)["signals"] if row["outcome"] == "REJECTED"]
    assert sorted(line["seq"] for line in lines if line["event"] == "rejected") == rejected
    return lines


def page_data(folder: Path) -> Any:
    """The data of the page, after checking that its sections are there and that nothing is fetched."""
    page = (folder / "report.html").read_text()
    for name in SECTIONS:
        assert re.search(rf"<section\b[^>]*\bid=[\"']?{name}\b", page), name
    # What a browser would load; addresses inside the text of a library are none of it.
    assert not re.search(r"<(script|img|link|iframe)\b[^>]*\b(src|href)=[\"']?(https?:)?//", page)
    block = re.search(r"<script\b[^>]*\bid=[\"']?boxgate-data[\"']?[^>]*>(.*?)</script>", page, re.DOTALL)
    assert block is not None
    assert 'type="application/json"' in block[0].split(">")[0]
    return json.loads(block[1])


# ---- Accounts -------------------------------------------------------------------------------------------------------


def check_equity(folder: Path) -> None:
    rows, metrics = tables(folder)["equity"], document(folder, "metrics.json")
    window = document(folder, "config.json")["identity"]["window"]
    cash = document(folder, "config.json")["identity"]["account"]["cash"]
    leverage = document(folder, "config.json")["identity"]["account"]["leverage"]
    first = rows[0]
    assert (first["time"], first["equity"], first["cash"], first["drawdown"]) == (
        int(window["start_ns"]),
        cash,
        cash,
        0,
    )
    assert metrics["equity"] == {"initial": cash, "final": rows[-1]["equity"]}
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    assert times[1] > times[0]
    assert times[-1] <= int(window["end_ns"])
    peak = cash
    for row in rows:
        peak = max(peak, row["equity"])
        assert row["equity"] == row["cash"] + row["unrealised_pnl"]
        assert close(row["drawdown"], min(1.0, max(0.0, 1.0 - row["equity"] / peak)))
        assert close(row["margin_used"], row["exposure_gross"] / leverage)
        assert abs(row["exposure_net"]) <= row["exposure_gross"] * (1 + 1e-12)


def check_trades(folder: Path) -> None:
    """Replay the fills into positions and find every trade, the cash and what is open again."""
    read, metrics = tables(folder), document(folder, "metrics.json")
    costs = document(folder, "config.json")["identity"]["costs"]
    closed: list[tuple[dict[str, Any], dict[str, Any]]] = []
    cash = metrics["equity"]["initial"]
    open_: dict[str, dict[str, Any]] = {}
    for fill in read["fills"]:
        assert close(fill["fee"], fill["price"] * fill["qty"] * costs["fees_bps"] / 10_000)
        sign = 1.0 if fill["side"] == "BUY" else -1.0
        position = open_.get(fill["instrument"])
        if position is None or position["sign"] == sign:
            assert fill["reason"] == "ENTRY"
            position = position or {"sign": sign, "qty": 0.0, "entry": 0.0, "fees": 0.0, "slip": 0.0, "first": fill}
            qty = position["qty"] + fill["qty"]
            position["entry"] = (position["entry"] * position["qty"] + fill["price"] * fill["qty"]) / qty
            position |= {
                "qty": qty,
                "fees": position["fees"] + fill["fee"],
                "slip": position["slip"] + fill["slippage"],
            }
            open_[fill["instrument"]] = position
            cash -= fill["fee"]
            continue
        share = fill["qty"] / position["qty"]
        gross = position["sign"] * (fill["price"] - position["entry"]) * fill["qty"]
        exact = {
            "instrument": fill["instrument"],
            "side": "LONG" if sign < 0 else "SHORT",
            "qty": fill["qty"],
            "entry_seq": position["first"]["seq"],
            "entry_time_ns": position["first"]["time"],
            "exit_seq": fill["seq"],
            "exit_time_ns": fill["time"],
            "exit_price": fill["price"],
            "exit_reason": fill["reason"],
        }
        sums = {
            "entry_price": position["entry"],
            "gross_pnl": gross,
            "fees": position["fees"] * share + fill["fee"],
            "slippage_cost": position["slip"] * share + fill["slippage"],
        }
        closed.append((exact, sums))
        cash += gross - fill["fee"]
        position |= {"fees": position["fees"] * (1 - share), "slip": position["slip"] * (1 - share)}
        position["qty"] -= fill["qty"]
        assert position["qty"] >= 0.0, "a fill beyond the position"
        if position["qty"] == 0.0:
            del open_[fill["instrument"]]
    # By exit, then seq: a fill at the open of a bar may follow one inside the bar of another instrument.
    closed.sort(key=lambda both: (both[0]["exit_time_ns"], both[0]["exit_seq"]))
    for trade, (exact, sums) in zip(read["trades"], closed, strict=True):
        assert {name: trade[name] for name in exact} == exact
        assert all(close(trade[name], sums[name], 1e-7) for name in sums)
    for number, trade in enumerate(read["trades"], 1):
        assert trade["trade_id"] == number
        net = trade["gross_pnl"] - trade["fees"] + trade["funding"] + trade["swap"]
        assert close(trade["net_pnl"], net, 1e-9)
        assert trade["mae"] <= 0.0 <= trade["mfe"]
        assert trade["bars_held"] >= 0
    exits = [(trade["exit_time_ns"], trade["exit_seq"]) for trade in read["trades"]]
    assert exits == sorted(exits)
    assert close(read["equity"][-1]["cash"], cash)
    found = {p["instrument"]: (p["side"], p["qty"]) for p in metrics["open_positions"]}
    assert found == {name: ("LONG" if p["sign"] > 0 else "SHORT", p["qty"]) for name, p in open_.items()}
    assert all(close(p["entry_price"], open_[p["instrument"]]["entry"]) for p in metrics["open_positions"])
    unrealised = math.fsum(p["unrealised_pnl"] for p in metrics["open_positions"])
    assert close(read["equity"][-1]["unrealised_pnl"], unrealised, 1e-9)


def check_metrics(folder: Path, *, weekends: bool) -> None:
    """Every number that the definitions give from equity, trades and fills alone."""
    read, metrics = tables(folder), document(folder, "metrics.json")
    keys = {"schema", "currency", "periods_per_year", "open_positions", *METRICS}
    assert set(metrics) >= keys, "additions are free"
    assert all(set(metrics[group]) >= names for group, names in METRICS.items())
    assert metrics["schema"] == "boxgate.metrics/1"
    wanted = {"schema": metrics["schema"], "currency": metrics["currency"], "open_positions": metrics["open_positions"]}
    marks = [(row["time"], row["equity"]) for row in read["equity"]]
    days: dict[Any, float] = {datetime.fromtimestamp(t // 10**9, UTC).date(): e for t, e in marks}
    daily = list(days.values())
    returns = [b / a - 1 for a, b in itertools.pairwise(daily)]
    n, periods = len(returns), 365 if weekends else 252
    mean = math.fsum(returns) / n if n else None
    deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (n - 1)) if mean is not None and n > 1 else None
    downside = math.sqrt(math.fsum(min(r, 0.0) ** 2 for r in returns) / n) if n else None
    cagr = math.prod(1 + r for r in returns) ** (periods / n) - 1 if n else None
    fall_daily = _max_drawdown(daily)
    wanted |= {
        "periods_per_year": periods,
        "return": {"total": marks[-1][1] / marks[0][1] - 1, "cagr": cagr, "net_profit": marks[-1][1] - marks[0][1]},
        "risk": {
            "volatility": None if deviation is None else deviation * math.sqrt(periods),
            "max_drawdown": _max_drawdown([e for _, e in marks]),
            "max_drawdown_daily": fall_daily,
            "max_drawdown_length_ns": _longest_fall_ns(marks),
        },
        "ratio": {
            "sharpe": mean / deviation * math.sqrt(periods) if deviation and mean is not None else None,
            "sortino": mean / downside * math.sqrt(periods) if downside and mean is not None else None,
            "mar": cagr / fall_daily if fall_daily and cagr is not None else None,
        },
        "trades": _trade_figures(read["trades"]),
        "exposure": {"time_fraction": _time_fraction(read["equity"])},
        "equity": {"initial": marks[0][1], "final": marks[-1][1]},
    }
    for group, figures in wanted.items():
        pinned = {name: metrics[group][name] for name in figures} if isinstance(figures, dict) else metrics[group]
        assert same(pinned, figures), (group, pinned, figures)
    for name in ("fee", "slippage"):
        total = math.fsum(row[name] for row in read["fills"])
        assert close(metrics["costs"][{"fee": "fees"}.get(name, name)], total, 1e-9)
    counts = metrics["counts"]
    outcomes = [row["outcome"] for row in read["signals"]]
    assert counts["signals"] == len(outcomes)
    assert counts["no_ops"] == outcomes.count("NO_OP")
    assert counts["rejected"] == outcomes.count("REJECTED")
    assert counts["unexecuted"] == outcomes.count("UNEXECUTED")
    assert counts["events"] == counts["bars"] + counts["ticks"]


def _trade_figures(trades: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(values: list[float]) -> float | None:
        return math.fsum(values) / len(values) if values else None

    nets = [trade["net_pnl"] for trade in trades]
    wins, losses = [x for x in nets if x > 0], [x for x in nets if x < 0]
    win, loss = mean(wins), mean(losses)
    return {
        "count": len(trades),
        "win_rate": len(wins) / len(trades) if trades else None,
        "payoff": win / -loss if win is not None and loss is not None else None,
        "profit_factor": math.fsum(wins) / -math.fsum(losses) if losses else None,
        "expectancy": mean(nets),
        "mae_mean": mean([trade["mae"] for trade in trades]),
        "mfe_mean": mean([trade["mfe"] for trade in trades]),
        "holding_mean_ns": mean([trade["exit_time_ns"] - trade["entry_time_ns"] for trade in trades]),
    }


def _max_drawdown(values: list[float]) -> float:
    peak, worst = values[0], 0.0
    for value in values:
        peak = max(peak, value)
        worst = max(worst, min(1.0, 1 - value / peak))
    return worst


def _longest_fall_ns(marks: list[tuple[int, float]]) -> int:
    longest, (since, peak) = 0, marks[0]
    below = False
    for time_ns, value in marks:
        if below or value < peak:
            longest = max(longest, time_ns - since)
        if value >= peak:
            since, peak = time_ns, value
        below = value < peak
    return longest


def _time_fraction(rows: list[dict[str, Any]]) -> float | None:
    held = sum(b["time"] - a["time"] for a, b in itertools.pairwise(rows) if a["exposure_gross"] > 0)
    span = rows[-1]["time"] - rows[0]["time"]
    return held / span if span else None


def same(got: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return set(got) == set(wanted) and all(same(got[key], wanted[key]) for key in wanted)
    if isinstance(wanted, float) and got is not None:
        return close(got, wanted)
    if isinstance(wanted, int | float) and got is not None:
        return bool(abs(got - wanted) <= 1)
    return bool(got == wanted)


def close(got: float, wanted: float, absolute: float = 1e-12) -> bool:
    """Equal but for the order of summation."""
    return math.isclose(got, wanted, rel_tol=1e-9, abs_tol=absolute)
