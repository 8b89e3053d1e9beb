"""What goes in and out."""

from datetime import UTC

import msgspec
from msgspec import UNSET, UnsetType

from .bodies import BodyError
from .models import User

LONGEST_TEXT = 255


class UserOut(msgspec.Struct, rename="camel"):
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
    """What is left out stays as it is."""

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


def out(user: User) -> UserOut:
    moment = user.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    return UserOut(user.pk, user.name, user.email, moment.replace("+00:00", "Z"))
