"""Log lines and facts carry the trace of what they are about, whether or not anything is exported."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import orjson
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode
from starlette.types import Message, Scope

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.runtime import Runtime, application
from chassis.settings import Settings
from chassis.store.database import Database
from chassis.store.streams import Cache
from chassis.telemetry import JsonLines, ServerSpan
from chassis.web.application import Routes
from chassis.web.roles import ANYONE, Access, Bound
from contracts.envelope import CONTENT_TYPE
from contracts.intake import Withdrawal
from tests.support.facts import case_id, event_of, fact_record, record_of, report
from tests.support.services import Hands, all_read
from tests.support.tally import MODEL, TALLY

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"

broken_router = APIRouter()


@broken_router.get("/broken")
async def get_broken() -> None:
    raise ZeroDivisionError("a defect")


@broken_router.get("/broken/later")
async def get_broken_later() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"begun"
        raise ZeroDivisionError("a defect")

    return StreamingResponse(parts())


BROKEN = Routes(
    broken_router,
    {("GET", "/broken"): Access(ANYONE, Bound.NOTHING), ("GET", "/broken/later"): Access(ANYONE, Bound.NOTHING)},
    {},
)
"""Routes with a defect, before and after the answer has begun."""


@pytest.fixture
def broken() -> FastAPI:
    return application(Runtime(replace(TALLY, routes=TALLY.routes | BROKEN), Settings()))


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
    rows = await database.fetch("SELECT payload, traceparent FROM unpublished ORDER BY position")
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
    [row] = await database.fetch("SELECT payload FROM unpublished")
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
    [row] = await database.fetch("SELECT payload FROM unpublished")
    assert orjson.loads(row["payload"])["traceparent"] == other


async def test_an_unexpected_error_is_logged_once_and_its_answer_has_the_trace_of_the_line(
    broken: FastAPI, lines: io.StringIO
) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(broken), base_url="http://tally") as client:
        answer = await client.get("/broken", headers={"traceparent": PARENT})
    [line] = map(json.loads, lines.getvalue().splitlines())
    assert (answer.status_code, answer.headers["traceparent"]) == (500, PARENT)
    assert (line["level"], line["message"], line["trace_id"]) == ("ERROR", "a request failed: GET /broken", TRACE)
    assert "ZeroDivisionError: a defect" in line["exception"]


async def test_an_error_in_an_answer_that_has_begun_is_logged_with_its_trace_and_ends_it(
    broken: FastAPI, lines: io.StringIO
) -> None:
    """Called without a client: the server closes the connection of an answer that stays incomplete."""
    sent: list[Message] = []

    async def receive() -> Message:
        return await asyncio.get_running_loop().create_future()  # the client stays and says nothing more

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"traceparent", PARENT.encode())]
    scope: Scope = {"type": "http", "method": "GET", "path": "/broken/later", "query_string": b"", "headers": headers}
    await broken(scope, receive, send)
    [line] = map(json.loads, lines.getvalue().splitlines())
    assert (line["message"], line["trace_id"]) == ("a request failed: GET /broken/later", TRACE)
    assert [message.get("body") for message in sent] == [None, b"begun"]
    assert sent[-1]["more_body"]


def test_the_span_of_a_request_that_failed_has_its_exception() -> None:
    span = TracerProvider().get_tracer("tests").start_span("GET /broken")
    ServerSpan(PARENT, span).fails(ZeroDivisionError("a defect"))
    written = json.loads(span.to_json())  # pyright: ignore[reportAttributeAccessIssue]
    assert written["status"]["status_code"] == StatusCode.ERROR.name
    assert written["events"][0]["attributes"]["exception.message"] == "a defect"
