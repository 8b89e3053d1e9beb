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

from . import Outcome
from . import text as _compiled  # noqa: F401  # its pattern, in INIT
from .aside import Aside
from .trace import Headers, Span, Trace, traceparent


class _Trace(Trace):
    def __init__(self, span: trace.Span, token: Any) -> None:
        super().__init__("", "")
        self.span = span
        self.token = token
        # Beside the spans: the app's own span that each lies below, where there is one.
        self.below: dict[int, Any] = {}

    def add(self, name: str, begin: float, end: float, text: str | None = None) -> None:
        super().add(name, begin, end, text)
        if self.spans:
            self.below[id(self.spans[-1])] = context.get_current()


class OpenTelemetry:
    """A span for each request, and one for each piece of work."""

    def __init__(self, settings: Settings) -> None:
        self._tracer = trace.get_tracer("sunup")
        self._database = settings.database
        # An SDK may take its time for sending, or raise; it does so elsewhere.
        self._aside = Aside("sunup-traces")

    def begin(self, current: Request, headers: Headers) -> Trace | None:
        """Begin its span, below the one that the client's `traceparent` names."""
        sent = dict(headers)
        if traceparent(headers) is None:
            sent.pop("traceparent", None)
        outer = propagate.extract(sent)
        is_event = current.method == "EVENT"
        attributes: dict[str, str | bool] = {
            "faas.coldstart": current.cold_start,
            "faas.invocation_id": current.id or "",
        }
        if not is_event:
            attributes |= {"http.request.method": current.method, "url.path": current.path}
        span = self._tracer.start_span(
            current.method,
            outer,
            SpanKind.CONSUMER if is_event else SpanKind.SERVER,
            attributes,
            start_time=_ns(current.started),
        )
        found = span.get_span_context()
        if found.is_valid:
            # The log's is that of the spans.
            current.trace_id = f"{found.trace_id:032x}"
        token = context.attach(trace.set_span_in_context(span, outer))
        return _Trace(span, token)

    def end(self, trace_: Trace, current: Request, outcome: Outcome) -> None:
        """End its spans, and have them sent: within half a second, or when the process goes on."""
        assert isinstance(trace_, _Trace)
        context.detach(trace_.token)
        code = current.failure.code if current.failure is not None else None
        self._aside.do(lambda: self._send(trace_, outcome, code), until=outcome.until)

    def _send(self, found: _Trace, outcome: Outcome, code: str | None) -> None:
        span = found.span
        request = trace.set_span_in_context(span)
        for each in found.spans:
            self._inner(each, found.below.get(id(each)) or request)
        if outcome.status is not None:
            span.set_attribute("http.response.status_code", outcome.status)
        if outcome.failed:
            span.set_attribute("error.type", code or str(outcome.status or "error"))
            span.set_status(Status(StatusCode.ERROR))
        span.end()
        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush()

    def _inner(self, each: Span, below: Any) -> None:
        statement = each.text
        attributes = {"db.system.name": "postgresql", "db.namespace": self._database}
        if statement is not None:
            attributes["db.query.text"] = statement
        inner = self._tracer.start_span(
            each.name if statement is None else statement.partition(" ")[0] or "query",
            below,
            SpanKind.INTERNAL if statement is None else SpanKind.CLIENT,
            None if statement is None else attributes,
            start_time=_ns(each.begin),
        )
        inner.end(_ns(each.end))


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
