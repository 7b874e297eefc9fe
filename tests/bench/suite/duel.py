"""Duels: Boxgate and other systems run the same in turn, round by round, and must trade the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from pipe import Failed, Player

SUITE = Path(__file__).resolve().parent
REPOSITORY = SUITE.parents[2]


@dataclass(frozen=True)
class System:
    """One side. name: for people. environment: below .venv-peers, empty for Boxgate's own. arguments: of its player."""

    key: str
    name: str
    player: str
    environment: str
    arguments: tuple[str, ...]

    def command(self, folder: Path) -> list[str]:
        venv = REPOSITORY / (f".venv-peers/{self.environment}" if self.environment else ".venv")
        return [str(venv / "bin" / "python"), str(SUITE / f"{self.player}.py"), str(folder), *self.arguments]


@dataclass(frozen=True)
class Duel:
    """Boxgate against others on one set of data. target: how many times as fast Boxgate must be, by key of the peer."""

    key: str
    title: str
    data: str
    ours: System
    peers: tuple[System, ...]
    targets: Mapping[str, float]


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of several values."""

    median: float
    min: float
    max: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values), len(values))


def fight(
    duel: Duel, folder: Path, *, rounds: int, log: Path, tell: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Return outcomes by key of the system, round by round. The order within a round rotates.

    Each process lives through all rounds and is idle while another runs.
    """
    systems = [duel.ours, *duel.peers]
    players: dict[str, Player] = {}
    try:
        for system in systems:
            tell(f"{duel.title}: starting {system.name}")
            players[system.key] = Player(system.command(folder), log)
        outcomes: dict[str, list[dict[str, Any]]] = {system.key: [] for system in systems}
        for k in range(rounds):
            tell(f"{duel.title}: round {k + 1} of {rounds}")
            shift = k % len(systems)
            for system in systems[shift:] + systems[:shift]:
                outcomes[system.key].append(players[system.key].repeat())
        check_equal(duel, outcomes)
        return {
            "outcomes": outcomes,
            "versions": {key: player.versions for key, player in players.items()},
        }
    finally:
        for player in players.values():
            player.close()


def check_equal(duel: Duel, outcomes: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Refuse to compare runs that did not do the same: fills always, final equity where a system tells it."""
    wanted = outcomes[duel.ours.key][0]
    for key, repeats in outcomes.items():
        for outcome in repeats:
            if outcome["fills"] != wanted["fills"]:
                raise Failed(f"{duel.title}: {key} made {outcome['fills']} fills, not {wanted['fills']}")
            equity = outcome.get("equity_final")
            if equity is not None and not math.isclose(equity, wanted["equity_final"], rel_tol=1e-9):
                raise Failed(f"{duel.title}: {key} ended with {equity}, not {wanted['equity_final']}")


def ratios(outcomes: Mapping[str, Sequence[Mapping[str, Any]]], ours: str, peer: str) -> Spread:
    """Return how many times as fast ours is, from the pairs of each round."""
    pairs = zip(outcomes[ours], outcomes[peer], strict=True)
    return Spread.of([theirs["seconds"] / own["seconds"] for own, theirs in pairs])


def seconds(repeats: Sequence[Mapping[str, Any]]) -> Spread:
    return Spread.of([outcome["seconds"] for outcome in repeats])
