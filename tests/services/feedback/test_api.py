"""Feedback as a whole: verdicts over HTTP and topics, the check queue, reporters' words, what it takes from whom."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from chassis.service import Service
from chassis.web.roles import routes_of
from contracts.fields import Fact
from contracts.intake import Supplement, Withdrawal
from contracts.progress import Acknowledged, Checking, Verified
from contracts.triage import Rejected, Upheld, Withdrawn
from contracts.wire import identity
from services.feedback.api import router
from services.feedback.bodies import CaseDetail, CaseItem
from services.feedback.queries import FOR_LEADS, FOR_UNITS
from services.feedback.views import VIEWS
from tests.services.feedback.desk import (
    AUDITOR,
    CHECKER,
    EVALUATOR,
    FAR,
    FAR_COMMUNITY,
    FIRE,
    HOUR,
    LEADER,
    NEAR_COMMUNITY,
    NOW,
    PLUMBER,
    REPORTER,
    STREET,
    WATER,
    ask_to_reopen,
    assignment,
    ended,
    extended,
    get,
    plan,
    post,
    rate,
    record,
    said,
    take,
    waiting,
)
from tests.support import rulings
from tests.support.facts import case_id, report
from tests.support.services import Hands, Running, eventually, publish, read_topic, running, token


async def test_a_passed_check_closes_the_case_and_leaves_the_queue(feedback: Running, clock: Hands) -> None:
    clock.advance(hours=1)
    case = await waiting(feedback)
    (entry,) = (await get(feedback, "/checks", CHECKER))["items"]
    assert (entry["case_id"], entry["check_due_at"]) == (case, "2026-05-09T11:00:00Z")
    assert entry["handlers"] == ["worker:1"]
    given = await post(
        feedback,
        f"/cases/{case}/check",
        CHECKER,
        passed=True,
        note="water is back",
        evidence=[{"uri": "https://photos.example/1.jpg"}],
    )
    assert (given["status"], given["outcome"], given["reworks"]) == ("closed", "fixed", 0)
    assert (await get(feedback, "/checks", CHECKER))["items"] == []
    response = await feedback.client.get(f"/cases/{case}", headers=AUDITOR)
    shown = response.json()
    assert response.headers["etag"] == '"5"'
    assert (shown["outcome"], shown["checked_by"], shown["lead_unit"]) == ("fixed", "member:g009-1", WATER)
    assert {"formula": "on-time.v1", "value": 1.0} in shown["scores"]
    assert [one["outcome"] for one in shown["assignments"]] == ["fixed"]


async def test_whoever_handled_it_is_refused_and_told_the_rule(feedback: Running) -> None:
    case = await waiting(feedback)
    refused = await post(feedback, f"/cases/{case}/check", PLUMBER, 409, passed=True)
    assert refused["rule"] == "check.separation"
    assert (await get(feedback, f"/cases/{case}"))["status"] == "checking"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("check", REPORTER, 403),
        ("check", {}, 401),
        ("forced-closing", EVALUATOR, 403),
    ],
)
async def test_roles(feedback: Running, path: str, headers: dict[str, str], status: int) -> None:
    await post(feedback, f"/cases/{case_id()}/{path}", headers, status, passed=True, reason="x")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("check", {"passed": False}),
        ("check", {"passed": True, "failed": ["01977f2e-5c00-7000-8000-000000000001.1.1"]}),
        ("check", {"passed": True, "surprise": 1}),
        ("check", {"passed": True, "at": "2026-05-09T08:00:00"}),
        ("check", {"passed": True, "at": 1778313600}),
    ],
)
async def test_bad_input_names_the_rule(feedback: Running, path: str, body: dict[str, Any]) -> None:
    found = await post(feedback, f"/cases/{await waiting(feedback)}/{path}", CHECKER, 422, **body)
    assert found["errors"]


async def test_unknown_cases_and_cursors_of_others(feedback: Running) -> None:
    await post(feedback, f"/cases/{case_id()}/check", CHECKER, 404, passed=True)
    for path, status in ((f"/cases/{case_id()}", 404), ("/cases/not-a-case", 422), ("/checks?cursor=WzEsMl0", 422)):
        assert (await feedback.client.get(path, headers=AUDITOR)).status_code == status


async def test_nobody_acts_on_a_case_outside_their_areas_or_reads_it(feedback: Running) -> None:
    """`CH/shuangqiaozi/shuangqiaolu` begins like the case's community, and is another."""
    case = await waiting(feedback)
    elsewhere, rejected = (FAR_COMMUNITY, NEAR_COMMUNITY.removesuffix("bei")), case_id()
    known: dict[str, Any] = {"category": "event.emergency.water-main", "area": f"{NEAR_COMMUNITY}/g001"}
    await take(feedback, record(rejected, Rejected(why="incomplete", reason="no place", **known)))
    for one in (case, rejected):
        for path, role, body in (
            ("check", "grid_member", {"passed": True}),
            ("check", "evaluator", {"passed": False, "reason": "still wet"}),
            ("forced-closing", "shift_leader", {"reason": "why not"}),
        ):
            by = token("member:1", role, areas=elsewhere)
            refused = await post(feedback, f"/cases/{one}/{path}", by, 403, **body)
            assert refused["title"] == "Forbidden"
        read = await feedback.client.get(f"/cases/{one}", headers=token("member:1", "grid_member", areas=elsewhere))
        assert read.status_code == 403
    assert await said(feedback, case, "Evaluated") == []
    nobody = token("member:1", "grid_member", areas=elsewhere)
    assert (await get(feedback, "/checks", nobody))["items"] == (await get(feedback, "/cases", nobody))["items"] == []
    await post(feedback, f"/cases/{case_id()}/check", nobody, 404, passed=True)
    await post(
        feedback, f"/cases/{case}/check", token("member:1", "grid_member", areas=("CH/shuangqiaozi",)), passed=True
    )


