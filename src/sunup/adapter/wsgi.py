"""Runs a WSGI app (PEP 3333), one request at a time, on the calling thread."""

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from . import alarm
from .http import Answer, Call, Headers, header_bytes, header_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


# The same names recur; but anybody can send new ones.
_KEYS: dict[str, str] = {}
_MOST_KEYS = 200


# An environ's keys and what never changes: copying it is quicker than a dictionary that grows.
_TEMPLATE: dict[str, Any] = {
    "REQUEST_METHOD": "",
    "SCRIPT_NAME": "",
    "PATH_INFO": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "",
    "SERVER_PORT": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "",
    "RAW_URI": "",
    "CONTENT_LENGTH": "",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "",
    "wsgi.input": None,
    # It ends with the body: also one that came in chunks, without a length (Werkzeug asks).
    "wsgi.input_terminated": True,
    "wsgi.errors": None,
    "wsgi.multithread": False,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "aws.event": None,
    "aws.context": None,
}


class WsgiRunner:
    """Calls a WSGI app."""

    def __init__(self, app: App) -> None:
        self._app = app
        # For the alarm.
        self.callers: tuple[CodeType, ...] = (WsgiRunner.called.__code__,)

    def start(self) -> None:
        """Nothing: WSGI has no start-up."""

    def stop(self, limit: float | None = None) -> None:
        """Nothing: WSGI has no shut-down."""

    def __call__(self, call: Call) -> Answer:
        """Serve one request. Raises what the app raised."""
        return self.called(environ(call))

    def called(self, environ: dict[str, Any]) -> Answer:
        """The app's answer to a request that is an environ. Raises what the app raised."""
        response = _Response()
        result = self._app(environ, response.start)
        written = response.written
        try:
            # Not `extend`: what was written counts when the app starts its response anew.
            for chunk in result:
                written.append(chunk)
        except BaseException:
            _close(result)
            raise
        late = _close(result)
        if response.status is None:
            raise late or RuntimeError("the WSGI app returned without calling start_response")
        answer = Answer(response.status, response.headers, b"".join(written))
        # The response was whole: under another server the client has it by now.
        answer.error = late
        return answer


def _close(result: object) -> Exception | None:
    """Let the app clean up; returns what it raised."""
    close = getattr(result, "close", None)
    if close is not None:
        alarm.disarm()
        try:
            close()
        except Exception as error:
            return error
    return None


class _Response:
    """What the app says of its response."""

    __slots__ = ("headers", "status", "written")

    def __init__(self) -> None:
        self.status: int | None = None
        self.headers: Headers = []
        self.written: list[bytes] = []

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """PEP 3333's `start_response`. Raises `exc_info`'s exception after output."""
        if self.status is not None:
            if exc_info is None:
                raise RuntimeError("start_response was called twice")
            if any(self.written):
                raise exc_info[1].with_traceback(exc_info[2])
        # Bytes, given as Latin-1 text; real bytes are a TypeError.
        # Django begins its cookies with a space, no part of a value (RFC 9110, section 5.5).
        fields = [
            (
                _LOWER.get(name) or _lower(name),
                (v if str.isascii(v) else header_text(v.encode("latin-1"))).strip(" \t"),
            )
            for name, v in headers
        ]
        self.status, self.headers = int(status.partition(" ")[0]), fields
        return self.written.append


# Names of headers, and how they are sent.
_LOWER: dict[str, str] = {}


def _lower(name: str) -> str:
    # Only ASCII letters have two cases here: what is more is refused later.
    key = str.lower(name) if str.isascii(name) else name
    if len(_LOWER) < _MOST_KEYS:
        _LOWER[name] = key
    return key


def environ(call: Call) -> dict[str, Any]:
    """The request as PEP 3333 wants it: what is not ASCII as UTF-8 in Latin-1 text.

    Repeated headers are joined. Those with `_` in their names are left out, as other servers do:
    `X_User` could not be told from `X-User`.
    """
    path, prefix = call.path, call.root_path
    if "%" in path:
        path = unquote_to_bytes(path).decode("latin-1")
        prefix = unquote_to_bytes(prefix).decode("latin-1")
    body, server, client = call.body, call.server, call.client
    fields = _TEMPLATE.copy()
    fields["REQUEST_METHOD"] = call.method
    fields["SCRIPT_NAME"] = prefix
    fields["PATH_INFO"] = path[len(prefix) :] if prefix else path
    fields["QUERY_STRING"] = call.query
    fields["SERVER_NAME"] = server[0]
    fields["SERVER_PORT"] = str(server[1])
    fields["REMOTE_ADDR"] = client[0] if client else ""
    fields["RAW_URI"] = call.path
    fields["CONTENT_LENGTH"] = str(len(body))
    fields["wsgi.url_scheme"] = call.scheme
    fields["wsgi.input"] = io.BytesIO(body)
    fields["wsgi.errors"] = sys.stderr
    fields["aws.event"] = call.event
    fields["aws.context"] = call.context
    for name, value in call.headers:
        key = _KEYS.get(name) or _key(name)
        if not value.isascii():
            value = header_bytes(value).decode("latin-1")
        if key in fields:
            if key == "CONTENT_LENGTH":
                continue
            separator = "; " if key == "HTTP_COOKIE" else ","
            value = f"{fields[key]}{separator}{value}"
        fields[key] = value
    fields.pop(_DROPPED, None)
    return fields


# Where headers go that the app must not see.
_DROPPED = "-"


def _key(name: str) -> str:
    key = name.upper().replace("-", "_")
    if "_" in name:
        key = _DROPPED
    elif key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    if len(_KEYS) < _MOST_KEYS:
        _KEYS[name] = key
    return key
