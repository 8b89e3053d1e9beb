"""The X-Ray daemon that Lambda runs beside a function: what is sent to it is on the timeline."""

import asyncio
import json
from typing import Any

from .timeline import Timeline

# AWS X-Ray Developer Guide, "Sending trace data to X-Ray": a line of JSON, then the document.
_HEADER = {"format": "json", "version": 1}


class XRayDaemon(asyncio.DatagramProtocol):
    """Listens on loopback. Each datagram is an event `trace`, or an `error`."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> str:
        """Begin to listen; returns the address, as AWS_XRAY_DAEMON_ADDRESS has it."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Listen no more."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take one."""
        del addr
        header, _, document = data.partition(b"\n")
        try:
            if json.loads(header) != _HEADER:
                raise ValueError(header)  # noqa: TRY301
            content: dict[str, Any] = json.loads(document)
            name, begin, end = content["name"], content["start_time"], content["end_time"]
        except (ValueError, KeyError, TypeError) as error:
            self._timeline.add("error", error=f"no segment document of X-Ray: {error!r}")
            return
        self._timeline.add(
            "trace",
            name=str(name),
            ms=round((end - begin) * 1000, 1),
            spans=[_told(each) for each in content.get("subsegments", [])],
            document=document.decode("utf-8", "replace"),
        )


def _told(each: dict[str, Any]) -> list[object]:
    """Name, milliseconds, and a statement's text."""
    ms = round((each["end_time"] - each["start_time"]) * 1000, 1)
    return [each["name"], ms, each.get("sql", {}).get("sanitized_query", "")]
