"""Between the app and the server: it meets the COMMIT of a receipt, and does to it what it is told."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sunup.settings import Settings

# What the transaction of a request with a receipt begins with.
_CLAIMS = b"insert into sunup_receipts"


class Proxy:
    """`plan` is what happens to the next receipts' COMMITs, in this order.

    `answer lost`: it is executed, and the connection ends before its answer. `lost`: it never
    arrives, and both ends are closed. `late`: the client's end is closed, and it arrives `delay`
    seconds later. `mute`: it never arrives, nothing is closed,
    and for 5 s nothing is heard at all. `silent`: it never arrives; the server's session stays in its transaction for
    `delay` seconds.
    """

    def __init__(self, settings: Settings) -> None:
        self.plan: list[str] = []
        self.met: list[str] = []
        self.delay = 0.3
        self.deaf_until = 0.0
        self._target = settings
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._downstream: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self.settings = replace(
            settings,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            sslmode="disable",
            password="any",
        )
        self._start(self._accept)

    def passing(self) -> None:
        """Called for each message of the app's."""

    def close(self) -> None:
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(10)

    def ended(self) -> None:
        """Wait until the app has been told that the server has ended all connections."""
        for thread in self._downstream:
            thread.join(10)
            assert not thread.is_alive()

    def _start(self, target: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            host = self._target.host
            if host.startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(str(Path(host) / f".s.PGSQL.{self._target.port}"))
            else:
                server = socket.create_connection((host, self._target.port))
            self._sockets += [client, server]
            pair = _Pair(self, client, server)
            self._start(pair.upstream)
            self._downstream.append(self._start(pair.downstream))


class _Pair:
    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.proxy, self.client, self.server = proxy, client, server
        self.swallows = self.claimed = False

    def upstream(self) -> None:
        try:
            while data := self.client.recv(1 << 20):
                time.sleep(max(0.0, self.proxy.deaf_until - time.monotonic()))
                if _CLAIMS in data:
                    self.claimed = True
                elif b"commit" in data.lower() and self.claimed:
                    self.claimed = False
                    if self.proxy.plan:
                        self._meet(self.proxy.plan.pop(0), data)
                        return
                self.proxy.passing()
                self.server.sendall(data)
        except OSError:
            pass
        _end(self.server)

    def _meet(self, fate: str, data: bytes) -> None:
        self.proxy.met.append(fate)
        if fate == "answer lost":
            self.swallows = True
            self.server.sendall(data)
            return
        if fate == "mute":
            self.proxy.deaf_until = time.monotonic() + 5.0
            return
        _end(self.client)
        if fate == "late":
            time.sleep(self.proxy.delay)
            self.server.sendall(data)
            time.sleep(0.2)
        elif fate == "silent":
            time.sleep(self.proxy.delay)
        _end(self.server)

    def downstream(self) -> None:
        try:
            while data := self.server.recv(1 << 20):
                if self.swallows:
                    _end(self.server)
                    break
                self.client.sendall(data)
        except OSError:
            pass
        _end(self.client)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy_of(settings: Settings) -> Iterator[Proxy]:
    proxy = Proxy(settings)
    try:
        yield proxy
    finally:
        proxy.close()
