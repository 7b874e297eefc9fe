"""Synthetic data: the same on every machine, sound, and alive enough to trade on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from boxgate_engine.calendars import default_calendar
from boxgate_engine.datasets import Dataset, SynthRequest, ensure_demo, has_demo, make_synthetic
from boxgate_engine.datasets import demo as demo_module
from boxgate_engine.datasets import synthetic as synthetic_module
from boxgate_engine.datasets.aggregation import aggregate
from boxgate_engine.datasets.grid import count_off_grid
from boxgate_engine.datasets.quality import price_columns
from boxgate_engine.datasets.synth import synthesise
from boxgate_engine.errors import BoxgateError

_DEMO_HASH = "3e8e5f8d28b83294281acec249b91dfd5b13daf98134d6048b1a280088d3f1ed"
"""Pins the generator: results that were computed on the demo name it."""

_DAY_NS = 86_400_000_000_000
_START_NS = 1_704_067_200_000_000_000


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("demo")
    return ensure_demo(folder / "datasets", folder / "cache")


def test_the_demo_is_what_it_always_was(demo: Dataset) -> None:
    assert demo.hash == _DEMO_HASH
    symbols = ["AUDUSD", "BTCUSDT", "ETHUSDT", "EURUSD", "GBPUSD", "NZDUSD", "XAUUSD"]
    assert (demo.name, list(demo.instruments)) == ("demo", symbols)
    assert demo.frames("EURUSD") == ["tick", "M1"]


def test_the_demo_is_made_once(store: Any) -> None:
    first = ensure_demo(store.root, store.cache)
    manifest = (store.root / first.hash / "manifest.json").stat().st_mtime_ns
    assert ensure_demo(store.root, store.cache).hash == first.hash
    assert (store.root / first.hash / "manifest.json").stat().st_mtime_ns == manifest


def test_a_demo_of_an_earlier_version_gets_the_series_it_lacks(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(demo_module, "_BAR_SYMBOLS", ("EURUSD", "XAUUSD"))
        old = ensure_demo(store.root, store.cache)
    assert not has_demo(store.root)
    assert ensure_demo(store.root, store.cache).hash == _DEMO_HASH, "as if it were made at once"
    assert has_demo(store.root)
    assert (store.root / old.hash / "manifest.json").is_file(), "runs on the old one still find it"


def test_data_of_others_under_the_name_stay_as_they_are(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(demo_module, "_BAR_SYMBOLS", ("EURUSD",))
        other.setattr(synthetic_module, "SOURCE", "a vendor")
        own = ensure_demo(store.root, store.cache)
    assert has_demo(store.root)
    assert ensure_demo(store.root, store.cache).hash == own.hash


def test_a_demo_that_is_there_is_opened_without_writing_to_the_root(store: Any) -> None:
    ensure_demo(store.root, store.cache)
    for file in store.root.glob(".*"):
        file.unlink()
    ensure_demo(store.root, store.cache)
    assert list(store.root.glob(".*")) == []


def test_the_demo_has_room_for_warm_up_and_enough_bars(demo: Dataset) -> None:
    for symbol in demo.instruments:
        series = demo.series(symbol, "M1")
        times_ns = series.times_ns
        assert np.count_nonzero(times_ns < _START_NS) > 10_000
        assert np.count_nonzero(times_ns >= _START_NS) > 180_000
        assert (series.price_basis, series.has_ask) == (("LAST", False) if "USDT" in symbol else ("BID", True))


def test_bars_are_sound_and_on_their_grid(demo: Dataset) -> None:
    for symbol, instrument in demo.instruments.items():
        series = demo.series(symbol, "M1")
        columns = series.columns
        assert np.all(np.diff(series.times_ns) > 0)
        for side in ("", "ask_") if series.has_ask else ("",):
            opens, highs, lows, closes = (columns[side + name] for name in ("open", "high", "low", "close"))
            assert np.all(highs >= np.maximum(opens, closes))
            assert np.all(lows <= np.minimum(opens, closes))
            assert np.all(lows > 0)
        if series.has_ask:
            assert np.all(columns["ask_close"] > columns["close"])
        for prices in price_columns(series.content()).values():
            assert count_off_grid(prices, instrument.tick_size) == 0
        assert np.all(columns["volume"] > 0)
        assert np.all(default_calendar(instrument.asset_class).is_open(series.times_ns))


def test_ticks_and_bars_of_the_demo_belong_together(demo: Dataset) -> None:
    made = aggregate(demo.series("EURUSD", "tick").content(), "M1")
    bars = demo.series("EURUSD", "M1")
    rows = np.searchsorted(bars.times_ns, made.times_ns)
    assert len(rows) > 5_000
    for name, values in made.columns.items():
        assert np.array_equal(bars.columns[name][rows], values), name


def test_forex_has_weekends_gaps_and_spreads_by_hour_and_crypto_has_no_gap(demo: Dataset) -> None:
    euro, coin = demo.series("EURUSD", "M1"), demo.series("BTCUSDT", "M1")
    steps = np.diff(euro.times_ns)
    assert np.count_nonzero(steps > 40 * 3_600_000_000_000) == 28
    assert 300 < np.count_nonzero(steps > 60_000_000_000) < 3_000
    assert np.all(np.diff(coin.times_ns) == 60_000_000_000)
    spread = euro.columns["ask_close"] - euro.columns["close"]
    hours = euro.times_ns // 3_600_000_000_000 % 24
    assert spread[hours == 21].mean() > 2 * spread[hours == 13].mean()


def test_averages_cross_often_enough_to_trade(demo: Dataset) -> None:
    for symbol in demo.instruments:
        close = demo.series(symbol, "M1").columns["close"]
        sums = np.concatenate(([0.0], np.cumsum(close)))
        fast = (sums[10:] - sums[:-10])[20:] / 10
        slow = (sums[30:] - sums[:-30]) / 30
        assert np.count_nonzero(np.diff(np.sign(fast - slow))) > 2_000, symbol


def test_a_seed_gives_one_market_and_another_seed_another(store: Any) -> None:
    one, same, other = (synthesise(seed, "EURUSD", _START_NS, _START_NS + 5 * _DAY_NS).bars() for seed in (7, 7, 8))
    assert all(np.array_equal(values, same.columns[name]) for name, values in one.columns.items())
    assert not np.array_equal(one.columns["close"][:100], other.columns["close"][:100])


def test_a_symbol_does_not_depend_on_its_neighbours(store: Any) -> None:
    span: dict[str, Any] = {"frame": "M1", "start_ns": _START_NS, "end_ns": _START_NS + 3 * _DAY_NS}
    alone = make_synthetic(store.root, SynthRequest(seed=3, symbols=("EURUSD",), name="a", **span))
    together = make_synthetic(store.root, SynthRequest(seed=3, symbols=("GBPUSD", "EURUSD"), name="b", **span))
    digests = {one.symbol: one.digest for one in together.series}
    assert alone.series[0].digest == digests["EURUSD"]


@pytest.mark.parametrize(("symbol", "tick"), [("USDJPY", Fraction(1, 1000)), ("NZDUSD", Fraction(1, 100_000))])
def test_other_symbols_have_a_model_of_their_class(store: Any, symbol: str, tick: Fraction) -> None:
    span: dict[str, Any] = {"frame": "tick", "start_ns": _START_NS, "end_ns": _START_NS + _DAY_NS}
    result = make_synthetic(store.root, SynthRequest(seed=3, symbols=(symbol,), name="a", **span))
    assert result.manifest.instruments[0].tick_size == tick
    series = store.open("a").series(symbol, "tick")
    assert np.all(np.diff(series.times_ns) >= 0)
    assert np.all(series.columns["ask"] > series.columns["bid"])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"seed": -1}, "SEED_RANGE"),
        ({"seed": 1 << 64}, "SEED_RANGE"),
        ({"frame": "H1"}, "FRAME_UNKNOWN"),
        ({"end_ns": _START_NS}, "DATA_SCHEMA"),
        ({"symbols": ("../x",)}, "NAME_INVALID"),
        ({"symbols": ("ABC",)}, "DATA_INSTRUMENT"),
        ({"name": "latest"}, "DATASET_NOT_FROZEN"),
    ],
)
def test_what_cannot_be_made_is_refused(store: Any, change: dict[str, Any], code: str) -> None:
    fields: dict[str, Any] = {
        "seed": 1,
        "symbols": ("EURUSD",),
        "frame": "M1",
        "name": "a",
        "start_ns": _START_NS,
        "end_ns": _START_NS + _DAY_NS,
    }
    with pytest.raises(BoxgateError) as caught:
        make_synthetic(store.root, SynthRequest(**{**fields, **change}))
    assert (caught.value.error_code, caught.value.exit_code) == (code, 2)
    assert store.published() == []
