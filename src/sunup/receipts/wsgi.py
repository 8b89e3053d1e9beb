"""Receipts for a WSGI app (PEP 3333)."""

import io
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from sunup.adapter.http import Answer, header_text
from sunup.adapter.wsgi import App, WsgiRunner

from . import problems
from .claims import CREDENTIALS, environ_names
from .service import LARGEST_REQUEST, Asked, Service, a_request, run_here
from .unit import Outcome

StartResponse = Callable[..., Callable[[bytes], object]]


def serve(
    service: Service, app: App, environ: dict[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    """Answer a request that may have a receipt."""
    if environ.get("HTTP_TRANSFER_ENCODING") and not _ends(environ):
        return _send(problems.without_length(), start_response)
    body = _body(environ)
    if len(body) > LARGEST_REQUEST:
        return _send(problems.too_large(LARGEST_REQUEST), start_response)
    if len(body) < _expected(environ):
        return _send(problems.cut_off(), start_response)
    path = environ.get("PATH_INFO", "")
    query = environ.get("QUERY_STRING", "")
    target = f"{environ.get('SCRIPT_NAME', '')}{path}" + (f"?{query}" if query else "")
    key = environ.get("HTTP_IDEMPOTENCY_KEY")
    asked = Asked(
        method=environ["REQUEST_METHOD"],
        host=environ.get("HTTP_HOST", "").lower(),
        target=_text(target),
        path=_text(path),
        keys=[] if key is None else [_text(key)],
        credentials=[
            f"{name}: {environ[name]}"
            for name in (*environ_names(CREDENTIALS), "REMOTE_USER")
            if environ.get(name)
        ],
        content_type=environ.get("CONTENT_TYPE", ""),
        body=body,
    )
    refused = service.refused(asked)
    if refused is not None:
        return _send(refused, start_response)
    run = WsgiRunner(app).called

    async def work() -> Outcome:
        again = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        again.pop("HTTP_TRANSFER_ENCODING", None)
        try:
            answer = run(again)
        except Exception as error:
            return Outcome(None, error)
        return Outcome(answer, answer.error)

    with a_request(asked.method, asked.target):
        flow = service.flow(environ, asked, blocking=True)
        outcome = run_here(work() if flow is None else flow.run(work))
    if outcome.answer is None:
        assert outcome.error is not None
        raise outcome.error
    body_parts = _send(outcome.answer, start_response)
    return body_parts if outcome.error is None else _Late(body_parts, outcome.error)


class _Late:
    """A response that was whole when something failed: as the app's own, it says so at its end."""

    def __init__(self, parts: Iterable[bytes], error: BaseException) -> None:
        self._parts = parts
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)

    def close(self) -> None:
        """Raise what failed."""
        raise self._error


def _ends(environ: dict[str, Any]) -> bool:
    """Whether the body can be read to its end."""
    return bool(environ.get("CONTENT_LENGTH") or environ.get("wsgi.input_terminated"))


def _expected(environ: dict[str, Any]) -> int:
    length = environ.get("CONTENT_LENGTH")
    return int(length) if length and length.isdecimal() else 0


def _body(environ: dict[str, Any]) -> bytes:
    """The body, or so much of it that it is too large."""
    if environ.get("CONTENT_LENGTH"):
        return _read(environ, min(_expected(environ), LARGEST_REQUEST + 1))
    if environ.get("wsgi.input_terminated"):
        return _read(environ, LARGEST_REQUEST + 1)
    return b""


def _read(environ: dict[str, Any], most: int) -> bytes:
    body, stream = bytearray(), environ["wsgi.input"]
    while len(body) < most and (chunk := stream.read(most - len(body))):
        body += chunk
    return bytes(body)


def _text(value: str) -> str:
    """PEP 3333's bytes, as Latin-1, as text."""
    return header_text(value.encode("latin-1"))


def _send(answer: Answer, start_response: StartResponse) -> Iterable[bytes]:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    fields = [
        (name, value.encode("utf-8", "surrogateescape").decode("latin-1"))
        for name, value in answer.headers
    ]
    start_response(f"{answer.status} {phrase}", fields)
    return [answer.body]
