"""D17: forged, expired, replayed, foreign and too-late tickets are refused; what is refused sends nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pyarrow import flight

from boxgate_proto.host.v1.ticket_pb2 import HistoryTicket

Serve = Callable[..., Any]


def _refusal(served: Any, ticket: bytes, token: str | None = "token-of-a") -> str:
    with pytest.raises(flight.FlightError) as caught:
        served.get(ticket, token).read_all()
    said = str(caught.value)
    for leak in ("Traceback", ".py", "boxgate_server", "File ", "/"):
        assert leak not in said, said
    return said.partition(":")[0]


def _changed(ticket: bytes, **fields: Any) -> bytes:
    message = HistoryTicket.FromString(ticket)
    for name, value in fields.items():
        setattr(message, name, value)
    return message.SerializeToString(deterministic=True)


def _put(client: Any, path: Any, schema: Any, options: Any) -> None:
    client.do_put(path, schema, options)[0].close()


def _exchange(client: Any, path: Any, options: Any) -> None:
    client.do_exchange(path, options)[1].read_all()


def test_a_ticket_gives_its_series_once(serve_sessions: Serve) -> None:
    served = serve_sessions()
    ticket = served.office.issue("a", series=1, end_ns=5_000)
    table = served.get(ticket, "token-of-a").read_all()
    assert table.num_rows == served.rows
    assert table["open"][0].as_py() == 1e6 + 1
    assert table.schema.metadata is None
    assert _refusal(served, ticket) == "TICKET_REPLAYED"
    assert _refusal(served, ticket) == "TICKET_REPLAYED"


@pytest.mark.parametrize(
    "fields",
    [
        {"end_ns": 9_000},
        {"expires_ns": 1 << 62},
        {"series": 0},
        {"session_id": "b"},
        {"nonce": bytes(16)},
        {"signature": b""},
        {"signature": bytes(32)},
        {"dataset": "0" * 64},
        {"frame": "M1"},
    ],
    ids=str,
)
def test_a_ticket_that_was_changed_is_forged(serve_sessions: Serve, fields: dict[str, Any]) -> None:
    served = serve_sessions()
    ticket = served.office.issue("a", series=1, end_ns=5_000)
    assert _refusal(served, _changed(ticket, **fields)) == "TICKET_FORGED"
    assert served.get(ticket, "token-of-a").read_all().num_rows == served.rows


def test_every_single_flipped_bit_is_forged(serve_sessions: Serve) -> None:
    served = serve_sessions()
    ticket = served.office.issue("a", series=1, end_ns=5_000)
    for bit in range(len(ticket) * 8):
        damaged = bytearray(ticket)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Exception) as caught:
            served.office.redeem(bytes(damaged), "a")
        assert getattr(caught.value, "error_code", None) == "TICKET_FORGED", bit


@pytest.mark.parametrize(
    "encoding",
    [
        lambda ticket: ticket + b"\xfa\x3e\x01x",  # an unknown field
        lambda ticket: ticket + ticket[:3],  # a field twice
        lambda ticket: ticket + b"\x52\x00",  # an unknown empty one
        lambda ticket: b"\x3a\x00" + ticket,  # a default value, spelled out
        lambda ticket: ticket[:-1],
        lambda ticket: b"",
        lambda ticket: b"\xff" * 60,
        lambda ticket: ticket + bytes(5000),
    ],
)
def test_another_encoding_of_a_ticket_is_forged(serve_sessions: Serve, encoding: Callable[[bytes], bytes]) -> None:
    served = serve_sessions()
    assert _refusal(served, encoding(served.office.issue("a", series=1, end_ns=5_000))) == "TICKET_FORGED"


def test_a_ticket_of_another_server_is_forged(serve_sessions: Serve) -> None:
    served, other = serve_sessions(), serve_sessions()
    assert _refusal(served, other.office.issue("a", series=1, end_ns=5_000)) == "TICKET_FORGED"


def test_a_ticket_expires_at_its_time(serve_sessions: Serve) -> None:
    served = serve_sessions()
    first, second = (served.office.issue("a", series=0, end_ns=5_000) for _ in range(2))
    served.clock.now_ns += 99
    assert served.get(first, "token-of-a").read_all().num_rows == served.rows
    served.clock.now_ns += 1
    assert _refusal(served, second) == "TICKET_EXPIRED"
    assert _refusal(served, first) == "TICKET_EXPIRED"


def test_a_ticket_of_another_session_is_foreign_and_stays_good_for_its_own(serve_sessions: Serve) -> None:
    served = serve_sessions()
    ticket = served.office.issue("b", series=0, end_ns=5_000)
    assert _refusal(served, ticket, "token-of-a") == "TICKET_FOREIGN"
    assert served.get(ticket, "token-of-b").read_all()["open"][0].as_py() == 2e6


@pytest.mark.parametrize(
    ("issued", "code"),
    [
        ({"series": 2, "end_ns": 5_000}, "TICKET_FOREIGN"),
        ({"series": 0, "end_ns": 5_000, "dataset": "0" * 64}, "TICKET_FOREIGN"),
        ({"series": 0, "end_ns": 5_001}, "TICKET_RANGE"),
        ({"series": 0, "end_ns": 1 << 62}, "TICKET_RANGE"),
        ({"series": 0, "end_ns": 4_999}, "TICKET_RANGE"),
    ],
    ids=str,
)
def test_even_signed_a_ticket_reaches_only_what_its_session_has(
    serve_sessions: Serve, issued: dict[str, Any], code: str
) -> None:
    served = serve_sessions()
    assert _refusal(served, served.office.issue("a", **issued)) == code


@pytest.mark.parametrize("token", [None, "", "token-of-", "token-of-aa", "Bearer"])
def test_without_the_token_nothing_is_said(serve_sessions: Serve, token: str | None) -> None:
    served = serve_sessions()
    assert _refusal(served, served.office.issue("a", series=0, end_ns=5_000), token) == "TOKEN_REFUSED"
    for call in ("list_flights", "list_actions"):
        with pytest.raises(flight.FlightUnauthenticatedError):
            list(getattr(served.client(), call)(options=served.options(token)))


def test_of_many_at_once_one_gets_it(serve_sessions: Serve) -> None:
    served = serve_sessions()
    ticket = served.office.issue("a", series=0, end_ns=5_000)
    results: list[str] = []

    def read() -> None:
        try:
            results.append(str(served.get(ticket, "token-of-a").read_all().num_rows))
        except flight.FlightError as error:
            results.append(str(error).partition(":")[0])

    threads = [threading.Thread(target=read) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [str(served.rows)] + ["TICKET_REPLAYED"] * 11


def test_a_session_learns_of_its_ticket_but_lists_and_writes_nothing(serve_sessions: Serve) -> None:
    served = serve_sessions()
    ticket = served.office.issue("a", series=1, end_ns=5_000)
    client, options = served.client(), served.options("token-of-a")
    descriptor = flight.FlightDescriptor.for_command(ticket)
    info = client.get_flight_info(descriptor, options)
    assert (info.total_records, info.schema.names[0], len(info.endpoints)) == (served.rows, "open_ns", 1)
    assert info.endpoints[0].ticket.ticket == ticket
    path = flight.FlightDescriptor.for_path("small", "EURUSD", "M1")
    refused: list[Callable[[], Any]] = [
        lambda: list(client.list_flights(options=options)),
        lambda: list(client.list_actions(options=options)),
        lambda: list(client.do_action(flight.Action("clear", b""), options)),
        lambda: client.get_flight_info(path, options),
        lambda: client.get_schema(path, options),
        lambda: client.get_schema(descriptor, options),
        partial(_put, client, path, info.schema, options),
        partial(_exchange, client, path, options),
    ]
    for call in refused:
        with pytest.raises((flight.FlightUnauthorizedError, OSError)) as caught:
            call()
        assert str(caught.value).partition(":")[0] in ("OWNER_ONLY", "NOT_OFFERED")
        assert ".py" not in str(caught.value)
    assert served.get(ticket, "token-of-a").read_all().num_rows == served.rows


def test_an_exception_of_ours_tells_a_client_nothing(serve_sessions: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve_sessions()

    def fail(*_: object) -> None:
        raise RuntimeError("/secret/path")

    ticket = served.office.issue("a", series=1, end_ns=5_000)
    monkeypatch.setattr(served.server._shelf, "open", fail)
    assert _refusal(served, ticket) == "INTERNAL"
