"""The clients of a front, each with a task of its own, from its first byte to its last."""

import socket
from collections.abc import Callable
from typing import Protocol

import psycopg

from sunup.failures import plain_text

from .background import Background
from .line import Line
from .places import Places, Seated
from .timeline import Timeline
from .wire import ProtocolError


class Client(Seated, Protocol):
    """A session, logged in or not."""

    async def log_in(self) -> bool:
        """Whether it may `run`."""

    async def run(self) -> None:
        """Until one side ends."""

    def close(self) -> None:
        """Close what is open."""


class Clients:
    """`make` makes a session; `touch` is told when one has ended. On one event loop."""

    def __init__(
        self,
        make: Callable[[Line], Client],
        places: Callable[[], Places],
        touch: Callable[[], None],
        timeline: Timeline,
    ) -> None:
        self._make = make
        self._places = places
        self._touch = touch
        self._timeline = timeline
        self._background = Background()
        # Connected and not yet logged in.
        self.attempts: set[Client] = set()

    def accept(self, connection: socket.socket) -> None:
        """Serve one more."""
        session = self._make(Line(connection))
        self.attempts.add(session)
        self._background.start(self._serve(session))

    async def stop(self) -> None:
        """End each."""
        await self._background.stop()

    async def _serve(self, session: Client) -> None:
        try:
            if await session.log_in():
                self.attempts.discard(session)
                await session.run()
        except ProtocolError as error:
            self._timeline.add("refused", reason=f"no PostgreSQL client: {error}", user="")
        except psycopg.Error as error:
            self._timeline.add("error", error=f"the real PostgreSQL: {plain_text(error)}")
        except (OSError, EOFError):
            pass  # the client has gone
        finally:
            # A session may come and go between two looks at who is connected.
            self._touch()
            self.attempts.discard(session)
            self._places().leave(session)
            session.close()
