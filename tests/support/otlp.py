"""A receiver of OpenTelemetry's protocol (OTLP over HTTP, protobuf): keeps every span that services export."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

Context = tuple[str, str]
"""(trace id, span id), hexadecimal."""


@dataclass(frozen=True)
class Span:
    """A span as it was received."""

    service: str
    name: str
    kind: int
    context: Context
    parent: Context | None
    links: tuple[Context, ...]
    attributes: dict[str, str]
    schema: str


@dataclass
class Receiver:
    """What has been received so far."""

    endpoint: str
    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    """The requests as they came: protobuf keeps every text of a span in UTF-8."""

    def follow(self, start: Context) -> list[Span]:
        """The spans that follow from one, by parent or by link, in however many traces."""
        reached, found = {start}, list[Span]()
        while True:
            fresh = [
                span
                for span in self.spans
                if span.context not in reached and (span.parent in reached or reached.intersection(span.links))
            ]
            if not fresh:
                return found
            found += fresh
            reached.update(span.context for span in fresh)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    receiver = _Handler.receivers[server.server_port] = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    receivers: ClassVar[dict[int, Receiver]] = {}

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(raw)
        assert isinstance(self.server, ThreadingHTTPServer)
        receiver = self.receivers[self.server.server_port]
        receiver.raw.append(raw)
        for resource in request.resource_spans:
            attributes = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                receiver.spans += [_span(attributes["service.name"], one, scope.schema_url) for one in scope.spans]
        body = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _span(service: str, span: Any, schema: str) -> Span:
    trace_id = span.trace_id.hex()
    return Span(
        service=service,
        name=span.name,
        kind=span.kind,
        context=(trace_id, span.span_id.hex()),
        parent=(trace_id, span.parent_span_id.hex()) if span.parent_span_id else None,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes={one.key: str(getattr(one.value, one.value.WhichOneof("value"))) for one in span.attributes},
        schema=schema,
    )
