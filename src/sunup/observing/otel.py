"""Spans for OpenTelemetry, where the app has its API, and an SDK that sends them.

The request's span is the current one while the app runs, so that what the app's own
instrumentation notes lies below it. Names are those of the semantic conventions 1.36 for HTTP
servers and databases.
"""

from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from sunup.request import Request
from sunup.settings import Settings

from . import text  # noqa: F401  # its pattern is compiled in INIT
from .trace import Headers, Trace

# Milliseconds for sending what has been noted: Lambda freezes the process after the answer.
_FLUSH = 500


class _Trace(Trace):
    def __init__(self, span: trace.Span, token: Any) -> None:
        super().__init__("", "")
        self.span = span
        self.token = token


class OpenTelemetry:
    """A span for each request, and one for each piece of work."""

    def __init__(self, settings: Settings) -> None:
        self._tracer = trace.get_tracer("sunup")
        self._database = settings.database

    def begin(self, current: Request, headers: Headers) -> Trace | None:
        """Begin its span, below the one that the client's `traceparent` names."""
        outer = propagate.extract(dict(headers))
        span = self._tracer.start_span(
            current.method,
            outer,
            SpanKind.SERVER,
            {
                "http.request.method": current.method,
                "faas.coldstart": current.cold_start,
                "faas.invocation_id": current.id or "",
            },
            start_time=_ns(current.started),
        )
        token = context.attach(trace.set_span_in_context(span, outer))
        return _Trace(span, token)

    def end(self, trace_: Trace, current: Request, status: int | None) -> None:
        """End its spans, and have them sent."""
        assert isinstance(trace_, _Trace)
        context.detach(trace_.token)
        span = trace_.span
        below = trace.set_span_in_context(span)
        for each in trace_.spans:
            attributes = {"db.system.name": "postgresql", "db.namespace": self._database}
            if each.text is not None:
                attributes["db.query.text"] = each.text
            inner = self._tracer.start_span(
                each.name if each.text is None else each.text.partition(" ")[0] or "query",
                below,
                SpanKind.CLIENT if each.text is not None else SpanKind.INTERNAL,
                attributes if each.text is not None else None,
                start_time=_ns(each.begin),
            )
            inner.end(_ns(each.end))
        if status is not None:
            span.set_attribute("http.response.status_code", status)
            if status >= 500:
                code = current.failure.code if current.failure is not None else str(status)
                span.set_attribute("error.type", code)
                span.set_status(Status(StatusCode.ERROR))
        span.end()
        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush(_FLUSH)


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
