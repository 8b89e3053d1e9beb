"""What `sunup dev` serves while the app cannot be imported: why, until a file is changed."""

import traceback
from pathlib import Path

from sunup.adapter.lifespan import App, Receive, Scope, Send
from sunup.local.errors import CommandError
from sunup.settings import SettingsError

_INTRODUCTION = "The app cannot be loaded; sunup dev reads it again when a file changes."
_OURS = str(Path(__file__).parents[2])


def told(error: BaseException) -> str:
    """The error with its traceback, beginning in the app's own code."""
    if isinstance(error, CommandError):
        return error.sentences
    if isinstance(error, SettingsError):
        return str(error)
    found = traceback.TracebackException.from_exception(error)
    while found.stack and _is_machinery(found.stack[0].filename):
        del found.stack[0]
    return "".join(found.format()).strip()


def _is_machinery(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib")) or "/importlib/" in file


def app(text: str) -> App:
    """An ASGI app that answers each request with this text, and 500."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
        elif scope["type"] == "http":
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            body = f"{_INTRODUCTION}\n\n{text}\n".encode(errors="replace")
            await send({"type": "http.response.body", "body": body})

    return serve
