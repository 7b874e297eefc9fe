"""Sidecars that misbehave, each in one way: `python misbehaving.py NAME [ARGUMENT]`. All end by themselves."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from raw_sidecar import SECRET, Plain, answer, serve

from boxgate_proto.strategy.v1 import strategy_pb2

ENDPOINT = Path(os.environ["BOXGATE_ENDPOINT"].removeprefix("unix:"))
ARGUMENT = sys.argv[2] if len(sys.argv) > 2 else ""
LIFE_S = 60


def crash_on_import() -> None:
    raise ValueError(SECRET)


def never_bind() -> None:
    time.sleep(LIFE_S)


def shout_instead_of_binding() -> None:
    """S03: gigabytes of garbage where other systems expect a handshake line."""
    end = time.monotonic() + LIFE_S
    while time.monotonic() < end:
        sys.stdout.write("\xff" * (1 << 20))


def never_serve() -> None:
    serve(Plain(), serving=False)


def no_health() -> None:
    serve(Plain(), healthy=False)


def foreign_cookie() -> None:
    serve(Plain(), cookie="another")


def garbage_socket() -> None:
    """Listens at the endpoint and says what is no HTTP/2."""
    listener = _listen(ENDPOINT)
    while True:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError):
            connection.sendall(b"220 ready\r\n" * 100)
        connection.close()


def mute_socket() -> None:
    """Listens and never accepts."""
    listener = _listen(ENDPOINT)
    time.sleep(LIFE_S)
    listener.close()


def link_to_another_socket() -> None:
    ENDPOINT.symlink_to(ARGUMENT)
    time.sleep(LIFE_S)


def hard_link_to_another_socket() -> None:
    ENDPOINT.hardlink_to(ARGUMENT)
    time.sleep(LIFE_S)


def fifo() -> None:
    os.mkfifo(ENDPOINT)
    time.sleep(LIFE_S)


def regular_file() -> None:
    ENDPOINT.write_text("x")
    time.sleep(LIFE_S)


class InDescribe(Plain):
    def describe(self) -> bytes:
        return bytes.fromhex(ARGUMENT)


def refuse_parameters() -> None:
    serve(Plain(), describe_status=grpc.StatusCode.INVALID_ARGUMENT)


class HangInDescribe(Plain):
    def describe(self) -> bytes:
        time.sleep(LIFE_S)
        return b""


class InInit(Plain):
    def on_init(self) -> bytes:
        if ARGUMENT == "raise":
            raise ValueError(SECRET)
        print(f"about to end {SECRET}", file=sys.stderr, flush=True)
        if ARGUMENT.startswith("exit"):
            os._exit(int(ARGUMENT[4:]))
        os.kill(os.getpid(), int(ARGUMENT))
        time.sleep(LIFE_S)
        return b""


class InStop(Plain):
    def on_stop(self) -> bytes:
        if ARGUMENT == "crash":
            os._exit(9)
        time.sleep(LIFE_S)
        return b""


class AtWindow(Plain):
    """Behaves until the window that starts at 3."""

    def on_window(self, first_seq: int, count: int, context: Any) -> Iterator[bytes]:
        if first_seq == 3:
            yield from self.misbehave(first_seq, context)
        else:
            yield answer(first_seq, count)

    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        raise NotImplementedError


class Exit(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        print(f"last words {SECRET}", file=sys.stderr, flush=True)
        os._exit(7)
        yield b""


class Segfault(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(LIFE_S)
        yield b""


class Hang(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        time.sleep(LIFE_S)
        yield b""


class Freeze(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        time.sleep(0.3)  # the answer before has left by then
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(LIFE_S)
        yield b""


class Raise(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        context.set_trailing_metadata((("boxgate-secret", SECRET),))
        raise ValueError(SECRET)
        yield b""


class EndStream(AtWindow):
    """Ends its side with status OK while the gateway waits."""

    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        self.ended = True
        yield from ()


class Flood(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        for _ in range(1_000_000):
            yield answer(first_seq, 1)


class AnswerTheOpening(Plain):
    def on_open(self) -> Iterator[bytes]:
        yield answer(0, 1)


class OneMoreAtTheEnd(Plain):
    def at_end(self) -> Iterator[bytes]:
        yield answer(0, 1)


class FiveMebibytes(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        yield bytes(5 << 20)


class Bomb(AtWindow):
    """200 MiB of zeros that would travel as 200 KiB."""

    compression = grpc.Compression.Gzip

    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        yield bytes(200 << 20)


class HugeTrailers(AtWindow):
    def misbehave(self, first_seq: int, context: Any) -> Iterator[bytes]:
        context.set_trailing_metadata((("x", "y" * 100_000),))
        raise ValueError(SECRET)
        yield b""


class Slow(Plain):
    def on_window(self, first_seq: int, count: int, context: Any) -> Iterator[bytes]:
        time.sleep(0.1)
        yield answer(first_seq, count)


class NotImplementedInit(Plain):
    def on_init(self) -> bytes:
        return strategy_pb2.OnInitResponse().SerializeToString()


def ignore_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(Plain())


def daemonise() -> None:
    """S27: three grandchildren in sessions of their own, deaf to SIGTERM."""
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                time.sleep(LIFE_S)
            os._exit(0)
        os.wait()
    serve(Plain())


def leave_files() -> None:
    """Leaves what is hard to remove in the private folder."""
    folder = ENDPOINT.parent
    deep = folder / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (folder / "link").symlink_to(ARGUMENT)
    (folder / "a").chmod(0)
    serve(Plain())


def shout() -> None:
    """S31: many times more output than is kept, on both outputs, before and while it serves."""
    block = b"x" * (1 << 20)
    for _ in range(64):
        os.write(1, block)
        os.write(2, block)
    os.write(1, b"last of stdout\n")
    os.write(2, b"last of \x1b[31mstderr\n")
    serve(Plain())


def open_files() -> None:
    """S31: opens 100,000 files; says how far it came."""
    opened: list[int] = []
    try:
        opened.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(100_000))
    except OSError:
        count = len(opened)
        for fd in opened:
            os.close(fd)
        os.write(2, f"opened={count} core={resource.getrlimit(resource.RLIMIT_CORE)}\n".encode())
    serve(Plain())


def threads() -> None:
    """S31: a thousand threads that never end."""
    for _ in range(1000):
        threading.Thread(target=time.sleep, args=(LIFE_S,), daemon=True).start()
    serve(Plain())


def tell() -> None:
    """Says what it sees of the world it was started in."""
    seen = {
        "env": sorted(os.environ),
        "stdin": str(Path("/proc/self/fd/0").readlink()),
        "fds": len(list(Path("/proc/self/fd").iterdir())),
        "leader": os.getsid(0) == os.getpid() == os.getpgid(0),
        "umask": oct(os.umask(0)),
        "folder": oct(ENDPOINT.parent.stat().st_mode & 0o777),
        "cwd": str(Path.cwd()),
    }
    print(seen, file=sys.stderr, flush=True)
    serve(Plain())


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    return listener


if __name__ == "__main__":
    chosen = globals()[sys.argv[1]]
    if isinstance(chosen, type):
        serve(chosen())
    else:
        chosen()
