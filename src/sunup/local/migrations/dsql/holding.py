"""The lock of one run, for as long as its block."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sunup.connecting.credentials import CredentialSource
from sunup.settings import Settings

from .lease import Lease, Other


@contextmanager
def holding(
    settings: Settings,
    credentials: CredentialSource | None,
    on_wait: Callable[[], None],
    tell: Callable[[str], None],
) -> Iterator[Lease]:
    """The lock, for as long as the block.

    `on_wait` is called when another run has it, `tell` is told which one. Raises as `Lease.take`.
    """
    lease = Lease(settings, credentials)

    def wait(other: Other) -> None:
        on_wait()
        tell(f"Another run is migrating ({other.who}, since {other.since}); waiting for it")

    def taken_over(other: Other) -> None:
        tell(f"The run of {other.who} gave no sign of life for {other.age:.0f} s: taken over")

    try:
        lease.take(wait, taken_over)
        yield lease
    finally:
        lease.give_back()
