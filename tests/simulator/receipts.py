"""The scripted PostgreSQL with a table of receipts: claims that are waited for, crashes that lose.

A claim is an uncommitted row: who inserts the same key waits until its transaction has ended, or
for lock_timeout. A crash loses what was not flushed: a COMMIT takes `FLUSH` seconds to become
durable, and only then is it seen and answered.
"""

import re
import struct
from random import Random
from typing import Any

from .network import LATENCY, Wire
from .server import Done, Server, Session
from .world import World

FLUSH = 0.002

_KEY = re.compile(r"'([0-9a-f]+)'")


class Receipt:
    def __init__(self, fingerprint: bytes, owner: "ReceiptSession | None") -> None:
        self.fingerprint = fingerprint
        self.status: int | None = None
        self.headers, self.body = "", b""
        # The session whose transaction has inserted it; None: committed.
        self.owner = owner
        # Whoever claims the key next gets it.
        self.released = False
        # What it took the place of.
        self.previous: Receipt | None = None


class ReceiptServer(Server):
    """With the table, and crashes."""

    # The naive ways have no unique key.
    unique = True

    def __init__(self, world: World, random: Random) -> None:
        super().__init__(world, random)
        self.receipts: dict[str, Receipt] = {}
        self.lost_commits = 0
        self.crashes = 0
        self.waits = 0
        # Committed, and the client had gone.
        self.unheard = 0

    def connected(self, wire: Wire) -> None:
        self.pids += 1
        wire.peer = ReceiptSession(self, wire, self.pids)

    def crash(self) -> None:
        """SIGKILL of everything: what is not flushed is gone, and nobody is told anything."""
        self.crashes += 1
        for session in list(self.sessions):
            if isinstance(session, ReceiptSession) and session.flushing and session.claims:
                self.lost_commits += 1
            session.end()


