"""Traces and logs: W3C trace context through HTTP and Kafka, spans by OTLP, logs as JSON lines.

Spans follow OpenTelemetry's conventions for HTTP servers and for messaging; the latter are still in development, so
their version is pinned (`SCHEMA`).

    server     one per HTTP request, child of the caller's span
    process    one per batch of records, linked to the span of each record
    command    one per command, child of the request's span
    deadlines  one per batch of deadlines, the start of a trace

A record's `traceparent` header names the span that published it. Its `traceparent` attribute names the first span of
the case, and stays the same along the chain. Without an endpoint no span is made: headers then carry the first span,
too.
"""

import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.semconv.attributes import http_attributes, url_attributes
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import Link, Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

log = logging.getLogger(__name__)

SCHEMA = Schemas.V1_44_0.value
"""The version of the conventions that the attributes of spans follow."""

_TRACEPARENT = "traceparent"
_PROPAGATOR = TraceContextTextMapPropagator()

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The traceparent of the request, batch or record being worked on."""
case: ContextVar[str | None] = ContextVar("case_id", default=None)
"""The case being worked on."""

_tracer: trace.Tracer | None = None


def configure(service: str, level: str) -> None:
    """Logs as JSON lines on standard output; exports spans if OTEL_EXPORTER_OTLP_ENDPOINT is set."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiokafka", "httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        export(service)


def export(service: str) -> None:
    """Exports spans to the OTLP endpoint that the environment names; loads the SDK, which costs memory otherwise."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.namespace": "casegrid"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    global _tracer
    _tracer = trace.get_tracer("casegrid", tracer_provider=provider, schema_url=SCHEMA)


@contextmanager
def server_span(method: str, path: str, parent: str | None) -> Iterator["ServerSpan"]:
    """Around an HTTP request; `traceparent` of what it gives goes into the response, log lines and facts."""
    if _tracer is None:
        found = ServerSpan(_valid(parent) or _new_traceparent(), None)
        with _working_under(found.traceparent):
            yield found
        return
    attributes = {http_attributes.HTTP_REQUEST_METHOD: method, url_attributes.URL_PATH: path}
    context = _PROPAGATOR.extract({_TRACEPARENT: parent} if parent else {})
    with _tracer.start_as_current_span(method, context=context, kind=SpanKind.SERVER, attributes=attributes) as span:
        found = ServerSpan(_text(span), span)
        with _working_under(found.traceparent):
            yield found


class ServerSpan:
    """The span of an HTTP request, or only its traceparent if nothing is exported."""

    def __init__(self, traceparent: str, span: Span | None) -> None:
        self.traceparent = traceparent
        self._span = span

    def ends(self, method: str, route: str | None, status: int) -> None:
        """Says which route answered, and how."""
        if self._span is None:
            return
        self._span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
        if route is not None:
            self._span.update_name(f"{method} {route}")
            self._span.set_attribute(http_attributes.HTTP_ROUTE, route)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)

    def fails(self, error: Exception) -> None:
        """Records the exception that nobody expected."""
        if self._span is not None:
            self._span.record_exception(error)
            self._span.set_status(StatusCode.ERROR)


@contextmanager
def process_span(group: str, headers: Iterable[bytes | None], count: int) -> Iterator[None]:
    """Around a batch of records of a consumer group; `headers` are the records' `traceparent`s, to be linked to."""
    if _tracer is None:
        yield
        return
    attributes = {
        messaging.MESSAGING_SYSTEM: "kafka",
        messaging.MESSAGING_OPERATION_TYPE: "process",
        messaging.MESSAGING_OPERATION_NAME: "process",
        messaging.MESSAGING_CONSUMER_GROUP_NAME: group,
        messaging.MESSAGING_BATCH_MESSAGE_COUNT: count,
    }
    with (
        _tracer.start_as_current_span(
            f"process {group}", kind=SpanKind.CONSUMER, links=list(_links(headers)), attributes=attributes
        ) as span,
        _working_under(_text(span)),
    ):
        yield


@contextmanager
def deadline_span(service: str) -> Iterator[None]:
    """Around a batch of deadlines, which no request and no record causes."""
    if _tracer is None:
        with _working_under(_new_traceparent()):
            yield
        return
    with _tracer.start_as_current_span(f"deadlines {service}") as span, _working_under(_text(span)):
        yield


@contextmanager
def command_span(command: str, service: str) -> Iterator[None]:
    """Around the execution of a command, inside its request's span."""
    if _tracer is None:
        yield
        return
    with _tracer.start_as_current_span(f"{service} {command}") as span, _working_under(_text(span)):
        yield


def published_under(cause: str | None) -> tuple[str, str]:
    """(header, attribute) of a record published now, whose cause has the attribute `cause`.

    The header names the span at work. The attribute is the cause's, or where there is none the span at work.
    """
    span = current.get() if _tracer is not None or cause is None else cause
    header = span or cause or _new_traceparent()
    return header, cause or header


class About:
    """Around the work on one record: log lines name its case, and its trace unless a span of ours is at work.

    `header` counts where the record has no attribute. A class instead of a generator, because it is entered per record.
    """

    __slots__ = ("_case", "_case_token", "_trace", "_trace_token")

    def __init__(self, case_id: str | None, attribute: str | None, header: bytes | None = None) -> None:
        self._case = case_id
        self._trace = attribute or (_valid(header.decode("ascii", "replace")) if header else None)

    def __enter__(self) -> None:
        self._case_token = case.set(self._case)
        self._trace_token = current.set(self._trace) if _tracer is None and self._trace else None

    def __exit__(self, *_: object) -> None:
        case.reset(self._case_token)
        if self._trace_token is not None:
            current.reset(self._trace_token)


@contextmanager
def _working_under(traceparent: str) -> Iterator[None]:
    token = current.set(traceparent)
    try:
        yield
    finally:
        current.reset(token)


def _links(headers: Iterable[bytes | None]) -> Iterator[Link]:
    for header in dict.fromkeys(headers):
        if header is not None:
            context = trace.get_current_span(
                _PROPAGATOR.extract({_TRACEPARENT: header.decode("ascii", "replace")})
            ).get_span_context()
            if context.is_valid:
                yield Link(context)


def _valid(traceparent: str | None) -> str | None:
    """The traceparent as W3C Trace Context level 1 writes it; None if it is not valid."""
    if traceparent is None:
        return None
    span = trace.get_current_span(_PROPAGATOR.extract({_TRACEPARENT: traceparent}))
    return _text(span) if span.get_span_context().is_valid else None


def _text(span: Span) -> str:
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span))
    return carrier[_TRACEPARENT]


def _new_traceparent() -> str:
    """The start of a trace that nobody exports (W3C Trace Context, section 3.2)."""
    return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"


class JsonLines(logging.Formatter):
    """A log line as a JSON object, with the trace and the case that are being worked on."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if traceparent := current.get():
            line["trace_id"] = traceparent[3:35]
        if case_id := case.get():
            line["case_id"] = case_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Sparing:
    """Lets so many lines a minute be logged about each thing, so that a storm of one kind does not fill the log."""

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._minute = 0
        self._lines: Counter[str] = Counter()

    def allows(self, about: str) -> bool:
        """Whether one more line is to be logged; says so where it is the first that is not."""
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute = minute
            self._lines.clear()
        self._lines[about] += 1
        if self._lines[about] == self._most + 1:
            log.warning("more is wrong with records of %s than is logged in a minute: GET /parked has all", about)
        return self._lines[about] <= self._most
