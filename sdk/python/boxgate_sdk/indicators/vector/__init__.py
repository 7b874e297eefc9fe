"""Indicators over the columns of a window: one object per series, state carried from window to window.

Needs NumPy: install boxgate-sdk[indicators]. Every number equals that of boxgate_sdk.indicators to the last bit,
wherever the windows are cut: both forms do the same additions and multiplications in the same order.
"""

from boxgate_sdk._extras import extra_missing

try:
    from boxgate_sdk.indicators.vector.averages import Ema, Macd, Sma, Wma
    from boxgate_sdk.indicators.vector.channels import Donchian, Stochastic
    from boxgate_sdk.indicators.vector.deviations import Bollinger, Cci, ZScore
    from boxgate_sdk.indicators.vector.wilder import Adx, Atr, Rsi
except ModuleNotFoundError as error:
    raise extra_missing(error, "boxgate_sdk.indicators.vector", "indicators") from error

__all__ = ["Adx", "Atr", "Bollinger", "Cci", "Donchian", "Ema", "Macd", "Rsi", "Sma", "Stochastic", "Wma", "ZScore"]
