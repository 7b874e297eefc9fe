"""`boxgate data serve` and its client, by processes as an owner starts them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import flight

from boxgate_engine.datasets.canonical import series_digest
from boxgate_engine.errors import RunFailed
from boxgate_server.history.client import fetch_series

Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path, dataset: Any) -> Iterator[Start]:
    """Return a starter of `boxgate data serve --json`; gives the process and what it answered."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        command = [sys.executable, "-m", "boxgate_server", "data", "serve", "--json", *arguments]
        folders = ["--root", str(tmp_path / "datasets"), "--cache", str(tmp_path / "cache")]
        process = subprocess.Popen(
            [*command, *folders], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        assert process.stdout
        return process, json.loads(process.stdout.readline())

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_what_is_fetched_has_the_digest_of_the_manifest(start: Start, dataset: Any) -> None:
    process, told = start("small")
    assert told["datasets"] == [{"name": "small", "hash": dataset.hash}]
    for stored in dataset.manifest.series:
        for name in ("small", dataset.hash):
            content = fetch_series(told["location"], name, stored.symbol, stored.frame, token=told["token"])
            assert series_digest(content) == stored.digest
    series = dataset.series("XAUUSD", "M1")
    end_ns = int(series.times_ns[100]) + 60_000_000_000
    part = fetch_series(told["location"], "small", "XAUUSD", "M1", token=told["token"], end_ns=end_ns)
    assert part.rows == 101
    assert all(np.array_equal(values, series.columns[name][:101]) for name, values in part.columns.items())
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_the_owner_lists_and_a_stranger_gets_nothing(start: Start, dataset: Any) -> None:
    process, told = start()
    client = flight.connect(told["location"])
    owner = flight.FlightCallOptions(headers=[(b"authorization", f"Bearer {told['token']}".encode())])
    infos = list(client.list_flights(options=owner))
    assert [info.descriptor.path for info in infos] == [[b"small", b"EURUSD", b"M1"], [b"small", b"XAUUSD", b"M1"]]
    assert infos[0].total_records == dataset.series("EURUSD", "M1").rows
    assert client.get_schema(infos[0].descriptor, owner).schema == infos[0].schema
    stranger = flight.FlightCallOptions(headers=[(b"authorization", b"Bearer no")])
    with pytest.raises(flight.FlightUnauthenticatedError):
        list(client.list_flights(options=stranger))
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.do_get(infos[0].endpoints[0].ticket, stranger).read_all()
    for path, code in (
        (["small", "EURUSD"], "SERVE_PATH"),
        (["small", "EURUSD", "M1", "soon"], "SERVE_PATH"),
        (["../small", "EURUSD", "M1"], "DATASET_UNKNOWN"),
        (["small", "../EURUSD", "M1"], "SERIES_UNKNOWN"),
        (["small", "EURUSD", "tick"], "FRAME_UNAVAILABLE"),
    ):
        with pytest.raises(flight.FlightServerError, match=code) as caught:
            client.get_flight_info(flight.FlightDescriptor.for_path(*path), owner)
        assert ".py" not in str(caught.value)
    client.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--host", "0.0.0.0"), "SERVE_UNPROTECTED"),
        (("--host", "0.0.0.0", "--token-file", "token"), "SERVE_UNPROTECTED"),
        (("--host", "192.0.2.1", "--token-file", "token", "--tls-cert", "cert", "--tls-key", "cert"), "SERVE_ADDRESS"),
        (("--tls-cert", "cert"), "USAGE"),
        (("--token-file", "short"), "SERVE_TOKEN"),
        (("--token-file", "missing"), "SERVE_FILE"),
        (("other",), "DATASET_UNKNOWN"),
    ],
    ids=str,
)
def test_what_would_be_unsafe_or_cannot_be_is_refused(
    start: Start, tmp_path: Path, arguments: tuple[str, ...], code: str
) -> None:
    (tmp_path / "token").write_text("0123456789abcdef0123\n")
    (tmp_path / "short").write_text("secret\n")
    (tmp_path / "cert").write_text("none\n")
    process, told = start(*arguments)
    assert told["error"]["code"] == code
    assert process.wait(20) == 2


def test_with_tls_it_is_read_by_who_has_certificate_and_token(
    start: Start, tmp_path: Path, dataset: Any, require_program: Callable[[str], Path]
) -> None:
    subprocess.run(
        [
            *(require_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    (tmp_path / "token").write_text("0123456789abcdef0123\n")
    _, told = start("--token-file", "token", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    assert "token" not in told
    location = told["location"]
    assert location.startswith("grpc+tls://127.0.0.1:")
    root = (tmp_path / "cert.pem").read_bytes()
    content = fetch_series(location, "small", "EURUSD", "M1", token="0123456789abcdef0123", root_certificate=root)
    assert series_digest(content) == dataset.series("EURUSD", "M1").digest
    for changed in ({"token": "0123456789abcdef0124"}, {"root_certificate": None}):
        wanted: dict[str, Any] = {"token": "0123456789abcdef0123", "root_certificate": root, **changed}
        with pytest.raises(RunFailed) as caught:
            fetch_series(location, "small", "EURUSD", "M1", **wanted)
        assert caught.value.error_code in ("SERVE_REFUSED", "SERVE_UNREACHABLE")