@pytest.mark.parametrize("path", ["/checks", "/cases", "/indicators", "/indicators/cases?population=due&key=all"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("area", "CH/shuangqiaozi/nowhere"),
        ("area", "CH/shuangqiaoz"),
        ("unit", "dept:nobody"),
        ("category", "event.emergency.nothing"),
        ("category", "event.emerg"),
    ],
)
async def test_a_filter_that_names_nothing_of_the_district_is_refused_by_name(
    feedback: Running, path: str, name: str, value: str
) -> None:
    query = {**dict(httpx.URL(path).params), name: value}
    answer = await feedback.client.get(path.partition("?")[0], headers=AUDITOR, params=query)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name)


async def test_a_stale_etag_and_a_repeated_key(feedback: Running) -> None:
    case = await waiting(feedback)
    await post(feedback, f"/cases/{case}/check", {**CHECKER, "if-match": '"2"'}, 412, passed=True)
    keyed = {**CHECKER, "idempotency-key": "k-1", "if-match": '"3"'}
    first = await post(feedback, f"/cases/{case}/check", keyed, passed=True)
    assert await post(feedback, f"/cases/{case}/check", keyed, passed=True) == first


async def test_a_failed_check_comes_back_after_the_rework(feedback: Running) -> None:
    case = await waiting(feedback)
    given = await post(feedback, f"/cases/{case}/check", CHECKER, passed=False, reason="still wet")
    assert (given["verdict"], given["status"], given["failed"]) == ("rework", "rework", [f"{case}.1.1"])
    again = assignment(case, 1, WATER, round_=2, replaces=f"{case}.1.1")
    await take(feedback, record(case, plan(again, round_=2, because="rework")), record(case, ended(again)))
    assert (await get(feedback, f"/cases/{case}"))["status"] == "checking"
    given = await post(feedback, f"/cases/{case}/check", EVALUATOR, passed=True)
    assert (given["outcome"], given["reworks"]) == ("fixed", 1)


