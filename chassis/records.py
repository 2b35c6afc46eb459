"""A record as it came from Kafka, and what can be said of it before any state is looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.envelope import CONTENT_TYPE, Event
from contracts.wire import Invalid, identity, parse


@dataclass(frozen=True, slots=True)
class Record:
    """One record with its coordinates; `topic` without the deployment's prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def coordinates(self) -> str:
        """`topic/partition@offset`, as operators write it."""
        return f"{self.topic}/{self.partition}@{self.offset}"

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
        text = self.key.decode("utf-8", "replace").replace("\0", "\ufffd")
        return text[:200]


def read(record: Record, *, lenient: bool = False) -> Event[Any]:
    """The event in a record. Raises `Invalid`. `lenient`: a person has looked; missing headers are overlooked."""
    if record.value is None:
        raise Invalid("the record has no value (a tombstone)")
    if not lenient:
        content_type = record.header("content-type")
        if content_type is None:
            raise Invalid(f"header content-type is missing; expected {CONTENT_TYPE.decode()}")
        if content_type.split(b";")[0].strip().lower() != CONTENT_TYPE:
            raise Invalid(f"header content-type: {content_type[:100]!r}; expected {CONTENT_TYPE.decode()}")
    event = parse(record.topic, record.value)
    if record.key is None or record.key != event.subject.encode():
        raise Invalid(f"key: {(record.key or b'')[:100]!r} is not the subject {event.subject}")
    return event


def written_by(record: Record, source: str) -> bool:
    """Whether the record is an echo of what `source` itself published."""
    known = identity(record.value) if record.value else None
    return known is not None and known[0] == source


Read = Callable[[Record], Event[Any]]
