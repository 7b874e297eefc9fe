"""The identity of many runs that differ in their parameters alone: hashed from one text with a hole.

Equal, byte for byte, to what `identity.run_id`, `identity.scenario_id` and `identity.seed` make of each run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from boxgate_engine.identity import canonical_json

_HOLE: Final = b'"params":{}'


class Template:
    """A canonical JSON text with one object of parameters to be put in."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        """Take the value with empty parameters. Inside of texts its quotes are escaped, so the hole is found."""
        text = canonical_json(value)
        head, hole, self._tail = text.partition(_HOLE)
        assert hole, text
        assert _HOLE not in self._tail, text
        self._begun = hashlib.sha256(head + b'"params":')

    def digest(self, params: bytes) -> bytes:
        """Return the SHA-256 of the whole text. params: canonical JSON."""
        state = self._begun.copy()
        state.update(params + self._tail)
        return state.digest()
