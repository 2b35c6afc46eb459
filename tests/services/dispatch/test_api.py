"""The whole dispatch service over HTTP and topics, on a real Kafka and a real PostgreSQL, by a clock moved by hand."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.kafka.records import Record
from chassis.web import streams
from contracts.feedback import Evaluated
from contracts.intake import Supplement, Withdrawal
from contracts.reading import Scope
from contracts.request import Resolve
from contracts.triage import Rejected, Withdrawn
from services.dispatch.api import ROLES
from services.dispatch.bodies import AssignmentFilters
from services.dispatch.queries import assignments
from tests.services.dispatch.desk import (
    BODIES,
    CENTRAL,
    CENTRE,
    DISTRICT,
    ELSEWHERE,
    FIRE,
    FIRE_TOO,
    HERE,
    HOUR,
    LEADER,
    MINUTE,
    T0,
    WATER,
    Start,
    case_has_status,
    dispatched,
    distinct,
    get,
    given_out,
    has_status,
    items,
    listening,
    partner,
    plan,
    post,
    register,
    take,
)
from tests.support.facts import case_id, fact_record, record_of, report
from tests.support.services import Hands, Running, eventually, publish, read_topic, token


@pytest.fixture
async def topics(make_topics: Callable[..., Awaitable[list[str]]], topic_prefix: str) -> str:
    """The prefix of topics of this test's own, with those of the fire brigade."""
    await make_topics(topic_prefix, partners=("fire",))
    return topic_prefix


async def test_a_plan_is_worked_off_from_its_topic_to_the_verdict(
    start: Start, clock: Hands, kafka: str, topics: str
) -> None:
    case = case_id()
    lead, support = f"{case}.1.1", f"{case}.1.2"
    async with start(clock, kafka=kafka, prefix=topics) as dispatch:
        await publish(kafka, topics, [fact_record(case, dispatched(case), time=T0)])
        path = "/assignments?unit=dept:water&status=open"
        [item] = await eventually(lambda: items(dispatch, path, WATER), what="the assignment")
        assert (item["assignment_id"], item["status"], item["light"], item["lead"]) == (
            lead,
            "dispatched",
            "green",
            True,
        )
        await post(dispatch, f"/assignments/{support}/acknowledge", {"x-client-key": "fire"})
        for step, minutes in (("acknowledge", 2), ("en-route", 5), ("on-scene", 20)):
            clock.at = T0 + minutes * MINUTE
            await post(dispatch, f"/assignments/{lead}/{step}", WATER)
        clock.at = T0 + 3 * HOUR
        evidence = [{"uri": "https://photos.example/main.jpg"}]
        shown = await post(dispatch, f"/assignments/{lead}/resolve", WATER, note="pressure is back", evidence=evidence)
        assert (shown["status"], shown["open"], shown["light"], shown["late_by_seconds"]) == ("fixed", False, None, 0)
        assert (shown["unit"], shown["ended_at"]) == ("dept:water", "2026-05-09T05:00:00Z")
        [notice] = await told(kafka, topics, 1)
        resolve = Resolve(assignment_id=support, handled_by=("crew 7",))
        await publish(kafka, topics, [asked(case, resolve, cause=notice.id)])
        await eventually(lambda: has_status(dispatch, support, "fixed"), what="the partner's end")
        closing = Evaluated(verdict="closed", outcome="fixed")
        await publish(kafka, topics, [fact_record(case, closing, time=clock.at)])
        await eventually(lambda: case_has_status(dispatch, case, "closed"), what="the verdict")
        own, theirs = distinct(await read_topic(kafka, topics, "Resolved", lambda found: len(distinct(found)) >= 2))
        steps = distinct(await read_topic(kafka, topics, "Progressed", lambda found: len(distinct(found)) >= 4))
        notices = await told(kafka, topics, 3)
    assert (own.subject, own.actor, own.causationid, own.sequence) == (case, "li", steps[-1].id, "0000000006")
    assert own.data.model_dump(include={"outcome", "handled_by", "acknowledged_at", "arrived_at"}) == {
        "outcome": "fixed",
        "handled_by": ("li",),
        "acknowledged_at": T0 + 2 * MINUTE,
        "arrived_at": T0 + 20 * MINUTE,
    }
    assert theirs.data.handled_by == ("partner:fire", "fire:desk", "fire:crew 7")
    assert [(event.data.step, event.time) for event in steps] == [
        ("acknowledged", T0),
        ("acknowledged", T0 + 2 * MINUTE),
        ("en_route", T0 + 5 * MINUTE),
        ("on_scene", T0 + 20 * MINUTE),
    ]
    assert [event.data.kind for event in notices] == ["assigned", "accepted", "case_closed"]


