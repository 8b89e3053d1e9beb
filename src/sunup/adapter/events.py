"""Which format an event has: API Gateway, function URL, load balancer, VPC Lattice, or no HTTP."""

from typing import Any

from . import api_gateway
from .event_parts import Format

# What a schedule sends to wake the database before people come.
WAKE = {"sunup": "wake"}


class UnknownEvent(TypeError):
    """The function was invoked with something that is not an HTTP request."""

    def __init__(self, event: Any) -> None:
        is_object = isinstance(event, dict)
        keys = ", ".join(sorted(map(str, event))) if is_object else type(event).__name__
        super().__init__(
            "this event is not an HTTP request from API Gateway, a function URL, a load balancer "
            f"or VPC Lattice (it has: {keys}); for other events pass a function: Handler(..., "
            "events=function)"
        )


def format_of(event: object) -> Format | None:
    """The format of an event, None if it is not a known HTTP request.

    That of a known one is told by the names of its fields, whatever is in them. Rarer formats are
    imported when they come.
    """
    if type(event) is not dict:
        return None
    if "rawPath" in event:
        # A Lambda authorizer is asked with an event that looks like the request's.
        return None if "routeArn" in event else api_gateway.PAYLOAD_2
    context = event.get("requestContext")
    if "httpMethod" in event and "path" in event:
        if isinstance(context, dict) and "elb" in context:
            from . import load_balancer

            lists = event.get("multiValueHeaders") is not None
            return load_balancer.LISTS if lists else load_balancer.SINGLE
        return None if "methodArn" in event else api_gateway.PAYLOAD_1
    if "method" in event:
        if "raw_path" in event:
            from . import lattice

            return lattice.VERSION_1
        if "path" in event and isinstance(context, dict) and "serviceNetworkArn" in context:
            from . import lattice

            return lattice.VERSION_2
    return None
