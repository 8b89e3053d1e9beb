"""A PostgreSQL of a few statements: sessions, transactions, locks, time-outs, cancellation.

It knows `insert into t values ('id')`, `select pg_sleep(n)`, `lock 'name'` (a row lock), SET, SHOW,
transactions and savepoints. Like PostgreSQL it does not notice a client that has gone while it
executes a statement (docs, "client_connection_check_interval"): what was autocommitted stays.
"""

import re
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from .network import LATENCY, Wire
from .world import World

Done = Callable[[str | None, tuple[str, str] | None], None]

_TIMEOUTS = ("statement_timeout", "idle_session_timeout", "idle_in_transaction_session_timeout")


class Server:
    """All sessions, and what was committed."""

    def __init__(self, world: World, random: Random, max_connections: int = 5) -> None:
        self.world = world
        self.random = random
        self.max_connections = max_connections
        self.rows: list[str] = []
        self.sessions: list[Session] = []
        self.locks: dict[str, Session] = {}
        self.asleep_until = 0.0
        self.refuses = False
        self.hangs = False
        self.pids = 100

    def connected(self, wire: Wire) -> None:
        self.pids += 1
        wire.peer = self.session(self, wire, self.pids)

    def session(self, *arguments: Any) -> "Session":
        return Session(*arguments)

    def restart(self) -> None:
        for session in list(self.sessions):
            session.fatal("57P01", "terminating connection due to administrator command")

    def cancel(self, pid: int) -> None:
        for session in self.sessions:
            if session.pid == pid:
                session.interrupt("57014", "canceling statement due to user request")