@pytest.mark.parametrize(
    ("claimed", "doubtful"),
    [("2026-05-09T17:30:00+08:00", False), ("2026-05-11T08:00:00Z", True), ("2026-05-09T01:00:00-05:00", True)],
)
async def test_a_claimed_time_stands_beside_the_arrival_and_is_no_reason_to_refuse(
    feedback: Running, clock: Hands, claimed: str, doubtful: bool
) -> None:
    case = await waiting(feedback)
    clock.advance(hours=4)
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True, at=claimed)
    (verdict,) = await said(feedback, case, "Evaluated")
    assert verdict.time == clock()
    assert verdict.data.claimed_at == datetime.fromisoformat(claimed)
    assert verdict.data.time_doubtful == doubtful


async def test_in_a_late_entry_the_time_that_staff_claims_counts(feedback: Running, clock: Hands) -> None:
    case = await waiting(feedback, retrospective=True)
    clock.advance(days=300)
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True, at="2026-05-09T18:00:00+08:00")
    shown = await get(feedback, f"/cases/{case}")
    assert shown["closed_at"] == "2026-05-09T10:00:00Z"


async def test_an_end_at_a_doubtful_time_goes_to_a_person(feedback: Running) -> None:
    case = case_id()
    one = assignment(case, 1, WATER)
    rule = plan(one, check={"method": "rule", "by": "rule"})
    await take(feedback, record(case, rule), record(case, ended(one, time_doubtful=True)))
    (entry,) = (await get(feedback, "/checks", CHECKER))["items"]
    assert (entry["case_id"], entry["status"]) == (case, "checking")
    (step,) = await said(feedback, case, "Progressed")
    assert step.data.reason == f"the time at which assignment {one.id} ended is doubtful"


async def test_a_superior_who_took_the_work_over_handled_it(feedback: Running) -> None:
    case = case_id()
    one = assignment(case, 1, WATER)
    await take(feedback, record(case, plan(one)), record(case, ended(one, unit=STREET, handled_by=("chief:1",))))
    refused = await post(
        feedback, f"/cases/{case}/check", token("clerk:1", "grid_member", unit=STREET), 409, passed=True
    )
    assert refused["rule"] == "check.separation"
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
    shown = await get(feedback, f"/cases/{case}")
    assert shown["lead_unit"] == STREET
    (given,) = shown["assignments"]
    assert (given["given_to"], given["unit"]) == (WATER, STREET)
    assert {"formula": "unit-on-time.v1", "value": 1.0, "unit": STREET} in shown["scores"]


async def test_statuses_as_far_as_feedback_can_tell_them(feedback: Running) -> None:
    case = case_id()
    one, two = assignment(case, 1, WATER), assignment(case, 2, STREET)

    async def status(*facts: Fact) -> str:
        await take(feedback, *(record(case, fact) for fact in facts))
        found = (await get(feedback, f"/cases/{case}"))["status"]
        assert [item["case_id"] for item in (await get(feedback, "/cases", status=found))["items"]] == [case]
        return found

    assert await status(plan(one, two)) == "dispatched"
    assert await status(Upheld(reason="the road is under water")) == "dispatched"
    assert await status(ended(one, "returned")) == "filed"
    again = assignment(case, 1, FIRE, round_=2, replaces=one.id)
    assert await status(plan(again, round_=2)) == "dispatched"
    assert await status(ended(again)) == "fixed"
    assert await status(ended(two)) == "checking"
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=False, reason="still wet")
    assert await status() == "rework"
    assert await status(Withdrawn(reason="a mistake")) == "closed"


async def test_work_added_leaves_the_queue_until_it_is_done(feedback: Running) -> None:
    case = await waiting(feedback)
    more = assignment(case, 1, FIRE, round_=2, lead=False)
    await take(feedback, record(case, plan(more, round_=2, because="manual")))
    assert (await get(feedback, "/checks", CHECKER))["items"] == []
    await take(feedback, record(case, ended(more)))
    assert [item["case_id"] for item in (await get(feedback, "/checks", CHECKER))["items"]] == [case]


