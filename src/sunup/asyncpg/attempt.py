"""Attempts to connect with asyncpg, with a second one beside each that hears nothing.

A SYN that is lost, or an address with nobody behind it, is silent: the kernel repeats after 1, 3
and 7 s, and asyncio tries a name's next address only when the one before has failed. So each
attempt takes one address of the name, and one that has not seen the end of the TLS handshake after
`SECOND_AFTER` gets a rival at the next address. A database that resumes is silent too, but after
TLS where a gateway stands in front; it gets no second attempt then.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Literal, cast

import asyncpg

from sunup.connecting import tls
from sunup.connecting.credentials import Credentials, CredentialSource
from sunup.connecting.ledger import Ledger
from sunup.connecting.waking import (
    SECOND_AFTER,
    Waking,
    password_for,
    retires,
    session_settings,
)
from sunup.settings import Settings

from .connection import Connection

# What `tls.context` leaves to the driver.
Unverified = Literal["disable", "allow", "prefer"]

_NUMERIC = re.compile(r"[\d.]+|.*:.*")


class _Client(ssl.SSLContext):
    """Verifies the server by its name, whichever address was dialled, and knows when TLS is up."""

    server_name = ""
    ended = False

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        options["server_hostname"] = self.server_name
        return super().wrap_bio(*arguments[:2], **options)


class _Channel(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        assert isinstance(context, _Client)
        context.ended = True

    def unwrap(self) -> Any:
        """Say goodbye, and do not wait for the server's (RFC 8446, 6.1, asks nobody to).

        asyncio keeps the socket open for up to 30 s until it came: one whose attempt was cancelled
        while it logged in would outlive its event loop, or stay open through a freeze. What is
        written and not yet sent is lost: asyncpg closes so only what has failed or was ended.
        """
        with suppress(ssl.SSLWantReadError):
            return super().unwrap()


async def connected(
    settings: Settings,
    credentials: CredentialSource,
    ledger: "Ledger[Connection]",
    waking: Waking,
    *,
    wanted: Callable[[], bool],
    check: Callable[[Connection], Awaitable[bool]],
) -> Connection:
    """Attempt after attempt, until one yields a connection that works.

    Raises what the last one's failure means where another would not help, or none is `wanted`.
    """
    while True:
        waking.begin_attempt()
        try:
            password = password_for(settings, await _found(settings, credentials))
            connection = await connect(settings, password, waking.tries - 1)
            try:
                works = await check(connection)
            except BaseException:
                connection.terminate()
                raise
            if works:
                return connection
            connection.terminate()
            # It was opened while the process was frozen, and closed too.
            raise ConnectionResetError("the server closed the session at once")  # noqa: TRY301
        except Exception as error:
            pause = ledger.pause_after(error, waking, wanted=wanted())
        await asyncio.sleep(pause)


async def _found(settings: Settings, credentials: CredentialSource) -> Credentials | None:
    """What signs the password, where it is a token."""
    if not settings.uses_token:
        return None
    loop = asyncio.get_running_loop()
    return credentials.ready() or await loop.run_in_executor(None, credentials.find)


async def connect(settings: Settings, password: str | None, number: int) -> Connection:
    """Connect to the name's address of this number, perhaps also to the next: the first one wins.

    Raises what the driver raises, `OSError` and `TimeoutError`.
    """
    addresses = await _addresses(settings)
    loop = asyncio.get_running_loop()
    attempts: set[asyncio.Task[Connection]] = set()

    def begin(limit: float) -> _Client | None:
        address = addresses[(number + len(attempts)) % len(addresses)]
        context = tls.context(settings, _Client)
        # Not `create_task`: the task belongs to no request.
        attempt = asyncio.Task(_connect(settings, password, address, context, limit), loop=loop)
        # Its loop may be closed under it: then the pool gives it up, and says nothing.
        attempt._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
        attempts.add(attempt)
        return cast("_Client | None", context)

    winner = None
    try:
        context = begin(settings.connect_timeout)
        done, _ = await asyncio.wait(attempts, timeout=SECOND_AFTER)
        if not done and context is not None and not context.ended:
            begin(settings.connect_timeout - SECOND_AFTER)
        winner = await _first_of(attempts)
        return winner.result()
    finally:
        if not loop.is_closed():  # with it nobody could end them
            await _only(winner, attempts)


async def _only(
    winner: "asyncio.Task[Connection] | None", attempts: "set[asyncio.Task[Connection]]"
) -> None:
    """End the others."""
    for attempt in attempts:
        if attempt is not winner:
            attempt.add_done_callback(_unwanted)
            attempt.cancel()
    try:
        await asyncio.gather(*attempts, return_exceptions=True)
    except asyncio.CancelledError:
        if winner is not None:
            _unwanted(winner)
        raise


def _unwanted(attempt: "asyncio.Task[Connection]") -> None:
    """Close what an attempt has opened that nobody waits for."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().terminate()


async def _first_of(attempts: "set[asyncio.Task[Connection]]") -> "asyncio.Task[Connection]":
    """The first that connected, or the last that failed."""
    pending = attempts
    while True:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for attempt in sorted(done, key=lambda each: each.exception() is not None):
            if not pending or attempt.exception() is None:
                return attempt


async def _connect(
    settings: Settings,
    password: str | None,
    address: str,
    context: ssl.SSLContext | None,
    limit: float,
) -> Connection:
    if isinstance(context, _Client):
        context.server_name = settings.host
        context.sslobject_class = _Channel
    parameters = {**connect_parameters(settings, context), "host": address, "timeout": limit}
    connection: Connection = await asyncpg.connect(
        **parameters, password=password, connection_class=Connection
    )
    begun(connection, settings)
    return connection


def begun(connection: Connection, settings: Settings) -> None:
    """It has been opened: what is known of its session."""
    session = connection.session
    session.engine = settings.engine
    connection.retires = retires(settings)
    if session.engine.sessions:
        session.startup_timeout = session.timeout = settings.statement_timeout
    else:
        # asyncpg would switch it off by `set_config` when it reads types.
        connection._server_caps = connection._server_caps._replace(jit=False)  # noqa: SLF001


async def _addresses(settings: Settings) -> list[str]:
    """The addresses of the host name; the host itself if it is an address or a socket's folder."""
    host = settings.host
    if host.startswith("/") or _NUMERIC.fullmatch(host) or settings.sslmode in ("allow", "prefer"):
        return [host]
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, settings.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def connect_parameters(settings: Settings, context: ssl.SSLContext | None = None) -> dict[str, Any]:
    """The arguments of `asyncpg.connect`, except the password."""
    context = context or tls.context(settings)
    return {
        "host": settings.host,
        "port": settings.port,
        "user": settings.user,
        "database": settings.database,
        "ssl": context or cast("Unverified", settings.sslmode),
        "server_settings": session_settings(settings),
        "timeout": settings.connect_timeout,
        **({} if settings.engine.prepared else {"statement_cache_size": 0}),
    }
