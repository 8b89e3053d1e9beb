"""Users and where they are kept."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from bodies import BodyError
from database import db
from msgspec import UNSET, UnsetType

LONGEST_TEXT = 255

COLUMNS = "id, name, email, created_at"


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


async def page(*, limit: int, after: int) -> list[User]:
    async with db.connection() as connection:
        rows = await connection.fetch(
            f"select {COLUMNS} from users where id > $2 order by id limit $1", limit, after
        )
    return [user_of(row) for row in rows]


async def get(number: int) -> User | None:
    return await one(f"select {COLUMNS} from users where id = $1", number)


async def add(new: NewUser) -> User:
    user = await one(
        f"insert into users (name, email) values ($1, $2) returning {COLUMNS}", new.name, new.email
    )
    assert user is not None
    return user


async def change(number: int, changes: Changes) -> User | None:
    return await one(
        "update users set name = coalesce($2, name), email = coalesce($3, email)"
        f" where id = $1 returning {COLUMNS}",
        number,
        None if changes.name is UNSET else changes.name,
        None if changes.email is UNSET else changes.email,
    )


async def remove(number: int) -> User | None:
    return await one(f"delete from users where id = $1 returning {COLUMNS}", number)


async def one(statement: str, *values: Any) -> User | None:
    try:
        # Again, where somebody else was first (on Aurora DSQL, which has no locks).
        row = await db.run(lambda each: each.fetchrow(statement, *values), single=True)
    except asyncpg.UniqueViolationError:
        raise EmailTaken from None
    return None if row is None else user_of(row)


def user_of(row: asyncpg.Record) -> User:
    created: datetime = row["created_at"]
    moment = created.astimezone(UTC).isoformat(timespec="milliseconds")
    return User(row["id"], row["name"], row["email"], moment.replace("+00:00", "Z"))
