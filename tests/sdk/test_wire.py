"""The bytes of the stream against the generated code."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError

from boxgate_proto.strategy.v1 import account_pb2, signal_pb2, strategy_pb2, window_pb2
from boxgate_sdk import Signal, _wire
from boxgate_sdk._meta import encode_meta, to_struct
from boxgate_sdk._wire import BAR_COLUMNS, TICK_COLUMNS, Window, decode_request, encode_response, encode_signal
from boxgate_sdk._wire_rows import encode_signal_rows
from boxgate_sdk.account import read_account
from boxgate_sdk.errors import WindowMalformed


def _random_window(generator: random.Random, *, bars: int, ticks: int) -> window_pb2.EventWindow:
    count = bars + ticks

    def doubles(n: int) -> list[float]:
        return [generator.choice((generator.gauss(0, 1), 0.0, -0.0, float("nan"), 1e308)) for _ in range(n)]

    window = window_pb2.EventWindow(
        first_seq=generator.choice((0, -count, 12_345)),
        count=count,
        time_ns=[generator.randrange(-(2**62), 2**62) for _ in range(count)],
        series=[generator.randrange(2**32) for _ in range(count)] if generator.random() < 0.5 else [],
        warmup=generator.random() < 0.3,
    )
    asks = generator.random() < 0.5
    for name in BAR_COLUMNS if bars else ():
        if name == "open_ns":
            window.bars.open_ns.extend(generator.randrange(2**62) for _ in range(bars))
        elif asks or not name.startswith("ask_"):
            getattr(window.bars, name).extend(doubles(bars))
    for name in TICK_COLUMNS if ticks else ():
        if asks or name in ("bid", "ask"):
            getattr(window.ticks, name).extend(doubles(ticks))
    if generator.random() < 0.5:
        window.account.CopyFrom(account_pb2.Account(version=3, cash=generator.random()))
        entries = count or 1
        window.marks.equity.extend(doubles(entries))
        window.marks.free_margin.extend(doubles(entries))
        trails = generator.random() < 0.3
        names = generator.choice((("",), ("", "t1", "a name of its own: ü"), ("t1", "t2")))
        for instrument, name in itertools.product(range(generator.randrange(3)), names):
            window.marks.instruments.add(
                instrument=instrument,
                unrealised_pnl=doubles(entries),
                trail_level=doubles(entries) if trails and generator.random() < 0.7 else [],
                position=name,
            )
        if trails:
            window.marks.orders.add(client_id="o1", level=doubles(entries))
    return window


def _plain(window: Window) -> dict[str, Any]:
    """Return everything in a window as bytes and numbers, so that NaN and −0.0 are compared too."""

    def raw(columns: list[Any] | None) -> Any:
        return None if columns is None else [column.tobytes() for column in columns]

    marks = window.marks
    return {
        "head": (window.first_seq, window.count, window.warmup, window.account),
        "time": (window.time_ns.tobytes(), window.series.tobytes()),
        "columns": (raw(window.bars), raw(window.ticks)),
        "marks": marks
        and (
            raw([marks.equity, marks.free_margin]),
            [
                {key: column.tobytes() for key, column in columns.items()}
                for columns in (marks.unrealised, marks.trail_levels, marks.order_levels)
            ],
        ),
    }


def _request(window: window_pb2.EventWindow) -> bytes:
    return strategy_pb2.OnEventRequest(window=window).SerializeToString()


@pytest.mark.parametrize("seed", range(60))
def test_a_window_is_read_as_the_generated_code_reads_it(seed: int) -> None:
    generator = random.Random(seed)
    bars, ticks = generator.choice(((5, 0), (0, 5), (3, 4), (0, 0), (300, 0)))
    message = _random_window(generator, bars=bars, ticks=ticks)
    read = decode_request(_request(message))
    assert isinstance(read, Window)
    assert _plain(read) == _plain(_wire._from_generated(message))
    assert read.account == (message.account.SerializeToString() if message.HasField("account") else None)


def test_the_fast_reader_takes_every_window_that_the_generated_code_writes() -> None:
    for seed in range(40):
        _wire._read_window(_request(_random_window(random.Random(seed), bars=3, ticks=2)))


def _varint(value: int) -> bytes:
    return _wire._varint(value)


def _wrapped(body: bytes) -> bytes:
    return b"\x12" + _varint(len(body)) + body


def test_what_is_unusual_is_left_to_the_generated_parser() -> None:
    message = _random_window(random.Random(3), bars=4, ticks=2)
    expected = _plain(_wire._from_generated(message))
    body = message.SerializeToString()
    head = b"\x15" + message.count.to_bytes(4, "little")
    assert head in body
    unusual = {
        "unknown field": body + b"\xa2\x06\x03abc",
        "unknown field in front": b"\xa2\x06\x03abc" + body,
        "field out of order": body.replace(head, b"", 1) + head,
        "field repeated": head + body,
        "varint with an empty byte": body.replace(head, head + b"\x48\x80\x00", 1)
        if not message.warmup
        else body.replace(b"\x48\x01", b"\x48\x81\x00"),
    }
    for name, changed in unusual.items():
        with pytest.raises(_wire._Unusual):
            _wire._read_window(_wrapped(changed))
        read = decode_request(_wrapped(changed))
        assert isinstance(read, Window), name
        assert _plain(read) == expected, name
    single = b"".join(b"\x19" + value.to_bytes(8, "little", signed=True) for value in message.time_ns)
    packed = b"\x1a" + _varint(8 * message.count) + b"".join(single[1 + i : 9 + i] for i in range(0, len(single), 9))
    assert packed in body
    read = decode_request(_wrapped(body.replace(packed, single, 1)))
    assert isinstance(read, Window)
    assert _plain(read) == expected
    split = strategy_pb2.OnEventRequest(window=window_pb2.EventWindow(first_seq=message.first_seq)).SerializeToString()
    read = decode_request(split + _wrapped(body))
    assert isinstance(read, Window)
    assert _plain(read) == expected


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_are_a_named_error_or_what_the_generated_code_reads(seed: int) -> None:
    generator = random.Random(seed)
    data = bytearray(_request(_random_window(generator, bars=6, ticks=3)))
    for _ in range(40):
        damaged = bytearray(data)
        damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        if generator.random() < 0.3:
            del damaged[generator.randrange(len(damaged)) :]
        try:
            read = decode_request(bytes(damaged))
        except WindowMalformed:
            continue
        try:
            message = strategy_pb2.OnEventRequest.FromString(bytes(damaged))
        except DecodeError:
            # The account is parsed when it is first read; damage in it shows then.
            assert isinstance(read, Window)
            assert read.account is not None
            with pytest.raises(WindowMalformed):
                read_account(read.account, ["A"])
            continue
        if isinstance(read, Window):
            assert _plain(read)["columns"] == _plain(_wire._from_generated(message.window))["columns"]
        else:
            assert read == message.open.session_id


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.time_ns.append(1),
        lambda w: w.series.append(1),
        lambda w: w.bars.close.append(1.0),
        lambda w: w.bars.ask_open.append(1.0),
        lambda w: w.ticks.bid.append(1.0),
        lambda w: w.marks.equity.append(1.0),
        lambda w: w.marks.instruments[0].unrealised_pnl.append(1.0),
        lambda w: w.marks.instruments[0].trail_level.append(1.0),
        lambda w: w.marks.instruments.add(instrument=1, position="t1").unrealised_pnl.append(1.0),
        lambda w: w.marks.orders.add(client_id="o1").level.append(1.0),
        lambda w: w.ClearField("ticks"),
    ],
)
def test_columns_that_do_not_fit_one_another_are_refused(change: Any) -> None:
    message = window_pb2.EventWindow(count=2, time_ns=[1, 2], series=[0, 1])
    for name in BAR_COLUMNS:
        getattr(message.bars, name).append(1)
    for name in TICK_COLUMNS:
        getattr(message.ticks, name).append(1)
    message.marks.equity.extend([1.0, 2.0])
    message.marks.free_margin.extend([1.0, 2.0])
    message.marks.instruments.add(instrument=1, unrealised_pnl=[1.0, 2.0])
    assert isinstance(decode_request(_request(message)), Window)
    change(message)
    with pytest.raises(WindowMalformed):
        decode_request(_request(message))


def test_an_account_tells_the_positions_by_name_beside_the_unnamed_ones() -> None:
    message = account_pb2.Account(version=1, cash=5.0)
    for instrument, name in ((0, ""), (1, ""), (0, "t2"), (0, "t1"), (1, "t2")):
        message.positions.add(
            position_id=len(message.positions) + 1,
            instrument=instrument,
            side=signal_pb2.SIDE_SELL if name else signal_pb2.SIDE_BUY,
            qty=2.0,
            entry_price=1.5,
            position=name,
        )
    message.orders.add(client_id="o1", side=signal_pb2.SIDE_BUY, position="t1")
    message.updates.add(kind=account_pb2.ACCOUNT_UPDATE_KIND_FILL, position="t2")
    account = read_account(message.SerializeToString(), ["A", "B"])
    assert {symbol: (p.position_id, p.name) for symbol, p in account.positions.items()} == {"A": (1, ""), "B": (2, "")}
    assert [(p.position_id, p.symbol, p.name) for p in account.named] == [
        (3, "A", "t2"),
        (4, "A", "t1"),
        (5, "B", "t2"),
    ]
    assert account.orders[0].position == "t1"
    assert account.updates[0].position == "t2"


def test_open_and_nonsense_are_told_apart() -> None:
    opening = strategy_pb2.OnEventRequest(open=strategy_pb2.OpenStream(session_id="s")).SerializeToString()
    assert decode_request(opening) == "s"
    for nonsense in (b"", b"\x12", b"\xff\xff", b"\x12\x05ab"):
        with pytest.raises(WindowMalformed):
            decode_request(nonsense)


_VALUES = (None, 0.1, -0.0, float("nan"), float("inf"), 1e-300)


def _random_signal(generator: random.Random) -> Signal:
    def value() -> float | None:
        return generator.choice(_VALUES)

    until = generator.choice((None, 0, -1, 2**60))
    make = generator.choice((Signal.buy, Signal.sell, None))
    if make is None:
        return Signal.flat(price=value(), valid_until_ns=until)
    return make(
        generator.random(),
        price=value(),
        sl=value(),
        tp=value(),
        valid_until_ns=until,
        adjust_only=generator.random() < 0.5,
        trail=value(),
    )


def _generated(event_index: int, instrument: int, signal: Signal) -> signal_pb2.Signal:
    message = signal_pb2.Signal(
        event_index=event_index,
        instrument=instrument,
        side=signal_pb2.Side.ValueType(signal.side),
        qty=signal.qty,
        price=signal.price,
        valid_until_ns=signal.valid_until_ns,
        adjust_only=signal.adjust_only,
    )
    if (signal.sl, signal.tp, signal.trail) != (None, None, None):
        message.risk.CopyFrom(signal_pb2.Risk(sl=signal.sl, tp=signal.tp, trail=signal.trail))
    if signal.meta is not None:
        message.meta.CopyFrom(to_struct(signal.meta))
    return message


@pytest.mark.parametrize("seed", range(60))
def test_answers_are_written_byte_for_byte_as_the_generated_code_writes_them(seed: int) -> None:
    generator = random.Random(seed)
    first_seq = generator.choice((0, -3, 99_999))
    consumed = generator.choice((1, 300))
    window = signal_pb2.SignalWindow(first_seq=first_seq, consumed=consumed)
    parts = b""
    for _ in range(generator.choice((0, 1, 3, 50))):
        index, instrument = generator.randrange(consumed), generator.randrange(3)
        signal = _random_signal(generator)
        meta = None
        if generator.random() < 0.3:
            signal.meta = {"b": 1.5, "a": [None, True, "x" * generator.choice((1, 200))], "c": {"d": {}}}
            meta = encode_meta(signal.meta)
        parts += encode_signal(index, instrument, signal, meta)
        window.signals.append(_generated(index, instrument, signal))
    expected = strategy_pb2.OnEventResponse(signals=window).SerializeToString(deterministic=True)
    assert encode_response(first_seq, consumed, parts) == expected


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_the_vector_form_are_written_as_single_signals_are(seed: int) -> None:
    generator = random.Random(seed)
    rows = generator.choice((1, 2, 17, 400))
    expected = b""
    columns: dict[str, list[Any]] = {name: [] for name in ("event", "instrument", "until", "adjust")}
    signals = []
    for _ in range(rows):
        signal = _random_signal(generator)
        for name in ("price", "sl", "tp", "trail"):
            if (value := getattr(signal, name)) is not None and np.isnan(value):
                setattr(signal, name, None)
        if signal.valid_until_ns == 0:
            signal.valid_until_ns = None
        event, instrument = generator.randrange(5), generator.randrange(3)
        expected += encode_signal(event, instrument, signal, None)
        signals.append(signal)
        columns["event"].append(event)
        columns["instrument"].append(instrument)
        columns["until"].append(signal.valid_until_ns or 0)
        columns["adjust"].append(signal.adjust_only)

    def doubles(name: str) -> Any:
        values = [getattr(signal, name) for signal in signals]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    written = encode_signal_rows(
        np.array(columns["event"]),
        np.array(columns["instrument"]),
        np.array([int(signal.side) for signal in signals]),
        doubles("qty"),
        doubles("price"),
        doubles("sl"),
        doubles("tp"),
        doubles("trail"),
        np.array(columns["until"], dtype=np.int64),
        np.array(columns["adjust"]),
    )
    assert written == expected
