"""Runs a WSGI app (PEP 3333), one request at a time, on the calling thread."""

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from . import alarm
from .http import Answer, Call, Headers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType

StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


# The same names recur; but anybody can send new ones.
_KEYS: dict[bytes, str] = {}
_MOST_KEYS = 200


class WsgiRunner:
    """Calls a WSGI app."""

    def __init__(self, app: App) -> None:
        self._app = app
        # For the alarm.
        self.callers: tuple[CodeType, ...] = (WsgiRunner.__call__.__code__,)

    def start(self) -> None:
        """Nothing: WSGI has no start-up."""

    def stop(self, limit: float | None = None) -> None:
        """Nothing: WSGI has no shut-down."""

    def __call__(self, call: Call) -> Answer:
        """Serve one request. Raises what the app raised."""
        started: list[tuple[int, Headers]] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Callable[[bytes], object]:
            if started and exc_info is None:
                raise RuntimeError("start_response was called twice")
            encoded = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
            ]
            started[:] = [(int(status.split(" ", 1)[0]), encoded)]
            return written.append

        result = self._app(environ(call), start_response)
        try:
            written.extend(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                alarm.disarm()  # the app's clean-up
                close()
        if not started:
            raise RuntimeError("the WSGI app returned without calling start_response")
        status, headers = started[0]
        return Answer(status, headers, b"".join(written))


def environ(call: Call) -> dict[str, Any]:
    """The request as PEP 3333 wants it: decoded paths as Latin-1 text, repeated headers joined."""
    path, prefix = call.path, call.root_path
    if "%" in path:
        path = unquote_to_bytes(path).decode("latin-1")
        prefix = unquote_to_bytes(prefix).decode("latin-1")
    fields: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": prefix,
        "PATH_INFO": path[len(prefix) :],
        "QUERY_STRING": call.query.decode("latin-1"),
        "SERVER_NAME": call.server[0],
        "SERVER_PORT": str(call.server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": call.client[0] if call.client else "",
        "RAW_URI": call.path,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": call.scheme,
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers:
        key = _KEYS.get(name) or _key(name)
        text = value.decode("latin-1")
        if key in fields and key != "CONTENT_LENGTH":
            separator = "; " if key == "HTTP_COOKIE" else ","
            text = f"{fields[key]}{separator}{text}"
        fields[key] = text
    fields["CONTENT_LENGTH"] = str(len(call.body))
    return fields


def _key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    if len(_KEYS) < _MOST_KEYS:
        _KEYS[name] = key
    return key
