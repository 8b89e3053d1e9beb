"""Who has which connection of a pool, and what was last heard from the database.

What asyncpg's and psycopg's pools have in common. No input or output here, no waiting and no lock:
the pools call it on their event loop, or holding their lock.
"""

import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Generic, Protocol, TypeVar

from sunup import request
from sunup.failures import ConnectionsBusy, DatabaseUnavailable
from sunup.settings import Settings

from .credentials import CredentialSource
from .meaning import Meaning
from .session import NOBODY, Session
from .waking import RESUMING_AFTER, Waking, explained, gave_up

# Holds a connection for good: a pool of another library.
LENT = object()
# Holds it until it is put right or closed.
ENDING = object()


class Pooled(Hashable, Protocol):
    """What a pool needs to know about a connection, whatever the driver."""

    # The request that uses it.
    holder: request.Request | None
    # Since when nobody uses it, in seconds since the epoch.
    rests_since: float
    session: Session

    def is_dead(self) -> bool:
        """Whether the driver knows that it is closed."""

    def is_spare(self) -> bool:
        """Whether its user gets over its loss: it rests in another library's keeping."""


C = TypeVar("C", bound=Pooled)


class Ledger(Generic[C]):
    """At most `pool_size` connections, and at most one series of attempts to open another.

    `reclaim` takes a connection away from its holder.
    """

    def __init__(
        self,
        settings: Settings,
        credentials: CredentialSource,
        meaning: Meaning,
        reclaim: Callable[[C], None],
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._meaning = meaning
        self._reclaim = reclaim
        self.idle: list[C] = []
        # By whom: a task, a thread, LENT, ENDING; None: nobody yet.
        self.in_use: dict[C, object] = {}
        # The series of attempts that is under way.
        self.waking: Waking | None = None
        self.last_failure: DatabaseUnavailable | None = None

    # Opening.

    def begin_waking(self) -> Waking | None:
        """A new series of attempts, if one is needed: none is under way, and there is room."""
        if self.waking is not None and self.waking.stale:
            self.waking = None  # who works on it sees that it is no longer wanted
        for connection in [each for each in self.in_use if each.is_dead()]:
            if self.in_use[connection] is LENT:
                del self.in_use[connection]
        if self.waking is None and self.full:
            self._recall()
        if self.waking is not None or self.full:
            return None
        self.waking = Waking(self._settings)
        self.last_failure = None
        return self.waking

    def _recall(self) -> None:
        """Close one that rests in another library's keeping, which will ask for another."""
        for connection, user in self.in_use.items():
            if user is not ENDING and connection.is_spare():
                self._reclaim(connection)
                return

    @property
    def full(self) -> bool:
        """Whether there are as many connections as there may be."""
        return len(self.idle) + len(self.in_use) >= self._settings.pool_size

    def end_waking(self, waking: Waking) -> bool:
        """Note that a series has ended; returns whether it was still wanted."""
        if self.waking is not waking:
            return False  # another one took its place, or the pool was closed
        self.waking = None
        told = Waking.told  # another thread may end that
        if told is not None:
            told(waking)
        return True

    def pause_after(self, error: Exception, waking: Waking, *, wanted: bool = True) -> float:
        """Seconds until the next attempt, after one has failed.

        Raises what the failure means where another attempt would not help, or none is `wanted`.
        """
        failure = self._meaning.while_connecting(error)
        if failure is None:
            raise error
        failure = explained(failure, self._settings, self._credentials.ready())
        self.last_failure = failure
        pause = waking.pause_after(failure)
        if pause is None or not wanted:
            raise failure from (error if failure is not error else None)
        return pause

    def given_up(self, holder: request.Request | None, forsake: Callable[[Waking], None]) -> None:
        """A request waited in vain: at its end nobody may be left who wants to be connected.

        Then the attempt under way is closed, by `forsake`, before the process is frozen: a login
        that stands still would keep Aurora awake until its authentication_timeout. The database
        goes on resuming, and the next request's attempt finds it.
        """
        waking = self.waking
        if waking is not None and holder is not None and request.alone(holder):

            def end() -> None:
                holder.held.pop(waking, None)
                forsake(waking)

            holder.held[waking] = end

    # Waiting.

    def check_hope(self, user: object) -> None:
        """Raise `ConnectionsBusy` for a user that would wait for itself, or for ever."""
        if self.waking is not None:
            return
        holders = set(self.in_use.values())
        if holders == {user}:
            raise ConnectionsBusy("the caller already holds one, because `connection()` is nested")
        if holders == {LENT}:
            raise ConnectionsBusy(
                "another pool (such as SQLAlchemy's) holds them; take connections from that pool"
            )

    def gave_up(self, waited: float) -> DatabaseUnavailable:
        """The failure for a caller that waited in vain, `waited` seconds long: noted, too."""
        request.note_wait(waited, resuming=waited >= RESUMING_AFTER)
        return gave_up(self.waking, self.last_failure, waited)

    # Holding.

    def hold(self, connection: C, holder: request.Request | None) -> None:
        """A request uses it; what the request does not give back is taken away at its end."""
        if holder is not None:
            holder.held[connection] = partial(self._reclaim, connection)
            connection.holder = holder
            if holder.ended:  # between two checks by this thread
                raise ConnectionsBusy("the request has ended")

    def let_go(self, connection: C) -> None:
        """No request uses it."""
        if connection.holder is not None:
            connection.holder.held.pop(connection, None)
            connection.holder = None

    def is_out(self, connection: C) -> bool:
        """Whether somebody has it, or another pool; not one whose use is being ended."""
        return self.in_use.get(connection, ENDING) is not ENDING

    def rest(self, connection: C) -> None:
        """Nobody uses it any more, and it is clean."""
        self.in_use.pop(connection, None)
        connection.session.only_for = NOBODY
        self.idle.append(connection)

    def take(self, user: object) -> C:
        """One that rests, for a user; there must be one. It may not be clean any more."""
        connection = self.idle.pop()
        self.give(connection, user)
        return connection

    def give(self, connection: C, user: object) -> None:
        """It is this user's; `None`: of one who will come."""
        connection.session.only_for = None
        self.in_use[connection] = user

    def forget(self, connection: C) -> None:
        """It is closed, or no longer this pool's."""
        self.let_go(connection)
        self.in_use.pop(connection, None)


def note_wait(began: float) -> None:
    """Note a request's wait for a new connection since `began` (seconds since the epoch)."""
    waited = time.time() - began
    request.note_wait(waited, resuming=waited >= RESUMING_AFTER)
