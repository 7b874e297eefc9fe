"""A setting: all that makes a run but its parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from boxgate_engine.config import RunConfig
from boxgate_engine.identity import seed
from boxgate_server.matrix.planning.template import Template

Segment = Literal["train", "test", "full"]


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What the identity of every run of a matrix has in common. strategy: digest of its files. dataset: hash."""

    contract: str
    engine: str
    strategy: str
    dataset: str


@dataclass(frozen=True, slots=True)
class Role:
    """What a setting is for: the train or the test of a fold, or a whole window. window: number of it in the file."""

    window: int
    fold: int | None
    segment: Segment


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Instruments, window and costs. number: its place in the plan.

    config: of its runs, with the parameters beside the matrix. events: of the execution series in the window, which is
    what a run takes time for. roles: more than one where a test of one fold is also the train window of another.
    """

    number: int
    config: RunConfig = field(repr=False)
    start_ns: int
    end_ns: int
    cost_set: int
    events: int
    roles: tuple[Role, ...]
    identity: Template = field(repr=False)
    scenario: Template = field(repr=False)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Symbols that are traded together."""
        return self.config.instruments

    def run_id(self, params: bytes) -> str:
        """Return the id of a run. params: canonical JSON."""
        return f"r_{self.identity.digest(params).hex()[:32]}"

    def seed(self, params: bytes) -> int:
        """Return the seed of a run."""
        return seed(self.config.determinism.master_seed, self.scenario.digest(params).hex())
