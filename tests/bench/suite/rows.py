"""What is measured: the duels, the scripts beside them, and what must be shown by each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from duel import Duel, Spread, System, ratios

SIDECAR_STARTS: Final = 30


@dataclass(frozen=True)
class Row:
    """One line of the table. unit: × for ratios. at_least: False where less is better. target: None for none."""

    key: str
    title: str
    value: Spread
    unit: str
    target: float | None
    at_least: bool = True
    note: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where nothing was asked for."""
        if self.target is None:
            return ""
        met = self.value.median >= self.target if self.at_least else self.value.median <= self.target
        return "met" if met else "missed"

    def report(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.verdict}


def boxgate(form: str) -> System:
    return System("boxgate", "Boxgate", "play_boxgate", "", (form,))


def vectorbt(key: str, name: str, engine: str, form: str) -> System:
    return System(key, name, "play_vectorbt", "vectorbt", (engine, form))


DUELS: Final = (
    Duel(
        "vector",
        "vector strategy",
        "bars",
        boxgate("vector"),
        (
            vectorbt("vectorbt", "vectorbt (Numba)", "numba", "fast"),
            vectorbt("vectorbt_rust", "vectorbt (with its Rust extension)", "auto", "fast"),
            vectorbt("vectorbt_files", "vectorbt (Numba), stats() and files", "numba", "files"),
            vectorbt("vectorbt_stats", "vectorbt (with its Rust extension) and stats()", "auto", "stats"),
        ),
        {"vectorbt": 1.5, "vectorbt_files": 1.5},
    ),
    Duel(
        "bar",
        "strategy per bar",
        "bars",
        boxgate("bar"),
        (
            System("backtesting", "backtesting.py", "play_backtesting", "backtesting", ()),
            System("nautilus", "NautilusTrader", "play_nautilus", "nautilus", ("bars",)),
        ),
        {"backtesting": 2.5, "nautilus": 10.0},
    ),
    Duel(
        "ticks",
        "strategy per tick",
        "ticks",
        boxgate("ticks"),
        (System("nautilus", "NautilusTrader", "play_nautilus", "nautilus", ("ticks",)),),
        {"nautilus": 1.5},
    ),
)


def rows_of_duel(duel: Duel, outcomes: Mapping[str, Any]) -> list[Row]:
    """Return a row for each peer: how many times as fast Boxgate is."""
    return [
        Row(
            key=f"{duel.key}_{peer.key}",
            title=f"{duel.title} ÷ {peer.name}",
            value=ratios(outcomes, duel.ours.key, peer.key),
            unit="×",
            target=duel.targets.get(peer.key),
        )
        for peer in duel.peers
    ]


@dataclass(frozen=True)
class Script:
    """A measurement of its own: a file in tests/bench that prints one JSON object.

    pairs: option that takes the number of pairs, if it has one. rows: from its object.
    """

    key: str
    title: str
    file: str
    rows: Callable[[Any], list[Row]]
    pairs: str = ""
    arguments: tuple[str, ...] = field(default=())


def _spread(content: Mapping[str, Any], count: int) -> Spread:
    return Spread(float(content["median"]), float(content["min"]), float(content["max"]), count)


def _kernel(content: Any) -> list[Row]:
    return [
        Row(f"kernel_{shape}", f"kernel ÷ bare loop, {told}", Spread.of(content[shape]["speed_ratios"]), "×", 0.33)
        for shape, told in (("quiet", "a signal each 2,000 bars"), ("busy", "a signal each 50 bars"))
    ]


def _lockstep(content: Any) -> list[Row]:
    value = _spread(content["ratio_to_bare"], content["pairs"])
    return [Row("lockstep", "lockstep ÷ bare gRPC ping-pong", value, "×", 0.85)]


def _feedback(content: Any) -> list[Row]:
    told = f"feedback, {content['bars_per_round_trip']:g} bars a round trip, {content['round_trips']:,} trips"
    return [
        Row(f"feedback_{key}", f"{told}, ÷ {rival}", _spread(content[name], content["pairs"]), "×", target)
        for key, name, rival, target in (
            ("lockstep", "ratio_to_own_lockstep", "its own lockstep", 15.0),
            ("bare", "ratio_to_bare_windows", "(bars a trip × bare windows a second)", 0.8),
        )
    ]


def _cold_run(content: Any) -> list[Row]:
    value = _spread(content["wall_s"], content["repeats"])
    return [Row("cold_run", "cold boxgate run of 370,000 bars with its page", value, "s", 3.0, at_least=False)]


def _fixed_cost(content: Any) -> list[Row]:
    return [
        Row(
            f"fixed_cost_{kind}",
            f"run of 1,000 bars among many, {told}",
            _spread(content["ms"][kind]["wall"], content["runs"]),
            "ms",
            target,
            at_least=False,
        )
        for kind, told, target in (
            ("reused", "reused sidecar", 15.0),
            ("forked", "fresh sidecar, forked", 60.0),
            ("process", "fresh sidecar, a process started for it", None),
        )
    ]


def _sidecar_start(content: Any) -> list[Row]:
    rows = []
    for kind, told in (("reused", "reused"), ("forked", "forked"), ("process", "process")):
        least, middle, most = content[kind]["open_ms"]
        value = Spread(middle, least, most, SIDECAR_STARTS)
        rows.append(
            Row(f"sidecar_{kind}", f"sidecar until its session is open, {told}", value, "ms", None, at_least=False)
        )
    return rows


def _growth(content: Any) -> list[Row]:
    bars = content["sizes"]
    rise = Spread.of([content["rise"]])
    share = [size[f"{who}_share_of_limit"] for size in bars for who in ("gateway", "sidecar")]
    return [
        Row("growth_time", "time per bar at 10,000,000 bars ÷ least of the smaller", rise, "×", 1.1, at_least=False),
        Row("growth_memory", "largest memory ÷ its limit", Spread.of([max(share)]), "×", 1.0, at_least=False),
    ]


SCRIPTS: Final = (
    Script("kernel", "kernel", "kernel.py", _kernel, pairs="--rounds"),
    Script("lockstep", "lockstep", "lockstep.py", _lockstep, pairs="--pairs"),
    Script("feedback", "feedback", "feedback.py", _feedback, pairs="--pairs"),
    Script("fixed_cost", "fixed cost", "fixed_cost.py", _fixed_cost),
    Script(
        "sidecar_start",
        "start of sidecars",
        "sidecar_start.py",
        _sidecar_start,
        arguments=("--repeats", str(SIDECAR_STARTS)),
    ),
    Script("growth", "growth", "growth.py", _growth),
    Script("cold_run", "cold run", "cold_run.py", _cold_run, pairs="--repeats"),
)
