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

from . import Outcome
from . import text as _compiled  # noqa: F401  # its pattern, in INIT
from .trace import Headers, Span, Trace, xray_header

_HEADER = b'{"format": "json", "version": 1}\n'
# Of a segment document, and of a datagram.
_LARGEST = 64_000
_DAEMON = "127.0.0.1:2000"


class XRay:
    """Sends what was noted of a request that Lambda samples.

    Raises `ValueError` and `OSError` for an address that is none.
    """

    def __init__(self, settings: Settings) -> None:
        self._database = settings.database
        self._family, self._address = address_of(os.environ.get("AWS_XRAY_DAEMON_ADDRESS", _DAEMON))

    def begin(self, current: Request, headers: Headers) -> Trace | None:
        """The invocation's own trace: Lambda has taken over the root that the client sent."""
        del current, headers
        found = xray_header()
        if found.get("Sampled") != "1" or not found.get("Root") or not found.get("Parent"):
            return None
        return Trace(found["Root"], found["Parent"])

    def end(self, trace: Trace, current: Request, outcome: Outcome) -> None:
        """Send it. Raises `OSError` where there is no way to the daemon."""
        document = self.document(trace, current, outcome)
        inner, annotations = document["subsegments"], document["annotations"]
        while len(content := _HEADER + _json(document)) > _LARGEST and inner:
            # Those that come last, in proportion to what is too much.
            kept = min(len(inner) - 1, len(inner) * _LARGEST // len(content))
            annotations["left_out"] = annotations.get("left_out", 0) + len(inner) - kept
            del inner[kept:]
        # Anew each time, which takes some 20 us: nothing to be kept over a freeze or a fork.
        with socket.socket(self._family, socket.SOCK_DGRAM) as sending:
            sending.settimeout(0)
            sending.sendto(content, self._address)

    def document(self, trace: Trace, current: Request, outcome: Outcome) -> dict[str, Any]:
        """The subsegment of a request, with one below it for each piece of work."""
        annotations: dict[str, Any] = {"cold_start": current.cold_start}
        found: dict[str, Any] = {
            "type": "subsegment",
            "trace_id": trace.root,
            "parent_id": trace.parent,
            "id": secrets.token_hex(8),
            "name": "sunup",
            "start_time": min([current.started, *(each.begin for each in trace.spans)]),
            "end_time": max([time.time(), *(each.end for each in trace.spans)]),
            "annotations": annotations,
            "subsegments": [self._inner(each) for each in trace.spans],
        }
        if trace.left_out:
            annotations["left_out"] = trace.left_out
        if current.failure is not None:
            annotations["code"] = current.failure.code
        if outcome.failed:
            found["fault"] = True
        status = outcome.status
        if status is not None:
            found["http"] = {"request": {"method": current.method}, "response": {"status": status}}
            found["error"] = 400 <= status < 500
            found["throttle"] = status == 429
        return found

    def _inner(self, each: Span) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": secrets.token_hex(8),
            "name": each.name,
            "start_time": each.begin,
            "end_time": each.end,
        }
        if each.text is not None:
            found["name"] = "PostgreSQL"
            found["namespace"] = "remote"
            found["sql"] = {
                "database_type": "PostgreSQL",
                "sanitized_query": each.text,
                "url": f"postgresql:///{self._database}",
            }
        return found


def address_of(text: str) -> tuple[socket.AddressFamily, Any]:
    """Of `host:port`, or `tcp:host:port udp:host:port` as X-Ray's SDKs take it.

    Raises `ValueError`, and `OSError` for a name that is nobody's.
    """
    parts = text.split()
    udp = [each.removeprefix("udp:") for each in parts if each.startswith("udp:")]
    place = (udp or parts or [""])[0]
    host, colon, port = place.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ValueError(f"AWS_XRAY_DAEMON_ADDRESS is {text!r}; expected host:port")
    host = host.removeprefix("[").removesuffix("]")
    family, _, _, _, address = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    return family, address


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
