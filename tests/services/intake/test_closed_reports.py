"""What is said of a report once its case is closed, over HTTP and by a partner: ratings, and wishes to reopen it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chassis.registry import Registry
from chassis.service import Service
from contracts.feedback import Evaluated
from contracts.reference import Partners
from contracts.request import Rate, Reopen
from contracts.triage import Merged
from tests.services.intake.callers import (
    ACCEPTOR,
    ADMINISTRATOR,
    CHEN,
    HOTLINE,
    LI,
    MEMBER,
    events_of,
    file,
    get,
    post,
    told,
)
from tests.services.intake.desk import GRID, REPORT, WHY, Home, closed, registered
from tests.support.facts import case_id
from tests.support.rulings import assignment, dispatched
from tests.support.services import Hands, Running, running, token

CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")
BODIES: dict[str, dict[str, Any]] = {
    "rating": {"rating": 1, "comment": "too slow"},
    "reopening": {"reason": "wet again"},
}
DONE = {"rating": 201, "reopening": 202}
WORDS = {**BODIES, "withdrawal": {"reason": "over"}}
BOTH = pytest.mark.parametrize("what", BODIES)


@pytest.fixture
async def clock() -> Hands:
    return Hands()


@pytest.fixture
async def intake(url: str, service: Service, partners_file: Path, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, CASEGRID_PARTNERS=partners_file, clock=clock) as found:
        yield found


async def closed_case(intake: Running, who: dict[str, str] = LI) -> str:
    case = (await file(intake, who, place={"area": GRID}))["case_id"]
    await told(intake, case, CLOSED)
    return case


async def test_a_rating_and_its_comment_stay_visible(intake: Running) -> None:
    case = await closed_case(intake)
    given = await post(intake, f"/reports/{case}/rating", LI, BODIES["rating"])
    assert (given.status_code, given.json()["rating"]) == (201, 1)
    found = await get(intake, f"/reports/{case}", ACCEPTOR)
    assert (found["rating"], found["status"]) == (1, "closed")
    [rating] = found["ratings"]
    assert (rating["rating"], rating["comment"], rating["by"]) == (1, "too slow", found["reporter_ref"])
    assert rating["at"] == given.json()["rated_at"]
    [item] = (await get(intake, "/reports", ACCEPTOR))["items"]
    assert item["rating"] == 1


async def test_a_wish_to_reopen_is_shown_and_told_honestly_and_changes_no_status(intake: Running) -> None:
    case, other = await closed_case(intake), await closed_case(intake)
    given = await post(intake, f"/reports/{case}/reopening", LI, BODIES["reopening"])
    assert (given.status_code, given.json()["status"], given.json()["reopening_requested"]) == (202, "closed", True)
    assert "stays closed" in given.json()["what_follows"]
    found = await get(intake, f"/reports/{case}", LI)
    assert (found["status"], found["reopening_requested"], found["reopenings"][0]["reason"]) == (
        "closed",
        True,
        "wet again",
    )
    for wanted, expected in (("true", [case]), ("false", [other])):
        listed = await get(intake, "/reports", ACCEPTOR, reopening_requested=wanted)
        assert [item["case_id"] for item in listed["items"]] == expected


@BOTH
async def test_the_fact_names_the_verdict_as_its_cause_and_its_reporter_by_reference(
    intake: Running, what: str
) -> None:
    case = await closed_case(intake)
    await post(intake, f"/reports/{case}/{what}", LI, BODIES[what])
    report, verdict, said = await events_of(intake, case)
    assert (said["data"]["kind"], said["causationid"], said["data"]["verdict_id"]) == (
        what,
        verdict["id"],
        verdict["id"],
    )
    assert said["actor"] == said["data"]["reporter_ref"] == report["data"]["reporter_ref"]


@BOTH
async def test_an_acceptor_speaks_for_who_reported_by_telephone_and_a_colleague_does_not(
    intake: Running, what: str
) -> None:
    case = (await file(intake, token("zhao", "acceptor"), place={"area": GRID}, reporter={"name": "Li Na"}))["case_id"]
    await told(intake, case, CLOSED)
    refused = await post(intake, f"/reports/{case}/{what}", MEMBER, BODIES[what])
    assert (refused.status_code, refused.json()["rule"]) == (409, "report.owner")
    refused = await post(intake, f"/reports/{case}/{what}", ADMINISTRATOR, BODIES[what])
    assert refused.status_code == 403
    elsewhere = token("he", "acceptor", areas=(GRID[:-1] + "2",))
    assert (await post(intake, f"/reports/{case}/{what}", elsewhere, BODIES[what])).status_code == 403
    assert (await post(intake, f"/reports/{case}/{what}", ACCEPTOR, BODIES[what])).status_code == DONE[what]
    said = (await events_of(intake, case))[-1]
    assert said["actor"] == "wang"
    assert said["data"]["reporter_ref"].startswith("reporter:")


@pytest.mark.parametrize("what", WORDS)
@pytest.mark.parametrize("filer", [LI, MEMBER, HOTLINE], ids=["private", "handset", "partner"])
async def test_nobody_speaks_for_a_filer_with_a_login_whose_own_word_still_counts(
    intake: Running, what: str, filer: dict[str, str]
) -> None:
    case = (await file(intake, filer, place={"area": GRID}))["case_id"]
    if what in BODIES:
        await told(intake, case, Evaluated(verdict="closed", outcome="fixed"))
    for who in (ACCEPTOR, token("leader:1", "shift_leader")):
        refused = await post(intake, f"/reports/{case}/{what}", who, WORDS[what])
        assert (refused.status_code, refused.json()["rule"]) == (409, "report.owner")
        offered = {one["path"]: one["rule"] for one in (await get(intake, f"/reports/{case}/actions", who))["items"]}
        assert offered[f"/reports/{case}/{what}"] == "report.owner"
    assert (await post(intake, f"/reports/{case}/{what}", filer, WORDS[what])).status_code == DONE.get(what, 202)


async def test_whoever_may_have_handled_a_case_does_not_withdraw_it_for_others(intake: Running) -> None:
    """By a case that is withdrawn a unit is not measured."""
    case = (await file(intake, token("zhao", "acceptor"), place={"area": GRID}))["case_id"]
    worker = token("worker", "acceptor", "handling_unit", unit="dept:water")
    path = f"/reports/{case}/withdrawal"

    async def rule() -> str | None:
        found = (await get(intake, f"/reports/{case}/actions", worker))["items"]
        return next(one["rule"] for one in found if one["path"] == path)

    assert await rule() is None
    work = assignment(f"{case}.1.1", "dept:fire", datetime(2026, 5, 9, tzinfo=UTC))
    await told(intake, case, dispatched(work, area=GRID, filed_at=datetime(2026, 5, 9, tzinfo=UTC)))
    assert await rule() == "withdrawal.separation", "it may have been handed on to their unit"
    assert (await post(intake, path, worker, WORDS["withdrawal"])).json()["rule"] == "withdrawal.separation"
    assert (await post(intake, path, ACCEPTOR, WORDS["withdrawal"])).status_code == 202


@BOTH
async def test_only_a_case_that_is_closed_and_its_own_is_judged_once_and_not_too_late(
    intake: Running, clock: Hands, what: str
) -> None:
    async def rule(case: str) -> str:
        refused = await post(intake, f"/reports/{case}/{what}", LI, BODIES[what])
        assert refused.status_code == 409, refused.text
        return refused.json()["rule"]

    case = (await file(intake, LI))["case_id"]
    assert await rule(case) == "report.open"
    merged = (await file(intake, LI))["case_id"]
    await told(intake, merged, Merged(into=case, explanation=WHY), Evaluated(verdict="closed", outcome="duplicate"))
    assert await rule(merged) == "report.merged"
    late = await closed_case(intake)
    await told(intake, case, CLOSED)
    assert (await post(intake, f"/reports/{case}/{what}", LI, BODIES[what])).status_code == DONE[what]
    assert await rule(case) == f"{what}.once"
    clock.advance(days=8)
    assert await rule(late) == f"{what}.late"


async def test_whoever_checked_the_case_does_not_rate_it(intake: Running) -> None:
    case = await closed_case(intake, MEMBER)
    refused = await post(intake, f"/reports/{case}/rating", MEMBER, BODIES["rating"])
    assert (refused.status_code, refused.json()["rule"]) == (409, "rating.separation")


async def test_a_rating_says_whose_unit_and_which_partner_gave_it_so_that_feedback_can_leave_it_out(
    intake: Running,
) -> None:
    worker = token("member:9", "grid_member", unit=f"grid:{GRID}")
    for who, unit, partner in ((worker, f"grid:{GRID}", None), (HOTLINE, None, "hotline"), (LI, None, None)):
        case = await closed_case(intake, who)
        assert (await post(intake, f"/reports/{case}/rating", who, {"rating": 5})).status_code == 201
        data = (await events_of(intake, case))[-1]["data"]
        assert (data.get("unit"), data.get("partner")) == (unit, partner)


async def test_a_rating_of_a_partner_names_its_units_over_http_and_on_its_topic(
    url: str, service: Service, home: Home, tmp_path: Path
) -> None:
    water = registered("pwater", "reports", "steps", units=("dept:water", "dept:gas"))
    registry = tmp_path / "partners.json"
    registry.write_text(Partners(partners=(water,)).model_dump_json())
    async with running(service, url, CASEGRID_PARTNERS=registry) as intake:
        key = {"x-client-key": "pwater-key"}
        case = await closed_case(intake, key)
        assert (await post(intake, f"/reports/{case}/rating", key, {"rating": 5})).status_code == 201
        data = (await events_of(intake, case))[-1]["data"]
    assert (data["partner"], data["partner_units"]) == ("pwater", ["dept:gas", "dept:water"])
    theirs, case = Home(replace(home.model, registry=Registry(registry)), home.database), case_id()
    accepted = await theirs.ask(REPORT, case, partner="pwater")
    await theirs.take(closed(case))
    await theirs.ask(Rate(rating=5), case, partner="pwater", cause=accepted["id"])
    [said] = [one["data"] for one in await theirs.events(case) if one["data"].get("kind") == "rating"]
    assert said["partner_units"] == ["dept:gas", "dept:water"]


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        ("rating", {}, "rating"),
        ("rating", {"rating": 0}, "rating"),
        ("rating", {"rating": 6}, "rating"),
        ("rating", {"rating": 3, "comment": " "}, "comment"),
        ("rating", {"rating": 3, "comment": "x" * 20_001}, "comment"),
        ("reopening", {}, "reason"),
        ("reopening", {"reason": "\t"}, "reason"),
        ("reopening", {"reason": "x" * 501}, "reason"),
    ],
)
async def test_bad_input_names_its_field(intake: Running, what: str, body: dict[str, Any], field: str) -> None:
    answer = await post(intake, f"/reports/{await closed_case(intake)}/{what}", LI, body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@BOTH
async def test_the_same_key_says_it_once(intake: Running, what: str) -> None:
    case = await closed_case(intake)
    both = [await post(intake, f"/reports/{case}/{what}", LI, BODIES[what], **{"idempotency-key": "k"}) for _ in "ab"]
    assert both[0].json() == both[1].json()
    assert len(await events_of(intake, case)) == 3


@pytest.mark.parametrize(
    ("words", "kind", "late"),
    [
        (Rate(rating=2, comment="slow"), "rating", "rating.once"),
        (Reopen(reason="again"), "reopening", "reopening.once"),
    ],
)
async def test_a_partner_judges_its_own_closed_report_by_the_same_rules(
    home: Home, words: Any, kind: str, late: str
) -> None:
    case = case_id()
    accepted = await home.ask(REPORT, case)
    assert (await home.ask(words, case, cause=accepted["id"]))["data"]["rule"] == "report.open"
    await home.take(closed(case))
    cause = (await home.notices("closed"))[0]["id"]
    assert (await home.ask(words, case, cause=cause))["data"]["kind"] == "accepted"
    said = (await home.events(case))[-2]
    assert (said["data"]["kind"], said["data"].get("partner")) == (kind, "hotline" if kind == "rating" else None)
    repeated = words.model_copy()
    assert (await home.ask(repeated, case, cause=cause, event_id=case_id()))["data"]["rule"] == late
    stranger = await home.ask(words, case, partner="archive", cause=cause)
    assert (stranger["data"]["rule"], stranger["data"]["case_id"]) == ("unknown", case)


async def test_nobody_else_learns_that_there_is_such_a_case(intake: Running) -> None:
    case = await closed_case(intake)
    for what, body in BODIES.items():
        answers = [await post(intake, f"/reports/{one}/{what}", CHEN, body) for one in (case, case_id())]
        assert [answer.status_code for answer in answers] == [404, 404]
