"""The hash is over content: the form in docs/datasets.md, written a second time here with struct alone."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from boxgate_engine.datasets import SeriesContent
from boxgate_engine.datasets.canonical import SeriesDigest, dataset_hash, series_digest
from boxgate_engine.datasets.parquet import read_series
from boxgate_engine.instruments import Instrument

Bars = Callable[..., SeriesContent]

_EURUSD = Instrument(
    symbol="EURUSD",
    asset_class="forex",
    quote_currency="USD",
    tick_size=Fraction(1, 100_000),
    lot_size=Fraction(1),
)


def _text(value: str) -> bytes:
    return struct.pack("<I", len(value.encode())) + value.encode()


def _series_by_hand(content: SeriesContent) -> str:
    parts = [b"boxgate.series/1\n", _text(content.symbol), _text(content.frame), _text(content.price_basis)]
    parts.append(struct.pack("<qI", content.rows, len(content.columns)))
    for name, values in content.columns.items():
        parts.append(_text(name))
        if name in ("open_ns", "time_ns"):
            kind, column = b"i", b"".join(struct.pack("<q", value) for value in values.tolist())
        else:
            kind, column = b"f", b"".join(struct.pack("<d", value) for value in values.tolist())
        parts.append(kind + hashlib.sha256(column).digest())
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_the_hash_has_the_documented_form(bars: Bars) -> None:
    content = bars(100)
    digest = _series_by_hand(content)
    assert series_digest(content) == digest
    facts = ["EURUSD", "forex", "USD", "linear", "1/100000", "1/1", "1/1"]
    whole = b"boxgate.dataset/1\n" + struct.pack("<I", 1) + b"".join(_text(fact) for fact in facts)
    whole += struct.pack("<I", 1) + _text("EURUSD") + _text("M1") + bytes.fromhex(digest)
    assert dataset_hash([_EURUSD], [("EURUSD", "M1", digest)]) == hashlib.sha256(whole).hexdigest()


def test_a_series_that_streams_by_has_the_digest_of_the_whole(bars: Bars) -> None:
    content = bars(100)
    digest = SeriesDigest(tuple(content.columns))
    for start, end in ((0, 1), (1, 1), (1, 64), (64, 100)):
        digest.add({name: values[start:end] for name, values in content.columns.items()})
    assert digest.result("EURUSD", "M1", "BID") == _series_by_hand(content)


def test_the_order_of_arrival_does_not_matter(bars: Bars) -> None:
    other = replace(_EURUSD, symbol="GBPUSD")
    listed = [(symbol, frame, "ab" * 32) for symbol in ("EURUSD", "GBPUSD") for frame in ("M1", "H1")]
    assert dataset_hash([_EURUSD, other], listed) == dataset_hash([other, _EURUSD], reversed(listed))


def test_minus_zero_is_zero(bars: Bars) -> None:
    content = bars(10)
    volume = np.zeros(10)
    plain = replace(content, columns={**content.columns, "volume": volume})
    minus = replace(content, columns={**content.columns, "volume": -volume})
    assert np.signbit(minus.columns["volume"]).all()
    assert series_digest(plain) == series_digest(minus)


@pytest.mark.parametrize("name", ["open_ns", "open", "high", "low", "close", "volume", "ask_close"])
def test_every_value_counts(bars: Bars, name: str) -> None:
    content = bars(50)
    values = content.columns[name].copy()
    values[49] = np.nextafter(values[49], 9e9) if values.dtype == np.float64 else values[49] + 1
    assert series_digest(replace(content, columns={**content.columns, name: values})) != series_digest(content)


@pytest.mark.parametrize(
    "change",
    [
        {"tick_size": Fraction(1, 1000)},
        {"lot_size": Fraction(1, 100)},
        {"contract_size": Fraction(100)},
        {"quote_currency": "EUR"},
        {"asset_class": "cfd"},
        {"kind": "inverse"},
    ],
)
def test_every_fact_of_an_instrument_counts(change: dict[str, Any]) -> None:
    series = [("EURUSD", "M1", "00" * 32)]
    assert dataset_hash([replace(_EURUSD, **change)], series) != dataset_hash([_EURUSD], series)


def test_the_bytes_and_chunks_of_parquet_do_not_matter(store: Any, bars: Bars) -> None:
    content = bars(3000)
    frozen = store.freeze(content)
    (stored,) = frozen.manifest.series
    folder = store.root / frozen.manifest.hash
    path = folder / stored.files[0].path
    table = pq.read_table(path)
    rewritten = []
    for index, rows in enumerate((7, 1000)):
        part = path.with_name(f"other-{index}.parquet")
        pq.write_table(table, part, row_group_size=rows, compression="snappy", use_dictionary=True)
        file = replace(
            stored.files[0],
            path=f"forex/EURUSD/M1/{part.name}",
            sha256=hashlib.sha256(part.read_bytes()).hexdigest(),
            bytes=part.stat().st_size,
        )
        rewritten.append(series_digest(read_series(folder, replace(stored, files=(file,)))))
        assert file.sha256 != stored.files[0].sha256
    assert rewritten == [stored.digest] * 2


def test_a_series_in_several_files_is_the_same_series(store: Any, bars: Bars) -> None:
    content = bars(1000)
    frozen = store.freeze(content)
    (stored,) = frozen.manifest.series
    folder = store.root / frozen.manifest.hash
    table = pq.read_table(folder / stored.files[0].path)
    files = []
    for index, (start, rows) in enumerate(((0, 300), (300, 700))):
        path = folder / f"forex/EURUSD/M1/cut-{index}.parquet"
        pq.write_table(table.slice(start, rows), path)
        files.append(
            replace(
                stored.files[0],
                path=path.relative_to(folder).as_posix(),
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                rows=rows,
            )
        )
    assert series_digest(read_series(folder, replace(stored, files=tuple(files)))) == stored.digest
