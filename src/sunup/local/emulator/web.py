"""A web server for one app of the emulator: uvicorn, on the emulator's event loop."""

import asyncio
import logging
import socket
from contextlib import suppress
from typing import Any

import uvicorn

from sunup.adapter.loop import Loop

_GRACE = 0.4  # seconds


class WebServer:
    """Serves from its making until `stop`."""

    def __init__(self, loop: Loop, app: Any, listener: socket.socket) -> None:
        listener.listen(1024)  # a client may come before uvicorn does
        self._listener = listener
        self.url = f"http://localhost:{listener.getsockname()[1]}"
        # What uvicorn says of requests that it ends is no news for a terminal.
        logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",  # no front takes an upgrade to WebSocket: it is a request like another
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # a client must not say who it is
            date_header=False,
            h11_max_incomplete_event_size=64 * 1024,  # the gateway counts on its own, to 10 KB
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._serving = loop.submit(self._server.serve(sockets=[listener]))

    def end(self) -> None:
        """Begin to end."""
        self._server.should_exit = True

    def stop(self) -> None:
        """End. Requests that are being answered have a moment; one that is half sent ends."""
        self.end()
        try:
            self._serving.result(_GRACE)
        except (TimeoutError, asyncio.CancelledError):
            self._server.force_exit = True
        with suppress(asyncio.CancelledError):
            self._serving.result(10)
        self._listener.close()
