"""Shows that something takes its time: a spinner with seconds, nothing when piped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

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


def waking(user: str) -> str:
    """What is told while a database may be asleep."""
    return f"Connecting as {user} (a sleeping database takes 15 to 40 s)"
