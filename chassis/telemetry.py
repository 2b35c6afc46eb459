"""Traces and logs: W3C trace context through HTTP and Kafka, spans to an OTLP endpoint if set, logs as JSON lines."""

import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$")
_NO_TRACE = "0" * 32

current: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The traceparent of the request being served."""
fields: ContextVar[dict[str, Any] | None] = ContextVar("log_fields", default=None)
"""What every log line of the work under way carries: the case id, the caller."""

_exporting = False


def configure(service: str, level: str) -> None:
    """Logs as JSON lines on standard output; exports spans if OTEL_EXPORTER_OTLP_ENDPOINT is set."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_JsonLines(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("aiokafka", "httpx", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        provider = TracerProvider(resource=Resource.create({"service.name": service}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        global _exporting
        _exporting = True


def hop(name: str, *parents: bytes | str | None) -> str:
    """The traceparent of a step that follows the first usable parent; of a new trace where there is none."""
    parent = _first(parents)
    if _exporting:
        span = trace.get_tracer("casegrid").start_span(name, context=_context(parent))
        span.end()
        return _text(span.get_span_context())
    if parent is None:
        return f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
    return f"00-{parent[1]}-{os.urandom(8).hex()}-{parent[3]}"


@contextmanager
def serving(name: str, parent: str | None) -> Iterator[str]:
    """Around a request: its traceparent, also in `current` and in every log line."""
    match = _first((parent,))
    span = trace.get_tracer("casegrid").start_span(name, context=_context(match)) if _exporting else None
    traceparent = _text(span.get_span_context()) if span else hop(name, parent)
    token = current.set(traceparent)
    try:
        yield traceparent
    finally:
        current.reset(token)
        if span:
            span.end()


def _first(parents: tuple[bytes | str | None, ...]) -> re.Match[str] | None:
    for parent in parents:
        if parent is None:
            continue
        text = parent.decode("ascii", "replace") if isinstance(parent, bytes) else parent
        match = _TRACEPARENT.match(text)
        if match and match[1] != _NO_TRACE:
            return match
    return None


def _context(parent: re.Match[str] | None) -> Any:
    if parent is None:
        return None
    context = SpanContext(int(parent[1], 16), int(parent[2], 16), True, TraceFlags(int(parent[3], 16)))
    return trace.set_span_in_context(NonRecordingSpan(context))


def _text(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


class _JsonLines(logging.Formatter):
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
        traceparent = current.get()
        if traceparent:
            line["trace_id"] = traceparent[3:35]
        line.update(fields.get() or {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
