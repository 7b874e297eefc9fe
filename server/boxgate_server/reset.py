"""Whether a strategy that declares RESET deserves it: a session after others must give what a fresh process gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from boxgate_engine.errors import RunFailed
from boxgate_server.errors import StateBleed
from boxgate_server.sidecars import Fresh

_Config = TypeVar("_Config")
_ROUNDS = 2


def verify_reset(configs: Sequence[_Config], play: Callable[[_Config, Fresh | None], str]) -> None:
    """Compare runs in fresh processes with the same runs one after another in a warm one.

    configs: what is run, best two or more that differ in parameters or data: what one run leaves behind shows in
    another. play: computes a run in a process made as Fresh says, None for a warm one of one pool, and returns its
    result digest.
    Raises StateBleed, RunFailed NONDETERMINISM where fresh processes differ as well, and what `play` raises.
    """
    expected = [play(config, "process") for config in configs]
    for _ in range(_ROUNDS):
        for number, (config, digest) in enumerate(zip(configs, expected, strict=True), 1):
            if play(config, None) == digest:
                continue
            if play(config, "process") != digest:
                raise RunFailed(
                    "the same run in two fresh processes gives two results",
                    code="NONDETERMINISM",
                    where=f"calibration run {number} of {len(configs)}",
                    expected="one result for one config and one seed",
                    remedy="remove what differs between processes: a clock, unseeded randomness, the order of a set",
                )
            raise StateBleed(
                "a run in a process that served other runs gives another result than in a fresh one",
                where=f"calibration run {number} of {len(configs)}",
                expected="equal results: the strategy declares RESET",
                remedy="keep what changes in self and set it in on_init, not in the module or the class; "
                "or leave RESET out of supports(), and each run has a process of its own",
            )
