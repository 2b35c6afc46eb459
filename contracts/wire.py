"""Bytes <-> events: the table of topics and types, and the two pure functions every publisher and reader uses.

build   fact + circumstances -> (event, bytes), once, at append
parse   bytes from a topic -> event, or `Invalid` that names the field and the rule
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact
from contracts.intake import ReportFiled
from contracts.progress import Progressed
from contracts.triage import Assigned

MAX_BYTES = 256 * 1024
"""Of one event, as bytes on the wire."""

TOPICS: Mapping[str, Any] = {
    "ReportFiled": ReportFiled,
    "Assigned": Assigned,
    "Resolved": Resolved,
    "Evaluated": Evaluated,
    "Progressed": Progressed,
}
"""Topic -> the facts on it. The topic's current type is `casegrid.<topic>.v1`."""

VERSION = 1

UPCASTERS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Superseded type -> a function that turns the `data` of that version into the next; empty while all are v1."""

ADAPTERS: Mapping[str, TypeAdapter[Event[Any]]] = {topic: TypeAdapter(Event[data]) for topic, data in TOPICS.items()}  # pyright: ignore[reportInvalidTypeForm]  built per topic
_ENVELOPE: TypeAdapter[Event[Any]] = TypeAdapter(Event[Any])
_SOURCE = re.compile(rb'^\{"specversion":"1\.0","source":"(/[a-z]+/[a-z0-9-]+)","id":"([0-9a-f-]{36})"')


HOMES: Mapping[str, str] = {
    "ReportFiled": "/services/intake",
    "Assigned": "/services/triage",
    "Resolved": "/services/dispatch",
    "Evaluated": "/services/feedback",
}
"""Topic -> the one service that publishes on it; partners may publish there too, Progressed is open to all."""


class Invalid(Exception):
    """The bytes are not a valid event of that topic; the message names the field and the rule."""


class TooLarge(ValueError):
    """An event would exceed `MAX_BYTES`; nothing was appended."""


def type_of(topic: str) -> str:
    """The current type of the facts on `topic`."""
    return f"casegrid.{topic}.v{VERSION}"


def schema_of(topic: str) -> str:
    """The `dataschema` URI of the facts on `topic`."""
    return f"urn:casegrid:schema:{topic}:v{VERSION}"


@lru_cache(maxsize=1024)  # a batch has one `recordedtime`
def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always 27 characters, so that text order is time order."""
    return at.isoformat(timespec="microseconds")[:26] + "Z"


def build(
    *,
    event_id: str,
    source: str,
    subject: str,
    time: datetime,
    recorded: datetime,
    sequence: int,
    data: Fact,
    cause: str | None = None,
    actor: str | None = None,
    traceparent: str | None = None,
) -> tuple[Event[Any], bytes]:
    """The event, and the exact bytes that are stored, sent, hashed and replayed from now on. Instants are in UTC.

    Raises `TooLarge`, and `ValidationError` where an attribute breaks the contract (a defect of the caller).
    """
    topic: str = data.topic  # pyright: ignore[reportAttributeAccessIssue]  every published fact names its topic
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "source": source,
        "id": event_id,
        "type": type_of(topic),
        "subject": subject,
        "time": time,
        "recordedtime": recorded,
        "datacontenttype": "application/json",
        "dataschema": schema_of(topic),
        "partitionkey": subject,
        "correlationid": subject,
        "sequence": f"{sequence:010d}",
    }
    if cause is not None:
        attributes["causationid"] = cause
    if actor is not None:
        attributes["actor"] = actor
    if traceparent is not None:
        attributes["traceparent"] = traceparent
    attributes["data"] = data
    event = _ENVELOPE.validate_python(attributes)
    attributes["time"], attributes["recordedtime"] = instant(time), instant(recorded)
    attributes["data"] = orjson.Fragment(data.__pydantic_serializer__.to_json(data, exclude_none=True))
    raw = orjson.dumps(attributes)
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"data: the event has {len(raw)} bytes, more than {MAX_BYTES}")
    return event, raw


def parse(topic: str, raw: bytes) -> Event[Any]:
    """The event in `raw`, a record's value on `topic`. Raises `Invalid`."""
    if len(raw) > MAX_BYTES:
        raise Invalid(f"the record has {len(raw)} bytes, more than {MAX_BYTES}")
    try:
        event = ADAPTERS[topic].validate_json(raw)
    except ValidationError as error:
        event = _of_another_type(topic, raw)
        if event is None:
            raise Invalid(explain(error)) from None
    if event.type != type_of(topic):
        event = _of_another_type(topic, raw) or event
    home = HOMES.get(topic, event.source)
    if event.source.startswith("/services/") and event.source != home:
        raise Invalid(f"source: {event.source} does not publish on {topic}, {home} does")
    return event


def identity(raw: bytes) -> tuple[str, str] | None:
    """(source, id) of an event that `build` wrote, read without parsing it; None for anybody else's bytes."""
    match = _SOURCE.match(raw)
    return (match[1].decode(), match[2].decode()) if match else None


def explain(error: ValidationError) -> str:
    """A validation error in one line: each field with the rule it breaks, the first five of them."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(str(part) for part in item['loc']) or 'record'}: {item['msg']}" for item in found[:5]]
    if len(found) > 5:
        lines.append(f"and {len(found) - 5} more")
    return "; ".join(lines)


def _of_another_type(topic: str, raw: bytes) -> Event[Any] | None:
    """The event, brought up to date, if `raw` is of a superseded type; `Invalid` if of an unknown one; else None."""
    try:
        attributes = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(kind, str) or kind == type_of(topic):
        return None
    if kind not in UPCASTERS or kind.rpartition(".v")[0] != f"casegrid.{topic}":
        raise Invalid(f"type: {kind[:100]} is not known on topic {topic}; expected {type_of(topic)}")
    try:
        while kind != type_of(topic):
            attributes["data"] = UPCASTERS[kind](attributes["data"])
            name, _, version = kind.rpartition(".v")
            attributes["type"] = kind = f"{name}.v{int(version) + 1}"
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as fault:
        raise Invalid(f"data: is not what {kind} says: {fault!r}") from None
    try:
        return ADAPTERS[topic].validate_python(attributes)
    except ValidationError as error:
        raise Invalid(explain(error)) from None
