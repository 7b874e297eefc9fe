"""Work on a thread of its own, beside what the caller does until it wants the result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

_Value = TypeVar("_Value")


class Beside(Generic[_Value]):
    """A value that is being computed. Worth its thread where the work leaves the interpreter to others for long."""

    def __init__(self, work: Callable[[], _Value], *, name: str, threaded: bool = True) -> None:
        """Begin. name: of the thread. threaded: False for little work, which is then done when it is asked for."""
        self._work = work
        self._result: Future[_Value] = Future()
        self._threaded = threaded
        if threaded:
            # A daemon: where the run fails meanwhile, nobody waits for it.
            threading.Thread(target=self._compute, name=name, daemon=True).start()

    def value(self) -> _Value:
        """Return what the work returned, or raise what it raised."""
        if not self._threaded and not self._result.done():
            self._compute()
        return self._result.result()

    def _compute(self) -> None:
        try:
            self._result.set_result(self._work())
        except BaseException as error:  # raised where the value is asked for
            self._result.set_exception(error)
