"""Which format an event has: API Gateway, function URL, load balancer, VPC Lattice, or no HTTP."""

from typing import Any

from . import api_gateway
from .event_parts import Format


class UnknownEvent(TypeError):
    """The function was invoked with something that is not an HTTP request."""

    def __init__(self, event: Any) -> None:
        is_object = isinstance(event, dict)
        keys = ", ".join(sorted(map(str, event))) if is_object else type(event).__name__
        super().__init__(
            "this event is not an HTTP request from API Gateway, a function URL, a load balancer "
            f"or VPC Lattice (it has: {keys}); name a function for others: "
            "Handler(..., events=function)"
        )


def format_of(event: object) -> Format | None:
    """The format of an event, None if it is not a known HTTP request.

    Rarer formats are imported when they come.
    """
    if not isinstance(event, dict):
        return None
    context = event.get("requestContext")
    if isinstance(context, dict):
        if isinstance(context.get("http"), dict):
            return api_gateway.PAYLOAD_2
        if "elb" in context:
            from . import load_balancer

            return load_balancer.FORMAT
        if "httpMethod" in event:
            return api_gateway.PAYLOAD_1
        if "serviceNetworkArn" in context and "method" in event and "path" in event:
            from . import lattice

            return lattice.VERSION_2
    elif "raw_path" in event and "method" in event:
        from . import lattice

        return lattice.VERSION_1
    return None
