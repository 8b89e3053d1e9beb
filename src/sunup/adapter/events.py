"""Which format an event has: API Gateway, function URL, load balancer, VPC Lattice, or no HTTP."""

from collections.abc import Callable
from typing import Any

from . import api_gateway
from .event_parts import BadEvent, Event
from .http import Answer, Call

__all__ = ["BadEvent", "UnknownEvent", "encode", "is_http", "parse"]

Format = tuple[Callable[[Event], Call], Callable[[Event, Answer], dict[str, Any]]]


class UnknownEvent(TypeError):
    """The function was invoked with something that is no HTTP request."""


def is_http(event: object) -> bool:
    """Whether the event is an HTTP request of a format that is known."""
    return _format(event) is not None


def parse(event: object) -> Call:
    """The request in an event. Raises `UnknownEvent` or `BadEvent`."""
    found = _format(event)
    if found is None:
        keys = ", ".join(sorted(map(str, event))) if isinstance(event, dict) else _kind(event)
        raise UnknownEvent(
            "this event is no HTTP request of API Gateway, a function URL, a load balancer or VPC "
            f"Lattice (it has: {keys}); name a function for others: Handler(..., events=function)"
        )
    assert isinstance(event, dict)
    try:
        return found[0](event)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadEvent(f"the event is malformed: {type(error).__name__}") from None


def encode(event: Event, answer: Answer) -> dict[str, Any]:
    """The answer in the form that belongs to the event."""
    context = event.get("requestContext")
    if isinstance(context, dict) and "http" in context:
        return api_gateway.encode_2(event, answer)  # the usual one, without looking further
    found = _format(event)
    assert found is not None
    return found[1](event, answer)


def _format(event: object) -> Format | None:
    """How to read the event and write its answer; rarer formats are imported when they come."""
    if not isinstance(event, dict):
        return None
    context = event.get("requestContext")
    if isinstance(context, dict):
        if isinstance(context.get("http"), dict):
            return api_gateway.parse_2, api_gateway.encode_2
        if "elb" in context:
            from . import load_balancer

            return load_balancer.parse, load_balancer.encode
        if "httpMethod" in event:
            return api_gateway.parse_1, api_gateway.encode_1
        if "serviceNetworkArn" in context and "method" in event and "path" in event:
            from . import lattice

            return lattice.parse_2, lattice.encode
    elif "raw_path" in event and "method" in event:
        from . import lattice

        return lattice.parse_1, lattice.encode
    return None


def _kind(event: object) -> str:
    return type(event).__name__