async def told(kafka: str, topics: str, number: int) -> list[Any]:
    """What the fire brigade was told, as soon as it is as much."""
    return distinct(await read_topic(kafka, topics, "to.fire", lambda found: len(distinct(found)) >= number))


def asked(case: str, data: Any, **more: Any) -> Record:
    return fact_record(case, data, source="/partners/fire", actor="desk", **more)


async def test_deadlines_survive_a_stop_longer_than_the_limit_and_pass_once(
    start: Start, clock: Hands, kafka: str, topics: str
) -> None:
    case = case_id()
    lead, support = f"{case}.1.1", f"{case}.1.2"
    async with start(clock, kafka=kafka, prefix=topics) as dispatch:
        await publish(kafka, topics, [fact_record(case, dispatched(case), time=T0)])
        await eventually(lambda: has_status(dispatch, lead, "dispatched"), what="the assignment")
        await post(dispatch, f"/assignments/{lead}/acknowledge", WATER)
    clock.at = T0 + 72 * HOUR
    for _ in range(2):
        async with start(clock, kafka=kafka, prefix=topics) as dispatch:
            await eventually(lambda: waits(dispatch, support), what="the deadlines")
            assert await dispatch.runtime.deciding.timers.look() == 0
            await eventually(lambda: relayed(dispatch), what="the outbox emptied")
    steps = distinct(await read_topic(kafka, topics, "Progressed", lambda found: len(distinct(found)) >= 11))
    assert [(e.data.step, e.data.unit, e.data.due_at) for e in steps if e.data.assignment_id == lead] == [
        ("acknowledged", "dept:water", T0 + 4 * HOUR),
        ("nearly_due", "dept:water", T0 + 4 * HOUR),
        ("overdue", "dept:water", T0 + 4 * HOUR),
        ("escalated", CENTRAL, T0 + 4 * HOUR),
        ("escalation_failed", "dept:water", T0 + 8 * HOUR),
    ]
    assert [(e.data.step, e.data.unit, e.data.due_at, e.actor) for e in steps if e.data.assignment_id == support] == [
        ("offered", CENTRAL, T0 + 20 * MINUTE, "clock"),
        ("escalation_failed", "dept:fire", T0 + 20 * MINUTE, "clock"),
        ("nearly_due", "dept:fire", T0 + 4 * HOUR, "clock"),
        ("overdue", "dept:fire", T0 + 4 * HOUR, "clock"),
        ("escalated", CENTRAL, T0 + 4 * HOUR, "clock"),
        ("escalation_failed", "dept:fire", T0 + 8 * HOUR, "clock"),
    ]


async def waits(dispatch: Running, assignment_id: str) -> bool:
    return assignment_id in [one["assignment_id"] for one in await items(dispatch, "/queue")]


async def relayed(dispatch: Running) -> bool:
    row = await dispatch.runtime.database.fetchrow("SELECT count(*) AS waiting FROM unpublished")
    return row is not None and row["waiting"] == 0


async def test_a_deadline_that_passes_while_it_runs_is_a_fact_without_anybody_asking(
    dispatch: Running, clock: Hands
) -> None:
    case = await given_out(dispatch)
    clock.advance(minutes=10)
    await eventually(lambda: offered(dispatch, f"{case}.1.1"), what="the deadline")


async def offered(dispatch: Running, assignment_id: str) -> bool:
    return bool((await get(dispatch, f"/assignments/{assignment_id}"))["offered_to"])


