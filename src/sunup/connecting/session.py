"""One session's standing: what its open transaction may change, and what must be put back.

No input or output here. A driver's connection reports what it sends and how that ended; from this
the request on whose behalf it was sent learns whether anything was executed.
"""

from typing import Literal

from sunup import deadline, request
from sunup.engines import AURORA, Engine
from sunup.statements import Change, Effect

from .savepoints import ANEW, Savepoints

Isolation = Literal["read_uncommitted", "read_committed", "repeatable_read", "serializable"]

# For `Session.only_for`: between two blocks nobody may use it.
NOBODY = object()
AT_REST = "the connection was given back when its block ended; take one with db.connection()"

# For one whose transaction is the request's whole work.
JOINED = (
    "the work of a request with a receipt is one transaction, which sunup begins and ends: use "
    "`connection.transaction()`, which makes a savepoint"
)
ENDED = "the request's one transaction was ended by a statement of the app's"
GONE = "the request's receipt is gone: the app has emptied sunup_receipts, or left its schema"
FAILED = (
    "a statement of this block failed, and with it all that the block did: with a receipt the "
    "request is one transaction; put what may fail into `connection.transaction()`"
)
ISOLATED = (
    "a request with a receipt is one transaction, and the isolation of this one is lower than "
    "{wanted}: exactly_once takes isolation={wanted!r}"
)
# Between two blocks of such a request: the first to keep what was done, the second to undo what the
# last block did.
SAVEPOINT = "savepoint sunup"
KEEP = f"release {SAVEPOINT}; {SAVEPOINT}"
UNDO = f"rollback to {SAVEPOINT}"
# Of the settings of a block, where another library has prepared the session: what receipts need.
PUT_BACK = (
    "select set_config('role', current_setting('sunup.role'), true),"
    " set_config('search_path', current_setting('sunup.search_path'), true)"
)

# Seconds that the server may go on with a statement after the deadline, if nothing cancels it.
_BEYOND = 1.0

# Seconds that a request may take where there is no deadline.
_LONGEST = 60.0

# How much later than the deadline the server's own limit may lie before it is worth a round trip.
_MUCH_LATER = 5.0


def may_idle() -> float:
    """Seconds that a request's one transaction may rest between two statements.

    Whatever the app does meanwhile, until its end; and not much longer, since its locks are held.
    """
    return min(deadline.remaining(), _LONGEST) + _BEYOND


class Swallowed(Exception):
    """A statement failed, and nobody said so: the transaction would be rolled back in silence."""

    def __init__(self, state: str | None) -> None:
        super().__init__(
            f"a statement of this transaction failed (SQLSTATE {state}), and the work has hidden "
            "it: let the exception pass, or put what may fail into a transaction of its own"
        )
        self.sqlstate = state


