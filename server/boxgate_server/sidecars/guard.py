"""The guard: parent of every sidecar, so that nothing of a sidecar outlives the gateway.

    gateway ──control socket──> guard ──order pipe──> keeper ──> the sidecar and its tree

Executed as `python -I -S guard.py CONTROL_FD GATEWAY_PID PARENT_FOLDER CONTAINMENT`: standard library only, one
thread. It is started once per host of sidecars and forks one keeper per sidecar; template.py is another guard, whose
sidecars are forks of itself. A keeper holds its sidecar in a PID namespace where it can be had, else it is the
subreaper of the tree. It kills the tree when its order pipe ends, that is when the guard ends, and the guard ends when
the control socket ends, that is when the gateway ends, by whatever means. Nobody relies on PR_SET_PDEATHSIG: that fires
when a thread of the parent ends, not the process.

Messages on the control socket (SOCK_SEQPACKET, one JSON object each):
  to the guard     {op: start, id, argv, cwd, env, open_files} + file descriptors of stdout and stderr if captured
                   {op: stop, id, grace_s}   SIGTERM, and after the grace SIGKILL of the tree
                   {op: kill, id}            SIGKILL of the tree
  to the gateway   {event: ready, folder, containment}
                   {event: started, id, pid} | {event: refused, id, at, errno}
                   {event: exited, id, status}   as of waitpid
                   {event: gone, id}             no process of the tree is left, its folder is removed
"""

# pathlib would cost 8 ms of start in a file that handles three paths:
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import json
import os
import resource
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

PID_NAMESPACE = "pid_namespace"
"""The tree lives in a PID namespace of its own: the kernel ends all of it at once."""

USER_PID_NAMESPACE = "user_pid_namespace"
"""As PID_NAMESPACE, inside a user namespace: how an ordinary user gets one."""

PROCESS_TREE = "process_tree"
"""No namespace to be had: the keeper adopts every orphan of the tree and kills until none is left."""

MESSAGE_BYTES_MAX = 160 * 1024
"""Size of a control message; below the smallest default of a socket's send buffer."""

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID = 0x20000, 0x10000000, 0x20000000
_NAMESPACES = {
    PID_NAMESPACE: _CLONE_NEWPID | _CLONE_NEWNS,
    USER_PID_NAMESPACE: _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNS,
}
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_KEEPER_PATIENCE_S = 5.0
"""A keeper that has not ended this long after its order is killed and its tree is adopted."""

_libc = ctypes.CDLL(None, use_errno=True)

Message = dict[str, Any]


class Become(BaseException):
    """Raised in the process that is to be the sidecar, to unwind to whoever turns it into one without an exec."""


def main(
    control_fd: int, gateway_pid: int, parent_folder: str, containment: str, launch: Callable[..., NoReturn]
) -> None:
    """Serve the gateway until it ends; then end every sidecar and remove the folder.

    launch: `execute`, or what else makes a forked process the sidecar; it may raise Become.
    """
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    control = socket.socket(fileno=control_fd)
    # Besides the socket's end: a process that the gateway forked without exec would hold its end open.
    gateway = os.pidfd_open(gateway_pid)
    if os.getppid() != gateway_pid:
        return
    os.umask(0o077)
    folder = _make_folder(parent_folder)
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
    guard = Guard(control, gateway, folder, _best_containment() if containment == "auto" else containment, launch)
    try:
        guard.serve()
    except Become:  # this is no guard any more
        raise
    except BaseException:
        guard.end()
        raise
    guard.end()