async def test_of_reports_only_what_is_added_is_taken_and_only_rulings_are_parked(dispatch: Running) -> None:
    case = await given_out(dispatch)
    await take(dispatch, case, report())
    await take(dispatch, case, Withdrawal(reason="it has stopped"))
    await take(dispatch, case, Supplement(text="the cellar is full"))
    taken = await dispatch.runtime.database.fetch("SELECT topic FROM events WHERE NOT own ORDER BY version")
    assert [row["topic"] for row in taken] == ["Assigned", "ReportFiled"]
    forged = [fact_record(case, Rejected(why="not_ours", reason="ours"), source="/services/intake")]
    await dispatch.runtime.inbox.process(
        [*forged, *(record_of(b"{", case, topic) for topic in ("Assigned", "Evaluated", "from.fire"))]
    )
    parked = await items(dispatch, "/parked", LEADER)
    assert sorted(one["kind"] for one in parked) == ["forged", "invalid"]
    assert {one["topic"] for one in parked} == {"Assigned"}
    await take(dispatch, case, Withdrawn(reason="it has stopped"), sequence=2)  # nothing is held back
    assert await case_has_status(dispatch, case, "withdrawn")


async def test_every_route_is_closed_to_those_it_is_not_for(dispatch: Running) -> None:
    case = await given_out(dispatch)
    for (method, path), access in ROLES.items():
        url = path.format(assignment_id=f"{case}.1.1", case_id=case)
        assert (await dispatch.client.request(method, url)).status_code == 401, path
        everybody_else = {"reporter", "handling_unit", "dispatcher", "auditor"} - access.roles
        refused = await dispatch.client.request(method, url, headers=token("x", *everybody_else))
        assert refused.status_code == 403, path


async def test_a_rule_that_forbids_it_is_named(dispatch: Running) -> None:
    case = await given_out(dispatch)
    refused = await post(dispatch, f"/assignments/{case}.1.1/resolve", WATER, 409)
    assert (refused["rule"], refused["type"]) == ("step.order", "urn:casegrid:rule:step.order")
    refused = await post(dispatch, f"/assignments/{case}.1.1/acknowledge", FIRE_TOO, 409)
    assert refused["rule"] == "assignment.unit"
    await post(dispatch, f"/assignments/{case}.1.1/acknowledge", FIRE, 403)


async def test_what_there_is_not_is_not_found(dispatch: Running) -> None:
    unknown = case_id()
    await post(dispatch, f"/assignments/{unknown}.1.1/acknowledge", WATER, 404)
    await get(dispatch, f"/assignments/{unknown}.1.1", status=404)
    await get(dispatch, f"/cases/{unknown}", status=404)
    rows = await dispatch.runtime.database.fetch("SELECT 1 FROM streams")
    assert rows == []


async def test_nobody_acts_outside_the_areas_of_the_token(dispatch: Running) -> None:
    case, unknown = await given_out(dispatch), case_id()
    assert {f"/assignments/{{assignment_id}}/{step}" for step in BODIES} == {
        path for method, path in ROLES if method == "POST"
    }
    for areas in ((ELSEWHERE,), (f"{HERE}/g00",)):
        who = token("li", "handling_unit", "dispatcher", unit="dept:gas", areas=areas)
        for step, body in BODIES.items():
            refused = await post(dispatch, f"/assignments/{case}.1.1/{step}", who, 403, **body)
            assert f"{HERE}/g001" in refused["detail"]
            await post(dispatch, f"/assignments/{unknown}.1.1/{step}", who, 404, **body)
    assert (await get(dispatch, f"/assignments/{case}.1.1"))["status"] == "dispatched"
    await post(dispatch, f"/assignments/{case}.1.1/urge", token("chen", "dispatcher", areas=(ELSEWHERE, HERE)))


