"""Shows that something takes its time: a spinner with seconds, nothing when piped."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sunup.local.errors import CommandError

# What is asked for goes to standard output; what happens meanwhile does not.
ERRORS = Console(stderr=True, highlight=False)


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """Show `text` and the time until the block ends; yields a function that changes the text."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    quiet = not ERRORS.is_terminal
    with Progress(*columns, console=ERRORS, transient=True, disable=quiet) as progress:
        task = progress.add_task(text, total=None)
        yield lambda new: progress.update(task, description=new)


def confirm(question: str) -> None:
    """Ask, with no as the default. Raises `CommandError` where nobody can be asked."""
    if not sys.stdin.isatty():
        raise CommandError(
            f"cannot ask, because standard input is not a terminal: {question}",
            "Pass --yes to confirm.",
        )
    typer.confirm(question, abort=True, err=True)


def end_cleanly() -> None:
    """Let SIGTERM (a cancelled CI job) be what Ctrl-C is: statements and gradual shifts end."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)


class Terminal:
    """A `sunup.local.progress.Progress`: steps on standard output, the rest on standard error.

    `errors_only` keeps standard output for what a script reads.
    """

    def __init__(self, *, errors_only: bool = False) -> None:
        self._console = Console(highlight=False, markup=False, soft_wrap=True, stderr=errors_only)

    def waiting(self, text: str) -> AbstractContextManager[Callable[[str], None]]:
        """A spinner."""
        return waiting(text)

    def done(self, step: str, text: str) -> None:
        """A line: the step, and how it ended."""
        self._console.print(f"{step:<11} {text}")

    def detail(self, text: str) -> None:
        """An indented line."""
        self._console.print(f"{'':<13} {text}")

    def warn(self, text: str) -> None:
        """A yellow line."""
        ERRORS.print(text, style="yellow", soft_wrap=True, markup=False)

    def confirm(self, question: str) -> None:
        """Ask, with no as the default."""
        confirm(question)
