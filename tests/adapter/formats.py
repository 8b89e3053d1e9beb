"""What the handler does with an event's format."""

from typing import Any

from sunup.adapter.events import UnknownEvent, format_of
from sunup.adapter.http import Answer, Call
from sunup.adapter.sending import Sender


def parse(event: Any) -> Call:
    form = format_of(event)
    if form is None:
        raise UnknownEvent(event)
    return form.read(event)


def encode(event: Any, answer: Answer) -> dict[str, Any]:
    form = format_of(event)
    assert form is not None
    return Sender().send(form, answer, "GET")
