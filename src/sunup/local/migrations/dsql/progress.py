"""How far a migration has come: which of its statements were executed, by number and text."""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from .conflicts import retried
from .tables import PROGRESS, Connection, is_there

UP, DOWN = "up", "down"

# Of a statement in the table, for who looks there.
_LONGEST = 500

_STEPS = "select number, sha256, state from {} where revision = %s and direction = %s"
_NOTE = """
    insert into {} (revision, direction, number, sha256, statement, state)
    values (%s, %s, %s, %s, %s, %s)
    on conflict (revision, direction, number)
    do update set state = excluded.state, sha256 = excluded.sha256, changed_at = now()
"""
_CUTS = """
    select revision, direction, count(*) filter (where state = 'done')
    from sunup_progress group by 1, 2 order by 1, 2
"""
_WITHDRAW = "delete from {} where revision = %s and direction = %s and number = %s"
_FORGET = "delete from {} where revision = %s and direction = %s"


@dataclass(frozen=True)
class Step:
    """One statement of a migration; not `done`: it was begun, and its end was not seen."""

    number: int
    sha256: str
    done: bool


@dataclass(frozen=True)
class Cut:
    """A migration that was cut: `direction` is up or down."""

    revision: str
    direction: str
    done: int


def cuts(connection: Connection) -> list[Cut]:
    """The migrations that were begun and have not ended."""
    if not is_there(connection, PROGRESS):
        return []
    rows = retried(lambda: connection.execute(_CUTS).fetchall())
    return [Cut(str(row[0]), str(row[1]), int(str(row[2]))) for row in rows]


class Progress:
    """The progress of one migration, in one direction; sunup's tables are in `schema`.

    Its methods execute one statement each, and raise what psycopg raises.
    """

    def __init__(self, schema: str, revision: str, direction: str) -> None:
        self._table = sql.Identifier(schema, PROGRESS)
        self._migration = (revision, direction)

    def steps(self, connection: Connection) -> dict[int, Step]:
        """What is noted, by number from 1."""
        rows = connection.execute(self._statement(_STEPS), self._migration).fetchall()
        return {
            int(str(number)): Step(int(str(number)), str(sha256), state == "done")
            for number, sha256, state in rows
        }

    def note(self, connection: Connection, step: Step, statement: str) -> None:
        """Note a statement as begun, or as done."""
        state = "done" if step.done else "begun"
        short = " ".join(statement.split())[:_LONGEST]
        values = (*self._migration, step.number, step.sha256, short, state)
        connection.execute(self._statement(_NOTE), values)

    def withdraw(self, connection: Connection, number: int) -> None:
        """Note that a statement was refused: nothing of it was executed."""
        connection.execute(self._statement(_WITHDRAW), (*self._migration, number))

    def forget(self, connection: Connection) -> None:
        """Note that the migration has ended."""
        connection.execute(self._statement(_FORGET), self._migration)

    def _statement(self, text: LiteralString) -> sql.Composed:
        return sql.SQL(text).format(self._table)