class Guard:
    """The loop of the guard: starts keepers, passes orders on, cleans up behind them."""

    def __init__(
        self, control: socket.socket, gateway: int, folder: str, containment: str, launch: Callable[..., NoReturn]
    ) -> None:
        self._launch = launch
        self._control = control
        self._gateway = gateway
        self._folder = folder
        self._containment = containment
        self._keepers: dict[int, tuple[int, int, int]] = {}  # id -> (pid, pidfd, order pipe)
        self._poller = select.poll()

    def serve(self) -> None:
        """Return when the gateway has closed its end or died."""
        self._poller.register(self._control, select.POLLIN)
        self._poller.register(self._gateway, select.POLLIN)
        _send(self._control, {"event": "ready", "folder": self._folder, "containment": self._containment})
        while True:
            for descriptor, _ in self._poller.poll():
                if descriptor == self._gateway:
                    return
                if descriptor != self._control.fileno():
                    self._bury(descriptor)
                    continue
                request, fds = _receive(self._control)
                if request is None:
                    return
                self._obey(request, fds)

    def end(self) -> None:
        """End every keeper with its tree and remove the folder."""
        for _, _, order in self._keepers.values():
            os.close(order)
        for identity, (pid, pidfd, _) in self._keepers.items():
            if not select.select([pidfd], [], [], _KEEPER_PATIENCE_S)[0]:
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            _remove(f"{self._folder}/{identity}")
        _kill_descendants()
        _remove(self._folder)

    def _obey(self, request: Message, fds: list[int]) -> None:
        identity = int(request["id"])
        if request["op"] == "start":
            self._start(identity, request, fds)
        elif identity in self._keepers:
            order = b"K" if request["op"] == "kill" else json.dumps(request["grace_s"]).encode()
            with contextlib.suppress(OSError):  # the keeper is just ending
                os.write(self._keepers[identity][2], order + b"\n")

    def _start(self, identity: int, request: Message, fds: list[int]) -> None:
        os.mkdir(f"{self._folder}/{identity}", 0o700)
        order_read, order_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _in_child(lambda: keep(request, fds, order_read, self._control, self._containment, self._launch))
        os.close(order_read)
        for fd in fds:
            os.close(fd)
        pidfd = os.pidfd_open(pid)
        self._keepers[identity] = (pid, pidfd, order_write)
        self._poller.register(pidfd, select.POLLIN)

    def _bury(self, pidfd: int) -> None:
        """Clean up behind a keeper that ended, also one that was killed: then its orphans are now ours."""
        identity = next(key for key, value in self._keepers.items() if value[1] == pidfd)
        pid, _, order = self._keepers.pop(identity)
        self._poller.unregister(pidfd)
        os.close(pidfd)
        os.close(order)
        if os.waitpid(pid, 0)[1] != 0:  # else it has left nothing
            _kill_descendants(spare={keeper for keeper, _, _ in self._keepers.values()})
        _remove(f"{self._folder}/{identity}")
        _send(self._control, {"event": "gone", "id": identity})


def keep(
    request: Message,
    fds: list[int],
    order: int,
    control: socket.socket,
    containment: str,
    launch: Callable[..., NoReturn],
) -> None:
    """Start one sidecar, report its end, and leave nothing of its tree. Runs in a process of its own."""
    # Above all the order pipes of the other keepers: held here, they would not end with the guard.
    _close_all_but({0, 1, 2, order, control.fileno(), *fds})
    init = None
    try:
        if containment == PROCESS_TREE:
            _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
        else:
            init = _enter_pid_namespace(_NAMESPACES[containment])
        pid, failure = _spawn(request, fds, control, launch)
    except OSError as error:  # a limit of the host on processes or namespaces
        _send(control, {"event": "refused", "id": request["id"], "at": "setup", "errno": error.errno})
        raise
    for fd in fds:
        os.close(fd)
    if failure is None:
        _send(control, {"event": "started", "id": request["id"], "pid": pid})
        _await_end(pid, order)
    if init is None:
        status = _kill_descendants(watched=pid)
    else:
        os.kill(init, signal.SIGKILL)  # the kernel kills the namespace with it
        status = os.waitpid(pid, 0)[1]  # first: the namespace ends only when its last process is reaped
        os.waitpid(init, 0)
    if failure is None:
        _send(control, {"event": "exited", "id": request["id"], "status": status})
    else:
        _send(control, {"event": "refused", "id": request["id"], **failure})


def _await_end(pid: int, order: int) -> None:
    """Return when the sidecar ended by itself or its tree is to be killed."""
    pidfd = os.pidfd_open(pid)
    deadline: float | None = None
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return
        ready = select.select([pidfd, order], [], [], left)[0]
        if pidfd in ready:
            return
        if order in ready:
            orders = os.read(order, 256).split(b"\n")[:-1]
            if not orders or b"K" in orders:
                return
            if deadline is None:
                deadline = time.monotonic() + float(orders[-1])
                for number in (signal.SIGTERM, signal.SIGCONT):  # a stopped process could not act on the first
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, number)


def _spawn(
    request: Message, fds: list[int], control: socket.socket, launch: Callable[..., NoReturn]
) -> tuple[int, Message | None]:
    """Fork and launch the sidecar; return its pid and, if it could not be launched, where and why."""
    failure_read, failure_write = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        control.detach()  # the object must not close what has its number later on
        _in_child(lambda: launch(request, fds, failure_write))
    os.close(failure_write)
    with open(failure_read, "rb") as pipe:
        failure = pipe.read()
    return pid, (json.loads(failure) if failure else None)


def execute(request: Message, fds: list[int], failure: int) -> NoReturn:
    """Become the sidecar by executing its program."""
    confine(request, fds, failure)
    try:
        os.execve(request["argv"][0], request["argv"], request["env"])
    except OSError as error:
        _fail(failure, "exec", error.errno)
    except BaseException:
        _fail(failure, "exec", errno.EINVAL)