class Session:
    """One connection's server process."""

    def __init__(self, server: Server, wire: Wire, pid: int) -> None:
        self.server, self.wire, self.pid = server, wire, pid
        self.buffer = b""
        self.started = False
        self.ended = False
        self.client_gone = False
        self.status = "I"
        self.writes: list[str] = []
        self.state: dict[str, str] = {}
        self.startup: dict[str, str] = {}
        self.before: dict[str, str] = {}
        self.local: dict[str, str] = {}
        self.prepared: dict[bytes, str] = {}
        self.portal = ""
        self.skipping = False
        self.savepoints: list[tuple[str, int]] = []
        # The statement under way: its number, and whom to tell of its end.
        self.running: Done | None = None
        self.statements = 0
        self.rest = 0
        self.queue: list[Callable[[], None]] = []

    # -- the connection

    def received(self, data: bytes) -> None:
        if self.ended:
            return
        self.buffer += data
        self._read()

    def _read(self) -> None:
        while not self.ended and self.running is None:
            if not self.started:
                if len(self.buffer) < 8:
                    return
                size, code = struct.unpack("!ii", self.buffer[:8])
                if len(self.buffer) < size:
                    return
                body, self.buffer = self.buffer[8:size], self.buffer[size:]
                self._start(code, body)
                continue
            if len(self.buffer) < 5:
                return
            (size,) = struct.unpack("!i", self.buffer[1:5])
            if len(self.buffer) < size + 1:
                return
            kind, body = self.buffer[:1], self.buffer[5 : size + 1]
            self.buffer = self.buffer[size + 1 :]
            self.server.world.events += 1
            self._message(kind, body)

    def gone(self) -> None:
        self.client_gone = True
        if self.running is None:
            self.end()

    def send(self, kind: bytes, body: bytes = b"") -> None:
        if not self.ended:
            self.wire.to_client(kind + struct.pack("!i", len(body) + 4) + body)

    def end(self) -> None:
        if self.ended:
            return
        self.ended = True
        self.running = None
        self._rollback()
        if self in self.server.sessions:
            self.server.sessions.remove(self)
        self.wire.server_closed()

    def fatal(self, code: str, message: str) -> None:
        self._error("FATAL", code, message)
        self.end()

    def _error(self, severity: str, code: str, message: str) -> None:
        fields = f"S{severity}\0V{severity}\0C{code}\0M{message}\0\0"
        self.send(b"E", fields.encode())

    def _start(self, code: int, body: bytes) -> None:
        if code == 80877102:
            (pid,) = struct.unpack("!i", body[:4])
            self.server.cancel(pid)
            self.end()
            return
        if code == 80877103:
            self.wire.to_client(b"N")
            return
        words = body.split(b"\0")
        given = dict(zip(words[::2], words[1::2], strict=False))
        self.startup = {name.decode(): value.decode() for name, value in given.items() if name}
        self.started = True
        self.running = lambda *_: None  # nothing is read meanwhile
        self.server.world.later(LATENCY, self._welcome)

    def _welcome(self) -> None:
        if self.ended:
            return
        if self.server.asleep_until > self.server.world.now and not self.client_gone:
            self.server.world.later(0.5, self._welcome)
            return
        self.running = None
        if self.client_gone:
            self.end()
            return
        if len(self.server.sessions) >= self.server.max_connections:
            self.fatal("53300", "sorry, too many clients already")
            return
        self.server.sessions.append(self)
        self.send(b"R", struct.pack("!i", 0))
        for name, value in (
            ("server_version", "17.7"),
            ("server_encoding", "UTF8"),
            ("client_encoding", "UTF8"),
            ("integer_datetimes", "on"),
            ("standard_conforming_strings", "on"),
            ("TimeZone", "UTC"),
        ):
            self.send(b"S", f"{name}\0{value}\0".encode())
        self.send(b"K", struct.pack("!ii", self.pid, 7))
        self._ready()
        self._read()

    # -- the protocol

    def _ready(self) -> None:
        self.send(b"Z", self.status.encode())
        self.rest += 1
        rest = self.rest
        name = "idle_session_timeout" if self.status == "I" else _TIMEOUTS[2]
        limit = self._seconds(name)
        if limit:

            def expire() -> None:
                if self.rest == rest and not self.ended and self.running is None:
                    code = "57P05" if name == "idle_session_timeout" else "25P03"
                    self.fatal(code, "terminating connection due to " + name)

            self.server.world.later(limit, expire)

    def _message(self, kind: bytes, body: bytes) -> None:
        self.rest += 1
        if kind == b"X":
            self.client_gone = True
            self.end()
        elif kind == b"Q":
            self._simple(body[:-1].decode())
        elif kind == b"S":
            self.skipping = False
            self._ready()
        elif self.skipping:
            return
        elif kind == b"P":
            name, parsed, _ = body.split(b"\0", 2)
            self.prepared[name] = parsed.decode()
            self.send(b"1")
        elif kind == b"D":
            query = self.portal
            if body[:1] == b"S":
                query = self.prepared[body[1:].split(b"\0", 1)[0]]
                self.send(b"t", struct.pack("!h", 0))
            if _rows(query) is None:
                self.send(b"n")
            else:
                column = b"c\0" + struct.pack("!ihihih", 0, 0, 25, -1, -1, 0)
                self.send(b"T", struct.pack("!h", 1) + column)
        elif kind == b"B":
            _, statement, _ = body.split(b"\0", 2)
            self.portal = self.prepared[statement]
            self.send(b"2")
        elif kind == b"E":
            self._extended(self.portal)
        elif kind == b"C":
            self.prepared.pop(body[1:-1], None)
            self.send(b"3")

    def _simple(self, text: str) -> None:
        parts = [part.strip() for part in text.split(";") if part.strip()]
        implicit = len(parts) > 1 and self.status == "I"

        def following(tag: str | None, error: tuple[str, str] | None) -> None:
            if error is not None:
                self._error("ERROR", *error)
                if implicit and self.status == "I":
                    self.writes.clear()
                self._ready()
                self._read()
                return
            if tag is not None:
                self.send(b"C", tag.encode() + b"\0")
            if parts:
                self._execute(parts.pop(0), following)
                return
            if self.status == "I":
                self._commit()
            self._ready()
            self._read()

        if not parts:
            self.send(b"I")
            self._ready()
            return
        self._execute(parts.pop(0), following)

    def _extended(self, text: str) -> None:
        def end(tag: str | None, error: tuple[str, str] | None) -> None:
            if error is not None:
                self._error("ERROR", *error)
                self.skipping = True
            else:
                shown = _rows(text)
                if shown is not None:
                    value = self._shown(shown).encode()
                    self.send(b"D", struct.pack("!hi", 1, len(value)) + value)
                self.send(b"C", (tag or "").encode() + b"\0")
                if self.status == "I":
                    self._commit()
            self._read()

        self._execute(text, end)

    # -- statements

    def _execute(self, text: str, done: Done) -> None:
        words = text.lower().split()
        first = words[0]
        if self.status == "E" and first not in ("rollback", "commit"):
            done(None, ("25P02", "current transaction is aborted"))
            return
        self.statements += 1
        number = self.statements
        wait = LATENCY
        if match := re.search(r"pg_sleep\(([\d.]+)\)", text):
            wait = float(match[1])
        limit = self._seconds("statement_timeout")

        def end(tag: str | None, error: tuple[str, str] | None) -> None:
            self.running = None
            if error is not None and self.status == "T":
                self.status = "E"
            if error is not None and self.status == "I":
                self.writes.clear()
            if self.client_gone:
                if error is None and self.status == "I":
                    self._commit()
                self.end()
                return
            done(tag, error)

        self.running = end

        def finish() -> None:
            if self.running is not end or self.ended or self.statements != number:
                return
            if first == "lock":
                name = text.split("'")[1]
                holder = self.server.locks.setdefault(name, self)
                if holder is not self:
                    self.server.world.later(0.01, finish)
                    return
            end(self._effect(text, words), None)

        self.server.world.later(wait, finish)
        if limit:

            def expire() -> None:
                if self.running is end and self.statements == number:
                    self.interrupt("57014", "canceling statement due to statement timeout")

            self.server.world.later(limit, expire)

    def interrupt(self, code: str, message: str) -> None:
        if self.running is not None and self.started:
            self.running(None, (code, message))

    def _effect(self, text: str, words: list[str]) -> str:
        first = words[0]
        if first == "insert":
            self.writes.append(text.split("'")[1])
            return "INSERT 0 1"
        if first == "begin":
            self.status = "T"
            self.before = dict(self.state)
            return "BEGIN"
        if first == "commit":
            if self.status == "E":
                self._rollback()
                return "ROLLBACK"
            self.status = "I"
            self._commit()
            return "COMMIT"
        if first == "rollback":
            if "to" in words:
                at = max(n for n, each in enumerate(self.savepoints) if each[0] == words[-1])
                del self.writes[self.savepoints[at][1] :]
                del self.savepoints[at + 1 :]
                self.status = "T"
                return "ROLLBACK"
            self._rollback()
            return "ROLLBACK"
        if first == "savepoint":
            self.savepoints.append((words[1], len(self.writes)))
            return "SAVEPOINT"
        if first == "release":
            at = max(n for n, each in enumerate(self.savepoints) if each[0] == words[-1])
            del self.savepoints[at:]
            return "RELEASE"
        if first == "set" and "=" in words:
            name = words[words.index("=") - 1]
            settings = self.local if words[1] == "local" else self.state
            settings[name] = words[words.index("=") + 1].strip("'")
            return "SET"
        if first == "reset":
            self.state.clear()
        return first.upper()

    def _commit(self) -> None:
        self.server.rows += self.writes
        self._leave()

    def _rollback(self) -> None:
        if self.status != "I":
            self.state = self.before
            self.status = "I"
        self._leave()

    def _leave(self) -> None:
        self.writes, self.savepoints, self.local = [], [], {}
        for name in [name for name, holder in self.server.locks.items() if holder is self]:
            del self.server.locks[name]

    def _shown(self, name: str) -> str:
        return self.state.get(name) or self.startup.get(name) or "default"

    def _seconds(self, name: str) -> float:
        value = self.local.get(name) or self.state.get(name) or self.startup.get(name) or "0"
        return float(value.removesuffix("ms")) / 1000


def _rows(text: str) -> str | None:
    """The setting that a statement shows; None: it returns no rows."""
    words = text.lower().split()
    if words[0] == "show":
        return words[1]
    return "one" if words[0] == "select" else None
