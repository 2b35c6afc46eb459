"""Every example in audit's OpenAPI document succeeds, and every answer is as the document says."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import JsonValue

from chassis.kafka.partitions import place
from chassis.kafka.records import Record
from chassis.service import Service
from chassis.web.errors import Json
from contracts.intake import Supplement
from contracts.notice import AcceptanceNotice
from contracts.progress import Forged, OnScene
from contracts.request import Acknowledge
from contracts.wire import TOPICS
from services.audit import examples
from services.audit.broker import EndOffsets
from services.audit.completeness import of_log
from services.audit.questions import QUESTIONS
from tests.domain.audit_story import burst_main, partners_case
from tests.services.audit.example_story import told
from tests.services.audit.test_api import AUDITOR, get, merged_into, store
from tests.services.audit.test_log import FORGED, NASTY, ODD
from tests.support.examples import Call, Preparations, Prepared, make_every_call, mismatches
from tests.support.facts import case_id, fact_record, record_of, report
from tests.support.infrastructure import Database
from tests.support.services import Running, running

PARTNERS_CASE, STEPS_ONLY, FAULTY = (case_id() for _ in range(3))


def _by_auditor(**path: str) -> Callable[[Running], Awaitable[Prepared]]:
    async def prepare(_: Running) -> Prepared:
        return Prepared(AUDITOR, path)

    return prepare


PREPARATIONS: Preparations = {
    "list_cases": _by_auditor(),
    "get_case": _by_auditor(case_id=examples.CASE),
    "list_case_records": _by_auditor(case_id=examples.CASE),
    "list_log": _by_auditor(),
    "get_record": _by_auditor(index="0"),
    "get_completeness": _by_auditor(),
    "get_summary": _by_auditor(),
}


def stories() -> Iterator[Record]:
    """Whole cases, each on partitions of its own: the examples' case, one merged into it, and one of partners."""
    told = (
        burst_main(examples.CASE),
        merged_into(examples.MERGED_CASE, examples.CASE, 7),
        partners_case(PARTNERS_CASE),
    )
    for partition, story in enumerate(told, start=1):
        yield from (record._replace(partition=partition) for record in story.records())


def faults() -> Iterator[Record]:
    """Records with which every question about a case finds something."""
    first, request = case_id(), case_id()
    new = fact_record(FAULTY, report(), event_id=first)
    yield from (new, record_of(new.value, FAULTY), fact_record(FAULTY, report("other bytes"), event_id=first))
    yield fact_record(FAULTY, report("the same case again"), sequence=7, cause=first)
    yield fact_record(FAULTY, Supplement(text="x"), sequence=8, cause=first, time=datetime.now(UTC) + timedelta(days=1))
    yield from (fact_record(FAULTY, Supplement(text="x"), sequence=4, cause=cause) for cause in (first, case_id()))
    for case in (FAULTY, STEPS_ONLY):
        yield fact_record(case, OnScene(assignment_id=f"{case}.1.1", unit="dept:water"), cause=first)
    yield fact_record(FAULTY, Supplement(text="without a cause"), sequence=5)
    for topic, offset in ((new.topic, new.offset), ("Assigned", 4711)):
        false = Forged(forged_topic=topic, partition=0, offset=offset, event_id=first, because="altered")
        yield fact_record(FAULTY, false, source="/services/intake", sequence=6)
    yield fact_record(FAULTY, Acknowledge(assignment_id=f"{FAULTY}.1.1"), sequence=None)
    yield fact_record(FAULTY, Acknowledge(assignment_id=f"{FAULTY}.1.1"), sequence=None, event_id=request)
    for number in (1, 2):
        yield fact_record(FAULTY, AcceptanceNotice(to="water", request=request), cause=request, sequence=number)
    elsewhere = next(number for number in (1, 2) if number != place(FAULTY.encode(), 6))
    astray = fact_record(FAULTY, Supplement(text="elsewhere"), sequence=9, cause=first)
    yield astray._replace(partition=elsewhere, partitions=6)


