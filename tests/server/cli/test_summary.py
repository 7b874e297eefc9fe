"""What the terminal says of a run."""

from __future__ import annotations

from typing import Any

from boxgate_server.cli import summary


def test_many_open_positions_of_an_instrument_and_side_are_one_entry() -> None:
    def held(instrument: str, side: str, qty: float) -> dict[str, Any]:
        return {"instrument": instrument, "side": side, "qty": qty}

    positions = [held("EURUSD", "LONG", 1e4), held("EURUSD", "SHORT", 5e3), held("EURUSD", "LONG", 2e4)]
    assert summary._open(positions) == ["long 30,000 EURUSD in 2 positions", "short 5,000 EURUSD"]
    assert summary._open([held("BTCUSDT", "LONG", 0.25)]) == ["long 0.25 BTCUSDT"]
