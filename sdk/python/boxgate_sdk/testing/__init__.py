"""Test a strategy without a gateway: in the same process, or over a real socket.

    run = InProcess(MyStrategy, {"fast": 3}).run(bars([1.10, 1.11, 1.09]))
    assert [s.side for s in run.signals] == [Side.BUY]

`windows=1` delivers moment by moment, `windows=[1, 7, 300]` cuts the tape into windows of about these sizes in turn:
a right strategy gives equal signals for all of them. With FEEDBACK a small paper account answers the signals; it is
there to exercise code, and its fills are no forecast of a backtest.
"""

from boxgate_sdk.testing.events import bar, bars, tick
from boxgate_sdk.testing.runs import InProcess, OverSocket, Run
from boxgate_sdk.testing.sent import Sent
from boxgate_sdk.testing.socket_server import serve_in_thread

__all__ = ["InProcess", "OverSocket", "Run", "Sent", "bar", "bars", "serve_in_thread", "tick"]
