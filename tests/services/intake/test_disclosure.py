"""Who reads a reporter's name and number must say for which case and what for, and it becomes a step of the case."""

import asyncio
from typing import Any

import httpx
import pytest

from chassis.engine.commands import WORDS_A_DAY
from tests.services.intake.callers import (
    ACCEPTOR,
    ADMINISTRATOR,
    CHEN,
    DISPATCHER,
    ERASURE,
    HOTLINE,
    LI,
    MEMBER,
    events_of,
    file,
    get,
    post,
    rows,
    status_code,
)
from tests.services.intake.desk import GRID
from tests.support.facts import case_id
from tests.support.infrastructure import Database, execute
from tests.support.services import Running, token

PERSON = {"name": "Li Na", "phone": "+86 28 5555 0101"}
WHY = "call back: is the water on again?"
KEY = {"idempotency-key": "k"}
ERASING = "DELETE /reporters/{reporter_ref}"
LEADER, EVALUATOR = token("leader:1", "shift_leader"), token("eva", "evaluator")
INSIDE = token("wang", "acceptor", areas=("CH/shuangqiaozi",))
OUTSIDE = token("wang", "acceptor", areas=("CH/shengdeng",))


async def filed(intake: Running, who: dict[str, str] = ACCEPTOR, **more: Any) -> tuple[str, str]:
    """(case, reference) of a report with a name and a number."""
    found = await file(intake, who, reporter=PERSON, place={"area": GRID}, **more)
    return found["case_id"], found["reporter_ref"]


async def ask(
    intake: Running,
    reference: str,
    case: str,
    who: dict[str, str] = ACCEPTOR,
    purpose: str = WHY,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    body = {"case_id": case, "purpose": purpose}
    return await post(intake, f"/reporters/{reference}/disclosure", who, body, **(headers or {}))


async def steps(intake: Running, case: str) -> list[tuple[str, dict[str, Any]]]:
    """(actor, data) of each disclosure in the case's chain."""
    return [
        (event["actor"], event["data"])
        for event in await events_of(intake, case)
        if event["type"] == "casegrid.Progressed.v1"
    ]


async def recorded(intake: Running) -> list[dict[str, Any]]:
    return (await get(intake, "/reads"))["items"]


@pytest.mark.parametrize(
    ("who", "name"), [(ACCEPTOR, "wang"), (LEADER, "leader:1"), (EVALUATOR, "eva"), (ADMINISTRATOR, "root")]
)
async def test_a_name_is_read_for_a_case_and_a_purpose_and_both_are_a_step_of_the_case(
    intake: Running, who: dict[str, str], name: str
) -> None:
    case, reference = await filed(intake)
    answer = await ask(intake, reference, case, who)
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    report, step = await events_of(intake, case)
    assert answer.json() == {"reporter_ref": reference, **PERSON, "case_id": case, "event_id": step["id"]}
    assert (step["actor"], step["causationid"]) == (name, report["id"])
    assert step["data"] == {"step": "disclosed", "reporter_ref": reference, "purpose": WHY}
    assert ("Progressed", step["id"]) in await rows(intake, "SELECT aggregatetype, id FROM unpublished")
    assert await recorded(intake) == []


@pytest.mark.parametrize("who", [DISPATCHER, MEMBER, token("au", "auditor"), LI, CHEN, HOTLINE])
async def test_nobody_else_reads_a_name(intake: Running, who: dict[str, str]) -> None:
    case, reference = await filed(intake)
    assert (await ask(intake, reference, case, who)).status_code == 403
    assert await steps(intake, case) == []


@pytest.mark.parametrize("who", [ACCEPTOR, LEADER, EVALUATOR, ADMINISTRATOR, DISPATCHER])
async def test_staff_cannot_read_a_name_without_a_purpose(intake: Running, who: dict[str, str]) -> None:
    _, reference = await filed(intake)
    assert await status_code(intake, f"/reporters/{reference}", who) == 403


async def test_reporters_read_their_own_and_that_is_no_disclosure(intake: Running) -> None:
    case, reference = await filed(intake, LI)
    other, another = await filed(intake)
    assert await get(intake, f"/reporters/{reference}", LI) == {"reporter_ref": reference, **PERSON}
    for path in (f"/reporters/{another}", "/reporters/reporter:nobody"):
        assert await status_code(intake, path, LI) == 404
        assert await status_code(intake, path, CHEN) == 404
    assert await status_code(intake, f"/reporters/{reference}", CHEN) == 404
    assert (await steps(intake, case), await steps(intake, other)) == ([], [])


async def test_the_case_must_bear_the_reference(intake: Running) -> None:
    case, reference = await filed(intake)
    other, another = await filed(intake)
    for asked in (another, "reporter:nobody"):
        refused = await ask(intake, asked, case)
        assert (refused.status_code, refused.json()["rule"]) == (409, "disclosure.case")
    assert (await ask(intake, reference, case_id())).status_code == 404
    assert (await steps(intake, case), await steps(intake, other)) == ([], [])


async def test_a_name_is_read_within_the_areas_of_the_caller_only(intake: Running) -> None:
    case, reference = await filed(intake)
    nowhere = await file(intake, ACCEPTOR, reporter=PERSON)
    assert (await ask(intake, reference, case, OUTSIDE)).status_code == 403
    assert (await ask(intake, nowhere["reporter_ref"], nowhere["case_id"], INSIDE)).status_code == 403
    assert await steps(intake, case) == []
    assert (await ask(intake, reference, case, INSIDE)).status_code == 200


@pytest.mark.parametrize("purpose", ["", "  ", "\u200b", "x" * 501])
async def test_the_purpose_is_a_line_of_text(intake: Running, purpose: str) -> None:
    case, reference = await filed(intake)
    answer = await ask(intake, reference, case, purpose=purpose)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "purpose")
    assert await steps(intake, case) == []


