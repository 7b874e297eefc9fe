"""What a node of a cluster is given: the strategy's files and the dataset, once, whole and verified."""

from __future__ import annotations

import dataclasses
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from boxgate_engine.datasets import check_dataset, open_dataset
from boxgate_engine.errors import BoxgateError, UserMistake
from boxgate_server.cluster import build, reach
from boxgate_server.cluster.build import check_build, this_build
from boxgate_server.cluster.messages import Job, Limits, Stopped
from boxgate_server.cluster.node import PLACE, receive
from boxgate_server.cluster.reach import attach, check_address
from boxgate_server.cluster.settings import attached_environment, embedded_environment, make_folder
from boxgate_server.cluster.supply import DataServer, supply
from boxgate_server.matrix.execution.limits import LimitedRunner
from boxgate_server.matrix.execution.work import Task


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the node keeps what it is given."""
    monkeypatch.setenv(PLACE, str(tmp_path / "node"))
    return tmp_path / "node"


def test_a_node_fetches_a_dataset_once_and_has_the_same(matrices: Any, work: Path, place: Path) -> None:
    file, plan, folder = matrices.plan()
    with supply(file.base, folder=work, store=folder.runs, dataset="flight", server=DataServer()) as shipment:
        first = receive(shipment)
        second = receive(shipment)
    original = open_dataset(work / "datasets", "small", cache_dir=work / "cache")
    columns = [series.columns for series in (original.series(s.symbol, s.frame) for s in original.manifest.series)]
    assert first.fetched_bytes == sum(column.nbytes for one in columns for column in one.values())
    assert second.fetched_bytes == 0
    assert first.root == str(place / "datasets")
    copy = open_dataset(place / "datasets", plan.versions.dataset, cache_dir=place / "cache")
    assert copy.hash == original.hash
    assert [one.digest for one in copy.manifest.series] == [one.digest for one in original.manifest.series]
    assert not check_dataset(place / "datasets", original.hash, cache_dir=place / "cache").problems
    assert (first.folder / "strategies" / "wilful.py").read_bytes() == (work / "strategies" / "wilful.py").read_bytes()
    assert not list(folder.runs.glob(".reached-*"))


def test_a_node_that_reaches_the_root_uses_it(matrices: Any, work: Path, place: Path) -> None:
    file, _, folder = matrices.plan()
    with supply(file.base, folder=work, store=folder.runs, dataset="auto", server=DataServer()) as shipment:
        supplied = receive(shipment)
    assert (supplied.root, supplied.fetched_bytes) == (str(work / "datasets"), 0)
    config = supplied.localised(file.base)
    assert config.data_provider.cache.local_dir == str(place / "cache")
    assert config.dataset == shipment.dataset


def test_a_store_that_a_node_does_not_reach_is_named(matrices: Any, work: Path, place: Path) -> None:
    file, _, folder = matrices.plan()
    with supply(file.base, folder=work, store=folder.runs, dataset="auto", server=DataServer()) as shipment:
        pass
    with pytest.raises(UserMistake) as caught:
        receive(shipment)
    assert caught.value.error_code == "STORE_NOT_SHARED"


def test_a_server_that_is_gone_is_named_and_nothing_half_is_kept(matrices: Any, work: Path, place: Path) -> None:
    file, _, folder = matrices.plan()
    with supply(file.base, folder=work, store=folder.runs, dataset="flight", server=DataServer()) as shipment:
        pass
    Path(shipment.probe).touch()
    with pytest.raises(BoxgateError) as caught:
        receive(shipment)
    assert caught.value.error_code == "SERVE_UNREACHABLE"
    assert not [path for path in (place / "datasets").iterdir() if not path.name.startswith(".")]
    Path(shipment.probe).unlink()


def test_data_are_not_served_to_other_hosts_without_tls(matrices: Any, work: Path) -> None:
    file, _, folder = matrices.plan()
    server = DataServer(host="0.0.0.0")
    with (
        pytest.raises(UserMistake) as caught,
        supply(file.base, folder=work, store=folder.runs, dataset="flight", server=server),
    ):
        pass
    assert caught.value.error_code == "SERVE_UNPROTECTED"


def test_k10_other_software_on_a_node_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    check_build(this_build(), this_build(), node="here")
    for name in ("boxgate", "code", "python", "ray", "numpy"):
        with pytest.raises(UserMistake) as caught:
            check_build(this_build(), dataclasses.replace(this_build(), **{name: "0"}), node="10.0.0.7")
        assert (caught.value.error_code, caught.value.where) == ("VERSION_MIXED", "10.0.0.7")
        assert name in caught.value.what
    before = this_build().code
    monkeypatch.setattr(build, "_PACKAGES", ("boxgate_engine",))
    assert build._code_digest() != before


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("head", "RAY_ADDRESS"),
        ("head:0", "RAY_ADDRESS"),
        ("ray://head:10001", "RAY_ADDRESS"),
        ("127.0.0.1:1", "RAY_UNREACHABLE"),
        ("no-such-host.invalid:6379", "RAY_UNREACHABLE"),
    ],
)
def test_an_address_where_nobody_answers_is_named(address: str, code: str) -> None:
    with pytest.raises(UserMistake) as caught:
        check_address(address)
    assert caught.value.error_code == code


def test_a_port_where_something_else_listens_is_named_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "_ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(UserMistake) as caught:
            check_address(address)
        assert (caught.value.error_code, "hangs" in caught.value.what) == ("RAY_UNREACHABLE", True)
        monkeypatch.setenv("RAY_USE_TLS", "1")  # its greeting needs a certificate
        check_address(address)
    monkeypatch.delenv("RAY_USE_TLS")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    check_address(f"127.0.0.1:{port}")
    server.stop(None).wait()


def test_a_cluster_that_neither_lets_us_in_nor_refuses_is_given_up(
    matrices: Any, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = threading.Event()
    told: list[BoxgateError] = []

    def init(**_: object) -> None:
        assert given_up.wait(60)
        raise ConnectionError("it is over")

    def give_up(error: BoxgateError) -> None:
        told.append(error)
        given_up.set()

    monkeypatch.setattr(reach, "_JOIN_S", 0.05)
    monkeypatch.setattr("ray.init", init)
    job = Job(
        folder=str(work), store="runs", build=this_build(), workers=1, group_by=(), limits=Limits(), address="head:6379"
    )
    with pytest.raises(UserMistake):
        attach(job, give_up)
    assert [one.error_code for one in told] == ["RAY_UNREACHABLE"]


def test_the_token_is_looked_for_where_the_documents_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    with pytest.raises(UserMistake) as caught:
        attached_environment(None)
    assert caught.value.error_code == "RAY_TOKEN"
    default = tmp_path / ".config" / "boxgate" / "ray-token"
    default.parent.mkdir(parents=True)
    default.write_text("one\n")
    assert attached_environment(None)["RAY_AUTH_TOKEN_PATH"] == str(default)
    (tmp_path / "other").write_text("two\n")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "other"))
    assert attached_environment(None)["RAY_AUTH_TOKEN_PATH"] == str(tmp_path / "other")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "three")
    assert attached_environment(None)["RAY_AUTH_TOKEN"] == "three"
    named = attached_environment(str(default))
    assert "RAY_AUTH_TOKEN" not in named
    assert (named["RAY_AUTH_TOKEN_PATH"], named["RAY_AUTH_MODE"]) == (str(default), "token")


def test_ray_on_this_host_has_a_token_of_its_own_and_none_of_the_users_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "elsewhere:6379")
    folder = make_folder()
    environment = embedded_environment(folder)
    token = Path(environment["RAY_AUTH_TOKEN_PATH"])
    assert "RAY_ADDRESS" not in environment
    assert token.parent == folder
    assert stat.S_IMODE(token.stat().st_mode) & 0o077 == 0
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "owner").write_text("999999999")
    make_folder().joinpath("owner").write_text("999999999")
    assert not folder.exists(), "what a start left whose process is gone is removed by the next"


def test_an_error_keeps_its_parts_between_processes() -> None:
    error = UserMistake("what", code="CODE", where="where", expected="expected", remedy="remedy")
    assert Stopped.of(error).error().as_dict() == error.as_dict()
    assert isinstance(Stopped.of(error).error(), UserMistake)


@pytest.mark.parametrize(
    ("will", "limits", "code"),
    [("grow", {"memory_bytes": 200 << 20}, "RUN_MEMORY"), ("spin", {"runtime_s": 3.0}, "RUN_TIME")],
)
def test_a_run_beyond_its_limits_fails_with_the_reason_and_the_next_goes_on(
    matrices: Any, work: Path, tmp_path: Path, will: str, limits: dict[str, Any], code: str
) -> None:
    _, plan, _ = matrices.plan(f"matrix.params.will=[{will}]", "matrix.params.every=[5, 7]", "strategy.params.only=5")
    setting = plan.settings[0]
    tasks = [
        Task(run_id=one.run_id, params=plan.space.varied(one.params), attempt=1)
        for one in plan
        if one.setting == setting.number
    ]
    with LimitedRunner(folder=work, **limits) as runner:
        wilful, tame = (runner.compute(setting.config, task, tmp_path) for task in tasks)
    assert wilful.failure is not None
    assert wilful.failure.code == code
    assert tame.failure is None
