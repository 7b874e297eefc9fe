"""The socket of a sidecar, checked before the first byte and pinned against being exchanged afterwards.

The folder is the sidecar's own, so it could put a link to another socket of the host into it, and connect() follows
links. Therefore the gateway opens the inode itself (O_PATH, O_NOFOLLOW), checks that inode, asks the kernel which
process listens on it, and connects to /proc/self/fd/N: to what it has checked, whatever the path means by then.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from pathlib import Path

from boxgate_server.errors import HandshakeBad


class PinnedSocket:
    """An open handle of a socket's inode; `address` is where gRPC connects to it."""

    def __init__(self, path: Path) -> None:
        """Open the socket at `path`.

        Raises FileNotFoundError if nothing is there yet, HandshakeBad if it is a link, no socket or another user's.
        """
        try:
            self._fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _bad(f"cannot be opened: {os.strerror(error.errno or 0)}") from None
        try:
            found = os.fstat(self._fd)
            if stat.S_ISLNK(found.st_mode):
                raise _bad("is a link")
            if not stat.S_ISSOCK(found.st_mode):
                raise _bad("is not a socket")
            if found.st_uid != os.getuid():
                raise _bad(f"belongs to user {found.st_uid}")
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """Return the address for gRPC."""
        return f"unix:{self._path}"

    @property
    def _path(self) -> str:
        return f"/proc/self/fd/{self._fd}"

    def listener(self) -> tuple[int, int] | None:
        """Return (pid, uid) of the process that listens, without sending anything; None if none listens yet."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(self._path)
            except OSError:
                return None
            peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", peer)
        return pid, uid

    def check_listener(self, root_pid: int) -> bool:
        """Return whether somebody listens; raise HandshakeBad if it is no process of the tree of `root_pid`."""
        found = self.listener()
        if found is None:
            return False
        pid, uid = found
        if uid != os.getuid():
            raise _bad(f"is served by user {uid}")
        if not _is_descendant(pid, root_pid):
            raise _bad("is served by a process outside the sidecar's tree")
        return True

    def close(self) -> None:
        """Release the handle. Idempotent."""
        with contextlib.suppress(OSError):
            os.close(self._fd)
        self._fd = -1


def _is_descendant(pid: int, root: int) -> bool:
    """Follow the parents of `pid` up to `root`'s own parent: its keeper adopts the orphans of the tree."""
    keeper = _parent(root)
    while pid > 1:
        if pid == root or (keeper > 1 and pid == keeper):
            return True
        pid = _parent(pid)
    return False


def _parent(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(text.rpartition(")")[2].split()[1])


def _bad(fault: str) -> HandshakeBad:
    return HandshakeBad(
        f"the sidecar's endpoint {fault}",
        where="BOXGATE_ENDPOINT",
        expected="a socket that the sidecar itself binds and listens on",
        remedy="bind the address of BOXGATE_ENDPOINT in the process that was started, or a child of it",
    )
