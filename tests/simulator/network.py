"""Connections in memory: bytes take time, may be held up, and may be cut at any place."""

import asyncio
import os
import socket
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from .world import World

LATENCY = 0.0005


class Peer(Protocol):
    """The server's end."""

    def received(self, data: bytes) -> None: ...

    def gone(self) -> None: ...


class Wire:
    """One connection. `stalled_until` holds up what is sent, both ways; `cut` loses it."""

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random
        self.stalled_until = 0.0
        self.cut_after: int | None = None
        self.cut = False
        self.transport: Transport | None = None
        self.peer: Peer | None = None
        self._order = 0.0

    def delay(self) -> float:
        """Seconds until what is sent now arrives: never before what was sent earlier."""
        arrival = max(self.world.now + LATENCY, self.stalled_until, self._order)
        self._order = arrival
        return arrival - self.world.now

    def to_server(self, data: bytes) -> None:
        self._pass(data, self._at_server)

    def to_client(self, data: bytes) -> None:
        self._pass(data, self._at_client)

    def _pass(self, data: bytes, arrive: Callable[[bytes], None]) -> None:
        if self.cut:
            return
        if self.cut_after is not None:
            data, self.cut_after = data[: self.cut_after], self.cut_after - len(data)
            if self.cut_after <= 0:
                self.cut_after = None
                if data:
                    self.world.later(self.delay(), lambda: arrive(data))
                self.world.later(self.delay(), self.break_off)
                return
        if len(data) > 1 and self.random.random() < 0.1:
            middle = self.random.randrange(1, len(data))
            first, data = data[:middle], data[middle:]
            self.world.later(self.delay(), lambda: arrive(first))
        self.world.later(self.delay(), lambda: arrive(data))

    def _at_server(self, data: bytes) -> None:
        if self.peer is not None and not self.cut:
            self.peer.received(data)

    def _at_client(self, data: bytes) -> None:
        if self.transport is not None and not self.cut:
            self.transport.arrived(data)

    def break_off(self) -> None:
        """Both ends see the connection end."""
        if self.cut:
            return
        self.cut = True
        if self.peer is not None:
            self.peer.gone()
        if self.transport is not None:
            self.transport.arrived(None)

    def part(self, seconds: float) -> None:
        """The client sees the end; what it has sent arrives, and the server's end stays, so long."""
        if self.cut or self.transport is None:
            return
        self.stalled_until = max(self.stalled_until, self.world.now + seconds)
        transport, self.transport = self.transport, None
        transport.arrived(None)

    def server_closed(self) -> None:
        def end() -> None:
            if self.transport is not None:
                self.transport.arrived(None)

        self.world.later(self.delay(), end)

    def client_closed(self) -> None:
        def end() -> None:
            if self.peer is not None:
                self.peer.gone()

        self.world.later(self.delay(), end)


class _Socket:
    """What asyncpg and sunup ask of a transport's socket: a descriptor that polls as readable."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self.descriptor

    def setsockopt(self, *_: Any) -> None:
        pass


class Transport(asyncio.Transport):
    """The client's end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire, protocol: Any) -> None:
        super().__init__()
        self._loop = loop
        self._wire = wire
        self._protocol = protocol
        self._closing = False
        self._socket = _Socket()
        self._arrived: list[bytes | None] = []
        wire.transport = self

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._socket if name == "socket" else default

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: Any) -> None:
        if not self._closing:
            self._wire.to_server(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(bytes(each) for each in list_of_data))

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._wire.client_closed()
            self._loop.call_soon(self._lost)

    def abort(self) -> None:
        self.close()

    def arrived(self, data: bytes | None) -> None:
        """Something is in the socket's buffer; None: the end."""
        if self._closing:
            return
        if not self._arrived:
            os.eventfd_write(self._socket.descriptor, 1)
            self._wire.world.inbox.append(self._deliver)
        self._arrived.append(data)

    def _deliver(self) -> None:
        arrived, self._arrived = self._arrived, []
        if self._closing:
            return
        os.eventfd_read(self._socket.descriptor)
        for data in arrived:
            if data is None:
                self.close()
                return
            if not self.is_closing():
                self._protocol.data_received(data)

    def _lost(self) -> None:
        self._protocol.connection_lost(None)
        os.close(self._socket.descriptor)
        self._socket.descriptor = -1
