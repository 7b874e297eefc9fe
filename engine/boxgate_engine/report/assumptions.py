"""The assumptions of a run in plain sentences. Whoever reads the result reads what it rests on.

The rules themselves are docs/spec/execution.md; a sentence here says which of them this run used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from boxgate_engine.datasets.content import FUNDING
from boxgate_engine.identity import scenario_id, seed
from boxgate_engine.instruments import Instrument
from boxgate_engine.report.numerals import count, counted, duration, instant, money, plain
from boxgate_engine.report.prices import PricePanel
from boxgate_engine.report.run_files import RunFiles

PATHS: Final = {
    "ohlc": "Inside a bar the price runs open, high, low, close.",
    "olhc": "Inside a bar the price runs open, low, high, close.",
    "adaptive": "Inside a bar the price first goes to the extreme that is nearer to the open.",
    "pessimistic": "Both orders of a bar's extremes are tried and the one that leaves less equity is kept.",
    "optimistic": "Both orders of a bar's extremes are tried and the one that leaves more equity is kept.",
    "real": "A bar is replaced by the ticks or finer bars that the dataset has of it; what is left is settled "
    "pessimistically.",
}
"""What each setting of `execution.path` means."""

NOT_MODELLED: Final = (
    "Order book depth and queue position: a touched limit is filled, whole where no volume limit cuts it",
    "Market impact beyond the slippage above, and latency inside of bars",
    "Auctions, halts, outages and requotes",
    "Inverse contracts, and orders that depend on another instrument",
    "Partial liquidation, insurance funds and interest on cash",
    "Taxes, dividends and other corporate actions",
)
"""What the engine leaves out; each can make real trading worse than this page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assumption:
    """One line. note: the sentence that explains the value; may be empty. code: True for hashes and commands."""

    name: str
    value: str
    note: str = ""
    code: bool = False


def name_assumptions(
    files: RunFiles,
    *,
    run_id: str,
    result_digest: str,
    prices: Sequence[PricePanel],
    instruments: Sequence[Instrument] = (),
    quality: Mapping[str, Any] | None = None,
) -> list[tuple[str, list[Assumption]]]:
    """Return (heading, lines) for every group of assumptions, in reading order.

    quality: as of the page, by series name; None or empty where the dataset is not at hand.
    """
    return [
        ("Costs", _costs(files, _without_funding(files, instruments, quality or {}))),
        ("Fills", _fills(files, prices, instruments)),
        ("What happened", _outcome(files)),
        ("Run", _run(files)),
        ("Identity", _identity(files, run_id, result_digest)),
    ]


def _costs(files: RunFiles, without_funding: Sequence[str]) -> list[Assumption]:
    costs, account = files.config["resolved"]["costs"], files.config["resolved"]["account"]
    fees, slippage = shown_fees(costs), shown_slippage(costs)
    value, note = _spread(costs.get("spread", "data"))
    return [
        Assumption(
            name="Fees",
            value=fees,
            note="" if fees != "none" else "Real venues charge: a result without fees is an upper bound.",
        ),
        Assumption(name="Spread", value=value, note=note),
        Assumption(
            name="Slippage",
            value=slippage,
            note="On market and stop fills, against the trader; never on limits and targets.",
        ),
        Assumption(
            name="Funding",
            value=shown_funding(costs.get("funding", "auto")),
            note="On positions held at the stamp: a positive rate is paid by longs and received by shorts.",
        ),
        *(
            [
                Assumption(
                    name="No funding series",
                    value=f"{', '.join(without_funding)}: taken as spot",
                    note="A perpetual contract pays and receives funding: import its rates to have them counted.",
                )
            ]
            if without_funding
            else []
        ),
        Assumption(
            name="Overnight swap",
            value=shown_swap(costs.get("swap", "none")),
            note="At 17:00 in New York, Monday to Friday, on positions held then; positive is received.",
        ),
        *_own_costs(costs.get("instruments", {})),
        Assumption(
            name="Account",
            value=f"{money(account['cash'], account['currency'])}, leverage {shown_leverage(account)}",
            note="Cash account: no short positions."
            if account.get("type") == "cash"
            else "Margin account: an increase that the margin does not carry is rejected whole; a reduction always "
            "executes.",
        ),
        Assumption(
            name="Liquidation",
            value=shown_margin(account),
            note="Profit, fees and margin in other currencies are converted at mid prices of the run's instruments."
            + "".join(f" {' and '.join(group)} count as one." for group in account.get("equivalents", [])),
        ),
    ]


def _without_funding(files: RunFiles, instruments: Sequence[Instrument], quality: Mapping[str, Any]) -> list[str]:
    """Return the coins whose funding is that of the dataset, which has none of them."""
    costs = files.config["resolved"]["costs"]
    own = costs.get("instruments", {})
    return [
        one.symbol
        for one in instruments
        if quality
        and one.asset_class == "crypto"
        and f"{one.symbol} {FUNDING}" not in quality
        and (own.get(one.symbol, {}).get("funding") or costs.get("funding", "auto")) != "none"
    ]


