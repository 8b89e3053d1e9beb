"""What goes in and out, checked by pydantic and shown in the OpenAPI page."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

LARGEST_ID = 2**31 - 1
LONGEST_TEXT = 255


def plain(value: object) -> object:
    """A number as it is written to identify something: plain digits, no sign, no leading zero."""
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal() and len(value) <= 10):
            raise ValueError("not a whole number")
        if str(int(value)) != value:
            raise ValueError("not plainly written")
    return value


def text(value: str) -> str:
    if not value.isprintable() and any("\ud800" <= each <= "\udfff" for each in value):
        raise PydanticCustomError("string_unicode", "half of a surrogate pair")
    if not value.strip():
        raise ValueError("must not be empty")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"is longer than {LONGEST_TEXT} characters")
    if "\0" in value:
        raise ValueError("holds the character U+0000")
    return value


def address(value: str) -> str:
    # Whether an address works only a message to it can tell.
    name, at, domain = value.partition("@")
    if not (name and at and domain) or "@" in domain or any(map(str.isspace, value)):
        raise ValueError("is not an e-mail address")
    return value


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Id = Annotated[int, BeforeValidator(plain), Path(ge=1, le=LARGEST_ID)]
Limit = Annotated[int, BeforeValidator(plain), Query(ge=1, le=1000)]
After = Annotated[int, BeforeValidator(plain), Query(ge=0, le=LARGEST_ID)]
Name = Annotated[str, AfterValidator(text)]
Email = Annotated[str, AfterValidator(text), AfterValidator(address)]


class NewUser(BaseModel):
    model_config = ConfigDict(strict=True)

    name: Name
    email: Email


class Changes(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(strict=True)

    name: Name = ""
    email: Email = ""


class UserOut(BaseModel):
    model_config = ConfigDict(
        from_attributes=True, alias_generator=AliasGenerator(serialization_alias=to_camel)
    )

    id: int
    name: str
    email: str
    created_at: Annotated[datetime, PlainSerializer(stamp, return_type=str)]
