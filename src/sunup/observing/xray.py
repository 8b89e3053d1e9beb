"""Subsegments for X-Ray, by one datagram to the daemon that Lambda runs beside the function.

AWS X-Ray Developer Guide, "X-Ray segment documents", "Sending trace data to X-Ray". A datagram
waits for nobody: no answer, and no error when nobody listens.
"""

import json
import os
import secrets
import socket
import time
from typing import Any

from sunup.request import Request
from sunup.settings import Settings

from . import text  # noqa: F401  # its pattern is compiled in INIT
from .trace import Headers, Trace, xray_header

_HEADER = b'{"format": "json", "version": 1}\n'
# Of a segment document, and of a datagram.
_LARGEST = 64_000
_DAEMON = "127.0.0.1:2000"


class XRay:
    """Sends what was noted of a request that Lambda samples."""

    def __init__(self, settings: Settings) -> None:
        host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", _DAEMON).rpartition(":")
        self._address = (host, int(port))
        self._database = settings.database

    def begin(self, current: Request, headers: Headers) -> Trace | None:
        """The invocation's own trace: Lambda has taken over the root that the client sent."""
        del current, headers
        found = xray_header()
        if found.get("Sampled") != "1" or not found.get("Root") or not found.get("Parent"):
            return None
        return Trace(found["Root"], found["Parent"])

    def end(self, trace: Trace, current: Request, status: int | None) -> None:
        """Send it. Raises `OSError` where there is no way to the daemon."""
        document = self.document(trace, current, status)
        content = _HEADER + json.dumps(document, separators=(",", ":")).encode()
        while len(content) > _LARGEST and document["subsegments"]:
            document["subsegments"] = document["subsegments"][: len(document["subsegments"]) // 2]
            document["annotations"]["cut"] = True
            content = _HEADER + json.dumps(document, separators=(",", ":")).encode()
        # Anew each time, which takes some 20 us: nothing to be kept over a freeze or a fork.
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sending:
            sending.settimeout(0)
            sending.sendto(content, self._address)

    def document(self, trace: Trace, current: Request, status: int | None) -> dict[str, Any]:
        """The subsegment of a request, with one below it for each piece of work."""
        begin = min([current.started, *(each.begin for each in trace.spans)])
        end = max([time.time(), *(each.end for each in trace.spans)])
        inner = [
            {
                "id": secrets.token_hex(8),
                "name": "PostgreSQL" if each.text is not None else each.name,
                "start_time": each.begin,
                "end_time": each.end,
                **({} if each.text is None else self._statement(each.text)),
            }
            for each in trace.spans
        ]
        annotations: dict[str, Any] = {"cold_start": current.cold_start}
        found: dict[str, Any] = {
            "type": "subsegment",
            "trace_id": trace.root,
            "parent_id": trace.parent,
            "id": secrets.token_hex(8),
            "name": "sunup",
            "start_time": begin,
            "end_time": end,
            "annotations": annotations,
            "subsegments": inner,
        }
        if trace.left_out:
            annotations["left_out"] = trace.left_out
        if current.failure is not None:
            annotations["code"] = current.failure.code
        if status is not None:
            found["http"] = {"request": {"method": current.method}, "response": {"status": status}}
            found["error"] = 400 <= status < 500
            found["throttle"] = status == 429
            found["fault"] = status >= 500
        return found

    def _statement(self, query: str) -> dict[str, Any]:
        return {
            "namespace": "remote",
            "sql": {
                "database_type": "PostgreSQL",
                "sanitized_query": query,
                "url": f"postgresql:///{self._database}",
            },
        }