def shown_leverage(account: Mapping[str, Any]) -> str:
    """Return the leverage of a section `account` in words."""
    leverage = account.get("leverage", 1)
    if not isinstance(leverage, Mapping):
        return plain(leverage)
    own = [f"{symbol} {plain(value)}" for symbol, value in sorted(leverage.items()) if symbol != "default"]
    return ", ".join([plain(leverage["default"]), *own])


def shown_margin(account: Mapping[str, Any]) -> str:
    """Return when an account is liquidated and called, in words."""
    margin = account.get("margin", {})
    parts = []
    if margin.get("mode") == "isolated":
        parts.append("each position with its own margin")
    if margin.get("maintenance"):
        parts.append(f"below {plain(100 * margin['maintenance'])} % of the margin")
    if not parts:
        parts.append("none: a negative equity is shown and not stopped")
    if margin.get("fee_bps"):
        parts.append(f"fee {plain(margin['fee_bps'])} bps")
    if margin.get("call"):
        parts.append(f"margin call below {plain(100 * margin['call'])} %")
    return ", ".join(parts)


def shown_funding(funding: Any) -> str:
    """Return the funding of a section `costs` in words."""
    if funding == "none":
        return "none"
    if isinstance(funding, Mapping) and funding["missing"] == "skip":
        return "the dataset's rates; missing ones are taken as nothing"
    return "the dataset's rates where it has them" if funding == "auto" else "the dataset's rates"


def shown_swap(swap: Any) -> str:
    """Return the overnight swap of a section `costs` in words."""
    if swap == "none":
        return "none"
    sides = f"long {plain(swap['long'])}, short {plain(swap['short'])}"
    unit = {
        "points": "ticks",
        "money_per_lot": f"for each {plain(swap['lot_qty'])} units",
        "annual_rate": "of the notional for 360 days",
    }[swap["model"]]
    triple = "" if swap["triple"] == "none" else f", three nights on {swap['triple'].capitalize()}"
    return f"{sides} {unit}{triple}"


def shown_fees(costs: Mapping[str, Any]) -> str:
    """Return the fees of a section `costs` in words."""
    tariff = costs.get("fees")
    if not tariff:
        bps = costs.get("fees_bps") or 0
        return f"{plain(bps)} bps of notional, each fill" if bps else "none"
    maker, taker = tariff.get("maker_bps", 0), tariff.get("taker_bps", 0)
    parts = [
        f"{plain(taker)} bps of notional" if maker == taker else f"{plain(maker)} bps maker, {plain(taker)} bps taker"
    ]
    if tariff.get("per_lot"):
        parts.append(f"{plain(tariff['per_lot'])} for each {plain(tariff.get('lot_qty', 100_000))} units")
    if tariff.get("per_fill"):
        parts.append(f"{plain(tariff['per_fill'])} a fill")
    if tariff.get("minimum"):
        parts.append(f"at least {plain(tariff['minimum'])}")
    return ", ".join(parts)


def shown_spread(costs: Mapping[str, Any]) -> str:
    """Return the spread of a section `costs` in words."""
    return _spread(costs.get("spread", "data"))[0]


def shown_slippage(costs: Mapping[str, Any]) -> str:
    """Return the slippage of a section `costs` in words."""
    model = costs.get("slippage") or {"model": "bps", "value": costs.get("slippage_bps") or 0}
    value = plain(model["value"])
    if not model["value"]:
        return "none"
    return {
        "bps": f"{value} bps",
        "ticks": f"{value} ticks",
        "volume_share": f"{value} × the share of the bar's volume",
        "impact": f"{value} × the root of the share of the bar's volume",
    }[model["model"]]


def _own_costs(instruments: Mapping[str, Mapping[str, Any]]) -> list[Assumption]:
    """Return what is different for single instruments."""
    lines = []
    for symbol, own in sorted(instruments.items()):
        parts = []
        if own.get("fees") or own.get("fees_bps") is not None:
            parts.append(f"fees {shown_fees(own)}")
        if own.get("slippage") or own.get("slippage_bps") is not None:
            parts.append(f"slippage {shown_slippage(own)}")
        if own.get("spread") is not None:
            parts.append(f"spread {_spread(own['spread'])[0]}")
        if own.get("funding") is not None:
            parts.append(f"funding {shown_funding(own['funding'])}")
        if own.get("swap") is not None:
            parts.append(f"swap {shown_swap(own['swap'])}")
        lines.append(Assumption(name=f"Costs of {symbol}", value="; ".join(parts) or "as for all"))
    return lines


