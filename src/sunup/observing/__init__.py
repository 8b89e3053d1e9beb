"""What is told of a request beyond its log line: metrics and traces. Nothing unless switched on.

`METRICS=emf` puts CloudWatch metrics into the request's log line; `TRACES` notes the trace that a
request belongs to (`ids`), and sends spans to X-Ray's daemon (`xray`) or to OpenTelemetry (`otel`).
"""

import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from sunup.request import Request
from sunup.settings import Settings

if TYPE_CHECKING:
    from .trace import Trace

logger = logging.getLogger("sunup.observing")

Headers = list[tuple[str, str]]


class Tracer(Protocol):
    """Where traces go."""

    def begin(self, current: Request, headers: Headers) -> "Trace | None":
        """The trace of a request that begins; None where it is not recorded."""

    def end(self, trace: "Trace", current: Request, status: int | None) -> None:
        """Send it. `status` is that of the answer, None of an event or of a failure."""


class Observer:
    """Tells of requests. Nothing that goes wrong here reaches the request."""

    def __init__(self, settings: Settings) -> None:
        self._metrics = None
        if settings.metrics == "emf":
            from . import metrics

            self._metrics = metrics.with_metrics
        self._tracer: Tracer | None = None
        self._init: Trace | None = None
        self._init_began = time.time()
        self._complained = False
        if settings.traces in ("xray", "otel"):
            from sunup.connecting.waking import Waking

            from . import trace

            self._init = trace.Trace("", "")
            Waking.told = self._init.connected
            if settings.traces == "xray":
                from .xray import XRay

                self._tracer = XRay(settings)
            else:
                from .otel import OpenTelemetry

                self._tracer = OpenTelemetry(settings)
        self._ids = settings.traces != "off"

    @property
    def always(self) -> bool:
        """Whether the request's line is written whatever `LOG_LEVEL` says."""
        return self._metrics is not None

    def initialised(self) -> None:
        """INIT has ended: it is part of the first request's trace."""
        if self._init is not None:
            self._init.add("INIT", self._init_began, time.time())

    def begin(self, current: Request, headers: Headers) -> None:
        """A request begins, or (without headers) an event."""
        if not self._ids:
            return
        try:
            from .trace import id_of

            current.trace_id = id_of(headers)
            if self._tracer is not None:
                current.trace = self._tracer.begin(current, headers)
        except Exception as error:
            self._complain(error)

    def fields(self, current: Request, fields: dict[str, Any], status: int) -> dict[str, Any]:
        """The fields of its log line, with what is measured."""
        return fields if self._metrics is None else self._metrics(fields, current.started, status)

    def end(self, current: Request, status: int | None) -> None:
        """It has been answered."""
        trace, current.trace = current.trace, None
        if trace is None or self._tracer is None:
            return
        try:
            if self._init is not None:
                trace.spans[:0] = self._init.spans
                self._init = None
            self._tracer.end(trace, current, status)
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("no traces: %s: %s", type(error).__name__, error)
