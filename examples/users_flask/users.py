"""Users and where they are kept."""

from datetime import UTC, datetime

import msgspec
from bodies import BodyError
from database import db
from msgspec import UNSET, UnsetType
from psycopg.errors import UniqueViolation

LONGEST_TEXT = 255

COLUMNS = "id, name, email, created_at"

Row = tuple[int, str, str, datetime]


class EmailTaken(Exception):
    """Another user has this e-mail address."""


class User(msgspec.Struct, rename="camel"):
    id: int
    name: str
    email: str
    created_at: str


class NewUser(msgspec.Struct):
    name: str
    email: str

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_email(self.email)


class Changes(msgspec.Struct):
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.name is not UNSET:
            check_text("name", self.name)
        if self.email is not UNSET:
            check_email(self.email)


def check_text(field: str, text: str) -> None:
    if not text.strip():
        raise BodyError(f"`{field}` must not be empty", field)
    if len(text) > LONGEST_TEXT:
        raise BodyError(f"`{field}` is longer than {LONGEST_TEXT} characters", field)
    if "\0" in text:
        raise BodyError(f"`{field}` holds the character U+0000", field)


def check_email(email: str) -> None:
    check_text("email", email)
    # Whether an address works only a message to it can tell.
    name, at, domain = email.partition("@")
    if not (name and at and domain) or "@" in domain or any(map(str.isspace, email)):
        raise BodyError("`email` is not an e-mail address", "email")


def page(*, limit: int, after: int) -> list[User]:
    with db.connection() as connection:
        rows = connection.execute(
            f"select {COLUMNS} from users where id > %s order by id limit %s", (after, limit)
        )
        return [user_of(row) for row in rows]


def get(number: int) -> User | None:
    return one(f"select {COLUMNS} from users where id = %s", number)


def add(new: NewUser) -> User:
    user = one(
        f"insert into users (name, email) values (%s, %s) returning {COLUMNS}", new.name, new.email
    )
    assert user is not None
    return user


def change(number: int, changes: Changes) -> User | None:
    return one(
        "update users set name = coalesce(%s, name), email = coalesce(%s, email)"
        f" where id = %s returning {COLUMNS}",
        None if changes.name is UNSET else changes.name,
        None if changes.email is UNSET else changes.email,
        number,
    )


def remove(number: int) -> User | None:
    return one(f"delete from users where id = %s returning {COLUMNS}", number)


def one(statement: str, *values: object) -> User | None:
    try:
        # Committed at the block's end; the answer is sent afterwards.
        with db.connection() as connection:
            row: Row | None = connection.execute(statement.encode(), values).fetchone()
    except UniqueViolation:
        raise EmailTaken from None
    return None if row is None else user_of(row)


def user_of(row: Row) -> User:
    number, name, email, created = row
    moment = created.astimezone(UTC).isoformat(timespec="milliseconds")
    return User(number, name, email, moment.replace("+00:00", "Z"))
