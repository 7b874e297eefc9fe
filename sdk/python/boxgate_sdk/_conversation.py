"""Answers that stop in the middle, ask the gateway and go on: ordinary calls on both sides.

The strategy runs in a thread of its own. Each message to it still has exactly one answer, in order, so that whoever
passes messages on needs not to know whether an answer was whole.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Question = TypeVar("Question")
Reply = TypeVar("Reply")


class Ended(BaseException):
    """The conversation is over; nothing of the strategy may catch it."""


class Conversation(Generic[Question, Reply]):
    """Calls `answer` for each message in one thread; answer may call `ask` to reply and receive the next message."""

    def __init__(self, answer: Callable[[Question], Reply]) -> None:
        self._answer = answer
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="boxgate-strategy", daemon=True)
        self._thread.start()

    def say(self, question: Question) -> Reply:
        """Return the reply to one message. Raises what answer raises."""
        self._questions.put(question)
        reply = self._replies.get()
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def ask(self, reply: Reply) -> Question:
        """Reply from within answer and return the next message."""
        self._replies.put(reply)
        question = self._questions.get()
        if question is None:
            raise Ended
        return question

    def end(self) -> None:
        """End the thread, also one that waits in the middle of an answer."""
        self._questions.put(None)

    def _serve(self) -> None:
        while (question := self._questions.get()) is not None:
            try:
                reply: Reply | BaseException = self._answer(question)
            except Ended:
                return
            except BaseException as failure:
                reply = failure
            self._replies.put(reply)
