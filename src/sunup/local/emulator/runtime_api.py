"""The Lambda Runtime API, as one function instance sees it.

Lambda Developer Guide, "Using the Lambda runtime API for custom runtimes". awslambdaric, which is
what runs in the real sandbox, is its client.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field

import h11

from .background import end_all
from .listening import bound

PREFIX = "/2018-06-01/runtime"

# Seconds in which a client of the API that began a request has to end it.
_READ_TIMEOUT = 10.0


@dataclass(frozen=True)
class Invocation:
    """One event for the function; `deadline_ms` is in milliseconds since the epoch."""

    request_id: str
    event: bytes
    deadline_ms: int
    arn: str
    trace_id: str


@dataclass(frozen=True)
class Outcome:
    """What the function made of an event: the response, or the error that it reported.

    `at` is the moment when it arrived, by `time.perf_counter`; `request_id` the invocation's.
    """

    body: bytes
    error: bool = False
    at: float = field(default_factory=time.perf_counter)
    request_id: str = ""

    @property
    def error_message(self) -> str:
        """The error's type and message, as the gateway's `$context.integrationErrorMessage`."""
        try:
            content = json.loads(self.body)
            return f"{content.get('errorType')}: {content.get('errorMessage')}"
        except (ValueError, AttributeError):
            return self.body.decode(errors="replace")[:200]


@dataclass
class RuntimeApi:
    """A server for one instance. `ready` is set whenever the runtime asks for an event."""

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    init_error: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    _invocation: Invocation | None = None
    _given: asyncio.Event = field(default_factory=asyncio.Event)
    _outcome: "asyncio.Future[Outcome] | None" = None
    _server: asyncio.Server | None = None
    _connections: "set[asyncio.Task[None]]" = field(default_factory=set)

    async def start(self) -> str:
        """Listen on a free loopback port; returns the value of AWS_LAMBDA_RUNTIME_API.

        Raises `OSError` when this process may open no more files.
        """
        # Made here: asyncio would go on without a socket.
        listener = bound(0)
        try:
            self._server = await asyncio.start_server(self._connected, sock=listener)
        except BaseException:
            listener.close()
            raise
        host, port = self._server.sockets[0].getsockname()
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Close the server and its connections."""
        if self._server is not None:
            self._server.close()
        await end_all(self._connections)

    def invoke(self, invocation: Invocation) -> "asyncio.Future[Outcome]":
        """Hand an event to the waiting runtime; the future is its outcome."""
        self._invocation = invocation
        self._outcome = asyncio.get_running_loop().create_future()
        self.ready.clear()
        self._given.set()
        return self._outcome

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        connection = h11.Connection(h11.SERVER)
        try:
            while await self._exchange(connection, reader, writer):
                connection.start_next_cycle()
        except (ConnectionError, h11.RemoteProtocolError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; false when the client has gone."""
        request = await _event(connection, reader)
        if not isinstance(request, h11.Request):
            return False
        body = b""
        async with asyncio.timeout(_READ_TIMEOUT):
            while isinstance(part := await _event(connection, reader), h11.Data):
                body += part.data
        path = request.target.decode().removeprefix(PREFIX)
        if (request.method, path) == (b"GET", "/invocation/next"):
            status, headers, content = await self._next()
        elif (request.method, path) == (b"GET", "/restore/next"):
            # SnapStart: the snapshot was taken; the restore comes with the first event.
            self.ready.set()
            await self._given.wait()
            status, headers, content = 200, [], b""
        else:
            status, headers, content = self._post(path, body)
        headers = [*headers, ("Content-Length", str(len(content)))]
        response = h11.Response(status_code=status, headers=headers)
        writer.write(connection.send(response) or b"")
        writer.write(connection.send(h11.Data(data=content)) or b"")
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        return connection.our_state is h11.DONE

    async def _next(self) -> tuple[int, list[tuple[str, str]], bytes]:
        if not self._given.is_set():  # after a restore it is already set
            self.ready.set()
            await self._given.wait()
        self._given.clear()
        invocation = self._invocation
        assert invocation is not None
        headers = [
            ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
            ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)),
            ("Lambda-Runtime-Invoked-Function-Arn", invocation.arn),
            ("Lambda-Runtime-Trace-Id", invocation.trace_id),
            ("Content-Type", "application/json"),
        ]
        return 200, headers, invocation.event

    def _post(self, path: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        accepted = (202, [("Content-Type", "application/json")], b'{"status":"OK"}')
        if path in ("/init/error", "/restore/error"):
            if not self.init_error.done():
                self.init_error.set_result(Outcome(body, error=True))
            return accepted
        invocation, outcome = self._invocation, self._outcome
        for kind in ("response", "error"):
            if invocation is not None and path == f"/invocation/{invocation.request_id}/{kind}":
                if outcome is not None and not outcome.done():
                    made = Outcome(body, kind == "error", request_id=invocation.request_id)
                    outcome.set_result(made)
                return accepted
        return 404, [], b'{"errorType":"InvalidRequestID","errorMessage":"unknown path or request"}'


async def _event(connection: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(65536))
    return event
