"""How far a migration has come: which of its statements were executed, by number and text."""

from dataclasses import dataclass

from .tables import PROGRESS, Connection, is_there

UP, DOWN = "up", "down"

# Of a statement in the table, for who looks there.
_LONGEST = 500


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
    rows = connection.execute(
        "select revision, direction, count(*) filter (where state = 'done')"
        " from sunup_progress group by 1, 2 order by 1, 2"
    ).fetchall()
    return [Cut(str(row[0]), str(row[1]), int(str(row[2]))) for row in rows]


def steps(connection: Connection, revision: str, direction: str) -> dict[int, Step]:
    """What is noted of a migration, by number from 1."""
    rows = connection.execute(
        "select number, sha256, state from sunup_progress where revision = %s and direction = %s",
        (revision, direction),
    ).fetchall()
    return {
        int(str(n)): Step(int(str(n)), str(sha256), state == "done") for n, sha256, state in rows
    }


def note(
    connection: Connection,
    revision: str,
    direction: str,
    step: Step,
    statement: str,
) -> None:
    """Note a statement as begun, or as done."""
    connection.execute(
        "insert into sunup_progress (revision, direction, number, sha256, statement, state)"
        " values (%s, %s, %s, %s, %s, %s) on conflict (revision, direction, number) do update"
        " set state = excluded.state, sha256 = excluded.sha256, changed_at = now()",
        (
            revision,
            direction,
            step.number,
            step.sha256,
            " ".join(statement.split())[:_LONGEST],
            "done" if step.done else "begun",
        ),
    )


def withdraw(connection: Connection, revision: str, direction: str, number: int) -> None:
    """Note that a statement was refused: nothing of it was executed."""
    connection.execute(
        "delete from sunup_progress where revision = %s and direction = %s and number = %s",
        (revision, direction, number),
    )


def forget(connection: Connection, revision: str, direction: str) -> None:
    """Note that a migration has ended."""
    connection.execute(
        "delete from sunup_progress where revision = %s and direction = %s", (revision, direction)
    )
