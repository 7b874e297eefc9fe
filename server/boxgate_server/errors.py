"""Errors of the gateway.

BoxgateError
├── UserMistake                 exit code 2
│   ├── PlatformUnsupported     PLATFORM_UNSUPPORTED: sidecars are started on Linux only
│   ├── BundleExec              BUNDLE_EXEC: the command cannot be executed
│   ├── AttachAddress           ATTACH_ADDRESS: the address of a running sidecar cannot be used
│   ├── ProtocolVersion         PROTO_VERSION: no contract version in common
│   ├── CapabilityNotOffered    CAPABILITY_NOT_OFFERED: the sidecar requires what the gateway has not
│   ├── StrategyRefused         STRATEGY_REFUSED: the strategy does not run with this configuration
│   ├── TicketRefused           TICKET_FORGED: a ticket that may not be used so; other TICKET_ codes too
│   └── ServerUnprotected       SERVE_UNPROTECTED: history would be served beyond this host without TLS or token
└── RunFailed                   exit code 1
    ├── HandshakeTimeout        HANDSHAKE_TIMEOUT: not ready in time
    ├── HandshakeBad            HANDSHAKE_BAD: what answers at the endpoint is not the sidecar, or not gRPC health
    ├── CookieRefused           COOKIE_REFUSED: the sidecar does not accept the cookie
    ├── DescriptionInvalid      DESCRIPTION_INVALID: a Describe answer that breaks the contract
    ├── SidecarExit             SIDECAR_EXIT: the process ended by itself
    ├── SidecarFailed           SIDECAR_FAILED: the strategy answered a call with an error
    ├── RpcMissing              PROTO_UNIMPLEMENTED: an RPC of the contract is not implemented
    ├── ReplyTimeout            REPLY_TIMEOUT: no answer before the deadline
    ├── WaitBudget              WAIT_BUDGET: every answer in time, but all together too slow
    ├── Unsolicited             PROTO_UNSOLICITED: an answer that nobody asked for
    ├── MessageTooLarge         MSG_TOO_LARGE: a message above the limit
    ├── UndecodableMessage      PROTO_DECODE: bytes that are no message of the contract
    ├── StreamBroken            STREAM_BROKEN: the event stream ended while the process lives
    ├── GuardLost               GUARD_LOST: the process that holds the sidecars ended
    └── StateBleed              STATE_BLEED: a strategy that declares RESET remembers earlier runs

No message of a prod run carries a text that the sidecar chose.
"""

from __future__ import annotations

from boxgate_engine.errors import RunFailed, UserMistake


class PlatformUnsupported(UserMistake):
    """Sidecars are started on Linux only; elsewhere attach to a running one."""

    code = "PLATFORM_UNSUPPORTED"


class BundleExec(UserMistake):
    """The command is missing, not executable or for another machine; nothing was started."""

    code = "BUNDLE_EXEC"


class AttachAddress(UserMistake):
    """The address of a running sidecar is malformed or not on this host."""

    code = "ATTACH_ADDRESS"


class ProtocolVersion(UserMistake):
    """Gateway and sidecar speak no common version of the contract."""

    code = "PROTO_VERSION"


class CapabilityNotOffered(UserMistake):
    """The sidecar requires a capability that the gateway does not offer."""

    code = "CAPABILITY_NOT_OFFERED"


class StrategyRefused(UserMistake):
    """The strategy answered that it cannot run with this configuration."""

    code = "STRATEGY_REFUSED"


class TicketRefused(UserMistake):
    """A ticket for history that may not be used so; nothing of the series was sent.

    Codes: TICKET_FORGED, TICKET_FOREIGN, TICKET_EXPIRED, TICKET_REPLAYED, TICKET_RANGE.
    """

    code = "TICKET_FORGED"


class ServerUnprotected(UserMistake):
    """History would be served to other hosts without TLS or without a token; nothing was started."""

    code = "SERVE_UNPROTECTED"


class HandshakeTimeout(RunFailed):
    """The sidecar did not report SERVING in time; its tree was killed."""

    code = "HANDSHAKE_TIMEOUT"


class HandshakeBad(RunFailed):
    """What was found at the endpoint is not the sidecar's own socket, or does not speak gRPC health."""

    code = "HANDSHAKE_BAD"


class CookieRefused(RunFailed):
    """The sidecar did not accept the cookie."""

    code = "COOKIE_REFUSED"


class DescriptionInvalid(RunFailed):
    """A Describe answer breaks the contract."""

    code = "DESCRIPTION_INVALID"


class SidecarExit(RunFailed):
    """The sidecar's process ended by itself while a session needed it."""

    code = "SIDECAR_EXIT"


class SidecarFailed(RunFailed):
    """The sidecar answered a call with an error; the process lives."""

    code = "SIDECAR_FAILED"


class RpcMissing(RunFailed):
    """The sidecar does not implement an RPC of the contract."""

    code = "PROTO_UNIMPLEMENTED"


class ReplyTimeout(RunFailed):
    """No answer before the deadline; the sidecar's tree was killed."""

    code = "REPLY_TIMEOUT"


class WaitBudget(RunFailed):
    """The waits of a session add up to more than it may use; the sidecar's tree was killed."""

    code = "WAIT_BUDGET"


class Unsolicited(RunFailed):
    """An answer arrived that no window waits for; the sidecar's tree was killed."""

    code = "PROTO_UNSOLICITED"


class MessageTooLarge(RunFailed):
    """A message is above the limit; the sidecar's tree was killed."""

    code = "MSG_TOO_LARGE"


class UndecodableMessage(RunFailed):
    """Bytes that are no message of the contract; the sidecar's tree was killed."""

    code = "PROTO_DECODE"


class StreamBroken(RunFailed):
    """The event stream or the connection ended while the process lives."""

    code = "STREAM_BROKEN"


class GuardLost(RunFailed):
    """The guard, the process that holds the sidecars, ended; every sidecar ended with it."""

    code = "GUARD_LOST"


class StateBleed(RunFailed):
    """A strategy that declares RESET answers otherwise in a process that served other runs."""

    code = "STATE_BLEED"
