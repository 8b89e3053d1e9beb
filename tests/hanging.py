"""A server that takes connections and says nothing, until it is let go: a database that resumes."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Hanging:
    port: int
    attempts: int = 0
    awake: threading.Event = field(default_factory=threading.Event)


@contextmanager
def hanging(upstream: str) -> Iterator[Hanging]:
    """Accepts on a free port; once `awake` is set, passes everything to the PostgreSQL socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = Hanging(listener.getsockname()[1])
        closing = threading.Event()
        threads: list[threading.Thread] = []

        def run(target: Callable[..., None], *args: object) -> None:
            threads.append(threading.Thread(target=target, args=args))
            threads[-1].start()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    state.attempts += 1
                    run(serve, client)

        def serve(client: socket.socket) -> None:
            with client:
                state.awake.wait()
                if closing.is_set():
                    return
                with socket.socket(socket.AF_UNIX) as server:
                    server.connect(str(Path(upstream) / ".s.PGSQL.5432"))
                    back = threading.Thread(target=pump, args=(server, client))
                    back.start()
                    pump(client, server)
                    back.join()

        run(accept)
        try:
            yield state
        finally:
            closing.set()
            state.awake.set()
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
