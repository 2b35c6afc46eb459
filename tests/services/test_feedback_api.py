"""Feedback as a whole: verdicts over HTTP and topics, the check queue, ratings, figures with the lists behind them."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.migrate import migrate
from chassis.records import Record
from chassis.service import Service
from chassis.settings import Settings
from contracts.dispatch import Outcome, Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.progress import Progressed
from contracts.triage import Assignment, Check, Dispatched, Explanation, Merged
from contracts.wire import HOMES, identity
from deploy.district import __main__ as district
from services.feedback.service import build
from services.feedback.views import VIEWS
from tests.support.facts import case_id, fact_record
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Hands, Running, eventually, publish, read_topic, running, token

NOW = datetime(2026, 5, 9, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
G007, G009, FAR = "CH/shuangqiaozi/xinhong/g007", "CH/shuangqiaozi/xinhong/g009", "CH/shengdeng/hualin/g001"
WATER, FIRE, STREET = "dept:water", "dept:fire", "street:CH/shuangqiaozi"
CHECKER = token("member:g009-1", "grid_member", unit=f"grid:{G009}")
PLUMBER = token("worker:1", "grid_member", unit=f"grid:{G009}")
EVALUATOR = token("evaluator:1", "evaluator")
LEADER = token("leader:1", "shift_leader")
REPORTER = token("citizen:1", "reporter")
AUDITOR = token("auditor:1", "auditor")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder: Path = tmp_path_factory.mktemp("feedback-district")
    district.main(["--scale", "tiny", "--out", str(folder)])
    return build(Settings.model_validate({"CASEGRID_DISTRICT": folder}))


@pytest.fixture
async def url(empty_database: Database, service: Service) -> str:
    await migrate(empty_database.admin_url, "feedback", PASSWORD, service.schema.read_text())
    return empty_database.url("feedback")


@pytest.fixture
def clock() -> Hands:
    return Hands(NOW)


@pytest.fixture
async def feedback(url: str, service: Service, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, clock=clock) as found:
        yield found


def assignment(case: str, number: int, unit: str, at: datetime = NOW, round_: int = 1, **more: Any) -> Assignment:
    return Assignment(
        id=f"{case}.{round_}.{number}",
        unit=unit,
        lead=more.pop("lead", number == 1),
        task="repair",
        acknowledge_by=at + timedelta(minutes=10),
        resolve_by=at + 4 * HOUR,
        **more,
    )


def plan(*assignments: Assignment, round_: int = 1, at: datetime = NOW, **more: Any) -> Dispatched:
    area = more.pop("area", G007)
    return Dispatched.model_validate(
        {
            "round": round_,
            "because": "first" if round_ == 1 else "returned",
            "category": "event.emergency.water-main-burst",
            "condition": "standard",
            "priority": 1,
            "title": "A burst water main",
            "place": Place(area=area),
            "area": area,
            "filed_at": at,
            "plan": assignments,
            "check": Check(method="photo", by="grid"),
            "explanation": Explanation(rules=("category given",), catalogue="2026.1", policy="2026.1"),
            **more,
        }
    )


def ended(one: Assignment, outcome: Outcome = "fixed", **more: Any) -> Resolved:
    reason = None if outcome == "fixed" else "not ours"
    return Resolved(assignment_id=one.id, unit=one.unit, outcome=outcome, **{"reason": reason, **more})


def record(case: str, fact: Fact, at: datetime = NOW, **more: Any) -> Record:
    topic: str = fact.topic  # pyright: ignore[reportAttributeAccessIssue]
    return fact_record(case, fact, time=at, **{"source": HOMES.get(topic), **more})


async def take(feedback: Running, *records: Record) -> None:
    assert feedback.runtime.inbox is not None
    await feedback.runtime.inbox.process(records)


async def waiting(feedback: Running, at: datetime = NOW, **more: Any) -> str:
    """A case that waits for its check."""
    case = case_id()
    one = assignment(case, 1, WATER, at)
    await take(
        feedback,
        record(case, plan(one, at=at, **more), at),
        record(case, ended(one, handled_by=("worker:1",)), at + HOUR),
    )
    return case


async def get(feedback: Running, path: str, headers: dict[str, str] = AUDITOR, **query: Any) -> Any:
    response = await feedback.client.get(path, params=query or None, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


async def post(feedback: Running, path: str, headers: dict[str, str], status: int = 200, **body: Any) -> Any:
    response = await feedback.client.post(path, json=body, headers=headers)
    assert response.status_code == status, response.text
    return response.json()


async def test_a_passed_check_closes_the_case_and_leaves_the_queue(feedback: Running, clock: Hands) -> None:
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
        ("rating", EVALUATOR, 403),
    ],
)
async def test_roles(feedback: Running, path: str, headers: dict[str, str], status: int) -> None:
    await post(feedback, f"/cases/{case_id()}/{path}", headers, status, passed=True, reason="x", rating=5)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("check", {"passed": False}),
        ("check", {"passed": True, "failed": ["01977f2e-5c00-7000-8000-000000000001.1.1"]}),
        ("check", {"passed": True, "surprise": 1}),
        ("check", {"passed": True, "at": "2026-05-09T08:00:00+08:00"}),
        ("rating", {"rating": 6}),
    ],
)
async def test_bad_input_names_the_rule(feedback: Running, path: str, body: dict[str, Any]) -> None:
    found = await post(feedback, f"/cases/{case_id()}/{path}", CHECKER, 422, **body)
    assert found["errors"]


async def test_unknown_cases_and_cursors_of_others(feedback: Running) -> None:
    await post(feedback, f"/cases/{case_id()}/check", CHECKER, 404, passed=True)
    for path, status in ((f"/cases/{case_id()}", 404), ("/cases/not-a-case", 422), ("/checks?cursor=WzEsMl0", 422)):
        assert (await feedback.client.get(path, headers=AUDITOR)).status_code == status


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


async def test_a_forced_closing(feedback: Running) -> None:
    case = await waiting(feedback)
    await post(feedback, f"/cases/{case}/forced-closing", LEADER, reason="pulled down")
    shown = await get(feedback, f"/cases/{case}")
    assert (shown["outcome"], shown["reason"]) == ("forced", "pulled down")


async def test_ratings_count_once_a_person_and_only_for_a_while(feedback: Running, clock: Hands) -> None:
    case = await waiting(feedback)
    assert (await post(feedback, f"/cases/{case}/rating", REPORTER, 409, rating=5))["rule"] == "rating.open"
    await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
    await post(feedback, f"/cases/{case}/rating", REPORTER, 201, rating=4, comment="quick")
    assert (await post(feedback, f"/cases/{case}/rating", REPORTER, 409, rating=5))["rule"] == "rating.once"
    clock.advance(days=8)
    late = token("reporter:2", "reporter")
    assert (await post(feedback, f"/cases/{case}/rating", late, 409, rating=1))["rule"] == "rating.late"
    (rating,) = (await get(feedback, f"/cases/{case}"))["ratings"]
    assert (rating["rating"], rating["comment"]) == (4, "quick")
    assert rating["rater"].startswith("reporter:"), "a private person's login stands nowhere"
    assert "citizen:1" not in rating["rater"]


async def test_the_queue_is_paged_by_urgency_and_filtered(feedback: Running, clock: Hands) -> None:
    late = await waiting(feedback, NOW - 24 * HOUR)
    far = await waiting(feedback, NOW - HOUR, area=FAR)
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
    assert await queue(area="CH/shuangqiaozi") == [late, call]
    assert await queue(area="CH/sheng") == []
    assert await queue(method="call_back") == [call]
    assert await queue(overdue=True) == [late]
    assert await queue(due_before="2026-05-09T10:30:00Z") == [late, far]
    assert await queue(CHECKER, mine=True) == [late, far]
    assert await queue(EVALUATOR, mine=True) == [late, far, call]
    assert await queue(PLUMBER, mine=True) == []
    assert await queue(token("worker:2", "grid_member", unit=WATER), mine=True) == []
    assert await queue(token("m", "grid_member", areas=("CH/shengdeng",)), mine=True) == [far]


async def test_an_overdue_check_is_told_once_by_the_timer(feedback: Running, clock: Hands) -> None:
    case = await waiting(feedback)
    await waiting(feedback, retrospective=True)
    clock.advance(days=2)

    async def told() -> Any:
        rows = await feedback.runtime.database.fetch("SELECT case_id FROM cases WHERE check_overdue")
        return [row["case_id"] for row in rows]

    assert await eventually(told) == [case]
    assert await feedback.runtime.timers.look() == 0
    steps = await feedback.runtime.database.fetch(
        "SELECT 1 FROM events WHERE topic = 'Progressed' AND convert_from(body, 'UTF8') LIKE '%check_overdue%'"
    )
    assert len(steps) == 1


async def test_lists_of_cases(feedback: Running) -> None:
    first, second = await waiting(feedback), await waiting(feedback, area=FAR, category="event.other.other")
    merged = case_id()
    why = Explanation(rules=("near",), catalogue="1", policy="1")
    await take(feedback, record(merged, Merged(into=first, explanation=why)))

    async def listed(**query: Any) -> list[str]:
        return [item["case_id"] for item in (await get(feedback, "/cases", **query))["items"]]

    assert await listed() == [merged, second, first]
    assert await listed(status="checking", area="CH/shengdeng") == [second]
    assert await listed(outcome="duplicate") == [merged]
    assert await listed(unit=WATER, category="event.emergency") == [first]
    assert await listed(since="2026-05-09T08:00:01Z") == []
    page = await get(feedback, "/cases", limit=2)
    assert [item["case_id"] for item in (await get(feedback, "/cases", cursor=page["next"]))["items"]] == [first]
    assert (await get(feedback, f"/cases/{merged}"))["merged_into"] == first


async def history(feedback: Running, clock: Hands) -> dict[str, str]:
    """Six cases of 9 May: on time, late after rework, overdue, inside the limit, returned, merged."""
    cases = {name: case_id() for name in ("on_time", "late", "overdue", "inside", "returned", "merged")}

    async def play(name: str, *facts: tuple[Fact, datetime]) -> None:
        for fact, at in facts:
            await take(feedback, record(cases[name], fact, at))

    one = assignment(cases["on_time"], 1, WATER)
    await play(
        "on_time",
        (plan(one), NOW),
        (
            ended(one, acknowledged_at=NOW + timedelta(minutes=10), arrived_at=NOW + HOUR, urged=2, supervised=True),
            NOW + 2 * HOUR,
        ),
    )
    one = assignment(cases["late"], 1, WATER)
    again = assignment(cases["late"], 1, WATER, round_=2, replaces=one.id)
    await play("late", (plan(one), NOW), (ended(one, acknowledged_at=NOW + timedelta(minutes=30)), NOW + HOUR))
    clock.advance(hours=3)
    await post(feedback, f"/cases/{cases['on_time']}/check", CHECKER, passed=True)
    await post(feedback, f"/cases/{cases['late']}/check", CHECKER, passed=False, reason="still wet")
    await play("late", (plan(again, round_=2, because="rework"), clock()), (ended(again), NOW + 5 * HOUR))
    back = assignment(cases["returned"], 1, FIRE, clock())
    await play("returned", (plan(back, at=clock()), clock()), (ended(back, "returned"), clock()))
    clock.advance(hours=3)
    await post(feedback, f"/cases/{cases['late']}/check", CHECKER, passed=True)
    await post(feedback, f"/cases/{cases['on_time']}/rating", REPORTER, 201, rating=5)
    await play("overdue", (plan(assignment(cases["overdue"], 1, WATER, NOW), area=FAR), NOW))
    await play("inside", (plan(assignment(cases["inside"], 1, WATER, clock()), at=clock()), clock()))
    again = assignment(cases["returned"], 1, STREET, clock(), 2, replaces=back.id)
    await play("returned", (plan(again, round_=2, at=clock()), clock()))
    why = Explanation(rules=("near",), catalogue="1", policy="1")
    await play("merged", (Merged(into=cases["on_time"], explanation=why), NOW))
    return cases


def values(group: dict[str, Any]) -> dict[str, Any]:
    return {name: one["value"] for name, one in group["indicators"].items()}


async def test_indicators_of_a_unit_an_area_and_a_category(feedback: Running, clock: Hands) -> None:
    await history(feedback, clock)
    period: dict[str, Any] = {"since": "2026-05-09T00:00:00Z", "until": "2026-05-09T14:00:00Z"}
    found = {group["key"]: values(group) for group in (await get(feedback, "/indicators", **period))["items"]}
    assert found.keys() == {WATER, FIRE}
    assert found[WATER] == {
        "closing_rate": pytest.approx(1 / 2),  # the late case was closed at 14:00, which is the next period's
        "on_time_closing_rate": pytest.approx(1 / 2),
        "rework_rate": 0,
        "acknowledgement_p50": 1200,
        "acknowledgement_p90": pytest.approx(1680),
        "arrival_p50": 3600,
        "arrival_p90": 3600,
        "dispatch_accuracy": 1,
        "urges": 2,
        "supervisions": 1,
        "satisfaction": None,
    }
    assert found[FIRE]["dispatch_accuracy"] == 0
    assert found[FIRE]["closing_rate"] is None
    clock.advance(hours=1)
    whole: dict[str, Any] = {"since": "2026-05-09T00:00:00Z", "until": "2026-05-09T15:00:00Z"}
    water = values((await get(feedback, "/indicators", unit=WATER, **whole))["items"][0])
    assert water["closing_rate"] == pytest.approx(2 / 3)
    assert water["on_time_closing_rate"] == pytest.approx(1 / 3)
    assert water["rework_rate"] == pytest.approx(1 / 3)
    assert water["satisfaction"] == 5
    streets = (await get(feedback, "/indicators", by="area", **whole))["items"]
    assert [group["key"] for group in streets] == ["CH/shengdeng", "CH/shuangqiaozi"]
    assert [values(group)["closing_rate"] for group in streets] == [0, 1]
    grids = (await get(feedback, "/indicators", by="area", level="grid", area="CH/shuangqiaozi", **whole))["items"]
    assert [group["key"] for group in grids] == [G007]
    (category,) = (await get(feedback, "/indicators", by="category", **whole))["items"]
    assert category["key"] == "event.emergency.water-main-burst"
    (everything,) = (await get(feedback, "/indicators", by="all", **whole))["items"]
    assert everything["indicators"]["closing_rate"]["of"] == 3


async def test_every_number_opens_exactly_its_cases(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    clock.advance(hours=1)
    opened: dict[str, set[str]] = {}
    for by in ("all", "unit", "area", "category"):
        for group in (await get(feedback, "/indicators", by=by))["items"]:
            for name, one in group["indicators"].items():
                for count, link in ((one["of"], one["cases"]), (one["part"], one["part_cases"])):
                    if link is None:
                        continue
                    behind = [item["case_id"] for item in (await get(feedback, link))["items"]]
                    # Several assignments may belong to one case.
                    assert (len(behind) == count) if "due" in link else (bool(behind) == bool(count)), (name, link)
                    if by == "all":
                        opened[name if link == one["cases"] else f"{name} part"] = set(behind)
    due = {cases["on_time"], cases["late"], cases["overdue"]}
    assert opened["closing_rate"] == due
    assert opened["closing_rate part"] == due - {cases["overdue"]}
    assert opened["on_time_closing_rate part"] == {cases["on_time"]}
    assert opened["rework_rate part"] == {cases["late"]}
    assert opened["dispatch_accuracy"] == {cases["on_time"], cases["late"], cases["returned"]}
    assert opened["dispatch_accuracy part"] == {cases["on_time"], cases["late"]}
    assert opened["urges part"] == {cases["on_time"]}
    assert opened["satisfaction"] == {cases["on_time"]}


async def test_a_past_period_gives_the_same_numbers_on_any_day(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    clock.advance(minutes=1)
    period: dict[str, Any] = {"since": "2026-05-09T00:00:00Z", "until": "2026-05-09T14:01:00Z", "by": "all"}
    before = await get(feedback, "/indicators", **period)
    overdue = cases["overdue"]
    one = assignment(overdue, 1, WATER)
    clock.advance(hours=10)
    # Its deadline had been moved; that was not known at the end of the period.
    await take(feedback, record(overdue, ended(one, resolve_by=NOW + 20 * HOUR, extensions=1), clock()))
    await post(feedback, f"/cases/{overdue}/check", CHECKER, passed=True)
    await post(feedback, f"/cases/{overdue}/rating", REPORTER, 201, rating=1)
    clock.advance(days=30)
    assert await get(feedback, "/indicators", **period) == before
    longer = {**period, "until": "2026-05-10T14:01:00Z"}
    seen_early = await get(feedback, "/indicators", **longer, as_of=period["until"])
    assert [values(group) for group in seen_early["items"]] == [values(group) for group in before["items"]]
    seen_late = await get(feedback, "/indicators", **longer)
    assert [values(group) for group in seen_late["items"]] != [values(group) for group in before["items"]]


async def test_indicators_are_paged_and_refuse_the_future(feedback: Running, clock: Hands) -> None:
    await history(feedback, clock)
    clock.advance(hours=1)
    page = await get(feedback, "/indicators", limit=1)
    assert [group["key"] for group in page["items"]] == [FIRE]
    page = await get(feedback, "/indicators", limit=1, cursor=page["next"])
    assert [group["key"] for group in page["items"]] == [WATER]
    assert page["next"] is None
    for query in (
        {"as_of": "2027-01-01T00:00:00Z"},
        {"since": "2026-05-02T00:00:00Z", "until": "2026-05-01T00:00:00Z"},
    ):
        assert (await feedback.client.get("/indicators", params=query, headers=AUDITOR)).status_code == 422


async def test_formulas_are_public_and_every_score_and_indicator_has_one(feedback: Running, clock: Hands) -> None:
    cases = await history(feedback, clock)
    published = {one["formula"] for one in (await get(feedback, "/formulas", {}))["items"]}
    scores = (await get(feedback, f"/cases/{cases['on_time']}"))["scores"]
    (group,) = (await get(feedback, "/indicators", by="all"))["items"]
    used = {one["formula"] for one in (*scores, *group["indicators"].values())}
    assert used
    assert used <= published


async def test_partners_speak_for_their_own_units_only(feedback: Running) -> None:
    case = case_id()
    water, fire = assignment(case, 1, WATER), assignment(case, 2, FIRE)
    await take(
        feedback,
        record(case, plan(water, fire)),
        record(case, ended(water), source="/partners/fire"),
        record(case, Evaluated(verdict="closed", outcome="fixed"), source="/partners/fire"),
    )
    parked = (await get(feedback, "/parked"))["items"]
    assert {item["reason"] for item in parked} == {
        "data.unit: /partners/fire may not act for dept:water",
        "source: /partners/fire may not publish on Evaluated",
    }
    other = case_id()
    fire = assignment(other, 1, FIRE)
    await take(
        feedback,
        record(other, ended(fire), source="/partners/fire"),
        record(other, plan(fire, check={"method": "rule", "by": "rule"})),
    )
    assert (await get(feedback, f"/cases/{other}"))["outcome"] == "fixed"


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
        record(case, ended(fire), now, source="/partners/fire"),
    ]
    ruling = record(case, plan(lead, street, fire, at=now), now)
    async with running(service, url, kafka=kafka, prefix=topics) as feedback:
        await publish(kafka, topics, [*ends, *ends])

        async def taken() -> Any:
            row = await feedback.runtime.database.fetchrow("SELECT version FROM streams WHERE version = 3")
            return row is not None

        await eventually(taken, what="the three ends")
        await publish(kafka, topics, [ruling, ruling])

        async def queued() -> Any:
            return (await get(feedback, "/checks", CHECKER))["items"]

        await eventually(queued, what="the check")
        await post(feedback, f"/cases/{case}/check", CHECKER, passed=True)
        (verdict,) = await read_topic(kafka, topics, "Evaluated", lambda found: len(found) >= 1)
        assert (verdict.subject, verdict.actor, verdict.data.outcome) == (case, "member:g009-1", "fixed")
        steps = await read_topic(kafka, topics, "Progressed", lambda found: len(found) >= 2)
    assert [step.data for step in steps] == [
        Progressed(step="checking", due_at=now + 2 * HOUR),
        Progressed(step="verified"),
    ]
    assert ruling.value is not None
    assert identity(ruling.value) == ("/services/triage", steps[0].causationid)
