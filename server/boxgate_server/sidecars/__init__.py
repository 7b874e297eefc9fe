"""The sidecar host: start, readiness, versions, deadlines, stop, and nothing left behind."""

from boxgate_server.sidecars.connection import Connection
from boxgate_server.sidecars.event_stream import EventStream
from boxgate_server.sidecars.host import SidecarHost
from boxgate_server.sidecars.limits import SidecarLimits
from boxgate_server.sidecars.pool import Fresh, Lease, SidecarPool
from boxgate_server.sidecars.process import Exit
from boxgate_server.sidecars.sidecar import Sidecar
from boxgate_server.sidecars.versions import CAPABILITIES, CONTRACT_VERSIONS, negotiate

__all__ = [
    "CAPABILITIES",
    "CONTRACT_VERSIONS",
    "Connection",
    "EventStream",
    "Exit",
    "Fresh",
    "Lease",
    "Sidecar",
    "SidecarHost",
    "SidecarLimits",
    "SidecarPool",
    "negotiate",
]
