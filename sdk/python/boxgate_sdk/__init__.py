"""Write a strategy, serve it, test it.

from boxgate_sdk import IntParameter, Signal, Strategy, serve

class MyStrategy(Strategy):
    ...

if __name__ == "__main__":
    serve(MyStrategy)
"""

from boxgate_sdk import errors, sizing
from boxgate_sdk._server import serve
from boxgate_sdk.events import Bar, Tick
from boxgate_sdk.intent_strategy import IntentStrategy
from boxgate_sdk.intents import Intent, IntentKind, OrderState, OrderType, TimeInForce
from boxgate_sdk.orders import OrderStrategy
from boxgate_sdk.parameters import (
    BoolParameter,
    FloatParameter,
    IntParameter,
    StringListParameter,
    StringParameter,
)
from boxgate_sdk.signals import Side, Signal, Signals
from boxgate_sdk.strategy import Description, SeriesNeed, Strategy

__all__ = [
    "Bar",
    "BoolParameter",
    "Description",
    "FloatParameter",
    "IntParameter",
    "Intent",
    "IntentKind",
    "IntentStrategy",
    "OrderState",
    "OrderStrategy",
    "OrderType",
    "SeriesNeed",
    "Side",
    "Signal",
    "Signals",
    "Strategy",
    "StringListParameter",
    "StringParameter",
    "Tick",
    "TimeInForce",
    "errors",
    "serve",
    "sizing",
]
