"""Sockets for the emulator's servers, on loopback only."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress

Accept = Callable[[socket.socket], None]

# Queued by the kernel until they are accepted: a burst of instances connects at once.
_BACKLOG = 1024

# Seconds without accepting when this process may open no more files.
_PAUSE = 0.1

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def bound(port: int, address: str = "127.0.0.1", *, shared: bool = False) -> socket.socket:
    """A TCP socket on a loopback port (0: a free one) that does not listen yet.

    Several that are `shared` may be bound to one port: one that never listens keeps it reserved.
    Raises `OSError` when somebody else has it.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it on, each
    # small message waits 40 ms for a delayed acknowledgement.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((address, port))
    except BaseException:
        made.close()
        raise
    made.setblocking(False)  # noqa: FBT003
    return made


class Listener:
    """Listens on one port, kept reserved while nobody listens and connections are refused.

    On IPv4's and, where there is one, IPv6's loopback. Not asyncio's Server: one that is closed
    while it accepts loses the client, which then hangs.
    """

    def __init__(self, accept: Accept, port: int = 0) -> None:
        self._accept = accept
        if port:
            bound(port).close()  # not even another emulator may have it
        self._reserved = [bound(port, shared=True)]  # never listen
        self.port: int = self._reserved[0].getsockname()[1]
        with suppress(OSError):  # no IPv6, or another's port
            self._reserved.append(bound(self.port, "::1", shared=True))
        self._listening: list[socket.socket] = []

    def open(self) -> None:
        """Begin to listen, unless it already does."""
        if not self._listening:
            for each in self._reserved:
                listener = bound(self.port, each.getsockname()[0], shared=True)
                listener.listen(_BACKLOG)
                self._listening.append(listener)
                self._watch(listener)

    def deafen(self) -> None:
        """Stop listening: clients waiting to be accepted are reset, new ones are refused."""
        for each in self._listening:
            asyncio.get_running_loop().remove_reader(each)
            each.close()
        self._listening.clear()

    def close(self) -> None:
        """Stop listening and give the port back."""
        self.deafen()
        for each in self._reserved:
            each.close()

    def _watch(self, listener: socket.socket) -> None:
        if listener in self._listening:
            asyncio.get_running_loop().add_reader(listener, self._accept_one, listener)

    def _accept_one(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                loop = asyncio.get_running_loop()
                loop.remove_reader(listener)
                loop.call_later(_PAUSE, self._watch, listener)
            return
        self._accept(connection)
