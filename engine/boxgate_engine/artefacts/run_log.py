"""The log of a run, one JSON object a line; the only artefact that knows the wall clock."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

from boxgate_engine.artefacts.content import plain
from boxgate_engine.timestamps import format_utc

LINES_MAX: Final = 200_000
"""Most lines that one log keeps; what comes later is counted in its last line."""

EVENT_FIELDS: Final[dict[str, frozenset[str]]] = {
    "run_started": frozenset(),
    "sidecar_ready": frozenset(),
    "history_extended": frozenset({"series", "from", "to", "attempt"}),
    "rejected": frozenset(),
    "run_completed": frozenset(),
    "run_failed": frozenset(),
}
"""The fixed events and the fields that each must have. Other events may be added freely."""

_SNAKE_CASE: Final = re.compile(r"[a-z][a-z0-9_]*")

Level = Literal["debug", "info", "warning", "error"]
Source = Literal["gateway", "engine", "sidecar"]


class RunLog:
    """Collects the lines of a run.

    clock_ns: nanoseconds since 1970-01-01 UTC, called once a line. mode: in prod, lines of the sidecar are dropped.
    echo: called with each line that is kept, for a person who watches. run_id: may be set when it becomes known.
    """

    def __init__(
        self,
        *,
        clock_ns: Callable[[], int],
        mode: Literal["debug", "prod"],
        run_id: str | None = None,
        echo: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.run_id = run_id
        self._clock_ns = clock_ns
        self._mode = mode
        self._echo = echo
        self._lines: list[dict[str, Any]] = []
        self._dropped = 0

    def write(
        self,
        event: str,
        message: str,
        *,
        level: Level = "info",
        source: Source = "gateway",
        seq: int | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line. event: snake_case. seq: number of the event on the tape, if the line is about one."""
        fields = fields or {}
        assert _SNAKE_CASE.fullmatch(event), event
        missing = EVENT_FIELDS.get(event, frozenset()) - fields.keys()
        assert not missing, (event, missing)
        if source == "sidecar" and self._mode == "prod":
            return
        if len(self._lines) >= LINES_MAX:
            self._dropped += 1
            return
        line = {
            "ts": format_utc(self._clock_ns()),
            "level": level,
            "event": event,
            "source": source,
            "message": message,
            "fields": plain(fields),
        }
        if seq is not None:
            line["seq"] = seq
        self._lines.append(line)
        if self._echo is not None:
            self._echo({**line, "run_id": self.run_id})

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines in the order in which they were written."""
        for line in self._lines:
            yield {**line, "run_id": self.run_id}
        if self._dropped:
            yield {
                "ts": self._lines[-1]["ts"],
                "level": "warning",
                "event": "log_full",
                "source": "gateway",
                "message": f"{self._dropped} further lines were not kept",
                "fields": {"dropped": self._dropped},
                "run_id": self.run_id,
            }

    def ndjson(self) -> bytes:
        """Return the content of logs.ndjson."""
        # ASCII: whatever a sidecar printed, a line stays one line in every reader.
        return b"".join(json.dumps(line, sort_keys=True, allow_nan=False).encode() + b"\n" for line in self.lines())