async def test_a_filter_that_names_nothing_in_the_district_is_refused(dispatch: Running) -> None:
    for path in ("/assignments", "/queue", "/board", "/board/stream"):
        for name, value in (("unit", "dept:nothing"), ("area", "CH/nowhere"), ("area", "CH/shuangqiaozi/shuang")):
            refused = await get(dispatch, f"{path}?{name}={value}", status=422)
            assert (refused["errors"][0]["field"], value in refused["detail"]) == (name, True)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("return", {}, "reason"),
        ("return", {"reason": ""}, "reason"),
        ("note", {"note": ""}, "note"),
        ("supervise", {"level": 9, "reason": "ordered"}, "level"),
        ("supervise", {"level": 1, "reason": "ordered", "reply_by": "2026-05-09"}, "reply_by"),
        ("hand-on", {"reason": "near"}, "unit"),
        ("hand-on", {"unit": "district:CH"}, "reason"),
        ("resolve", {"handled_by": ["wang"]}, "handled_by"),
        ("decide-extension", {"granted": False}, "body"),
        ("acknowledge", {"at": "2026-05-09T02:00:00"}, "at"),
        ("acknowledge", {"at": "1969-12-31T23:59:59Z"}, "at"),
        ("acknowledge", {"att": "2026-05-09T02:00:00Z"}, "att"),
    ],
)
async def test_bad_input_is_refused_with_its_field(
    dispatch: Running, path: str, body: dict[str, Any], field: str
) -> None:
    case = await given_out(dispatch)
    anybody = token("li", "handling_unit", "dispatcher", unit="dept:water")
    refused = await post(dispatch, f"/assignments/{case}.1.1/{path}", anybody, 422, **body)
    assert refused["errors"][0]["field"] == field
    await post(dispatch, "/assignments/nonsense/acknowledge", WATER, 422)


async def test_a_step_is_taken_once_per_key_and_only_on_the_version_that_was_seen(
    dispatch: Running, clock: Hands
) -> None:
    case = await given_out(dispatch)
    url = f"/assignments/{case}.1.1/note"
    seen = (await dispatch.client.get(f"/assignments/{case}.1.1", headers=WATER)).headers["etag"]
    first = {**WATER, "idempotency-key": "k1", "if-match": seen}
    once = await dispatch.client.post(url, headers=first, json={"note": "two trucks"})
    again = await dispatch.client.post(url, headers=first, json={"note": "two trucks"})
    assert (once.status_code, again.status_code, again.headers["idempotency-replayed"]) == (200, 200, "true")
    assert once.content == again.content
    stale = await dispatch.client.post(url, headers={**WATER, "if-match": seen}, json={"note": "three"})
    assert stale.status_code == 412
    rows = await dispatch.runtime.database.fetch("SELECT 1 FROM events WHERE own AND topic = 'Progressed'")
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("at", "claimed", "doubtful"),
    [
        ("2026-05-09T10:03:00+08:00", "2026-05-09T02:03:00.000000Z", None),
        ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00.000000Z", True),
        ("2026-05-08T00:00:00Z", "2026-05-08T00:00:00.000000Z", True),
    ],
)
async def test_when_it_happened_by_a_persons_word_stands_beside_when_it_arrived(
    dispatch: Running, clock: Hands, at: str, claimed: str, doubtful: bool | None
) -> None:
    case = await given_out(dispatch)
    clock.at = T0 + 9 * MINUTE
    shown = await post(dispatch, f"/assignments/{case}.1.1/acknowledge", WATER, at=at)
    assert shown["acknowledged_at"] == "2026-05-09T02:09:00Z"
    [row] = await dispatch.runtime.database.fetch("SELECT body FROM events WHERE own AND topic = 'Progressed'")
    data = json.loads(row["body"])["data"]
    assert (data["claimed_at"], data["time_doubtful"] or None) == (claimed, doubtful)


async def test_of_a_late_entry_a_persons_time_counts(dispatch: Running, clock: Hands) -> None:
    case = await given_out(dispatch, retrospective=True, filed_at=T0 - 90 * HOUR)
    shown = await post(dispatch, f"/assignments/{case}.1.1/acknowledge", WATER, at="2026-05-08T00:00:00+08:00")
    assert shown["acknowledged_at"] == "2026-05-07T16:00:00Z"


