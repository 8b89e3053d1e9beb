"""Whether a port can be listened on: asked before anything slow begins."""

import socket

from sunup.tools.errors import CommandError

HOST = "127.0.0.1"


def check(port: int) -> None:
    """Raise `CommandError` unless the port is free."""
    with socket.socket() as probe:
        # As the server will do it: a port of a server that has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise CommandError(
                f"port {port} needs root's rights", "Choose one above 1023."
            ) from None
        except OSError:
            raise CommandError(
                f"port {port} is in use", f"Choose another: --port {port % 65535 + 1}."
            ) from None
