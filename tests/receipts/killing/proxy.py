"""Between the app and its server: it sees each COMMIT, and does to it what the plan says."""

import asyncio
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from .faults import OF_SERVER, Fault, Plan
from .ledger import Ledger
from .link import Link
from .site import Site
from .wire import post_of, process_of

PORTS = range(42000, 43000)
# Seconds in which what was closed is closed.
_CLOSING = 0.02


class Proxy:
    """Listens on a TCP port of 127.0.0.1; leads to whatever server the site has."""

    def __init__(
        self, site: Site, plan: Plan, ledger: Ledger, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.site = site
        self.plan = plan
        self.ledger = ledger
        self.port = 0
        self._links: set[Link] = set()
        self._closed = False
        self._loop = loop

    async def start(self) -> asyncio.Server:
        """Listen on a free port."""
        for port in random.sample(PORTS, len(PORTS)):
            with suppress(OSError):
                server = await asyncio.start_server(self._accept, "127.0.0.1", port)
                self.port = port
                return server
        raise OSError("no port is free")

    def close(self) -> None:
        """Let nobody in any more, and cut those who are."""
        self._closed = True
        self._cut()

    def cut_all(self) -> None:
        """Cut each connection now, whatever it does: from any thread."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for link in list(self._links):
            link.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # all is over
            try:
                await self._serve(reader, writer)
            finally:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(self.site.opened.wait)
        try:
            server = await asyncio.open_unix_connection(str(self.site.cluster.socket))
        except OSError:
            return
        link = Link((reader, writer), server, self._decide, self._begun, self.ledger)
        self._links.add(link)
        if self._closed:
            link.cut()
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def _begun(self, run: str) -> float | None:
        """When this run's connection is cut."""
        post = post_of(run)
        nth = self.ledger.runs[post]
        self.ledger.runs[post] += 1
        seconds = self.plan.early(post, nth)
        if seconds is not None:
            self.ledger.faults["cut early"] += 1
        return seconds

    async def _decide(self, link: Link, run: str) -> Fault | None:
        """The fault for this COMMIT."""
        post = post_of(run)
        nth = self.ledger.commits[post]
        self.ledger.commits[post] += 1
        fault = self.plan.fault(post, nth)
        if fault is None:
            return None
        if fault.kind in OF_SERVER and self.site.cluster.busy.locked():
            return None  # it goes down already, or comes up
        self.ledger.faults[fault.name] += 1
        link.strike = lambda: self._strike(fault, link.backend, process_of(run))
        return fault

    async def _strike(self, fault: Fault, backend: int, process: int) -> None:
        if fault.kind == "instance":
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            return
        await asyncio.to_thread(self.site.strike, fault.kind, backend)


@contextmanager
def proxying(site: Site, plan: Plan, ledger: Ledger) -> Iterator[Proxy]:
    """A proxy on a thread of its own, until the block ends."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    proxy = Proxy(site, plan, ledger, loop)
    ending = asyncio.Event()

    async def serve() -> None:
        server = await proxy.start()
        started.set()
        await ending.wait()
        server.close()
        proxy.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(_CLOSING)

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    started.wait()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()
