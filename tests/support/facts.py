"""Events and records as a partner would write them, for tests."""

import itertools
from datetime import UTC, datetime
from typing import Any

from chassis.ids import uuid7
from chassis.records import Record
from contracts.envelope import CONTENT_TYPE, Event
from contracts.fields import Fact
from contracts.intake import NewReport
from contracts.wire import build

_offsets = itertools.count()
HEADERS = (("content-type", CONTENT_TYPE),)


def case_id() -> str:
    """A new case id."""
    return uuid7(datetime.now(UTC))


def event_of(
    case: str,
    data: Fact,
    *,
    source: str = "/partners/hotline",
    sequence: int = 1,
    time: datetime | None = None,
    event_id: str | None = None,
    cause: str | None = None,
) -> tuple[Event[Any], bytes]:
    """An event of a partner's, and its bytes."""
    now = datetime.now(UTC)
    return build(
        event_id=event_id or uuid7(now),
        source=source,
        subject=case,
        time=time or now,
        recorded=now,
        sequence=sequence,
        data=data,
        cause=cause,
        actor=None if cause else "partner:test",
    )


def record_of(raw: bytes | None, case: str | None, topic: str = "ReportFiled", **more: Any) -> Record:
    """The record that carries these bytes, at coordinates of its own."""
    key = case.encode() if case is not None else None
    return Record(
        topic, more.get("partition", 0), next(_offsets), more.get("key", key), raw, more.get("headers", HEADERS)
    )


def fact_record(case: str, data: Fact, **circumstances: Any) -> Record:
    """A fact as a record."""
    _, raw = event_of(case, data, **circumstances)
    return record_of(raw, case, data.topic)  # pyright: ignore[reportAttributeAccessIssue]


def report(title: str = "water on the road", **more: Any) -> NewReport:
    """A new report by a partner."""
    return NewReport(channel="partner", title=title, **more)
