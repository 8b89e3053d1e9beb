"""A request's end on an app's own event loop: one that stands still, is closed, or is busy.

What it should have done before the process is frozen it would do in the next request, or never.
Seldom needed: imported only then.
"""

import asyncio
import gc
import logging
import os
import socket
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from asyncpg import connect_utils

from sunup import deadline, request

logger = logging.getLogger("sunup.database")


def sever(connection: Any) -> None:
    """End a `Connection`'s session from outside of its loop: it need not run, nor be this thread's.

    A statement under way is cancelled on the server, which does not look at its socket meanwhile.
    """
    connection.severed = True
    if connection.busy:
        cancel(connection)
    loop, transport = connection._loop, connection._transport  # noqa: SLF001
    if loop.is_closed():
        _close(transport)
        connection._aborted = True  # noqa: SLF001
        for task in connection._cancellations:  # noqa: SLF001
            give_up(task)
        if connection._cancellations:  # noqa: SLF001
            connection._cancellations.clear()  # noqa: SLF001
            collect()
        return
    # Not the descriptor: it is the loop's, which closes it when it runs.
    with suppress(OSError), socket.socket(fileno=os.dup(_descriptor(transport))) as same:
        same.shutdown(socket.SHUT_RDWR)
    if not loop.is_running() or asyncio._get_running_loop() is loop:  # noqa: SLF001
        connection.terminate()


def cancel(connection: Any) -> None:
    """Ask the server to cancel the statement under way, by another loop: once, where it helps.

    Waits for that, at most `deadline.for_cleaning()`; but where this thread runs a loop, the end of
    the request waits instead.
    """
    if connection.asked_to_cancel or not connection.session.engine.cancels:
        return
    connection.asked_to_cancel = True
    limit = deadline.for_cleaning()
    driver: Any = connect_utils

    async def ask() -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(limit):
                await driver._cancel(  # noqa: SLF001
                    loop=asyncio.get_running_loop(),
                    addr=connection._addr,  # noqa: SLF001
                    params=connection._params,  # noqa: SLF001
                    backend_pid=connection.wire.backend_pid,
                    backend_secret=connection.wire.backend_secret,
                )

    # A thread's current event loop is the app's, and `asyncio.run` would take it away.
    thread = _begun(lambda: asyncio.run(ask()))
    current = request.active()
    if asyncio._get_running_loop() is None:  # noqa: SLF001  # raises nothing
        thread.join(limit)
    elif current is not None:
        current.held[thread] = partial(thread.join, limit)


def turn(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]") -> None:
    """Run a loop that stands still until its task is done, for as long as is left for cleaning.

    What else it has to do goes on meanwhile. Nothing happens where another thread runs it now.
    """
    limit = deadline.for_cleaning()

    def run() -> None:
        work = asyncio.wait((task,), timeout=limit)
        try:
            loop.run_until_complete(work)
        except RuntimeError:  # it runs, or was closed
            work.close()
        except (SystemExit, KeyboardInterrupt) as error:
            logger.error("a task that a request has left ended with %r", error)  # noqa: TRY400

    if asyncio._get_running_loop() is None:  # noqa: SLF001  # raises nothing
        run()
    else:  # which this thread cannot leave
        _begun(run).join(limit)


def give_up(task: "asyncio.Task[Any]") -> None:
    """Let a task go that can never end, since its loop was closed under it."""
    coroutine: Any = task.get_coro()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    with suppress(RuntimeError):
        coroutine.close()


def collect() -> None:
    """Close the sockets that nobody but the garbage collector reaches."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it is known that they were left open
        gc.collect()


def _begun(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name="sunup-closing", daemon=True)
    thread.start()
    return thread


def _close(transport: Any) -> None:
    secure = getattr(transport, "_ssl_protocol", None)
    if secure is not None:
        transport._closed = True  # noqa: SLF001  # it would warn about it
        transport = secure._transport  # noqa: SLF001
    opened = getattr(transport, "_sock", None)
    if opened is not None:
        transport._sock = None  # noqa: SLF001
        opened.close()


def _descriptor(transport: Any) -> int:
    found = None if transport is None else transport.get_extra_info("socket")
    return -1 if found is None else int(found.fileno())
