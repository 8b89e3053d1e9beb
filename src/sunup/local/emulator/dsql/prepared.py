"""The extended protocol: prepared statements and portals, up to the Sync that ends a cycle."""

from .. import wire
from . import asynchronous
from .doing import Doing
from .messages import Message, error_of, ready
from .statements import Statement, statements
from .upstream import Copied, Tell
from .work import Work

# What the server does not know, and what the front does itself: it is prepared as nothing.
_NOTHING = ("iam", "validate")

_EMPTY = Statement("", "read")


class Prepared:
    """What a client has prepared, by its names. After an error all is skipped until the Sync."""

    def __init__(self, work: Work, doing: Doing) -> None:
        self._work = work
        self._doing = doing
        self._statements: dict[str, Statement] = {}
        self._portals: dict[str, Statement] = {}
        self._skipping = False

    def forget_unnamed(self) -> None:
        """A query of the simple protocol ends the unnamed statement."""
        self._statements.pop("", None)

    async def take(self, message: Message, tell: Tell, copied: Copied) -> list[Message]:
        """Do what one message asks for; the answers."""
        if self._skipping:
            return []
        match message.kind:
            case b"P":
                answers = await self._parse(message)
            case b"B":
                answers = await self._bind(message)
            case b"D":
                answers = await self._describe(message)
            case b"E":
                answers = await self._execute(message, tell, copied)
            case _:
                answers = await self._close(message)
        self._skipping = error_of(answers) is not None
        return answers

    async def sync(self) -> list[Message]:
        """The end of a cycle: what was begun for it is committed."""
        answers = [] if self._skipping else await self._doing.close()
        self._skipping = False
        if self._work.transaction is None:
            await self._work.sync()
            self._portals.clear()
        return [*answers, ready(self._doing.status)]

    async def _parse(self, message: Message) -> list[Message]:
        name, text = message.texts(2)
        found = statements(text)
        statement = found[0] if len(found) == 1 else _EMPTY
        failure = self._doing.judge(statement)
        if failure is not None:
            return await self._doing.fail(failure)
        if statement.kind in _NOTHING or (len(found) == 1 and statement.text != text):
            sent = b"" if statement.kind in _NOTHING else wire.encoded(statement.text)
            rest = message.body[len(wire.encoded(name)) + len(wire.encoded(text)) + 2 :]
            message = Message(b"P", wire.encoded(name) + b"\0" + sent + b"\0" + rest)
        await self._doing.open(statement)
        answers = await self._sent(statement, message, replayed=not name)
        if error_of(answers) is None:
            self._statements[name] = statement
        return answers

    async def _bind(self, message: Message) -> list[Message]:
        portal, name = message.texts(2)
        statement = self._statements.get(name, _EMPTY)
        failure = self._doing.judge(statement)
        if failure is not None:
            return await self._doing.fail(failure)
        await self._doing.open(statement)
        answers = await self._sent(statement, message, replayed=True)
        if error_of(answers) is None:
            self._portals[portal] = statement
        return answers

    async def _describe(self, message: Message) -> list[Message]:
        name = message.texts(1)[0]
        known = self._statements if name[:1] == "S" else self._portals
        statement = known.get(name[1:], _EMPTY)
        failure = self._doing.judge(statement)
        if failure is not None:
            return await self._doing.fail(failure)
        answers = await self._sent(statement, message, replayed=False)
        if statement.kind in ("index", "validate"):
            nothing = Message(b"n")
            return [asynchronous.DESCRIBED if each == nothing else each for each in answers]
        return answers

    async def _execute(self, message: Message, tell: Tell, copied: Copied) -> list[Message]:
        statement = self._portals.get(message.texts(1)[0], _EMPTY)
        failure = self._doing.judge(statement)
        if failure is not None:
            return await self._doing.fail(failure)
        return await self._doing.execute(statement, message.encode(), tell=tell, copied=copied)

    async def _close(self, message: Message) -> list[Message]:
        """Also after an error; a statement is no part of a transaction, a portal is."""
        if message.body[:1] == b"S" or self._doing.status == "E":
            return await self._work.aside(message)
        answers = await self._work.perform((message.encode(),))
        return await self._doing.answered(answers)

    async def _sent(
        self, statement: Statement, message: Message, *, replayed: bool
    ) -> list[Message]:
        """The server's answer; an error fails the transaction. What ends one goes by its text."""
        if self._doing.status == "E" or statement.kind in ("commit", "rollback"):
            return await self._work.aside(message)
        answers = await self._work.perform((message.encode(),), replayed=replayed)
        return await self._doing.answered(answers)