async def test_control_from_urging_to_a_granted_extension(dispatch: Running, clock: Hands) -> None:
    case = await given_out(dispatch)
    url = f"/assignments/{case}.1.1"
    await post(dispatch, f"{url}/acknowledge", WATER)
    shown = await post(dispatch, f"{url}/urge", token("chen", "acceptor"), reason="calls every minute")
    assert (shown["urged"], shown["last_urged_at"]) == (1, "2026-05-09T02:00:00Z")
    reply_by = "2026-05-09T06:00:00Z"
    shown = await post(dispatch, f"{url}/supervise", CENTRE, level=2, reason="ordered", reply_by=reply_by)
    assert shown["supervision"] == {"level": 2, "reason": "ordered", "reply_by": reply_by}
    await post(dispatch, f"{url}/request-extension", WATER, reason="no pipe")
    board = await get(dispatch, "/board")
    assert (board["urged"], board["supervised"], board["extension_pending"]) == (1, 1, 1)
    shown = await post(dispatch, f"{url}/decide-extension", CENTRE, granted=True)
    assert (shown["resolve_by"], shown["extensions"], shown["extension_request"]) == ("2026-05-09T10:00:00Z", 1, None)
    assert await get(dispatch, url) == shown


async def test_a_partner_acts_for_its_own_units_with_its_key_and_sees_no_other_units_task(dispatch: Running) -> None:
    case = await given_out(dispatch)
    key = {"x-client-key": "fire"}
    shown = await post(dispatch, f"/assignments/{case}.1.2/acknowledge", key)
    assert (shown["status"], shown["handled_by"]) == ("acknowledged", ["partner:fire"])
    for who in (key, {**key, "if-match": '"7"'}):  # what it may not see is not there for it, and has no version
        await post(dispatch, f"/assignments/{case}.1.1/acknowledge", who, 404)
    await post(dispatch, f"/assignments/{case}.1.1/note", key, 404, note="we saw it")
    assert [one["unit"] for one in await items(dispatch, "/assignments", key)] == ["dept:fire"]
    assert await items(dispatch, "/assignments?unit=dept:water", key) == []
    await get(dispatch, f"/assignments/{case}.1.1", key, 404)
    assert [one["unit"] for one in (await get(dispatch, f"/cases/{case}", key))["assignments"]] == ["dept:fire"]
    alone = case_id()
    await given_out(dispatch, plan(alone, 1, "dept:water"), case=alone)
    await get(dispatch, f"/cases/{alone}", key, 404)


async def test_what_nobody_acknowledges_is_offered_waits_in_the_queue_and_is_handed_on(
    dispatch: Running, clock: Hands
) -> None:
    case, other = case_id(), await given_out(dispatch)
    await given_out(dispatch, plan(case, 1, "dept:water"), case=case)
    await post(dispatch, f"/assignments/{other}.1.1/acknowledge", WATER)
    await post(dispatch, f"/assignments/{other}.1.2/acknowledge", FIRE)
    name = f"{case}.1.1"
    clock.advance(minutes=10)
    await eventually(lambda: offered(dispatch, name), what="the offer")
    assert [one["assignment_id"] for one in await items(dispatch, f"/assignments?unit={CENTRAL}", DISTRICT)] == [name]
    both = Scope(dispatch.runtime.knows, units=frozenset({"dept:water", CENTRAL}))
    found = await assignments(dispatch.runtime.database, AssignmentFilters(status="open"), both, clock())
    assert sorted(one["assignment_id"] for one in found["items"]) == sorted([name, f"{other}.1.1"])
    board = await get(dispatch, "/board")
    assert (board["offered"], board["waiting"], board["escalation_failed"]) == (1, 0, 0)
    assert (await get(dispatch, f"/board?unit={CENTRAL}"))["open"] == 1
    clock.advance(minutes=10)
    await eventually(lambda: waits(dispatch, name), what="the queue")
    board = await get(dispatch, "/board")
    assert (board["open"], board["offered"], board["waiting"], board["escalation_failed"]) == (3, 1, 1, 1)
    assert await items(dispatch, f"/queue?area={ELSEWHERE}") == []
    await get(dispatch, "/queue", WATER, 403)
    to, why = "dept:gas", "their crew is next door"
    await post(dispatch, f"/assignments/{name}/hand-on", FIRE, 403, unit=to, reason=why)
    shown = await post(dispatch, f"/assignments/{name}/hand-on", DISTRICT, unit=to, reason=why)
    assert (shown["unit"], shown["planned_unit"], shown["waiting"]) == ("dept:water", "dept:water", False)
    assert (shown["offered_to"], shown["acknowledge_by"]) == ([CENTRAL, "dept:gas"], "2026-05-09T02:30:00Z")
    gas = token("qi", "handling_unit", unit="dept:gas")
    shown = await post(dispatch, f"/assignments/{name}/acknowledge", gas)
    assert (shown["unit"], shown["planned_unit"], shown["offered_to"]) == ("dept:gas", "dept:water", [])
    assert (await post(dispatch, f"/assignments/{name}/resolve", WATER, 409))["rule"] == "assignment.taken"
    assert await items(dispatch, f"/assignments?unit={CENTRAL}") == []
    assert len(await items(dispatch, "/assignments?unit=dept:gas&status=acknowledged")) == 1
    shown = await post(dispatch, f"/assignments/{name}/hand-on", CENTRE, unit="dept:fire", reason="a pump is needed")
    assert (shown["unit"], shown["status"], shown["offered_to"]) == ("dept:fire", "dispatched", [])


