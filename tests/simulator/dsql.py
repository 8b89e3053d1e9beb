"""An Aurora DSQL of a few statements: nobody waits, nothing is cancelled, and COMMIT may conflict.

What it does otherwise than PostgreSQL, with the sources: docs/emulator.md, "Aurora DSQL".
"""

from typing import Any

from .network import LATENCY
from .server import Done, Server, Session

# What a session may be told (recorded 2026-09: Dreamescaper/dsql-emulator, docs/PROGRESS.md).
_ACCEPTED = {"application_name", "search_path", "timezone", "datestyle", "intervalstyle"}
_STARTED_WITH = _ACCEPTED | {"user", "database", "client_encoding"}

_CONFLICT = ("40001", "change conflicts with another transaction (OC000)")

# Seconds: DSQL's own lifetime of a connection and of a transaction.
LIFETIME = 3600.0
_LONGEST_TRANSACTION = 300.0


class DsqlServer(Server):
    """`lifetime` is a connection's, in seconds. A lock's version grows with each commit."""

    lifetime = LIFETIME
    versions: dict[str, int]

    def session(self, *arguments: Any) -> Session:
        return DsqlSession(*arguments)

    def restart(self) -> None:
        for session in list(self.sessions):
            session.end()

    def cancel(self, pid: int) -> None:
        """Without an effect."""


class DsqlSession(Session):
    """One connection."""

    server: DsqlServer
    # Which locks the open transaction wants, in which version it has seen them.
    seen: dict[str, int]

    def _welcome(self) -> None:
        server = self.server
        if not hasattr(server, "versions"):
            server.versions = {}
        self.seen = {}
        if self.ended:
            return
        refused = [name for name in self.startup if name.lower() not in _STARTED_WITH]
        if refused:
            words = f'setting configuration parameter "{refused[0]}" not supported'
            self.fatal("0A000", words)
        elif server.asleep_until > server.world.now:
            words = "unable to accept connection, waking up cluster, please retry later"
            self.fatal("08006", words)
        elif len(server.sessions) >= server.max_connections:
            self.fatal("53300", "Unable to accept connection, too many open connections.")
        else:
            server.world.later(server.lifetime, self.end)
            super()._welcome()

    def _execute(self, text: str, done: Done) -> None:
        words = text.lower().split()
        first = words[0]
        if self.status != "E" and (refusal := _refusal(words)) is not None:
            self._fail(refusal, done)
            return
        if first == "lock":
            name = text.split("'")[1]
            self.seen.setdefault(name, self.server.versions.get(name, 0))
            super()._execute("select 1", done)
            return
        if first == "commit" and self.status == "T":
            now = {name: self.server.versions.get(name, 0) for name in self.seen}
            if now != self.seen:
                self._fail(_CONFLICT, done, over=True)
                return
            for name in self.seen:
                self.server.versions[name] = now[name] + 1
        super()._execute(text, done)

    def _fail(self, error: tuple[str, str], done: Done, *, over: bool = False) -> None:
        """Answer with an error, after the usual time; `over`: the transaction has ended."""

        def fail(*_: object) -> None:
            if self.running is not fail or self.ended:
                return
            self.running = None
            if over:
                self._rollback()
            elif self.status == "T":
                self.status = "E"
            if self.client_gone:
                self.end()
                return
            done(None, error)

        self.running = fail
        self.server.world.later(LATENCY, fail)

    def _leave(self) -> None:
        self.seen = {}
        super()._leave()

    def _effect(self, text: str, words: list[str]) -> str:
        if words[0] == "begin":
            began = self.statements

            def too_old() -> None:
                if self.status != "I" and self.statements >= began and self.running is None:
                    self.end()  # in truth its next statement fails; nobody may wait for that here

            self.server.world.later(_LONGEST_TRANSACTION, too_old)
        return super()._effect(text, words)


def _refusal(words: list[str]) -> tuple[str, str] | None:
    first = words[0]
    if first in ("savepoint", "release") or (first == "rollback" and "to" in words):
        return ("0A000", f"unsupported transaction statement: {first.upper()}")
    if first == "set":
        name = words[2] if words[1] in ("local", "session") else words[1]
        if name not in _ACCEPTED:
            return ("0A000", f'setting configuration parameter "{name}" not supported')
    if first == "reset" and words[1:2] != ["all"]:
        return ("0A000", f'setting configuration parameter "{words[1]}" not supported')
    if first in ("discard", "unlisten", "close", "listen"):
        return ("0A000", f"unsupported statement: {first.capitalize()}")
    return None