@pytest.mark.parametrize("role", ["handling_unit", "grid_member"])
@pytest.mark.parametrize(("unit", "late", "value"), [(WATER, 60, 0.0), (FIRE, None, 1.0)], ids=["lead", "support"])
async def test_of_what_was_measured_a_unit_sees_its_own_work_alone(
    feedback: Running, clock: Hands, unit: str, late: int | None, value: float, role: str
) -> None:
    case, behind = case_id(), {"population": "ended", "key": "all", "by": "all"}
    lead, support = assignment(case, 1, WATER), assignment(case, 2, FIRE)
    await take(feedback, *(record(case, one) for one in (plan(lead, support), ended(support))))
    await take(feedback, record(case, ended(lead, late_by_seconds=60)))
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
    clock.advance(hours=3)
    measuring = {route.path for route in routes_of(router) if "'scores'" in str(schema_of(route))}
    measuring.remove("/checks")  # what waits there has no verdict, and units do not see it as theirs
    assert measuring == {"/cases", "/cases/{case_id}", "/indicators/cases"}

    async def shown(path: str, who: dict[str, str]) -> tuple[Any, ...]:
        found = await get(feedback, path.format(case_id=case), who, **(behind if "indicators" in path else {}))
        [item] = found.get("items", [found])
        return item["scores"], item["late_by_seconds"], item["done_at"]

    for path in measuring:
        scores, *lateness = await shown(path, AUDITOR)
        assert {score.get("unit") for score in scores} == {None, WATER, FIRE}
        assert lateness == [60, "2026-05-09T08:00:00Z"]
        assert await shown(path, token("worker:1", role, unit=unit, areas=())) == (
            [{"formula": "unit-on-time.v1", "value": value, "unit": unit}],
            late,
            late and "2026-05-09T08:00:00Z",
        )


OF_THEIR_OWN = {"scores", "assignments", "handlers", "handling_units", "ratings"}
"""Of these, units see what is theirs, and ratings without their words."""
NOT_FOR_UNITS = {"merged_into", "reason", "checked_by", "reopening_requested_by", "reopening_reason"}


def test_of_each_field_of_a_case_it_is_said_whether_units_see_it() -> None:
    shown = FOR_UNITS | FOR_LEADS | OF_THEIR_OWN
    assert not shown & NOT_FOR_UNITS
    for model in (CaseDetail, CaseItem):
        assert set(model.model_fields) <= shown | NOT_FOR_UNITS
    assert shown | NOT_FOR_UNITS == set(CaseDetail.model_fields)


async def test_a_unit_reads_neither_who_checked_a_case_nor_what_its_reporter_says(
    feedback: Running, clock: Hands
) -> None:
    case = case_id()
    lead, support = assignment(case, 1, WATER), assignment(case, 2, FIRE)
    await take(feedback, *(record(case, one) for one in (plan(lead, support), ended(support), ended(lead))))
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
    await rate(feedback, case, NOW, 1, comment="he came back")
    await ask_to_reopen(feedback, case, NOW)
    clock.advance(hours=3)
    whole = await get(feedback, f"/cases/{case}", AUDITOR)
    assert (whole["checked_by"], whole["ratings"][0]["comment"]) == ("member:g009-1", "he came back")
    for unit, leads in ((WATER, WATER), (FIRE, None)):
        who = token("worker:1", "handling_unit", unit=unit, areas=())
        part = await get(feedback, f"/cases/{case}", who)
        [listed] = (await get(feedback, "/cases", who))["items"]
        assert [one["comment"] for one in part["ratings"]] == [None]
        for shown in (part, listed):
            assert shown["lead_unit"] == leads
            assert {shown[name] for name in NOT_FOR_UNITS} == {None}
            assert (shown["status"], shown["outcome"]) == ("closed", "fixed")


