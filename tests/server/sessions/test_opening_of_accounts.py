"""What OnInit tells of leverage, costs and margin is what the config says of each instrument."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

from boxgate_engine.config import RunConfig
from boxgate_engine.instruments import Instrument
from boxgate_proto.strategy.v1 import strategy_pb2 as pb
from boxgate_server.sessions.opening import Described, init_request

CONFIG = RunConfig.model_validate(
    {
        "strategy": {"command": ["s"]},
        "dataset": "d",
        "instruments": ["EURUSD", "BTCUSDT", "EURGBP"],
        "frames": ["H1"],
        "window": {"start": "first", "end": "last"},
        "account": {
            "currency": "USD",
            "cash": 1000.0,
            "leverage": {"default": 30.0, "BTCUSDT": 5.0},
            "margin": {"mode": "isolated", "maintenance": 0.5, "call": 0.75, "fee_bps": 20.0},
            "equivalents": [["USD", "USDT"]],
        },
        "costs": {
            "fees": {"maker_bps": -0.5, "taker_bps": 4.0, "per_lot": 7.0, "per_fill": 0.25},
            "slippage": {"model": "ticks", "value": 2.0},
            "swap": {"model": "points", "long": -6.0, "short": 1.5, "triple": "friday"},
            "instruments": {
                "BTCUSDT": {"swap": "none", "fees": {"minimum": 1.0}, "slippage_bps": 0.5},
                "EURGBP": {"swap": {"model": "annual_rate", "long": -0.02, "short": 0.01}, "slippage_bps": 0.0},
            },
        },
    }
)


def opened() -> pb.OnInitRequest:
    quotes = {"EURUSD": "USD", "BTCUSDT": "USDT", "EURGBP": "GBP"}
    one = Fraction(1)
    market: Any = SimpleNamespace(
        instruments=[
            Instrument(symbol=symbol, asset_class="forex", quote_currency=quote, tick_size=one, lot_size=one)
            for symbol, quote in quotes.items()
        ],
        feeds=[],
        is_funded=lambda symbol: symbol == "BTCUSDT",
    )
    described = Described(name="s", version="1", params={}, messages=[], granted=frozenset(), wanted=[], debug=True)
    return init_request(
        session_id="x", seed=1, config=CONFIG, described=described, market=market, start_ns=0, warmup_events=[]
    )


def test_each_instrument_has_its_leverage_and_says_whether_it_is_converted() -> None:
    request = opened()
    assert [one.leverage for one in request.instruments] == [30.0, 5.0, 30.0]
    assert [one.quote_is_account for one in request.instruments] == [True, True, False]
    assert request.leverage == 5.0
    assert request.margin == pb.MarginRules(isolated=True, maintenance=0.5, call=0.75, liquidation_fee_bps=20.0)


def test_each_instrument_has_its_costs() -> None:
    costs = opened().costs
    assert (costs.fees_bps, costs.slippage_bps) == (4.0, 0.0)
    tariff: Any = {"maker_bps": -0.5, "taker_bps": 4.0, "per_lot": 7.0, "per_fill": 0.25, "lot_qty": 100_000.0}
    assert list(costs.instruments) == [
        pb.InstrumentCosts(
            **tariff,
            slippage_model=pb.SLIPPAGE_MODEL_TICKS,
            slippage=2.0,
            swap_model=pb.SWAP_MODEL_POINTS,
            swap_long=-6.0,
            swap_short=1.5,
            swap_lot_qty=100_000.0,
            swap_triple_day=5,
        ),
        pb.InstrumentCosts(
            lot_qty=100_000.0, minimum=1.0, slippage_model=pb.SLIPPAGE_MODEL_BPS, slippage=0.5, funding=True
        ),
        pb.InstrumentCosts(
            **tariff,
            swap_model=pb.SWAP_MODEL_ANNUAL_RATE,
            swap_long=-0.02,
            swap_short=0.01,
            swap_lot_qty=100_000.0,
            swap_triple_day=3,
        ),
    ]
