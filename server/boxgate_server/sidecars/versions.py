"""What gateway and sidecar agree on: the version of the contract and the capabilities granted."""

from __future__ import annotations

import re
from collections.abc import Iterable

from boxgate_proto.strategy.v1 import strategy_pb2
from boxgate_server.errors import CapabilityNotOffered, DescriptionInvalid, ProtocolVersion

CONTRACT_VERSIONS = (1,)
"""Versions of the contract that this gateway speaks."""

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9_.+\-]{1,32}", re.ASCII)
_PREFIX = "CAPABILITY_"
CAPABILITIES = frozenset(name.removeprefix(_PREFIX) for name, number in strategy_pb2.Capability.items() if number != 0)
"""Names of all capabilities of the contract, reserved ones included."""


def negotiate(described: strategy_pb2.DescribeResponse, offered: Iterable[str], *, mode: str) -> frozenset[str]:
    """Return the names of the capabilities that are granted: offered, and required or supported.

    offered: names without prefix. mode: in prod no text of the sidecar enters an error, not even a capability's name
    that is no name of the contract.
    Raises DescriptionInvalid, ProtocolVersion or CapabilityNotOffered.
    """
    _check_names(described, mode)
    theirs = sorted(set(described.contract_versions))
    if not set(theirs) & set(CONTRACT_VERSIONS):
        ours = ", ".join(map(str, CONTRACT_VERSIONS))
        raise ProtocolVersion(
            f"no contract version in common: ours={ours} theirs={', '.join(map(str, theirs[:16])) or 'none'}",
            where="Describe: contract_versions",
            expected=f"one of {ours}",
            remedy="use a bundle built for this version of the contract, or a gateway that speaks the bundle's",
        )
    offer = frozenset(offered)
    missing = sorted(set(described.requires) - offer)
    if missing:
        names = [name for name in missing if name in CAPABILITIES or mode == "debug"]
        shown = ", ".join(repr(name) for name in names[:16]) or "one that the contract does not know"
        raise CapabilityNotOffered(
            f"the strategy requires the capability {shown}",
            where="Describe: requires",
            expected=f"only what is offered: {', '.join(sorted(offer)) or 'none'}",
            remedy="use a gateway, or a run config, that offers it; or a strategy that only supports it",
        )
    return offer & (frozenset(described.requires) | frozenset(described.supports))


def _check_names(described: strategy_pb2.DescribeResponse, mode: str) -> None:
    for field, value, pattern in (("name", described.name, _NAME), ("version", described.version, _VERSION)):
        if not pattern.fullmatch(value):
            raise DescriptionInvalid(
                f"the strategy's {field} {value[:80]!r} is not allowed"
                if mode == "debug"
                else f"the strategy's {field} is not allowed",
                where=f"Describe: {field}",
                expected=f"text that matches {pattern.pattern}",
                remedy="correct the strategy's declaration",
            )