def schema_of(route: APIRoute) -> Any:
    return TypeAdapter(route.response_model).json_schema()


async def test_a_forced_closing(feedback: Running) -> None:
    case = await waiting(feedback)
    await post(feedback, f"/cases/{case}/forced-closing", LEADER, reason="pulled down")
    shown = await get(feedback, f"/cases/{case}")
    assert (shown["outcome"], shown["reason"]) == ("forced", "pulled down")


async def test_a_rating_from_intake_is_shown_and_counts_unless_its_giver_handled_the_case(
    feedback: Running, clock: Hands
) -> None:
    case, own = await waiting(feedback), await waiting(feedback)
    for one in (case, own):
        await post(feedback, f"/cases/{one}/check", CHECKER, passed=True)
    await rate(feedback, case, NOW, 1, comment="still wet")
    await rate(feedback, own, NOW, 5, "worker:1")
    shown = [(await get(feedback, f"/cases/{one}"))["ratings"] for one in (case, own)]
    assert [[(it["rater"], it["rating"], it["comment"], it["counts"]) for it in each] for each in shown] == [
        [("reporter:1", 1, "still wet", True)],
        [("worker:1", 5, None, False)],
    ]
    clock.advance(hours=3)
    (group,) = (await get(feedback, "/indicators", by="all"))["items"]
    satisfaction = group["indicators"]["satisfaction"]
    assert (satisfaction["value"], satisfaction["of"]) == (1, 1)
    assert [it["case_id"] for it in (await get(feedback, satisfaction["cases"]))["items"]] == [case]


async def test_nobody_rates_at_feedback(feedback: Running) -> None:
    case = await waiting(feedback)
    answer = await feedback.client.post(f"/cases/{case}/rating", json={"rating": 5}, headers=REPORTER)
    assert answer.status_code == 404


@pytest.mark.parametrize("role", ["shift_leader", "evaluator", "dispatcher"])
async def test_the_centre_finds_the_cases_whose_reporter_asks_to_reopen_them(
    feedback: Running, clock: Hands, role: str
) -> None:
    case, other = await waiting(feedback), await waiting(feedback)
    for one in (case, other):
        await post(feedback, f"/cases/{one}/check", CHECKER, passed=True)
    clock.advance(hours=3)
    await ask_to_reopen(feedback, case, NOW + 3 * HOUR, "wet again")
    who = token(f"{role}:1", role)
    (item,) = (await get(feedback, "/cases", who, reopening_requested="true"))["items"]
    assert (item["case_id"], item["status"], item["reopening_reason"]) == (case, "closed", "wet again")
    assert (item["reopening_requested_at"], item["reopening_requested_by"]) == ("2026-05-09T11:00:00Z", "reporter:1")
    (item,) = (await get(feedback, "/cases", who, reopening_requested="false"))["items"]
    assert (item["case_id"], item["reopening_requested_at"]) == (other, None)
    assert len(await said(feedback, case, "Evaluated")) == 1


async def test_of_what_is_said_of_reports_only_what_follows_the_closing_leaves_a_trace(feedback: Running) -> None:
    case = case_id()
    for fact in (report(), Supplement(text="more"), Withdrawal(reason="dried up")):
        await take(feedback, record(case, fact))
    database = feedback.runtime.database
    assert await database.fetch("SELECT FROM streams") == await database.fetch("SELECT FROM seen") == []
    await rate(feedback, case, NOW, 4)
    assert len(await database.fetch("SELECT FROM streams")) == 1


