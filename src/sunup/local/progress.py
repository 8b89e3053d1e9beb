"""How long-running work reports and asks: to a terminal, a log, a test."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Somebody who is told, and may be asked."""

    def waiting(self, text: str) -> AbstractContextManager[Callable[[str], None]]:
        """Work that takes time until the block ends; yields a function that changes the text."""

    def done(self, step: str, text: str) -> None:
        """How a step ended."""

    def detail(self, text: str) -> None:
        """More about the last step."""

    def warn(self, text: str) -> None:
        """Something that should be looked at; the work goes on."""

    def confirm(self, question: str) -> None:
        """Ask whether to go on. Raises if the answer is no, or if there is nobody to ask."""
