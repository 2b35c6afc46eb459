"""Events and records as their own writers would write them, for tests."""

import itertools
from datetime import UTC, datetime
from typing import Any

from chassis.ids import uuid7
from chassis.kafka.records import Record
from contracts.envelope import CONTENT_TYPE
from contracts.fields import FROM, Fact
from contracts.homes import HOMES
from contracts.intake import NewReport
from contracts.progress import PUBLISHERS
from contracts.wire import Circumstances, build

_offsets = itertools.count()
HEADERS = (("content-type", CONTENT_TYPE),)


def case_id() -> str:
    """A new case id."""
    return uuid7(datetime.now(UTC))


def home_of(data: Fact) -> str:
    """The source that says such a fact; of several the first by name. A request is the partner `water`'s."""
    if data.name == "Progressed":
        return min(PUBLISHERS[data.step])  # pyright: ignore[reportAttributeAccessIssue]  every step has one
    homes = {**HOMES, "Request": "/partners/water", "Notice": "/services/dispatch"}
    assert data.name in homes, f"{data.name} has no writer in HOMES of contracts/homes.py"
    return homes[data.name]


def event_of(
    case: str,
    data: Fact,
    *,
    source: str | None = None,
    sequence: int = 1,
    time: datetime | None = None,
    event_id: str | None = None,
    cause: str | None = None,
    actor: str | None = None,
) -> tuple[Any, bytes]:
    """An event, by default of the one source that says such things, and its bytes."""
    now = datetime.now(UTC)
    return build(
        data,
        Circumstances(
            event_id=event_id or uuid7(now),
            source=source or home_of(data),
            subject=case,
            time=time or now,
            recorded=time or now,
            sequence=sequence,
            cause=cause,
            actor=actor or (None if cause else "person:test"),
        ),
    )


def record_of(raw: bytes | None, case: str | None, topic: str = "ReportFiled", **more: Any) -> Record:
    """The record that carries these bytes, at coordinates of its own."""
    key = case.encode() if case is not None else None
    return Record(
        topic,
        more.get("partition", 0),
        next(_offsets),
        more.get("key", key),
        raw,
        more.get("headers", HEADERS),
        more.get("appended_ms"),
    )


def fact_record(case: str, data: Fact, *, appended_ms: int | None = None, **circumstances: Any) -> Record:
    """A fact as a record on its topic; a request on that of its partner."""
    event, raw = event_of(case, data, **circumstances)
    return record_of(raw, case, topic_of(event), appended_ms=appended_ms)


def topic_of(event: Any) -> str:
    """Where an event is published."""
    if event.data.name == "Request":
        return FROM + event.source.rpartition("/")[2]
    return event.topic


def report(title: str = "water on the road", **more: Any) -> NewReport:
    """A new report."""
    return NewReport(channel="sensor", title=title, **more)
