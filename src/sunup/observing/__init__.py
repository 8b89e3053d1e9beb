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

    def end(self, trace: "Trace", current: Request, outcome: "Outcome") -> None:
        """Send it."""


class Outcome:
    """How a request ended: `status` is None for an event. `until`: seconds since the epoch."""

    __slots__ = ("failed", "status", "until")

    def __init__(self, status: int | None, *, failed: bool = False, until: float | None = None):
        self.status = status
        self.failed = failed or (status is not None and status >= 500)
        # When whoever called gives up.
        self.until = until


class Observer:
    """Tells of requests. Nothing that goes wrong here reaches the request."""

    def __init__(self, settings: Settings) -> None:
        self._metrics = None
        if settings.metrics == "emf":
            from . import metrics

            self._metrics = metrics.with_metrics
        self._tracer: Tracer | None = None
        # What INIT did: it belongs to the first request.
        self._init: Trace | None = None
        self._init_began = time.time()
        self._complained = False
        self._ids = settings.traces != "off"
        try:
            self._begin_tracing(settings)
        except Exception as error:
            self._complain(error)

    def _begin_tracing(self, settings: Settings) -> None:
        if settings.traces not in ("xray", "otel"):
            return
        from . import trace

        if settings.traces == "xray":
            from .xray import XRay

            self._tracer = XRay(settings)
        else:
            from .otel import OpenTelemetry

            self._tracer = OpenTelemetry(settings)
        from sunup.connecting.waking import Waking

        self._init = trace.Trace("", "")
        Waking.told = self._init.connected

    @property
    def always(self) -> bool:
        """Whether the request's line is written whatever `LOG_LEVEL` says."""
        return self._metrics is not None

    def initialised(self, *, for_a_request: bool) -> None:
        """INIT has ended. It is part of the first request's trace, where that waited for it."""
        if self._init is None:
            return
        if for_a_request:
            self._init.add("INIT", self._init_began, time.time())
        else:
            self._take_init()

    def begin(self, current: Request, headers: Headers) -> None:
        """A request begins, or (without headers) an event."""
        init = None if self._init is None else self._take_init()
        if not self._ids:
            return
        try:
            from .trace import id_of

            current.trace_id = id_of(headers)
            if self._tracer is not None:
                current.trace = self._tracer.begin(current, headers)
                if init is not None and current.trace is not None:
                    current.trace.spans += init.spans
        except Exception as error:
            self._complain(error)

    def _take_init(self) -> "Trace | None":
        from sunup.connecting.waking import Waking

        init, self._init = self._init, None
        Waking.told = None
        return init

    def fields(self, current: Request, fields: dict[str, Any], status: int) -> dict[str, Any]:
        """The fields of its log line, with what is measured."""
        return fields if self._metrics is None else self._metrics(fields, current.started, status)

    def end(
        self, current: Request, status: int | None, *, failed: bool, until: float | None = None
    ) -> None:
        """It has been answered (an event: without a status), or has failed."""
        trace, current.trace = current.trace, None
        if trace is None or self._tracer is None:
            return
        try:
            self._tracer.end(trace, current, Outcome(status, failed=failed, until=until))
        except Exception as error:
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            logger.warning("no traces: %s: %s", type(error).__name__, error)
