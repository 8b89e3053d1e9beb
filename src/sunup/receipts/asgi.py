"""Receipts for an ASGI app."""

from urllib.parse import quote

from sunup.adapter.asgi import Exchange, encoded
from sunup.adapter.http import Answer, header_text
from sunup.adapter.lifespan import App, Receive, Scope, Send

from . import problems
from .claims import CREDENTIALS
from .service import LARGEST_REQUEST, Asked, Service, a_request
from .unit import Outcome


async def serve(service: Service, app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that may have a receipt."""
    body = await _body(receive)
    if body is None:
        return  # the client has gone in the middle of it
    if len(body) > LARGEST_REQUEST:
        await _send(problems.too_large(LARGEST_REQUEST), send)
        return
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope.get("query_string", b"")
    prefix = scope.get("root_path", "")
    fields = scope["headers"]
    asked = Asked(
        method=scope["method"],
        host=",".join([header_text(value).lower() for name, value in fields if name == b"host"]),
        target=header_text(raw_path.partition(b"?")[0] + (b"?" + query if query else b"")),
        path=scope["path"].removeprefix(prefix) if prefix else scope["path"],
        keys=[header_text(value) for name, value in fields if name == b"idempotency-key"],
        credentials=[
            header_text(name + b": " + value)
            for name, value in fields
            if name.decode("latin-1") in CREDENTIALS
        ],
        content_type=",".join(
            [header_text(value) for name, value in fields if name == b"content-type"]
        ),
        body=body,
    )
    refused = service.refused(asked)
    if refused is not None:
        await _send(refused, send)
        return

    async def work() -> Outcome:
        again = dict(scope)
        # Other messages than a response's start and body, which nobody would keep.
        again.pop("extensions", None)
        if "state" in scope:
            again["state"] = scope["state"].copy()
        exchange = Exchange(body)
        try:
            await app(again, exchange.receive, exchange.send)
        except Exception as error:
            # Frameworks answer 500 in the app's own words, and re-raise.
            return Outcome(exchange.answer() if exchange.complete else None, error)
        return Outcome(exchange.answer())

    with a_request(asked.method, asked.target):
        flow = service.flow(scope, asked, blocking=False)
        outcome = await (work() if flow is None else flow.run(work))
    if outcome.answer is not None:
        await _send(outcome.answer, send)
    if outcome.error is not None:
        raise outcome.error


async def _body(receive: Receive) -> bytes | None:
    """The body, or so much of it that it is too large; None where the client has gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > LARGEST_REQUEST or not message.get("more_body", False):
            return bytes(body)


async def _send(answer: Answer, send: Send) -> None:
    start = {"type": "http.response.start", "status": answer.status}
    await send({**start, "headers": encoded(answer.headers)})
    await send({"type": "http.response.body", "body": answer.body})
