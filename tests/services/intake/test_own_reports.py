"""What a private person, or a partner, learns of a report that is not theirs: nothing, not even that there is one."""

import asyncio
import itertools
from typing import Any

import httpx
import pytest

from contracts.feedback import Evaluated
from services.intake import api
from tests.services.intake.callers import (
    ADMINISTRATOR,
    ARCHIVE,
    CHEN,
    DISPATCHER,
    HOTLINE,
    LI,
    MEMBER,
    file,
    post,
    rows,
    told,
)
from tests.support.facts import case_id
from tests.support.services import Running, token

NEVER_REPORTED = token("zhang", "reporter")
BODIES: dict[str, dict[str, Any]] = {
    "supplements": {"text": "more"},
    "withdrawal": {"reason": "dried up"},
    "rating": {"rating": 5},
    "reopening": {"reason": "again"},
}
ROUTES = [("GET", ""), ("GET", "/actions"), *(("POST", f"/{path}") for path in BODIES)]
HEADERS: list[dict[str, str]] = [{}, {"if-match": '"7"'}, {"idempotency-key": "k"}]


async def ask(intake: Running, method: str, path: str, who: dict[str, str], **headers: str) -> httpx.Response:
    body = BODIES.get(path.rpartition("/")[2]) if method == "POST" else None
    return await intake.client.request(method, path, headers={**who, **headers}, json=body)


def told_nothing_more(answers: list[httpx.Response], *ids: str) -> bool:
    """Whether two answers differ in nothing but the identifiers that were asked for."""
    first, second = (
        {name: str(value).replace(one, "?") for name, value in response.json().items() if name != "traceparent"}
        for response, one in zip(answers, ids, strict=True)
    )
    return first == second and {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize("who", [CHEN, NEVER_REPORTED, HOTLINE], ids=["another", "never reported", "partner"])
async def test_a_report_of_somebody_else_is_not_found_in_the_words_of_one_that_does_not_exist(
    intake: Running, who: dict[str, str]
) -> None:
    await file(intake, CHEN)
    cases, nobodys = [(await file(intake, one))["case_id"] for one in (LI, ARCHIVE)], case_id()
    for case in cases:
        await told(intake, case, Evaluated(verdict="closed", outcome="fixed"))
    kept = (
        "SELECT body FROM events ORDER BY stream_id, version",
        "SELECT * FROM reporters",
        "SELECT key FROM idempotency",
    )
    before = [await rows(intake, query) for query in kept]
    for case, (method, path), headers in itertools.product(cases, ROUTES, HEADERS):
        answers = [await ask(intake, method, f"/reports/{one}{path}", who, **headers) for one in (case, nobodys)]
        assert told_nothing_more(answers, case, nobodys), [answer.text for answer in answers]
    assert [await rows(intake, query) for query in kept] == before, "nothing is written, and no account opened"


@pytest.mark.parametrize("who", [CHEN, NEVER_REPORTED], ids=["another", "never reported"])
async def test_a_reference_of_somebody_else_is_not_found_either(intake: Running, who: dict[str, str]) -> None:
    await file(intake, CHEN)
    theirs, nobodys = (await file(intake, LI, reporter={"name": "Li Na"}))["reporter_ref"], "reporter:" + "0" * 24
    for method in ("GET", "DELETE"):
        answers = [await ask(intake, method, f"/reporters/{one}", who) for one in (theirs, nobodys)]
        assert told_nothing_more(answers, theirs, nobodys), [answer.text for answer in answers]
    assert (await ask(intake, "GET", f"/reporters/{theirs}", LI)).json()["name"] == "Li Na"


async def test_a_report_that_is_refused_leaves_nothing_of_the_person(intake: Running) -> None:
    named = {"title": "x", "place": {"area": "CH/atlantis"}, "reporter": {"name": "Zhang", "phone": "1"}}
    for who, wrong in ((NEVER_REPORTED, named), (DISPATCHER, named), (NEVER_REPORTED, {**named, "category": "no"})):
        answer = await post(intake, "/reports", who, wrong, **{"idempotency-key": "k"})
        assert answer.status_code == 422, answer.text
    for table in ("reporters", "idempotency", "events"):
        assert await rows(intake, f"SELECT * FROM {table}") == [], table
    filed = [file(intake, NEVER_REPORTED, reporter={"name": "Zhang"}) for _ in range(4)]
    references = {one["reporter_ref"] for one in await asyncio.gather(*filed)}
    assert len(references) == 1, "also if a person's first reports come at the same time"
    assert await rows(intake, "SELECT reporter_ref, name, phone FROM reporters") == [(*references, "Zhang", None)]


async def test_an_erased_person_sees_nothing_of_what_they_reported(intake: Running) -> None:
    filed = await file(intake, LI)
    assert (await ask(intake, "DELETE", f"/reporters/{filed['reporter_ref']}", LI)).status_code == 204
    case, nobodys = filed["case_id"], case_id()
    for method, path in ROUTES:
        answers = [await ask(intake, method, f"/reports/{one}{path}", LI) for one in (case, nobodys)]
        assert told_nothing_more(answers, case, nobodys)
    assert (await ask(intake, "DELETE", f"/reporters/{filed['reporter_ref']}", LI)).status_code == 404


async def test_every_route_of_a_report_is_tried() -> None:
    found = {(method, path.removeprefix("/reports/{case_id}")) for method, path in api.ROLES if "{case_id}" in path}
    assert found == set(ROUTES)


async def test_staff_sees_whose_report_it_is(intake: Running) -> None:
    for who, name in ((LI, None), (HOTLINE, "partner:hotline"), (MEMBER, "member:7")):
        filed = await file(intake, who)
        case = filed["case_id"]
        shown = await ask(intake, "GET", f"/reports/{case}", ADMINISTRATOR)
        assert (shown.status_code, shown.json()["filed_by"]) == (200, name or filed["reporter_ref"])
    assert (await post(intake, f"/reports/{case}/rating", ADMINISTRATOR, {"rating": 5})).status_code == 403
