"""Whether a port can be listened on: asked before anything slow begins."""

import socket
from collections.abc import Collection

from sunup.local.errors import CommandError

HOST = "127.0.0.1"


def check(port: int, option: str = "--port", *, but: Collection[int] = ()) -> None:
    """Raise `CommandError` unless the port is free; it proposes another one, none of `but`."""
    try:
        _bind(port)
    except PermissionError:
        raise CommandError(f"port {port} needs root privileges", "Choose one above 1023.") from None
    except OSError:
        others = (*range(port + 1, 65536), *range(1024, port))
        other = next(each for each in others if each not in but and _free(each))
        raise CommandError(f"port {port} is in use", f"Choose another: {option} {other}.") from None


def _bind(port: int) -> None:
    with socket.socket() as probe:
        # As the server will do it: a port of a server that has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))


def _free(port: int) -> bool:
    try:
        _bind(port)
    except OSError:
        return False
    return True