async def test_the_queue_is_paged(dispatch: Running, clock: Hands) -> None:
    cases = [case_id() for _ in range(3)]
    for case in cases:
        await given_out(dispatch, plan(case, 1, CENTRAL, escalated_to=()), case=case)
    clock.advance(minutes=10)
    await eventually(lambda: all_wait(dispatch, 3), what="the queue")
    first = await get(dispatch, "/queue?limit=2")
    last = await get(dispatch, f"/queue?limit=2&cursor={first['next']}")
    assert [one["case_id"] for one in (*first["items"], *last["items"])] == sorted(cases)
    assert last["next"] is None


async def test_a_partner_without_the_right_to_steps_has_it_over_http_neither(
    dispatch: Running, partners_file: Path
) -> None:
    case = await given_out(dispatch)
    register(partners_file, partner("fire", "dept:fire", says=("reports",)))
    await eventually(lambda: denied(dispatch, f"/assignments/{case}.1.2/note"), what="the change")


async def denied(dispatch: Running, path: str) -> bool:
    answer = await dispatch.client.post(path, headers={"x-client-key": "fire"}, json={"note": "still here"})
    return answer.status_code == 403 and "not registered for steps" in answer.text


async def all_wait(dispatch: Running, number: int) -> bool:
    return len(await items(dispatch, "/queue")) == number


async def test_a_partner_registered_at_run_time_is_told_without_a_restart(
    dispatch: Running, partners_file: Path
) -> None:
    case = await given_out(dispatch)
    register(partners_file, partner("fire", "dept:fire"), partner("water", "dept:water"))
    [row] = await eventually(lambda: told_to_water(dispatch), what="the notice")
    assert (row["aggregateid"], json.loads(row["payload"])["data"]["kind"]) == (case, "assigned")
    path = f"/assignments/{case}.1.1/acknowledge"
    assert (await post(dispatch, path, {"x-client-key": "water"}))["handled_by"] == ["partner:water"]


async def told_to_water(dispatch: Running) -> list[Any]:
    query = "SELECT aggregateid, payload FROM unpublished WHERE aggregatetype = 'to.water'"
    return await dispatch.runtime.database.fetch(query)


async def test_a_case_that_was_never_given_out_is_shown_with_its_ruling(dispatch: Running) -> None:
    case, manhole = case_id(), "component.public-facilities.manhole"
    rejected = Rejected(why="not_ours", reason="private ground", category=manhole, area=f"{ELSEWHERE}/g001")
    await take(dispatch, case, rejected)
    shown = await get(dispatch, f"/cases/{case}")
    assert (shown["status"], shown["title"], shown["assignments"]) == ("rejected", None, [])
    assert (shown["category"], shown["area"]) == (rejected.category, rejected.area)
    await get(dispatch, f"/cases/{case}", token("d", "dispatcher", areas=(HERE,)), 403)


