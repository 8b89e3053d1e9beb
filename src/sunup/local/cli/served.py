"""The app as `sunup dev` serves it: with its deadline, its 503s and its log line, as on Lambda."""

import logging
from typing import Any

from a2wsgi import WSGIMiddleware

from sunup import logs
from sunup.adapter.lifespan import App, Message, Receive, Scope, Send
from sunup.adapter.loading import interface_of, load
from sunup.adapter.middleware import RequestMiddleware
from sunup.settings import Settings

from . import broken, watching

logger = logging.getLogger("sunup.dev")


def app() -> App:
    """Make the ASGI app that uvicorn serves, from SUNUP_APP. Called in each reloaded process."""
    settings = Settings.from_environment()
    logs.configure(settings, json_lines=False)
    name = settings.app or "app:app"
    try:
        watching.begin()
        found: Any = load(name)
    except Exception as error:
        text = broken.told(error)
        logger.error("the app cannot be loaded: %s", text)  # noqa: TRY400  # it has what matters
        return broken.app(text)
    if interface_of(found) == "wsgi":
        found = _Trimmed(found)
    return RequestMiddleware(_with_lifespan(found, name), settings)


class _Trimmed(WSGIMiddleware):
    """Takes the spaces around header values away, which h11 refuses: Django's cookies begin so."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve as an ASGI app."""

        async def trimmed(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value.strip(b" \t")) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await super().__call__(scope, receive, trimmed)


def _with_lifespan(served: App, name: str) -> App:
    """Log when the app is ready; serve apps without a lifespan all the same."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await served(scope, receive, send)
            return

        spoken = False

        async def tell(message: Message) -> None:
            nonlocal spoken
            spoken = True
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                logger.info("%s is ready", name)

        async def bare() -> None:
            await receive()
            await tell({"type": "lifespan.startup.complete"})
            await receive()
            await tell({"type": "lifespan.shutdown.complete"})

        if isinstance(served, WSGIMiddleware):
            await bare()
            return
        try:
            await served(scope, receive, tell)
        except Exception:
            if spoken:
                raise
            await tell({"type": "lifespan.startup.complete"})
            await receive()
            await tell({"type": "lifespan.shutdown.complete"})

    return app
