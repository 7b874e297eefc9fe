"""What a sidecar writes to stdout or stderr in debug: drained without end, kept to a bound."""

from __future__ import annotations

import threading
import unicodedata


class Tail:
    """The last bytes of an output. Written by one thread, read by any."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept = bytearray()
        self._lock = threading.Lock()
        self.bytes_dropped = 0

    def append(self, data: bytes) -> None:
        """Keep the data; drop the oldest beyond the bound."""
        with self._lock:
            self._kept += data[-self._bytes_max :]
            excess = max(0, len(self._kept) - self._bytes_max)
            del self._kept[:excess]
            self.bytes_dropped += excess + max(0, len(data) - self._bytes_max)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.bytes_dropped = 0

    def text(self) -> str:
        """Return what is kept, without control characters: it ends up on terminals and in logs."""
        with self._lock:
            kept = bytes(self._kept)
        return printable(kept.decode("utf-8", errors="replace"))


def printable(text: str) -> str:
    """Return the text without control and format characters, newlines and tabs excepted."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Co"))
