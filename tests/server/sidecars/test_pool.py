"""The pool: which process a lease gets, what ends one, and to whom its output belongs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from trials import IMPATIENT, exchange, until_empty

from boxgate_engine.errors import BoxgateError
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sidecars import Lease, SidecarHost, SidecarPool

STRATEGY = """
import sys
from boxgate_sdk import BoolParameter, IntParameter, Strategy, serve

class Talker(Strategy):
    fail = BoolParameter(False)
    grow = IntParameter(0)
    word = IntParameter(0)
    kept = []

    def supports(self):
        return SUPPORTS

    def on_init(self, ctx):
        print(f"init {self.word}")
        print(f"error {self.word}", file=sys.stderr)
        self.kept.append(bytearray(b"x" * self.grow))

    def on_event(self, event):
        return None

    def on_stop(self):
        if self.fail:
            raise ValueError("no")
        return None

if __name__ == "__main__":
    serve(Talker)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two strategies that differ in what they declare."""
    (tmp_path / "resets.py").write_text(STRATEGY.replace("SUPPORTS", "('RESET',)"))
    (tmp_path / "single.py").write_text(STRATEGY.replace("SUPPORTS", "()"))
    return tmp_path


@pytest.fixture
def pool(host: SidecarHost) -> Iterator[SidecarPool]:
    with SidecarPool(host) as pool:
        yield pool


def lease(pool: SidecarPool, folder: Path, script: str = "resets.py", **changed: str) -> Lease:
    wanted = {"mode": "debug", "digest": "d", **changed}
    return pool.lease(["python", script], cwd=folder, limits=IMPATIENT, **wanted)  # type: ignore[arg-type]


def converse(lease: Lease, session: str = "s", *, stop: bool = True, **parameters: int) -> Lease:
    """Take a lease through a session of three windows."""
    values = [
        pb.Parameter(name=name, value=pb.ParameterValue(bool_value=value))
        if isinstance(value, bool)
        else pb.Parameter(name=name, value=pb.ParameterValue(int_value=value))
        for name, value in parameters.items()
    ]
    lease.connection.describe(pb.DescribeRequest(contract_versions=[1]))
    lease.connection.on_init(pb.OnInitRequest(session_id=session, contract_version=1, parameters=values))
    lease.connection.open_stream(session).close()
    if stop:
        lease.connection.on_stop(pb.OnStopRequest(session_id=session, reason=pb.STOP_REASON_COMPLETED))
    return lease


def test_a_process_that_declares_reset_serves_session_after_session(pool: SidecarPool, folder: Path) -> None:
    pids = set()
    for number in range(5):
        with lease(pool, folder) as sidecar:
            assert sidecar.reused == (number > 0)
            pids.add(sidecar.pid)
            converse(sidecar)  # the same name each time: a session that ended is forgotten
    assert len(pids) == 1


def test_a_process_that_does_not_declare_reset_serves_once(pool: SidecarPool, folder: Path) -> None:
    for _ in range(2):
        with lease(pool, folder, "single.py") as sidecar:
            assert not sidecar.reused
            converse(sidecar)
    assert until_gone(sidecar) == []


@pytest.mark.parametrize("changed", [{"digest": "other"}, {"mode": "prod"}])
def test_another_strategy_or_mode_gets_a_process_of_its_own(
    pool: SidecarPool, folder: Path, changed: dict[str, str]
) -> None:
    with lease(pool, folder) as first:
        converse(first)
    with lease(pool, folder, **changed) as second:
        assert not second.reused
        converse(second)
    if "digest" in changed:
        assert until_gone(first) == []  # files that changed do not change back
    else:
        with lease(pool, folder) as third:
            assert third.pid == first.pid


@pytest.mark.parametrize("fresh", ["forked", "process"])
def test_a_fresh_process_serves_one_lease_and_leaves_the_warm_one_alone(
    pool: SidecarPool, folder: Path, fresh: str
) -> None:
    with lease(pool, folder) as warm:
        converse(warm)
    with lease(pool, folder, fresh=fresh) as sidecar:
        assert not sidecar.reused
        assert sidecar.pid != warm.pid
        converse(sidecar)
    assert until_gone(sidecar) == []
    with lease(pool, folder) as again:
        assert again.pid == warm.pid


def test_two_leases_at_once_have_two_processes(pool: SidecarPool, folder: Path) -> None:
    with lease(pool, folder) as one, lease(pool, folder) as two:
        assert one.pid != two.pid
        converse(one)
        converse(two)


@pytest.mark.parametrize(
    "fault", ["exception", "kill", "left_open", "stop_fails", "died_at_work", "died_idle", "not_described"]
)
def test_a_process_is_not_trusted_after_a_fault(pool: SidecarPool, folder: Path, fault: str) -> None:
    sidecar = lease(pool, folder)
    if fault == "exception":
        with pytest.raises(RuntimeError):
            fail_within(sidecar)
    elif fault == "kill":
        converse(sidecar).kill()
        sidecar.stop()
    elif fault == "left_open":
        converse(sidecar, stop=False).stop()
    elif fault == "stop_fails":
        converse(sidecar, fail=True).stop()
        assert sidecar.stop_unclean
    elif fault == "died_at_work":
        converse(sidecar, stop=False)
        assert sidecar.pid is not None
        os.kill(sidecar.pid, signal.SIGKILL)
        sidecar.connection.on_stop(pb.OnStopRequest(session_id="s"))
        sidecar.stop()
        assert sidecar.stop_unclean
    elif fault == "died_idle":
        converse(sidecar).stop()
        assert sidecar.pid is not None
        os.kill(sidecar.pid, signal.SIGKILL)
        assert until_empty(lambda: [] if sidecar.exit else [sidecar.pid]) == []
    else:
        sidecar.stop()
    with lease(pool, folder) as after:
        assert not after.reused
        converse(after)
    assert until_gone(sidecar) == []


def test_an_aborted_session_leaves_a_process_that_serves_the_next(pool: SidecarPool, folder: Path) -> None:
    sidecar = lease(pool, folder)
    sidecar.connection.describe(pb.DescribeRequest(contract_versions=[1]))
    sidecar.connection.on_init(pb.OnInitRequest(session_id="s", contract_version=1))
    sidecar.connection.open_stream("s")
    sidecar.connection.abort_streams()
    sidecar.connection.on_stop(pb.OnStopRequest(session_id="s", reason=pb.STOP_REASON_ABORTED))
    sidecar.stop()
    with lease(pool, folder) as after:
        assert after.reused
        converse(after)


def test_a_process_ends_after_its_sessions_or_when_it_grew(host: SidecarHost, folder: Path) -> None:
    with SidecarPool(host, sessions_max=2, growth_bytes_max=32 << 20) as pool:
        pids = []
        for _ in range(4):
            with lease(pool, folder) as sidecar:
                pids.append(converse(sidecar).pid)
        assert pids[0] == pids[1] != pids[2] == pids[3]
        with lease(pool, folder) as small:
            converse(small, grow=1 << 20)
        with lease(pool, folder) as large:
            assert large.pid == small.pid
            converse(large, grow=64 << 20)
        assert until_gone(large) == []


def test_no_more_processes_idle_than_allowed(host: SidecarHost, folder: Path) -> None:
    with SidecarPool(host, idle_max=1) as pool:
        one, two = lease(pool, folder), lease(pool, folder)
        converse(one).stop()
        converse(two).stop()
        assert until_gone(one) == []
        with lease(pool, folder) as third:
            assert third.pid == two.pid


def test_output_belongs_to_the_run_that_wrote_it(pool: SidecarPool, folder: Path) -> None:
    leases = []
    for word in range(3):
        with lease(pool, folder) as sidecar:
            converse(sidecar, word=word)
        leases.append(sidecar)
    assert [each.reused for each in leases] == [False, True, True]
    assert [each.stdout_tail() for each in leases] == ["init 0\n", "init 1\n", "init 2\n"]
    assert [each.stderr_tail() for each in leases] == ["error 0\n", "error 1\n", "error 2\n"]


def test_a_fault_tells_only_what_its_own_session_wrote(pool: SidecarPool, folder: Path) -> None:
    with lease(pool, folder) as sidecar:
        converse(sidecar, word=1)
    sidecar = converse(lease(pool, folder), stop=False, word=2)
    stream = sidecar.connection.open_stream("unknown")
    with pytest.raises(BoxgateError) as caught:
        exchange(stream, 0)
    sidecar.kill()
    assert "error 1" not in str(caught.value)
    assert "error 2" in str(caught.value)


def test_in_prod_nothing_is_kept_of_what_any_session_wrote(pool: SidecarPool, folder: Path) -> None:
    for word in range(2):
        with lease(pool, folder, mode="prod") as sidecar:
            converse(sidecar, word=word)
        assert sidecar.stdout_tail() == sidecar.stderr_tail() == ""


def test_describe_is_asked_once_for_the_same_parameters(pool: SidecarPool, folder: Path) -> None:
    request = pb.DescribeRequest(contract_versions=[1])
    with lease(pool, folder) as sidecar:
        converse(sidecar)
        expected = sidecar.connection.describe(request)
    with lease(pool, folder) as sidecar:
        assert sidecar.pid is not None
        os.kill(sidecar.pid, signal.SIGSTOP)  # it could not answer
        answer = sidecar.connection.describe(request)
        os.kill(sidecar.pid, signal.SIGCONT)
    assert answer == expected
    assert [parameter.name for parameter in answer.parameters] == ["fail", "grow", "word"]


def test_a_closed_pool_keeps_nothing_and_takes_nothing_back(host: SidecarHost, folder: Path) -> None:
    pool = SidecarPool(host)
    idle, late = lease(pool, folder), lease(pool, folder)
    converse(idle).stop()
    pool.close()
    assert idle.exit is not None
    converse(late).stop()
    assert until_gone(late) == []


def fail_within(sidecar: Lease) -> None:
    with converse(sidecar):
        raise RuntimeError


def until_gone(sidecar: Lease) -> list[str]:
    """Return the folder in /proc of a process that does not end in time."""
    return list(map(str, until_empty(lambda: [path for path in [Path(f"/proc/{sidecar.pid}")] if path.exists()])))
