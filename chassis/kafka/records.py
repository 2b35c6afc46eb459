"""A record as it came from Kafka, and how it is read before any state is loaded."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson

from chassis.kafka.salvage import MARKER, Salvaged
from contracts.envelope import CONTENT_TYPE
from contracts.fields import coordinates
from contracts.wire import Invalid, parse

REASON = 2_000
"""The most characters of a reason that a table keeps."""


Header = tuple[str, bytes | None]
"""Name and value. Bytes of a name that are not UTF-8 are lone surrogates, as Python's `surrogateescape` makes them."""


class Record(NamedTuple):
    """One record with its coordinates; `topic` without the deployment's prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    appended_ms: int | None = None
    """When the broker appended it (on a partner's topic), in milliseconds since 1970."""
    unread: str | None = None
    """Why the Kafka client could not read it. `value` is what lies there then, if that is known and not too much."""
    last: int = -1
    """The last offset that it stands for, if it is unread; else -1."""
    partitions: int = 0
    """How many the topic had when it was read; 0: not known."""

    @property
    def coordinates(self) -> str:
        """Where it lies, as operators write it."""
        return coordinates(self.topic, self.partition, self.offset)

    @property
    def next_offset(self) -> int:
        """Where to read on."""
        return max(self.offset, self.last) + 1

    @property
    def is_marker(self) -> bool:
        """Whether it is no record at all: the end of a transaction, which takes an offset."""
        return self.unread is not None and self.unread.startswith(MARKER)

    @property
    def headers_as_text(self) -> str:
        """The headers as tables keep them, in JSON: pairs of name and value, the value in hexadecimal.

        A name that is not UTF-8 has the character U+FFFD where it is not, and stands a third time as it is, in
        hexadecimal. Why the record is unread is a pair without a name, which no header lacks.
        """
        pairs = [(name, None if value is None else value.hex()) for name, value in self.headers]
        if self.unread is None:
            return orjson.dumps(pairs).decode()
        found: list[Sequence[str | None]] = [_with_bytes(*pair) for pair in pairs]
        return orjson.dumps([*found, (None, self.unread.encode().hex())]).decode()

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


def _with_bytes(name: str, value: str | None) -> Sequence[str | None]:
    raw = name.encode("utf-8", "surrogateescape")
    text = raw.decode("utf-8", "replace")
    return (name, value) if text == name else (text, value, raw.hex())


def headers_from_text(text: str) -> tuple[list[Header], str | None]:
    """The headers in what `headers_as_text` gave, and why the record is unread if it is."""
    found: list[Header] = []
    unread = None
    for name, value, *raw in json.loads(text):
        content = None if value is None else bytes.fromhex(value)
        if name is None:
            unread = (content or b"").decode()
        else:
            found.append((bytes.fromhex(raw[0]).decode("utf-8", "surrogateescape") if raw else name, content))
    return found, unread


def writable(text: str, most: int) -> str:
    """A text as a column takes it: without U+0000, and with so many characters at most."""
    return text.replace("\0", "\ufffd")[:most]


def record_from(topic: str, partition: int, found: Any, appended_ms: int | None = None, partitions: int = 0) -> Record:
    """The record that the Kafka client has found, on a topic without the deployment's prefix."""
    if type(found) is Salvaged:
        last = -1 if found.unread is None else found.last
        return Record(
            topic,
            partition,
            found.offset,
            found.key,
            found.value,
            found.headers,
            appended_ms,
            found.unread,
            last,
            partitions,
        )
    place = topic, partition, found.offset
    return Record(*place, found.key, found.value, found.headers, appended_ms, partitions=partitions)


def read(record: Record) -> Any:
    """The event in a record. Raises `Invalid`."""
    if record.unread is not None:
        raise Invalid(record.unread)
    if record.value is None:
        raise Invalid("the record has no value (a tombstone)")
    content_type = record.header("content-type")
    if content_type != CONTENT_TYPE and record.header("ce_specversion") is not None:
        raise Invalid(
            f"headers ce_*: binary mode is not read, only structured mode (content-type {CONTENT_TYPE.decode()})"
        )
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
