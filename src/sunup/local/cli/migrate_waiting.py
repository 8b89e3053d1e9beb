"""What is said of a run of migrations that has to wait, or is interrupted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from sunup.engines import DSQL
from sunup.settings import Settings

from .waiting import ERRORS


def another_runs(settings: Settings, tell: Callable[[str], None]) -> None:
    """Say so also where there is no spinner, as in CI: it may take long."""
    text = "Another run is migrating; waiting for it"
    if settings.engine is DSQL:
        text += ", at most for a minute if it has died"
    tell(text)
    if not ERRORS.is_terminal:
        typer.echo(text, err=True)


@contextmanager
def interruptible() -> Iterator[None]:
    """What has been applied stays when somebody interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(
            "Interrupted. Run the command again to go on; sunup migrate status tells how far it "
            "came.",
            err=True,
        )
        raise