def _spread(spread: Any) -> tuple[str, str]:
    watched = "Buys and exits of shorts watch the ask, sells and exits of longs the bid."
    if spread == "none":
        return "none", "Bid and ask are equal: a result without spread is an upper bound."
    if spread == "data":
        return "from the data (bid and ask)", watched
    if "hours" in spread:
        low, high = min(spread["hours"]), max(spread["hours"])
        value = f"by the hour of the week, {plain(low)} to {plain(high)} ticks"
        return value, f"The data are the bid, the ask lies above. {watched}"
    if "ticks" in spread:
        unit = "tick" if spread["ticks"] == 1 else "ticks"
        return f"constant, {plain(spread['ticks'])} {unit}", f"The data are the bid, the ask lies above. {watched}"
    return f"constant, {plain(spread['price'])} in price", f"The data are the bid, the ask lies above. {watched}"


def _fills(files: RunFiles, prices: Sequence[PricePanel], instruments: Sequence[Instrument]) -> list[Assumption]:
    resolved = files.config["resolved"]
    execution = resolved["execution"]
    series = execution.get("series")
    frames = {panel.symbol: panel.frame for panel in prices} or dict.fromkeys(resolved.get("instruments", []), "")
    if isinstance(series, str):
        frames = dict.fromkeys(frames, series)
    elif series:
        frames |= {symbol: frame for symbol, frame in series.items() if symbol in frames}
    differ = len(set(frames.values())) > 1
    grids = "; ".join(
        f"{entry.symbol} tick {plain(float(entry.tick_size))}, lot {plain(float(entry.lot_size))}"
        for entry in instruments
    )
    path = execution.get("path", "pessimistic")
    real = path == "real"
    fills = "Only this series fills and triggers."
    if real:
        fills = (
            "The ticks that the dataset has of each of these bars fill and trigger, else its finer bars, else the bar "
            "itself; bars_held of a trade counts these finer events."
        )
    return [
        Assumption(
            name="Who can fill",
            value=", ".join(f"{symbol} {frame or 'finest series'}" for symbol, frame in frames.items())
            + (", by the ticks or finer bars inside" if real else ""),
            note=f"{fills} A decision meets only bars that open at or after its moment, "
            "and only later ticks."
            + (
                " Where the series differ in frame, a fill is settled when its bar becomes available." if differ else ""
            ),
        ),
        Assumption(name="Path inside a bar", value=path, note=PATHS.get(path, "")),
        Assumption(
            name="Gaps",
            value="at the open",
            note="A gap through a stop fills at the open, through a limit or target at the better open.",
        ),
        Assumption(
            name="Rounding",
            value=grids or "tick and lot grid",
            note="Fill prices are rounded to the tick against the trader, quantities down to the lot.",
        ),
        *_limits(execution),
        Assumption(
            name="At the end",
            value="closed with costs" if execution.get("close_at_end") else "left open",
            note="Positions are closed at the last mark (reason END)."
            if execution.get("close_at_end")
            else "Open positions are marked at the last price and listed, not closed.",
        ),
        Assumption(
            name="Delivery",
            value="independent",
            note="The result does not depend on how events are delivered, in lockstep or in windows of any size.",
        ),
    ]


def _limits(execution: Mapping[str, Any]) -> list[Assumption]:
    """Return what delays fills or makes them smaller."""
    limit, latency = execution.get("volume_limit"), execution.get("latency")
    by_calendar = execution.get("hours", "data") == "calendar"
    named = [f"{symbol} {name}" for symbol, name in sorted(execution.get("calendars", {}).items())]
    return [
        Assumption(
            name="Volume limit",
            value="none" if limit is None else f"{plain(100 * limit)} % of the volume of a bar or tick",
            note="Every quantity finds its volume."
            if limit is None
            else "All fills of signals and orders together; what is left works on. Stops, targets and liquidations of "
            "positions fill whole.",
        ),
        Assumption(
            name="Latency",
            value="none" if not latency else f"{latency['fixed']}, and up to {latency['jitter']} more",
            note="A decision may meet the next event."
            if not latency
            else "A decision meets the first tick after that time; what is drawn follows from the seed.",
        ),
        Assumption(
            name="Market hours",
            value="by calendar" if by_calendar else "all that the data hold",
            note="Nothing fills in bars and ticks that open while the market is closed; "
            + (f"calendars: {', '.join(named)}, else that of the dataset." if named else "the calendar of the dataset.")
            if by_calendar
            else "Every bar and tick of the execution series may fill.",
        ),
    ]


