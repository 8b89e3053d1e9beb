"""Answers with what it saw of the request, in the form that the request asks for.

As ASGI and as WSGI: the same app, for two servers each.
"""

import base64
import json
from typing import Any

SPEC = "x-reply"


def reply(spec: str, seen: dict[str, Any]) -> tuple[int, list[tuple[str, str]], list[bytes]]:
    """Status, headers and parts of the body, as a request's `x-reply` header says."""
    asked = json.loads(base64.urlsafe_b64decode(spec)) if spec else {}
    text = json.dumps(seen, sort_keys=True).encode("ascii")
    body = bytes.fromhex(asked["body"]) if "body" in asked else text
    parts = [body[n : n + 40] for n in range(0, len(body), 40)] if asked.get("parts") else [body]
    headers = [(name, value) for name, value in asked.get("headers", [])]
    if asked.get("length"):
        headers.append(("Content-Length", str(len(body))))
    # What was seen also goes into a header, where the body is another.
    headers.append(("X-Seen", base64.b64encode(text).decode()))
    return asked.get("status", 200), headers, parts


async def app(scope: Any, receive: Any, send: Any) -> None:
    """The ASGI app."""
    if scope["type"] != "http":
        raise NotImplementedError
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "raw_path": scope["raw_path"].decode("ascii"),
        "query": scope["query_string"].decode("latin-1"),
        "headers": fields,
        "body": body.hex(),
    }
    status, headers, parts = reply(dict(fields).get(SPEC, ""), seen)
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The WSGI app."""
    fields = [(name[5:], value) for name, value in environ.items() if name.startswith("HTTP_")]
    seen = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "type": environ.get("CONTENT_TYPE", ""),
        "length": environ.get("CONTENT_LENGTH") or "0",
        "headers": [(name.lower().replace("_", "-"), value) for name, value in fields],
        "body": environ["wsgi.input"].read().hex(),
    }
    status, headers, parts = reply(environ.get("HTTP_X_REPLY", ""), seen)
    start_response(f"{status} Status", headers)
    return [] if seen["method"] == "HEAD" else parts  # a WSGI app's own duty
