"""Answers by script: what a stand-in says first, before it behaves."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

Word = TypeVar("Word")


class Script(Generic[Word]):
    """Gives its words in order, one for each request, and then `otherwise` for ever. Safe between threads."""

    def __init__(self, words: Iterable[Word], otherwise: Word) -> None:
        self._words = deque(words)
        self._otherwise = otherwise
        self._lock = threading.Lock()

    def next(self) -> Word:
        """The next word."""
        with self._lock:
            return self._words.popleft() if self._words else self._otherwise