def confine(request: Message, fds: list[int], failure: int) -> None:
    """Give this process what a sidecar has: a session, limits, outputs, a folder, and no other descriptor."""
    at = "setup"
    try:
        os.setsid()
        os.umask(0o077)
        # Else a setuid program in the tree could not be killed by an ordinary user's gateway.
        _check(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        files_max = min(int(request["open_files"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
        null = os.open(os.devnull, os.O_RDWR)
        out, err = fds or (null, null)
        for source, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(source, target)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        at = "cwd"
        os.chdir(request["cwd"])
        _close_all_but({0, 1, 2, failure})
    except OSError as error:
        _fail(failure, at, error.errno)
    except BaseException:
        _fail(failure, at, errno.EINVAL)


def _fail(failure: int, at: str, number: int | None) -> NoReturn:
    os.write(failure, json.dumps({"at": at, "errno": number}).encode())
    os._exit(127)


def _enter_pid_namespace(flags: int) -> int:
    """Make a PID namespace for the children to come and return the pid of its first process.

    That process only reaps orphans; killing it kills the namespace. It sees /proc of its own namespace, and so do
    the later ones, where the mount is permitted; where it is not, they see the host's.
    """
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(flags))
    if flags & _CLONE_NEWUSER:
        for name, line in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(line)
    mounted_read, mounted_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        _in_child(lambda: _reap_orphans(mounted_write))
    os.close(mounted_write)
    with open(mounted_read, "rb") as pipe:
        if pipe.read(1) != b"1":
            raise OSError("the first process of the PID namespace ended")
    return pid


def _reap_orphans(mounted: int) -> NoReturn:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel then reaps by itself
    _libc.mount(None, b"/", None, _MS_REC | _MS_PRIVATE, None)
    _libc.mount(b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    os.write(mounted, b"1")
    os.closerange(0, 1 << 20)
    while True:
        signal.pause()


def _best_containment() -> str:
    """Find out by doing which containment this host grants."""
    for name, flags in _NAMESPACES.items():
        pid = os.fork()
        if pid == 0:
            _in_child(functools.partial(_try_pid_namespace, flags))
        if os.waitpid(pid, 0)[1] == 0:
            return name
    return PROCESS_TREE


def _try_pid_namespace(flags: int) -> None:
    init = _enter_pid_namespace(flags)
    os.kill(init, signal.SIGKILL)
    os.waitpid(init, 0)


def _kill_descendants(*, watched: int = 0, spare: frozenset[int] | set[int] = frozenset()) -> int:
    """Kill the descendants of this process, orphans it adopted included, until none is left.

    watched: a child whose wait status is returned (0 if it is none). spare: children that stay, with their trees.
    """
    status = 0
    while True:
        children, doomed = _descendants(os.getpid(), spare)
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not children:
            return status
        for pid in children:
            # Children only: a process that is still a grandchild becomes one when its parent is dead. Without waiting:
            # the first process of a PID namespace ends only after the others of it were reaped.
            with contextlib.suppress(ChildProcessError):
                reaped, found = os.waitpid(pid, os.WNOHANG)
                status = found if reaped == watched and reaped else status
        time.sleep(0.001)


def _descendants(root: int, spare: frozenset[int] | set[int]) -> tuple[list[int], list[int]]:
    """Return the children of `root` and all its descendants, without the `spare` ones and theirs."""
    children_of: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                # The name of the program may hold anything, also parentheses and blanks.
                parent = int(file.read().rpartition(")")[2].split()[1])
                children_of.setdefault(parent, []).append(int(name))
    children = [pid for pid in children_of.get(root, []) if pid not in spare]
    found = list(children)
    for pid in found:
        found.extend(children_of.get(pid, []))
    return children, found


def _make_folder(parent: str) -> str:
    while True:
        folder = f"{parent}/bg-{os.urandom(4).hex()}"
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
            return folder


def _remove(path: str) -> None:
    """Remove a folder with everything in it; links are removed, not followed. What resists stays."""
    folders, at = [path], 0
    while at < len(folders):
        with contextlib.suppress(OSError):
            os.chmod(folders[at], stat.S_IRWXU)
            for entry in list(os.scandir(folders[at])):
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    os.unlink(entry.path)
        at += 1
    for folder in reversed(folders):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def _close_all_but(kept: set[int]) -> None:
    above = 0
    for fd in sorted(kept):
        if fd > above:  # Python turns an empty range that starts at 0 into all descriptors
            os.closerange(above, fd)
        above = fd + 1
    os.closerange(above, 1 << 20)


def _in_child(work: Callable[[], None]) -> NoReturn:
    """Do the work in a freshly forked child and end it: it never returns into the parent's code, it may Become."""
    try:
        work()
    except Become:
        raise
    except BaseException:
        os._exit(1)
    os._exit(0)


def _send(control: socket.socket, message: Message) -> None:
    with contextlib.suppress(OSError):  # the gateway is gone, and the end of the socket says so to the loop
        control.send(json.dumps(message).encode())


def _receive(control: socket.socket) -> tuple[Message | None, list[int]]:
    try:
        data, fds, _, _ = socket.recv_fds(control, MESSAGE_BYTES_MAX, 2)
    except ConnectionResetError:
        return None, []
    return (json.loads(data) if data else None), list(fds)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], execute)
