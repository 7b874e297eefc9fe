"""A bare gRPC ping-pong: what a window and its answer cost with the generated code at both ends, and nothing else.

A client process and a server process on a Unix socket, one message in flight on one stream; each message is built and
parsed anew. `Pair` keeps both processes, so that repeats of different systems can be interleaved.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc

from boxgate_proto.strategy.v1 import account_pb2, signal_pb2, strategy_pb2, strategy_pb2_grpc, window_pb2

KINDS = ("sync", "aio")
"""Both ends with threads, or both with asyncio."""
WARM_MESSAGES = 300
MINUTE_NS = 60_000_000_000


class Pair:
    """A server and a client of one kind, in processes of their own. bars: of a window. account: with marks too."""

    def __init__(self, kind: str, *, bars: int = 1, account: bool = False) -> None:
        """Start both and exchange some messages."""
        self._folder = Path(tempfile.mkdtemp(prefix="ping-"))
        path = str(self._folder / "s")
        call = [sys.executable, __file__, kind, path, str(bars), str(int(account))]
        self._server = subprocess.Popen([*call, "server"], stdout=subprocess.PIPE)
        assert self._server.stdout is not None
        self._server.stdout.readline()
        pipe = subprocess.PIPE
        self._client = subprocess.Popen([*call, "client"], stdin=pipe, stdout=pipe, text=True)
        self.rate(WARM_MESSAGES)

    def rate(self, messages: int) -> float:
        """Return round trips per second over so many."""
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(f"{messages}\n")
        self._client.stdin.flush()
        return float(self._client.stdout.readline())

    def close(self) -> None:
        """End both processes."""
        for process in (self._client, self._server):
            process.kill()
            process.wait()
        shutil.rmtree(self._folder)


def window(seq: int, bars: int, account: bool) -> strategy_pb2.OnEventRequest:
    """Return a window of minute bars, with an account of one position and its marks."""
    times = [(seq + k) * MINUTE_NS for k in range(bars)]
    prices = [1.1] * bars
    built = window_pb2.EventWindow(
        first_seq=seq,
        count=bars,
        time_ns=times,
        bars=window_pb2.BarColumns(open_ns=times, open=prices, high=prices, low=prices, close=prices, volume=prices),
    )
    if account:
        position = account_pb2.Position(position_id=7, side=signal_pb2.SIDE_BUY, qty=1000.0, entry_price=1.1)
        target = account_pb2.StandingTarget(side=signal_pb2.SIDE_BUY, qty_requested=1000.0, qty_granted=1000.0)
        built.account.MergeFrom(account_pb2.Account(version=7, cash=1e6, positions=[position], targets=[target]))
        profit = account_pb2.InstrumentMarks(unrealised_pnl=prices)
        built.marks.MergeFrom(account_pb2.Marks(equity=prices, free_margin=prices, instruments=[profit]))
    return strategy_pb2.OnEventRequest(window=built)


def answer(request: strategy_pb2.OnEventRequest) -> strategy_pb2.OnEventResponse | None:
    """Return the answer to a window, which says nothing; None to the message that opens the stream."""
    if request.WhichOneof("message") != "window":
        return None
    asked = request.window
    return strategy_pb2.OnEventResponse(
        signals=signal_pb2.SignalWindow(first_seq=asked.first_seq, consumed=asked.count)
    )


def check(response: strategy_pb2.OnEventResponse, seq: int, bars: int) -> None:
    """Assert that it answers the window."""
    assert response.signals.first_seq == seq
    assert response.signals.consumed == bars


class SyncServer:
    """Answers in a thread."""

    Describe = OnInit = OnStop = None

    def OnEvent(self, request_iterator: Iterator[Any], context: object) -> Iterator[Any]:
        """Answer each window."""
        for request in request_iterator:
            if (said := answer(request)) is not None:
                yield said


class AioServer:
    """Answers in the event loop."""

    Describe = OnInit = OnStop = None

    async def OnEvent(self, request_iterator: AsyncIterator[Any], context: object) -> AsyncIterator[Any]:
        """Answer each window."""
        async for request in request_iterator:
            if (said := answer(request)) is not None:
                yield said


def serve_sync(address: str) -> None:
    """Serve until the process is ended."""
    server = grpc.server(ThreadPoolExecutor(4))
    strategy_pb2_grpc.add_StrategyServicer_to_server(cast(Any, SyncServer()), server)
    server.add_insecure_port(address)
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


async def serve_aio(address: str) -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    strategy_pb2_grpc.add_StrategyServicer_to_server(cast(Any, AioServer()), server)
    server.add_insecure_port(address)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


def exchange_sync(address: str, bars: int, account: bool) -> None:
    """Read numbers of messages from standard input, write the rate of each."""
    stub = strategy_pb2_grpc.StrategyStub(grpc.insecure_channel(address))
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    call = stub.OnEvent(iter(requests.get, None))
    for line in sys.stdin:
        began = time.perf_counter()
        for seq in range(int(line)):
            requests.put(window(seq, bars, account))
            check(next(call), seq, bars)
        print(int(line) / (time.perf_counter() - began), flush=True)


async def exchange_aio(address: str, bars: int, account: bool) -> None:
    """Do as exchange_sync."""
    stub = strategy_pb2_grpc.StrategyStub(grpc.aio.insecure_channel(address))
    call = stub.OnEvent()
    for line in sys.stdin:
        began = time.perf_counter()
        for seq in range(int(line)):
            await call.write(window(seq, bars, account))
            check(await call.read(), seq, bars)
        print(int(line) / (time.perf_counter() - began), flush=True)


def main() -> None:
    """Be one end of a pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("path")
    parser.add_argument("bars", type=int)
    parser.add_argument("account", type=int)
    parser.add_argument("end", choices=("server", "client"))
    given = parser.parse_args()
    address = f"unix:{given.path}"
    bars, account = given.bars, bool(given.account)
    ends: dict[tuple[str, str], Callable[[], Any]] = {
        ("server", "sync"): lambda: serve_sync(address),
        ("server", "aio"): lambda: asyncio.run(serve_aio(address)),
        ("client", "sync"): lambda: exchange_sync(address, bars, account),
        ("client", "aio"): lambda: asyncio.run(exchange_aio(address, bars, account)),
    }
    ends[given.end, given.kind]()
    os._exit(0)


if __name__ == "__main__":
    main()
