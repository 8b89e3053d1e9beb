"""Sockets for the emulator's servers, on loopback only."""

import socket


def bound(port: int) -> socket.socket:
    """A TCP socket on a loopback port (0: a free one) that does not listen yet.

    Several may be bound to one port: one that never listens keeps it reserved.
    """
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, each
    # small message waits 40 ms for a delayed acknowledgement.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.setblocking(False)  # noqa: FBT003
    return made
