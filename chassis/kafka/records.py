"""A record as it came from Kafka, and how it is read before any state is loaded."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from contracts.envelope import CONTENT_TYPE
from contracts.fields import coordinates
from contracts.wire import Invalid, parse

REASON = 2_000
"""The most characters of a reason that a table keeps."""


class Record(NamedTuple):
    """One record with its coordinates; `topic` without the deployment's prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]
    appended_ms: int | None = None
    """When the broker appended it (on a partner's topic), in milliseconds since 1970."""

    @property
    def coordinates(self) -> str:
        """Where it lies, as operators write it."""
        return coordinates(self.topic, self.partition, self.offset)

    @property
    def headers_as_text(self) -> str:
        """The headers as tables keep them: JSON pairs of name and value, the value in hexadecimal."""
        return orjson.dumps([(name, None if value is None else value.hex()) for name, value in self.headers]).decode()

    def header(self, name: str) -> bytes | None:
        """The last header of that name, in any case; None where there is none."""
        found = None
        for key, value in self.headers:
            if key.lower() == name:
                found = value
        return found

    @property
    def stream_id(self) -> str | None:
        """The case the record was routed by: its key as text; None where it has none."""
        if not self.key:
            return None
        return writable(self.key.decode("utf-8", "replace"), 200)

    def arrived(self, now: datetime, wall: datetime) -> datetime:
        """When it reached Casegrid, by a clock that says `now`: as long ago as the broker has had it.

        `wall` is the machine's time, which the broker's is taken to agree with.
        """
        if self.appended_ms is None:
            return now
        age = wall.timestamp() - self.appended_ms / 1000
        return now - timedelta(seconds=max(0.0, age))


def writable(text: str, most: int) -> str:
    """A text as a column takes it: without U+0000, and with so many characters at most."""
    return text.replace("\0", "\ufffd")[:most]


def read(record: Record) -> Any:
    """The event in a record. Raises `Invalid`."""
    if record.value is None:
        raise Invalid("the record has no value (a tombstone)")
    content_type = record.header("content-type")
    if content_type is None:
        raise Invalid(f"header content-type is missing; expected {CONTENT_TYPE.decode()}")
    if content_type != CONTENT_TYPE and content_type.split(b";")[0].strip().lower() != CONTENT_TYPE:
        raise Invalid(f"header content-type: {_shown(content_type)}; expected {CONTENT_TYPE.decode()}")
    event = parse(record.topic, record.value)
    if record.key is None or record.key != event.subject.encode():
        raise Invalid(f"key: {_shown(record.key or b'')} is not the subject {event.subject}")
    return event


def _shown(raw: bytes) -> str:
    return raw[:100].decode(errors="backslashreplace")