def _outcome(files: RunFiles) -> list[Assumption]:
    counts = files.metrics["counts"]
    opened = files.metrics.get("open_positions", [])
    by_orders = files.orders is not None
    decisions = "orders" if by_orders else "signals"
    unmet = counts.get("unexecuted", 0)
    if by_orders:
        unmet = sum(counts.get(f"orders_{name}", 0) for name in ("cancelled", "expired"))
    return [
        Assumption(
            name=f"Rejected {decisions}",
            value=count(counts.get("orders_rejected" if by_orders else "rejected", 0)),
            note="Refused by margin, minimum quantity or the side of a stop or target; the run went on.",
        ),
        Assumption(
            name="Cancelled or expired orders" if by_orders else "Unexecuted signals",
            value=count(unmet),
            note="Ended before all of them was filled; orders.parquet names the reason of each."
            if by_orders
            else "Replaced, expired or ended before a price was met, or given when no event was left.",
        ),
        Assumption(
            name=f"Rounded {decisions}",
            value=count(counts.get("rounded", 0)),
            note="Put on the tick and lot grid first.",
        ),
        Assumption(
            name="Path dependent bars",
            value=count(counts.get("path_dependent_bars", 0)),
            note="Bars whose fills depend on the order of prices inside them.",
        ),
        Assumption(
            name="Open positions",
            value=count(len(opened)),
            note="Their unrealised result is in the equity, not in the trades." if opened else "",
        ),
    ]


def _run(files: RunFiles) -> list[Assumption]:
    resolved, counts = files.config["resolved"], files.metrics["counts"]
    start_ns, end_ns = window_ns(files)
    restarts = counts.get("history_restarts", 0)
    warmup = resolved.get("warmup", {})
    margin = f"{plain(100 * warmup['safety_margin'])} % margin" if "safety_margin" in warmup else "a margin"
    policy = (
        f"What the strategy declares plus {margin}."
        if warmup.get("policy", "auto") == "auto"
        else f"Fixed: {counted(warmup.get('min_bars', 0), 'bar')}."
    )
    mode = resolved.get("mode", "debug")
    return [
        Assumption(
            name="Window",
            value=f"{instant(start_ns)} to {instant(end_ns)} UTC",
            note=f"Bars available after the start, up to and including the end; {duration(end_ns - start_ns)}.",
        ),
        Assumption(
            name="Data",
            value=f"{', '.join(resolved.get('instruments', []))} · {', '.join(resolved.get('frames', []))}",
            note=f"{counted(counts.get('events', 0), 'event')} delivered.",
        ),
        Assumption(
            name="Warm-up",
            value=counted(counts.get("warmup_events", 0), "event"),
            note=policy + (f" History was extended {counted(restarts, 'time')} on request." if restarts else ""),
        ),
        Assumption(
            name="Mode",
            value=mode,
            note="Only checked and rounded values leave the strategy; nothing else of it is kept."
            if mode == "prod"
            else "The strategy's notes and output are kept beside the result; they do not change it.",
        ),
        Assumption(
            name="Parameters",
            value=", ".join(f"{name} = {_param(value)}" for name, value in sorted(files.params.items())) or "none",
        ),
        Assumption(
            name="Strategy", value=" ".join(resolved.get("strategy", {}).get("command", [])) or "attached", code=True
        ),
    ]


def _identity(files: RunFiles, run_id: str, result_digest: str) -> list[Assumption]:
    identity = files.config["identity"]
    strategy = identity.get("strategy", {})
    lines = [
        Assumption(name="Run", value=run_id, code=True),
        Assumption(name="Result", value=result_digest, code=True),
        Assumption(name="Dataset", value=_hash(identity.get("dataset")), code=True),
        Assumption(
            name="Strategy digest",
            value=str(strategy.get("digest", "not identified")),
            note=""
            if strategy.get("identified", True)
            else "Attached: its content was not seen, so it is never reused.",
            code=True,
        ),
        Assumption(
            name="Seed", value=_seed(files), note=f"From master seed {identity.get('master_seed', '')}.", code=True
        ),
        Assumption(
            name="Versions", value=f"engine {identity.get('engine', '')}, contract {identity.get('contract', '')}"
        ),
    ]
    return [line for line in lines if line.value]


def _seed(files: RunFiles) -> str:
    identity = files.config["identity"]
    start_ns, end_ns = window_ns(files)
    scenario = scenario_id(
        params=identity["strategy"].get("params", {}),
        instruments=identity["instruments"],
        frames=identity["frames"],
        start_ns=start_ns,
        end_ns=end_ns,
    )
    return str(seed(int(identity["master_seed"]), scenario))


def window_ns(files: RunFiles) -> tuple[int, int]:
    """Return start and end of the window in nanoseconds."""
    window: Mapping[str, Any] = files.config["identity"]["window"]
    return int(window["start_ns"]), int(window["end_ns"])


def _hash(digest: str | None) -> str:
    return f"sha256:{digest.removeprefix('sha256:')}" if digest else ""


def _param(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