@pytest.fixture
async def filled(service: Service, database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """Audit with a log in which there is something of everything, and no broker."""
    odd = [made(case_id()) for made in (ODD | FORGED | NASTY).values()]
    async with running(service, database.url("audit"), CASEGRID_PARTNERS=tmp_path / "none.json") as found:
        await store(found, *stories(), *faults(), *odd)
        yield found


async def test_every_example_succeeds(filled: Running) -> None:
    await make_every_call(filled, PREPARATIONS)


@pytest.fixture
async def as_told(service: Service, database: Database, tmp_path: Path) -> AsyncIterator[Running]:
    """Audit with the story of the examples, and no broker."""
    async with running(service, database.url("audit"), CASEGRID_PARTNERS=tmp_path / "none.json") as found:
        await store(found, *told())
        yield found


async def _ends() -> EndOffsets:
    """The ends of the topics, all of which are stored."""
    topics = (*TOPICS, "from.water", "to.water")
    ends = {(topic, partition): 0 for topic in topics for partition in range(3)}
    for record in told():
        ends[record.topic, record.partition] = record.offset + 1
    return ends


EXAMPLES: dict[str, tuple[JsonValue, dict[str, Any]]] = {
    "/cases": (examples.CASE_PAGES[0], {"open": False, "until_case": examples.CASE}),
    f"/cases/{examples.CASE}": (examples.CASE_DETAILS[0], {"limit": 1}),
    f"/cases/{examples.CASE}/events": (examples.RECORD_PAGES[0], {"limit": 1}),
    "/log": (examples.LOG_PAGES[0], {"limit": 1}),
    "/log/0": (examples.RECORD, {}),
    "/summary": (examples.SUMMARIES[0], {}),
}


@pytest.mark.parametrize("path", EXAMPLES)
async def test_every_example_of_an_answer_is_what_audit_answers(path: str, as_told: Running) -> None:
    example, query = EXAMPLES[path]
    assert _stored_then(await get(as_told, path, **query)) == example


async def test_the_example_of_completeness_is_what_audit_answers(as_told: Running) -> None:
    found = await of_log(as_told.runtime.database, 1, _ends)
    assert _stored_then(orjson.loads(Json(found).body)) == examples.COMPLETENESSES[0]


def _stored_then(answer: Any) -> Any:
    """The answer as if audit had stored its records at the time of the examples."""
    if isinstance(answer, list):
        return [_stored_then(item) for item in answer]
    if isinstance(answer, dict):
        return {name: examples.STORED if name == "stored_at" else _stored_then(value) for name, value in answer.items()}
    return answer


async def test_cases_records_and_faults_of_every_sort_are_answered_as_the_document_says(filled: Running) -> None:
    document = (await filled.client.get("/openapi.json")).json()
    asked = [
        Call("list_log", "GET", "/log", query={"limit": 200}),
        Call("list_cases", "GET", "/cases", query={"limit": 200}),
        Call("get_completeness", "GET", "/completeness", query={"limit": 200}),
    ]
    found = {}
    for call in asked:
        answer = await filled.client.get(call.path, headers=AUDITOR, params=call.query)
        assert mismatches(document, call, answer) == [], str(call)
        found[call.operation] = answer.json()
    assert [name for name in (*QUESTIONS, "offset_gaps") if not found["get_completeness"][name]["items"]] == []
    assert {item["valid"] for item in found["list_log"]["items"]} == {True, False}
    cases = {item["case_id"] for item in found["list_cases"]["items"]}
    assert cases > {examples.CASE, examples.MERGED_CASE, PARTNERS_CASE, STEPS_ONLY, FAULTY}
    shown = Call("get_case", "GET", "/cases/{case_id}")
    for case in cases:
        answer = await filled.client.get(f"/cases/{case}", headers=AUDITOR)
        assert mismatches(document, shown, answer) == [], case
