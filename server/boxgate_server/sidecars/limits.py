"""Limits of a sidecar: everything it does has one, and every one has a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SidecarLimits:
    """Deadlines in seconds, sizes in bytes. Operational: no result depends on them, only whether there is one."""

    handshake_s: float = 10.0
    """From the start of the process until its health service says SERVING."""

    describe_s: float = 10.0
    """For one Describe."""

    init_s: float = 60.0
    """For one OnInit; a strategy may load a model in it."""

    reply_base_s: float = 30.0
    """For the answer to one window, whatever it holds; the first one may compile something."""

    reply_per_event_s: float = 0.01
    """Added per event of the window."""

    wait_s_max: float = 86_400.0
    """For all answers of a session together: ends one that stays just below each deadline."""

    stop_s: float = 2.0
    """For OnStop, and again from SIGTERM until the tree is killed."""

    windows_in_flight_max: int = 64
    """Windows sent and not yet answered."""

    message_bytes_max: int = 4 * 1024 * 1024
    """One message, either way."""

    metadata_bytes_max: int = 4 * 1024
    """Headers or trailers of one answer, status text included."""

    capture_bytes_max: int = 256 * 1024
    """The end of stdout, and of stderr, that is kept in debug; what is older is dropped."""

    open_files_max: int = 1024
    """File descriptors of each process of the tree."""

    def reply_deadline_s(self, count: int) -> float:
        """Return the time allowed for the answer to a window of `count` events."""
        return self.reply_base_s + count * self.reply_per_event_s