async def test_the_queue_is_paged_by_urgency_and_filtered(feedback: Running, clock: Hands) -> None:
    late = await waiting(feedback, NOW - 24 * HOUR, area=f"{FAR_COMMUNITY}-north/g001")
    far = await waiting(feedback, NOW - HOUR, area=FAR)
    clock.advance(hours=1)
    call = await waiting(feedback, NOW, check={"method": "call_back", "by": "call_centre"})

    async def queue(headers: dict[str, str] = AUDITOR, **query: Any) -> list[str]:
        found, cursor = list[str](), {}
        while True:
            page = await get(feedback, "/checks", headers, limit=1, **query, **cursor)
            found += [item["case_id"] for item in page["items"]]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    assert await queue() == [late, far, call]
    assert await queue(area="CH/shuangqiaozi") == [late, far, call]
    assert await queue(area=FAR_COMMUNITY) == [far], "an area is not found by the first letters of its name"
    assert await queue(area=NEAR_COMMUNITY) == [call]
    assert await queue(method="call_back") == [call]
    assert await queue(overdue=True) == [late]
    assert await queue(due_before="2026-05-09T10:30:00Z") == [late, far]
    assert await queue(CHECKER, mine=True) == [late, far]
    assert await queue(EVALUATOR, mine=True) == [late, far, call]
    assert await queue(PLUMBER, mine=True) == []
    assert await queue(token("worker:2", "grid_member", unit=WATER), mine=True) == []
    assert await queue(token("m", "grid_member", areas=(FAR_COMMUNITY,)), mine=True) == [far]


async def test_an_overdue_check_is_told_once_by_the_timer(feedback: Running, clock: Hands) -> None:
    case = await waiting(feedback)
    await waiting(feedback, retrospective=True)
    clock.advance(days=2)

    async def told() -> Any:
        rows = await feedback.runtime.database.fetch("SELECT case_id FROM cases WHERE check_overdue")
        return [row["case_id"] for row in rows]

    assert await eventually(told) == [case]
    assert await feedback.runtime.deciding.timers.look() == 0
    steps = await feedback.runtime.database.fetch(
        "SELECT 1 FROM events WHERE topic = 'Progressed' AND convert_from(body, 'UTF8') LIKE '%check_overdue%'"
    )
    assert len(steps) == 1


async def test_lists_of_cases(feedback: Running) -> None:
    first, second = await waiting(feedback), await waiting(feedback, area=FAR, category="event.other.other")
    merged = case_id()
    await take(feedback, record(merged, rulings.merged(first)))

    async def listed(**query: Any) -> list[str]:
        return [item["case_id"] for item in (await get(feedback, "/cases", **query))["items"]]

    assert await listed() == [merged, second, first]
    assert await listed(status="checking", area=FAR_COMMUNITY) == [second]
    assert await listed(outcome="duplicate") == [merged]
    assert await listed(unit=WATER, category="event.emergency") == [first]
    assert await listed(since="2026-05-09T08:00:01Z") == []
    page = await get(feedback, "/cases", limit=2)
    assert [item["case_id"] for item in (await get(feedback, "/cases", cursor=page["next"]))["items"]] == [first]
    assert (await get(feedback, f"/cases/{merged}"))["merged_into"] == first


async def test_since_and_until_bound_the_time_that_the_list_is_ordered_by(feedback: Running, clock: Hands) -> None:
    """A case is listed where it was filed; one that never was, where it was closed."""
    late = await waiting(feedback, NOW - 2 * HOUR)
    early = await waiting(feedback, NOW - 20 * HOUR, retrospective=True)
    merged = case_id()
    await take(feedback, record(merged, rulings.merged(late)))

    async def listed(**query: Any) -> list[str]:
        return [item["case_id"] for item in (await get(feedback, "/cases", **query))["items"]]

    assert await listed() == [merged, late, early]
    first = await get(feedback, "/cases", limit=2)
    assert await listed(cursor=first["next"]) == [early]
    assert await listed(since="2026-05-09T06:00:00Z") == [merged, late]
    assert await listed(since="2026-05-09T06:00:00Z", until="2026-05-09T08:00:00Z") == [late]
    assert await listed(until="2026-05-09T06:00:00Z") == [early]