class ReceiptSession(Session):
    """One that knows the statements of receipts."""

    server: ReceiptServer

    def __init__(self, server: ReceiptServer, wire: Wire, pid: int) -> None:
        super().__init__(server, wire, pid)
        self.claims: list[str] = []
        self.released: list[str] = []
        self.deleted: Receipt | None = None
        self.stored: dict[str, tuple[int, str, bytes]] = {}
        self.flushing = False
        self.parameters: list[bytes | None] = []
        self.claimed = ""

    def _message(self, kind: bytes, body: bytes) -> None:
        if kind == b"D":
            described = self._described(body)
            if "sunup_receipts" in described:
                self._describe(described)
                return
        if kind == b"B":
            _, statement, rest = body.split(b"\0", 2)
            if "sunup_receipts" in self.prepared[statement]:
                self.parameters = _parameters(rest)
        super()._message(kind, body)

    def _described(self, body: bytes) -> str:
        return self.prepared[body[1:].split(b"\0", 1)[0]] if body[:1] == b"S" else self.portal

    def _describe(self, text: str) -> None:
        types = (25,)
        if text.startswith("update"):
            types = (21, 25, 17, 25) if "$4" in text else (21, 25, 25)  # type: ignore[assignment]
        self.send(b"t", struct.pack(f"!h{len(types)}i", len(types), *types))
        if text.startswith("update"):
            self.send(b"n")
            return
        names = (b"fingerprint", b"status", b"headers", b"body", b"expired")
        columns = b"".join(
            name + b"\0" + struct.pack("!ihihih", 0, 0, type_, -1, -1, 1)
            for name, type_ in zip(names, (17, 21, 25, 17, 16), strict=True)
        )
        self.send(b"T", struct.pack("!h", 5) + columns)

    def _extended(self, text: str) -> None:
        if "from sunup_receipts where key = $1" not in text:
            super()._extended(text)
            return

        def end(tag: str | None, error: tuple[str, str] | None) -> None:
            if error is not None:
                self._error("ERROR", *error)
                self.skipping = True
            else:
                key = self.parameters[0]
                found = None if key is None else self.server.receipts.get(key.decode())
                rows = 0
                if found is not None and found.owner in (None, self):
                    rows = 1
                    self.send(b"D", struct.pack("!h", 5) + _row(found))
                self.send(b"C", f"SELECT {rows}\0".encode())
            self._read()

        self._execute(text, end)

    def _execute(self, text: str, done: Done) -> None:
        if text.startswith("insert into sunup_receipts") and self.status != "E":
            self._insert(text, done)
        elif text.lower().startswith("commit") and self.status == "T":
            self._flush(text, done)
        else:
            super()._execute(text, done)

    def _insert(self, text: str, done: Done) -> None:
        key, fingerprint = _KEY.findall(text)[:2]
        self.statements += 1
        number = self.statements
        limit = float(self.local.get("lock_timeout", "0")) / 1000
        end_of_wait = self.server.world.now + limit if limit else float("inf")

        def end(tag: str | None, error: tuple[str, str] | None) -> None:
            self.running = None
            if error is not None:
                self.status = "E"
            if self.client_gone:
                self.end()
                return
            done(tag, error)

        self.running = end

        def attempt() -> None:
            if self.running is not end or self.ended or self.statements != number:
                return
            found = self.server.receipts.get(key)
            if found is None or not self.server.unique or found is self.deleted:
                mine = self.server.receipts[key] = Receipt(bytes.fromhex(fingerprint), self)
                self.claimed = text.split("'")[-2] if "returning" in text else ""
                mine.previous, self.deleted = self.deleted, None
                self.claims.append(key)
                end("INSERT 0 1", None)
            elif found.owner is None or found.owner is self:
                end("INSERT 0 0", None)
            elif self.server.world.now >= end_of_wait:
                end(None, ("55P03", "canceling statement due to lock timeout"))
            else:
                self.server.waits += 1
                self.server.world.later(0.01, attempt)

        self.server.world.later(LATENCY, attempt)

    def _flush(self, text: str, done: Done) -> None:
        """COMMIT is seen once it is durable."""
        self.statements += 1
        self.flushing = True

        def durable() -> None:
            if not self.ended:
                self.flushing = False
                self.statements -= 1
                Session._execute(self, text, done)

        self.running = lambda *_: None  # it can neither be cancelled nor hurried
        self.server.world.later(FLUSH, durable)

    def _effect(self, text: str, words: list[str]) -> str:
        if text.startswith("update sunup_receipts"):
            return self._store(text)
        if text.startswith("delete from sunup_receipts where key = '"):
            there = self.server.receipts.get(_KEY.findall(text)[0])
            if there is not None and there.owner is None and there.released:
                self.deleted = there
            return "DELETE 0"
        if text.startswith("delete"):
            return "DELETE 0"
        if text.startswith("select where"):
            mine = self.claimed == text.split("'")[-2]
            return f"SELECT {int(mine)}"
        return super()._effect(text, words)

    def _store(self, text: str) -> str:
        status, headers, *body, key = self.parameters
        assert status is not None
        assert headers is not None
        assert key is not None
        if "created_at = 'epoch'" in text:
            self.released.append(key.decode())
        content = (body[0] or b"") if body else b""
        self.stored[key.decode()] = (struct.unpack("!h", status)[0], headers.decode(), content)
        return "UPDATE 1"

    def _commit(self) -> None:
        if self.claims and (self.client_gone or self.wire.cut or self.wire.transport is None):
            self.server.unheard += 1
        for key in self.claims:
            receipt = self.server.receipts[key]
            receipt.owner = None
            if key in self.stored:
                receipt.status, receipt.headers, receipt.body = self.stored[key]
            receipt.released, receipt.previous = key in self.released, None
        super()._commit()

    def _leave(self) -> None:
        for key in self.claims:
            receipt = self.server.receipts.get(key)
            if receipt is not None and receipt.owner is self:
                del self.server.receipts[key]
                if receipt.previous is not None:
                    self.server.receipts[key] = receipt.previous
        self.claims, self.released, self.stored, self.deleted = [], [], {}, None
        self.claimed = ""
        super()._leave()


def _row(receipt: Receipt) -> bytes:
    values: list[Any] = [
        receipt.fingerprint,
        None if receipt.status is None else struct.pack("!h", receipt.status),
        receipt.headers.encode(),
        receipt.body,
        b"\1" if receipt.released else b"\0",
    ]
    return b"".join(
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
        for value in values
    )


def _parameters(rest: bytes) -> list[bytes | None]:
    """Of a Bind message, behind the names: formats, then each value's length and bytes."""
    (formats,) = struct.unpack("!h", rest[:2])
    at = 2 + 2 * formats
    (count,) = struct.unpack("!h", rest[at : at + 2])
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        (size,) = struct.unpack("!i", rest[at : at + 4])
        at += 4
        values.append(None if size < 0 else rest[at : at + size])
        at += max(size, 0)
    return values