class Session:
    """What is known of one session of the server."""

    __slots__ = (
        "aborted",
        "aborted_by",
        "active",
        "changed",
        "commits",
        "engine",
        "joined",
        "localized",
        "only_for",
        "parsed",
        "particular",
        "replace",
        "savepoints",
        "startup_timeout",
        "timeout",
        "touched",
        "unkept",
    )

    def __init__(self, startup_timeout: float = 0.0, engine: Engine = AURORA) -> None:
        self.engine = engine
        # Statements sent whose end has not been seen.
        self.active = 0
        # Who kept it from an earlier block may not use it between two: NOBODY may, or only the
        # task that puts it right. None: whoever has it.
        self.only_for: object = None
        # Its transaction is a request's whole work: no other may be begun, and it may not be ended.
        self.joined = False
        # A setting of the open transaction was changed.
        self.localized = False
        # A statement of the open transaction failed, with which SQLSTATE: nothing but a rollback is
        # taken.
        self.aborted = False
        self.aborted_by: str | None = None
        # What was changed since the last savepoint between two blocks.
        self.unkept = Change.NOTHING
        # Where the server has none.
        self.savepoints = Savepoints()
        # How many transactions were committed, and changes without one.
        self.commits = 0
        # A statement was parsed and not executed: its tables are locked, and the server waits for
        # more without counting the time, until the next statement.
        self.parsed = False
        # What the open transaction may have changed.
        self.changed = Change.NOTHING
        # Another library has prepared it in a way that the engine's `reset` would undo.
        self.particular = False
        # Whether state was altered that `reset` puts back; that nothing puts back.
        self.touched = False
        self.replace = False
        # Seconds of the session's statement_timeout as it began, and now; 0: none.
        self.startup_timeout = self.timeout = startup_timeout

    @property
    def clean(self) -> bool:
        """Whether nothing is under way and nothing needs to be put back."""
        return not (self.active or self.parsed or self.touched or self.replace)

    @property
    def can_be_reset(self) -> bool:
        """Whether the engine's `reset` makes it as it began."""
        return not (self.replace or (self.touched and (self.particular or not self.engine.reset)))

    def check_not_aborted(self) -> None:
        """Raise `Swallowed` for work that has ended well where a statement of its failed.

        COMMIT would be a rollback, without a word.
        """
        if self.aborted:
            raise Swallowed(self.aborted_by)

    def adopt(self) -> None:
        """Make its present state the one that each block starts with."""
        self.particular = self.particular or self.touched or self.replace
        self.touched = self.replace = False

    def begun(self, effect: Effect) -> None:
        """The first part of a statement's answer is there; more will come."""
        self._note_session(effect)
        self.changed = max(effect.change, self.changed)
        self.savepoints.changes += bool(effect.change)

    def done(self, effect: Effect, *, before: bool, after: bool, rolled_back: bool = False) -> None:
        """A statement has ended well; `before` and `after`: whether in a transaction."""
        self._note_session(effect)
        self.aborted = False
        self.unkept = max(self.unkept, effect.change)
        self.savepoints.changes += bool(effect.change)
        if effect.change > self.changed:
            self.changed = effect.change
        if not after or effect.commits:
            # An autocommitted statement, or the end of a transaction.
            alone = rolled_back and not effect.several
            if not (alone or (before and effect.rolls_back)):
                request.note_executed(self.changed, known=True)
                self.commits += bool(before or self.changed)
            if not after:
                self._ended()

    def _ended(self) -> None:
        """No transaction is open."""
        self.changed = Change.NOTHING
        self.savepoints.ended()

    def refused(
        self, effect: Effect, *, before: bool, after: bool, state: str | None = None
    ) -> None:
        """The server has answered with an error: the statement itself was undone."""
        self._note_session(effect)
        if effect.commits and (effect.change or effect.several or not before):
            # CALL and DO may commit half-way; so may one of several statements.
            request.note_executed(max(effect.change, self.changed), known=False)
        if after and not self.aborted:
            self.aborted_by = state
        self.aborted = after
        if not after:
            self._ended()  # rolled back

    def lost(self, effect: Effect, *, before: bool) -> None:
        """The end of a statement was not seen: cancelled, or the connection broke.

        Outside a transaction it may have been committed; so may a transaction whose COMMIT it was.
        Any other transaction ends with the session, or is rolled back.
        """
        self._note_session(effect)
        # A cancelled statement may have been executed all the same, and the transaction goes on.
        self.changed = max(effect.change, self.changed)
        self.savepoints.changes += bool(effect.change)
        if not before or effect.commits:
            request.note_executed(self.changed, known=False)

    def _note_session(self, effect: Effect) -> None:
        self.touched = self.touched or effect.session
        self.localized = self.localized or effect.local
        self.replace = self.replace or effect.replaces

    def was_reset(self) -> None:
        """The engine's `reset` was executed."""
        self.touched = self.replace = self.localized = False
        self.timeout = self.startup_timeout

    def block_ended(self, step: str) -> str:
        """In a request's one transaction: `KEEP` or `UNDO`, and what puts the settings back.

        Ahead of the new savepoint, so that the next `UNDO` does not undo that, too. Without
        savepoints all is undone, and begun anew.
        """
        if self.engine.optimistic:
            return self._ended_without_savepoint(step)
        if not (self.touched or self.localized):
            return step
        begin, end = (f"release {SAVEPOINT}", SAVEPOINT) if step == KEEP else (step, "")
        if not self.can_be_reset:
            self.localized = False
            return f"{begin}; {PUT_BACK}; {end}"
        self.timeout = self.startup_timeout
        milliseconds = self.timeout_to_set()
        more = "" if milliseconds is None else f"set local statement_timeout = {milliseconds}; "
        idle = f"set local idle_in_transaction_session_timeout = {int(may_idle() * 1000)}"
        return f"{begin}; {self.engine.reset}; {more}{idle}; {end}"

    def _ended_without_savepoint(self, step: str) -> str:
        text = self.savepoints.block_ended(undo=step == UNDO, aborted=self.aborted)
        self.unkept = Change.NOTHING
        if text is None:
            return ""  # nothing but a rollback helps
        return text or (self.engine.reset if self.touched or self.localized else "")

    def savepoint(self, step: str, name: str) -> str | None:
        """Where the server has none: see `Savepoints.step`."""
        return self.savepoints.step(step, name, aborted=self.aborted)

    def join(self, restart: str) -> None:
        """Its transaction is a request's whole work from now on; `restart` begins it anew."""
        self.joined = True
        self.only_for = NOBODY
        self.unkept = Change.NOTHING
        self._ended()
        self.savepoints.restart = restart or ANEW

    def leave_joined(self) -> None:
        """Its transaction is as any other."""
        self.joined = False
        self.only_for = None
        self.savepoints.restart = ANEW

    def sent(self, ahead: str) -> None:
        """What `block_ended` gave was executed."""
        self.unkept = Change.NOTHING
        if ahead and ahead == self.savepoints.restart:
            self.changed = Change.NOTHING
            self.savepoints.begun_anew()
            self.aborted = self.touched = False
        if self.engine.reset and self.engine.reset in ahead:
            self.was_reset()

    def timeout_to_set(self) -> int | None:
        """Milliseconds of statement_timeout that the deadline asks for; None: leave it.

        The client itself cancels at the deadline. The server's limit is for a client that is gone
        or frozen by then, so it need not be exact, and seldom costs a round trip: never too early,
        and not much later than the deadline.
        """
        if not self.engine.sessions:
            return None
        remaining = deadline.remaining()
        if remaining == deadline.NEVER:
            begun_with = self.startup_timeout
            return None if self.timeout == begun_with else int(begun_with * 1000)
        wanted = remaining + _BEYOND
        too_early = 0 < self.timeout < remaining
        too_late = self.timeout == 0 or self.timeout > 2 * wanted + _MUCH_LATER
        if too_early or (too_late and request.active() is not None):
            return int(wanted * 1000)
        return None