async def test_what_others_say_in_its_writers_place_takes_no_effect_and_is_left_to_who_parks_it(
    feedback: Running,
) -> None:
    case = case_id()
    one = assignment(case, 1, WATER)
    await take(
        feedback,
        record(case, plan(one)),
        record(case, ended(one), source="/partners/fire"),
        record(case, Withdrawn(reason="a mistake"), source="/services/dispatch"),
        record(case, ended(one), source="/services/triage"),
    )
    assert feedback.runtime.inbox.reader.passed_over == {"Resolved": 2, "Assigned": 1}
    assert (await get(feedback, "/parked"))["items"] == []
    shown = await get(feedback, f"/cases/{case}")
    assert (shown["status"], shown["assignments"][0]["outcome"]) == ("dispatched", None)
    await take(feedback, record(case, ended(one)))
    assert (await get(feedback, f"/cases/{case}"))["status"] == "checking"


async def test_of_the_steps_only_dispatchs_extensions_are_taken(feedback: Running) -> None:
    case = case_id()
    one = assignment(case, 1, WATER)
    await take(
        feedback,
        record(case, plan(one)),
        record(case, Acknowledged(assignment_id=one.id, unit=WATER, due_at=one.resolve_by)),
        record(case, Verified()),
        record(case, extended(one, 2, NOW + 90 * HOUR), source="/services/triage"),
        record(case, extended(one, 1, NOW + 8 * HOUR)),
    )
    assert not feedback.runtime.inbox.reader.passed_over, "others' steps are not even read"
    rows = await feedback.runtime.database.fetch("SELECT topic FROM events WHERE stream_id = $1 ORDER BY version", case)
    assert [row["topic"] for row in rows] == ["Assigned", "Progressed"]
    shown = await get(feedback, f"/cases/{case}")
    assert shown["due_at"] == "2026-05-09T16:00:00Z"


async def test_views_write_every_column_of_their_tables(url: str, feedback: Running) -> None:
    for view in VIEWS:
        rows = await feedback.runtime.database.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = $1",
            view.table,
        )
        assert {row["column_name"] for row in rows} == view.columns.keys()


async def test_through_the_topics_in_any_order_to_one_verdict(
    url: str, service: Service, kafka: str, topics: str, make_topics: Callable[..., Any]
) -> None:
    """A case worked in three assignments, its facts given twice and the ends before the plan, is closed once."""
    case = case_id()
    now = datetime.now(UTC)
    lead, street, fire = (assignment(case, n, unit, now) for n, unit in ((1, WATER), (2, STREET), (3, FIRE)))
    ends = [
        record(case, ended(lead), now),
        record(case, ended(street), now),
        record(case, extended(lead, 1, lead.resolve_by + 4 * HOUR), now),
        record(case, ended(fire), now),
    ]
    ruling = record(case, plan(lead, street, fire, at=now), now)
    async with running(service, url, kafka=kafka, prefix=topics) as feedback:
        await publish(kafka, topics, [*ends, *ends])

        async def taken() -> Any:
            row = await feedback.runtime.database.fetchrow("SELECT version FROM streams WHERE version = 4")
            return row is not None

        await eventually(taken, what="the three ends and the extension")
        await publish(kafka, topics, [ruling, ruling])

        async def queued() -> Any:
            return (await get(feedback, "/checks", CHECKER))["items"]

        await eventually(queued, what="the check")
        await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
        (verdict,) = await read_topic(kafka, topics, "Evaluated", lambda found: len(found) >= 1)
        assert (verdict.subject, verdict.actor, verdict.data.outcome) == (case, "member:g009-1", "fixed")
        progressed = await read_topic(kafka, topics, "Progressed", lambda found: len(found) >= 4)
    steps = [step for step in progressed if step.source == "/services/feedback"]
    assert [step.data for step in steps] == [
        Checking(due_at=now + 2 * HOUR),
        Verified(),
    ]
    assert ruling.value is not None
    assert identity(ruling.value) == ("/services/triage", steps[0].causationid)
    assert (steps[1].causationid, verdict.causationid) == (steps[0].id, steps[1].id)
