"""The front: requests to events, outcomes to responses, and its own answers."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from .authorizers import Asked, Authorizer, Refused
from .background import end_all
from .fronts import Cause, Front, in_json
from .functions import Functions, Throttled
from .instance import InstanceFailed
from .options import GatewayOptions
from .payloads import TRACE, Reply, Scope, listed, parts_of, trace_of
from .runtime_api import Outcome
from .timeline import Timeline

# Of a synchronous invocation, in bytes (Lambda Developer Guide, "Lambda quotas").
MAX_EVENT = 6 * 1024 * 1024

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


# For a client that went away: no answer has this status, and nginx writes it into its log.
_GONE = 499


_ENDS = "the emulator is stopping"

# Where a request's scope has what the timeline says of its answer.
_NOTES = "sunup.notes"


class _ClientGone(Exception):
    """In the middle of its request."""


class Gateway:
    """An ASGI app that is the stage `$default` of an HTTP API, or another front."""

    def __init__(
        self,
        functions: Functions,
        options: GatewayOptions,
        timeline: Timeline,
        front: Front,
        authorizer: Authorizer | None = None,
    ) -> None:
        self._functions = functions
        self._front = front
        self._authorizer = authorizer
        self._options = options
        self._timeline = timeline
        self._tokens = float(options.burst)
        self._filled = time.monotonic()
        self._stopping = False
        # Invocations go on when the gateway or the client has given up.
        self._running: set[asyncio.Task[Outcome]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        began = time.time()
        number = self._timeline.count
        path = scope["raw_path"].decode("latin-1")
        scope[TRACE] = trace_of(scope)
        seen = {"id": number, "method": scope["method"], "path": path}
        self._timeline.add("request", trace=scope[TRACE], **seen)
        try:
            status, headers, body = await self._reply(scope, receive, began)
        except _ClientGone:
            reason = "the client disconnected before its request was complete"
            self._failed(scope, reason)
            self._answered(scope, seen, _GONE, began)
            return
        if status in (204, 304):
            headers, body = [each for each in headers if each[0] != b"content-length"], b""
        elif not any(name == b"content-length" for name, _ in headers):
            headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._answered(scope, seen, status, began)

    def _answered(self, scope: Scope, seen: dict[str, Any], status: int, began: float) -> None:
        notes = scope.get(_NOTES, {})
        self._timeline.add("response", **seen, status=status, wait=_since(began), **notes)

    async def stop(self) -> None:
        """Wait for nothing: cancel what still runs, and answer what still comes by itself."""
        self._stopping = True
        await end_all(self._running)

    async def _reply(self, scope: Scope, receive: Receive, began: float) -> Reply:
        if not _in_origin_form(scope):
            return self._refused(scope, "target", "the request target is not a path")
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
        cors = self._cors(origin)
        if self._options.cors_origins and scope["method"] == "OPTIONS" and origin:
            # With CORS configured the gateway answers preflights itself.
            return 204, cors, b""
        line = len(scope["method"]) + len(scope["raw_path"]) + len(scope["query_string"])
        sizes = [line, *(len(n) + len(v) for n, v in scope["headers"])]
        if sum(sizes) > self._front.largest_head or max(sizes) > self._front.largest_line:
            return self._refused(scope, "headers", "the request line or a header is too large")
        if not self._admit():
            return self._refused(scope, "rate", "more requests per second than the stage allows")
        body = await self._body(scope, receive)
        if body is None:
            return self._refused(scope, "body", "the body is too large")
        try:
            event = await self._event(scope, body, began)
        except Refused as refused:
            self._failed(scope, f"not authorized: {refused.reason}")
            status, headers, content = self._refusal(refused)
        else:
            status, headers, content = await self._integrate(event, scope)
        if cors:
            # ... and replaces the function's own CORS headers.
            headers = [each for each in headers if not each[0].startswith(b"access-control-")]
        return status, headers + cors, content

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The whole of it; None when it is too large. Raises `_ClientGone`."""
        headers = dict(scope["headers"])
        announced = headers.get(b"content-length", b"0")
        if b"expect" in headers and int(announced) > self._front.largest_body:
            return None  # asked before it was sent: it need not be
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientGone
            body += message.get("body", b"")
            if len(body) > self._front.largest_body:
                return None
            if not message.get("more_body", False):
                return bytes(body)

    async def _event(self, scope: Scope, body: bytes, began: float) -> dict[str, Any]:
        """The function's event, of a request that is let in. Raises `Refused`."""
        event = self._front.event(scope, body, began)
        if self._authorizer is not None:
            query = scope["query_string"].decode("latin-1")
            target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
            headers = {name: ",".join(all_) for name, all_ in listed(parts_of(scope)).items()}
            found = await self._authorizer.authorize(Asked(scope["method"], target, headers, body))
            context = event["requestContext"]
            if event.get("version") == "2.0":
                context["authorizer"] = found
            elif "jwt" in found:
                context["authorizer"] = found["jwt"]  # payload 1.0 has no level between
            else:
                context["identity"] |= _as_identity(found["iam"])
        return event

    async def _integrate(self, event: dict[str, Any], scope: Scope) -> Reply:
        encoded = json.dumps(event, ensure_ascii=False).encode()
        if len(encoded) > MAX_EVENT:
            return self._failed(scope, "the event is larger than 6 MB", "event")
        if self._stopping:
            return self._failed(scope, _ENDS)
        task = asyncio.create_task(self._functions.invoke(encoded, scope[TRACE]))
        self._running.add(task)
        task.add_done_callback(self._finished)
        # It counts from here: the upload of the request is not the integration's time.
        timeout = self._options.timeout or self._front.timeout
        done, _ = await asyncio.wait([task], timeout=timeout)
        if not done:
            return self._failed(scope, "the integration timed out", "timeout")
        if task.cancelled():
            return self._failed(scope, _ENDS)
        try:
            outcome = task.result()
        except Throttled:
            return self._refused(scope, "throttled", "reserved concurrency is used up")
        except (InstanceFailed, OSError) as error:
            return self._failed(scope, str(error))
        # The invocation that the function's log lines belong to.
        scope.setdefault(_NOTES, {})["request_id"] = outcome.request_id
        if outcome.error:
            return self._failed(scope, outcome.error_message)
        most = self._front.largest_response
        if len(outcome.body) > most:
            return self._failed(scope, f"the response has more than {most:,} bytes")
        try:
            return self._front.response(outcome.body, scope)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            return self._failed(scope, f"malformed response: {error}")
        except RecursionError as error:
            return self._failed(scope, f"malformed response: {error}")

    def _finished(self, task: "asyncio.Task[Outcome]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also when nobody waits any more

    def _failed(self, scope: Scope, reason: str, cause: Cause = "failed") -> Reply:
        # As the access log's $context.integrationErrorMessage; the client is told nothing.
        self._timeline.add("integration", error=reason)
        scope.setdefault(_NOTES, {})["cause"] = reason
        return self._own(cause)

    def _refused(self, scope: Scope, cause: Cause, reason: str) -> Reply:
        scope.setdefault(_NOTES, {})["cause"] = reason
        return self._own(cause)

    def _own(self, cause: Cause) -> Reply:
        """The front's own words."""
        status, headers, body = self._front.own[cause]
        return status, list(headers), body

    def _refusal(self, refused: Refused) -> Reply:
        if refused.status == 403 and refused.challenge is None:
            return self._front.forbidden
        words = {401: "Unauthorized", 403: "Forbidden"}
        status, headers, body = in_json(refused.status, words[refused.status])
        if refused.challenge is not None:
            headers.append((b"www-authenticate", refused.challenge.encode("ascii")))
        return status, headers, body

    def _admit(self) -> bool:
        """A token bucket: `burst` deep, filled at `rate`."""
        now = time.monotonic()
        filled = self._tokens + (now - self._filled) * self._options.rate
        self._tokens, self._filled = min(filled, float(self._options.burst)), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _cors(self, origin: str) -> list[tuple[bytes, bytes]]:
        allowed = self._options.cors_origins
        if not origin or not ("*" in allowed or origin in allowed):
            return []
        value = b"*" if "*" in allowed else origin.encode("latin-1")
        return [
            (b"access-control-allow-origin", value),
            (b"access-control-allow-methods", b"*"),
            (b"access-control-allow-headers", b"*"),
        ]


def _since(began: float) -> float:
    return round(time.time() - began, 3)


# Of the absolute form only these (RFC 9112, 3.2.2).
_ABSOLUTE = (b"http://", b"https://")


def _in_origin_form(scope: Scope) -> bool:
    """Make it a path, where it is an address; false for what is neither (`*`, CONNECT's)."""
    target: bytes = scope["raw_path"]
    if target.lower().startswith(_ABSOLUTE):
        try:
            scope["raw_path"] = target = urlsplit(target).path or b"/"
        except ValueError:
            return False
    return target.startswith(b"/") and scope["method"] != "CONNECT"


def _as_identity(iam: dict[str, Any]) -> dict[str, Any]:
    """As payload 1.0 and REST APIs name it ("requestContext.identity", the guide)."""
    names = {"callerId": "caller", "userId": "user", "cognitoIdentity": "cognitoIdentityId"}
    without = dict.fromkeys(
        ("cognitoIdentityPoolId", "cognitoAuthenticationType", "cognitoAuthenticationProvider")
    )
    return {names.get(name, name): value for name, value in iam.items()} | without