async def test_the_list_filters_and_pages_by_what_is_due_first(dispatch: Running, clock: Hands) -> None:
    cases = []
    for n in range(5):
        case = case_id()
        lead = plan(case, 1, "dept:water", acknowledge_by=T0 + (50 - n) * MINUTE)
        await given_out(
            dispatch, lead, plan(case, 2, "dept:fire"), case=case, area=f"{HERE if n < 3 else ELSEWHERE}/g001"
        )
        cases.append(case)
    await post(dispatch, f"/assignments/{cases[0]}.1.1/acknowledge", WATER)  # due at resolve_by from now on
    leads = [f"{case}.1.1" for case in (cases[4], cases[3], cases[2], cases[1], cases[0])]
    paged, cursor = [], ""
    while cursor is not None:
        found = await get(dispatch, f"/assignments?lead=true&limit=2{cursor and f'&cursor={cursor}'}")
        paged += [one["assignment_id"] for one in found["items"]]
        cursor = found["next"]
    assert paged == leads

    async def count(query: str, who: dict[str, str] = CENTRE) -> int:
        return len(await items(dispatch, f"/assignments?{query}", who))

    assert await count("unit=dept:fire") == 5
    assert await count(f"area={HERE}") == 6
    assert await count(f"area={HERE}/g002") == 0
    assert await count("area=CH") == 10
    assert await count("status=acknowledged") == 1
    assert await count("status=open&lead=false") == 5
    assert await count("due_before=2026-05-09T02:48:00Z&lead=true") == 2
    assert await count("", token("d", "dispatcher", areas=(ELSEWHERE,))) == 4
    assert await count("", token("d", "dispatcher", areas=(HERE, ELSEWHERE))) == 10
    assert await count("", token("d", "dispatcher", areas=("CH/shuangqiaozi/shuang",))) == 0
    await get(dispatch, f"/cases/{cases[0]}", token("d", "dispatcher", areas=(ELSEWHERE,)), 403)
    await get(dispatch, "/assignments?cursor=abc", status=422)
    assert len((await get(dispatch, f"/cases/{cases[0]}"))["assignments"]) == 2


async def test_the_board_counts_by_status_and_light_and_the_list_opens_each_number(
    dispatch: Running, clock: Hands
) -> None:
    for hours in (1, 2, 100):  # at T0 + 99 minutes: overdue, nearly due, in time
        case = case_id()
        await given_out(dispatch, plan(case, 1, "dept:water", resolve_by=T0 + hours * HOUR), case=case)
        await post(dispatch, f"/assignments/{case}.1.1/acknowledge", WATER)
    late = case_id()
    await given_out(dispatch, plan(late, 1, "dept:water"), case=late, retrospective=True)
    clock.at = T0 + 99 * MINUTE
    await post(dispatch, f"/assignments/{case}.1.1/resolve", WATER)
    board = await get(dispatch, "/board?unit=dept:water")
    assert board["open"] == 3
    assert board["by_light"] == {"green": 0, "yellow": 1, "red": 1, "none": 1}
    assert board["by_status"] == {"dispatched": 1, "acknowledged": 2, "en_route": 0, "on_scene": 0}
    assert board["ended"] == {"fixed": 1, "returned": 0, "cancelled": 0}
    assert (await get(dispatch, f"/board?area={ELSEWHERE}"))["open"] == 0
    for light, number in board["by_light"].items():
        listed = await items(dispatch, f"/assignments?light={light}")
        assert [one["light"] for one in listed] == [light] * number


async def test_a_closed_cases_open_assignments_are_cancelled(dispatch: Running) -> None:
    case = await given_out(dispatch)
    forced = Evaluated(verdict="closed", outcome="forced", reason="by the leader")
    await take(dispatch, case, forced)
    assert await items(dispatch, "/assignments?status=open") == []
    shown = (await get(dispatch, f"/cases/{case}"))["assignments"]
    assert [(one["status"], one["reason"]) for one in shown] == [
        ("cancelled", "the case is closed as forced: by the leader")
    ] * 2


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, Any]]:
    """(event, data) of each message."""
    event = ""
    async for line in lines:
        name, _, rest = line.partition(": ")
        if name == "event":
            event = rest
        elif name == "data":
            yield event, json.loads(rest)


