"""Log lines and facts carry the trace of what they are about, whether or not anything is exported."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.store.database import Database
from chassis.store.streams import Cache
from chassis.telemetry import JsonLines
from contracts.envelope import CONTENT_TYPE
from contracts.intake import Withdrawal
from tests.support.facts import case_id, event_of, fact_record, record_of, report
from tests.support.services import Hands, all_read
from tests.support.tally import MODEL

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a service writes to its log."""
    found = io.StringIO()
    handler = logging.StreamHandler(found)
    handler.setFormatter(JsonLines("tally"))
    logger = logging.getLogger("chassis")
    logger.addHandler(handler)
    yield found
    logger.removeHandler(handler)


def traced(case: str, data: Any, **more: Any) -> Record:
    """A fact whose record carries the trace in its header."""
    _, raw = event_of(case, data, **more)
    return record_of(raw, case, headers=(("content-type", CONTENT_TYPE), ("traceparent", PARENT.encode())))


async def test_a_line_about_a_record_names_its_case_and_its_trace(database: Database, lines: io.StringIO) -> None:
    case = case_id()
    inbox = Inbox(MODEL, database, wall_clock)
    await inbox.process([traced(case, report()), traced(case, Withdrawal(reason="boom"), sequence=2)])
    written = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert len(written) >= 2
    assert {(line["case_id"], line["trace_id"], line["service"]) for line in written} == {(case, TRACE, "tally")}
    assert "ZeroDivisionError" in written[0]["exception"]


async def test_a_fact_keeps_the_first_trace_of_its_case_and_one_without_a_cause_begins_one(database: Database) -> None:
    clock, case = Hands(), case_id()
    await Inbox(MODEL, database, clock).process([traced(case, report(category="timed"), time=clock.at)])
    clock.advance(hours=2)
    await Timers(MODEL, database, clock, Cache(), all_read).look()
    rows = await database.fetch("SELECT payload, traceparent FROM outbox ORDER BY position")
    note, overdue = [orjson.loads(row["payload"])["traceparent"] for row in rows]
    assert note == PARENT
    assert [row["traceparent"] for row in rows] == [note, overdue]
    assert overdue.startswith("00-")
    assert TRACE not in overdue


@pytest.mark.parametrize("header", [b"", b"00-0-0-0", b"ff-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", "水".encode()])
async def test_a_traceparent_that_is_none_begins_a_trace(database: Database, header: bytes) -> None:
    case = case_id()
    _, raw = event_of(case, report())
    headers = (("content-type", CONTENT_TYPE), ("traceparent", header))
    await Inbox(MODEL, database, wall_clock).process([record_of(raw, case, headers=headers)])
    [row] = await database.fetch("SELECT payload FROM outbox")
    version, trace, span, _ = orjson.loads(row["payload"])["traceparent"].split("-")
    assert (version, len(trace), len(span)) == ("00", 32, 16)
    assert set(trace) != {"0"}


async def test_an_event_that_has_a_trace_itself_is_believed_before_the_header(database: Database) -> None:
    case = case_id()
    record = fact_record(case, report())
    other = PARENT.replace(TRACE, "1" * 32)
    raw = orjson.dumps({**orjson.loads(record.value or b""), "traceparent": other})
    headers = (("content-type", CONTENT_TYPE), ("traceparent", PARENT.encode()))
    await Inbox(MODEL, database, wall_clock).process([record_of(raw, case, headers=headers)])
    [row] = await database.fetch("SELECT payload FROM outbox")
    assert orjson.loads(row["payload"])["traceparent"] == other