async def test_whoever_was_erased_is_not_disclosed_and_no_step_says_so(intake: Running) -> None:
    case, reference = await filed(intake)
    assert (await ask(intake, reference, case, headers=KEY)).status_code == 200
    assert (await intake.client.delete(f"/reporters/{reference}{ERASURE}", headers=ADMINISTRATOR)).status_code == 204
    for headers in ({}, KEY, {"idempotency-key": "l"}):
        gone = await ask(intake, reference, case, headers=headers)
        assert gone.status_code == 404
        assert "Li Na" not in gone.text
    assert len(await steps(intake, case)) == 1
    assert [one["route"] for one in await recorded(intake)] == [ERASING]


async def test_whoever_erases_somebody_else_says_why_and_both_are_recorded_for_good(
    intake: Running, empty_database: Database
) -> None:
    (_, theirs), (_, own) = await filed(intake), await filed(intake, LI)
    for query in ("", "?reason=", "?reason=%20"):
        refused = await intake.client.delete(f"/reporters/{theirs}{query}", headers=ADMINISTRATOR)
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "reason")
    assert (await intake.client.delete(f"/reporters/{theirs}{ERASURE}", headers=ADMINISTRATOR)).status_code == 204
    assert (await intake.client.delete(f"/reporters/{own}", headers=LI)).status_code == 204
    [entry] = await recorded(intake)  # who erases themselves is named nowhere
    assert (entry["reader"], entry["route"], entry["reporter_ref"]) == ("root", ERASING, theirs)
    assert entry["reason"] == "asked for in writing"
    (_, third) = await filed(intake)
    await execute(empty_database.admin_url, "REVOKE ALL ON intake.reads FROM intake")
    answer = await intake.client.delete(f"/reporters/{third}{ERASURE}", headers=ADMINISTRATOR)
    assert answer.status_code == 503
    assert await rows(intake, "SELECT reporter_ref FROM reporters") == [(third,)]


async def test_as_many_steps_as_readings_also_while_somebody_is_erased(intake: Running) -> None:
    case, reference = await filed(intake)

    async def erase() -> httpx.Response:
        return await intake.client.delete(f"/reporters/{reference}{ERASURE}", headers=ADMINISTRATOR)

    before = [ask(intake, reference, case) for _ in range(5)]
    answers = await asyncio.gather(*before, erase(), *(ask(intake, reference, case) for _ in range(5)))
    codes = [answer.status_code for answer in answers]
    assert codes.pop(5) == 204
    assert set(codes) <= {200, 404}
    told = [answer for answer in answers if answer.status_code == 200]
    assert all(answer.json()["name"] == PERSON["name"] for answer in told)
    assert len(await steps(intake, case)) == len(told)


async def test_a_caller_reads_the_names_of_one_case_so_often_a_day_and_then_no_more(intake: Running) -> None:
    case, reference = await filed(intake)
    assert (await ask(intake, reference, case, headers=KEY)).status_code == 200
    for _ in range(WORDS_A_DAY - 1):
        assert (await ask(intake, reference, case)).status_code == 200
    refused = await ask(intake, reference, case)
    assert (refused.status_code, refused.json()["rule"]) == (409, "case.daily_cap")
    assert (await ask(intake, reference, case, headers=KEY)).status_code == 200, "it adds no step"
    assert (await ask(intake, reference, case, LEADER)).status_code == 200
    assert len(await steps(intake, case)) == WORDS_A_DAY + 1


async def test_nothing_is_read_where_the_step_cannot_be_written(intake: Running, empty_database: Database) -> None:
    case, reference = await filed(intake)
    await execute(empty_database.admin_url, "REVOKE INSERT ON intake.events FROM intake")
    answer = await ask(intake, reference, case)
    assert answer.status_code >= 500
    assert "Li Na" not in answer.text
    assert await steps(intake, case) == []


async def test_a_repeated_request_is_one_step_and_every_further_reading_is_recorded(intake: Running) -> None:
    case, reference = await filed(intake)
    first, *others = await asyncio.gather(*(ask(intake, reference, case, headers=KEY) for _ in range(4)))
    assert {one.status_code for one in (first, *others)} == {200}
    assert len({one.content for one in (first, *others)}) == 1
    assert first.json()["phone"] == PERSON["phone"]
    assert len(await steps(intake, case)) == 1
    found = await recorded(intake)
    assert {(one["reader"], one["route"], one["case_id"], one["reporter_ref"]) for one in found} == {
        ("wang", "POST /reporters/{reporter_ref}/disclosure", case, reference)
    }
    assert len(found) == 3
    stored = await rows(intake, "SELECT body FROM idempotency")
    assert case in str(stored)
    assert "Li Na" not in str(stored)
    other = await ask(intake, reference, case, purpose="something else", headers=KEY)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


async def test_a_repeated_request_whose_reading_cannot_be_recorded_is_not_answered(
    intake: Running, empty_database: Database
) -> None:
    case, reference = await filed(intake)
    assert (await ask(intake, reference, case, headers=KEY)).status_code == 200
    await execute(empty_database.admin_url, "REVOKE ALL ON intake.reads FROM intake")
    answer = await ask(intake, reference, case, headers=KEY)
    assert answer.status_code == 503
    assert "Li Na" not in answer.text


async def test_a_stale_version_reads_nothing(intake: Running) -> None:
    case, reference = await filed(intake)
    assert (await ask(intake, reference, case, headers={"if-match": '"7"'})).status_code == 412
    assert await steps(intake, case) == []
    assert (await ask(intake, reference, case, headers={"if-match": '"1"'})).status_code == 200