async def message(found: AsyncIterator[tuple[str, Any]], wanted: Callable[[str, Any], bool]) -> Any:
    """The data of the first message that is wanted."""

    async def first() -> Any:
        async for event, data in found:
            if wanted(event, data):
                return data
        raise AssertionError("the stream ended")

    return await asyncio.wait_for(first(), 20)


async def test_the_stream_begins_with_what_is_open_and_goes_on_with_what_changes(
    dispatch: Running, clock: Hands
) -> None:
    case = await given_out(dispatch)
    url = f"/board/stream?area={HERE}"
    async with (
        listening(dispatch) as address,
        httpx.AsyncClient(base_url=address, headers={**CENTRE, "last-event-id": "7"}, timeout=20) as client,
        client.stream("GET", url) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        found = messages(response.aiter_lines())
        snapshot = await message(found, lambda event, _: event == "snapshot")
        assert (snapshot["board"]["open"], len(snapshot["assignments"]), snapshot["more"]) == (2, 2, False)
        await given_out(dispatch, area=ELSEWHERE)
        await post(dispatch, f"/assignments/{case}.1.1/acknowledge", WATER)
        change = await message(found, lambda event, data: data["board"]["by_status"]["acknowledged"] == 1)
        assert {one["case_id"] for one in change["assignments"]} <= {case}
        clock.at = T0 + 10 * MINUTE
        change = await message(found, lambda event, data: data["board"]["offered"] == 1)
        assert f"{case}.1.2" in [one["assignment_id"] for one in change["assignments"] if one["offered_to"]]
        await take(dispatch, case, Withdrawn(reason="it has stopped"))
        await message(found, lambda event, data: data["board"]["open"] == 0)


async def test_the_stream_ends_in_order_with_its_callers_token(dispatch: Running) -> None:
    """The leeway of half a minute counts; nothing changes meanwhile that would end it otherwise."""
    headers = token("centre", "dispatcher", expires_in=-30 + 4)
    async with (
        listening(dispatch) as address,
        httpx.AsyncClient(base_url=address, headers=headers, timeout=20) as client,
    ):
        async with client.stream("GET", "/board/stream") as response:
            assert response.status_code == 200
            lines = [line async for line in response.aiter_lines()]
        assert "event: snapshot" in lines
        assert lines[-2:] == [": the token has expired", ""]
        assert (await client.get("/board/stream")).status_code == 401


async def test_streams_take_no_places_of_requests(start: Start, clock: Hands) -> None:
    async with (
        start(clock, CASEGRID_REQUESTS_AT_ONCE=1) as dispatch,
        listening(dispatch) as address,
        httpx.AsyncClient(base_url=address, headers=CENTRE, timeout=20) as client,
        client.stream("GET", "/board/stream") as first,
        client.stream("GET", "/board/stream") as second,
    ):
        assert (first.status_code, second.status_code) == (200, 200)
        assert (await client.get("/board")).status_code == 200


async def test_a_caller_has_so_many_streams_open_and_no_more(dispatch: Running) -> None:
    async with (
        listening(dispatch) as address,
        httpx.AsyncClient(base_url=address, timeout=20, limits=httpx.Limits(max_connections=None)) as client,
    ):

        async def opened(headers: dict[str, str]) -> int:
            async with client.stream("GET", "/board/stream", headers=headers) as response:
                return response.status_code

        async with AsyncExitStack() as held:
            for _ in range(streams.MOST):
                stream = client.stream("GET", "/board/stream", headers=CENTRE)
                assert (await held.enter_async_context(stream)).status_code == 200
            async with client.stream("GET", "/board/stream", headers=CENTRE) as refused:
                assert (refused.status_code, refused.headers.get("retry-after")) == (429, "5")
                assert json.loads(await refused.aread())["rule"] == "stream.limit"
            assert await opened(LEADER) == 200, "of somebody else"
            assert (await client.get("/board", headers=CENTRE)).status_code == 200

        async def again() -> bool:
            return await opened(CENTRE) == 200

        await eventually(again, what="a place that is free again")
