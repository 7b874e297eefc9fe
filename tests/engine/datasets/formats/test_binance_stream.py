"""Recorded streams of Binance, compared with their lines read by hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from boxgate_engine.errors import DataRefused

FILE = "hftbacktest/spot/btcusdt_20240808.gz"
QUOTE = '{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"61837.63","B":"3","a":"61837.64","A":"1"}}'


def messages(path: Path, stream: str) -> list[tuple[int, dict[str, Any]]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [(int(line[:19]), json.loads(line[20:])) for line in file]
    return [(ns, one["data"]) for ns, one in lines if one.get("stream", "").endswith(stream)]


def test_best_bids_and_asks_are_ticks_at_the_time_of_receiving(store: Any, shared_data: Path) -> None:
    by_hand = messages(shared_data / FILE, "@bookTicker")
    (series,) = store.take(shared_data / FILE, name="s").series
    assert (series.symbol, series.frame, series.price_basis, series.rows) == ("BTCUSDT", "tick", "BID", 28_040)
    columns = store.open("s").series("BTCUSDT", "tick").columns
    assert columns["time_ns"].tolist() == [ns for ns, _ in by_hand]
    assert columns["bid"].tolist() == [float(data["b"]) for _, data in by_hand]
    assert columns["ask"].tolist() == [float(data["a"]) for _, data in by_hand]
    assert series.quality["reading"]["ignored_columns"] == ["depth", "other", "trade"]


def test_the_trades_of_a_stream_are_taken_if_that_is_said(store: Any, shared_data: Path) -> None:
    by_hand = messages(shared_data / FILE, "@trade")
    (series,) = store.take(shared_data / FILE, side="last", name="s").series
    assert (series.price_basis, series.rows) == ("LAST", 9_757)
    columns = store.open("s").series("BTCUSDT", "tick").columns
    assert columns["time_ns"].tolist() == [ns for ns, _ in by_hand]
    assert columns["last"].tolist() == columns["ask"].tolist() == [float(data["p"]) for _, data in by_hand]
    assert columns["volume"].tolist() == [float(data["q"]) for _, data in by_hand]


def test_a_stream_is_read_in_pieces_of_any_size(store: Any, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = store.take(shared_data / FILE, name="whole").manifest.hash
    monkeypatch.setattr("boxgate_engine.datasets.formats.pieces.PIECE_BYTES", 1 << 17)
    assert store.take(shared_data / FILE, name="pieces").manifest.hash == whole


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ([f"1723161253937085768 {QUOTE}", "1723161253937085769 {"], "DATA_FORMAT", "row 2"),
        ([f"1723161253937085768 {QUOTE}", f"x723161253937085768 {QUOTE}"], "DATA_FORMAT", "row 2"),
        ([f"1723161253937085768 {QUOTE}", f"1723161253937085700 {QUOTE}"], "DATA_ORDER", "row 2"),
        ([f"1723161253937085768 {QUOTE.replace('61837.64', 'x')}"], "DATA_VALUE", "column ask"),
        (
            [f"1723161253937085768 {QUOTE}", f"1723161253937085768 {QUOTE.replace('BTC', 'ETH')}"],
            "DATA_SCHEMA",
            "row 2",
        ),
        ([f"1723161253937085768 {QUOTE.replace('bookTicker', 'depth')}"], "DATA_SCHEMA", "bookTicker"),
    ],
)
def test_what_is_no_sound_stream_is_refused(store: Any, csv_file: Any, lines: list[str], code: str, said: str) -> None:
    with pytest.raises(DataRefused) as caught:
        store.take(csv_file(*lines, name="recorded"))
    assert caught.value.error_code == code
    assert said in str(caught.value)
