"""Intents at the events that its plan names, as they stand there: also those that can never be right."""

from __future__ import annotations

import json
from typing import Any

from boxgate_sdk import Bar, BoolParameter, Intent, Strategy, StringListParameter, Tick, _session, _wire, serve
from boxgate_sdk.intents import IntentKind, OrderType, TimeInForce
from boxgate_sdk.signals import Side

WORDS = {"kind": IntentKind, "side": Side, "type": OrderType, "tif": TimeInForce}
NUMBERS = ("qty", "price", "stop_price", "trail", "sl", "tp", "risk_trail")
WRONG: dict[str, tuple[int | None, int | None]] = {}
"""By client_id: index of event and instrument that are sent in place of the right ones, None for the right one."""

encode_intent = _wire.encode_intent


def encode_wrongly(event_index: int, instrument: int, intent: Intent, meta: bytes | None) -> bytes:
    event, other = WRONG.get(intent.client_id, (None, None))
    event_index = event_index if event is None else event
    return encode_intent(event_index, instrument if other is None else other, intent, meta)


_session.encode_intent = encode_wrongly  # type: ignore[attr-defined] # in place of the one that is always right


class PlannedOrders(Strategy):
    name = "planned_orders"
    version = "1.0.0"

    plan = StringListParameter((), doc='JSON objects such as {"at": 3, "kind": "CANCEL", "client_id": "a"}.')
    reads = BoolParameter(False, doc="Whether it asks for FEEDBACK.")

    def requires(self) -> tuple[str, ...]:
        return ("ORDERS", "FEEDBACK") if self.reads else ("ORDERS",)

    def supports(self) -> tuple[str, ...]:
        return ("TICKS", "RESET")

    def on_init(self, ctx: object) -> None:
        self.planned: dict[int, list[dict[str, Any]]] = {}
        for text in self.plan:
            entry = json.loads(text)
            self.planned.setdefault(entry.pop("at"), []).append(entry)

    def on_event(self, event: Bar | Tick) -> list[Intent]:
        return [] if event.warmup else [intent_of(dict(entry)) for entry in self.planned.get(event.seq, [])]


def intent_of(entry: dict[str, Any]) -> Intent:
    """A word is the name of an enum's member or any number; a number may be a text such as nan."""
    WRONG[entry.get("client_id", "")] = (entry.pop("event_index", None), entry.pop("instrument_index", None))
    for name, words in WORDS.items():
        if isinstance(entry.get(name), str):
            entry[name] = words[entry[name]]
    for name in NUMBERS:
        if name in entry:
            entry[name] = float(entry[name])
    return Intent(**entry)


if __name__ == "__main__":
    serve(PlannedOrders)
