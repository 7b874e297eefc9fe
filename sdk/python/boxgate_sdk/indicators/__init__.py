"""Indicators bar by bar: one object per series, one push per event, NaN until it is ready.

Formula, seed and first output are those of TA-Lib. boxgate_sdk.indicators.vector (extra `indicators`) has the same
names for whole windows and gives the same numbers to the last bit. docs/indicators.md tells what each takes and gives.
"""

from boxgate_sdk.indicators.averages import Ema, Macd, Sma, Wma
from boxgate_sdk.indicators.channels import Donchian, Stochastic
from boxgate_sdk.indicators.deviations import Bollinger, Cci, ZScore
from boxgate_sdk.indicators.readings import AdxLines, Bands, MacdLines, StochasticLines
from boxgate_sdk.indicators.wilder import Adx, Atr, Rsi

__all__ = [
    "Adx",
    "AdxLines",
    "Atr",
    "Bands",
    "Bollinger",
    "Cci",
    "Donchian",
    "Ema",
    "Macd",
    "MacdLines",
    "Rsi",
    "Sma",
    "Stochastic",
    "StochasticLines",
    "Wma",
    "ZScore",
]
