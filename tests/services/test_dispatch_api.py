"""The whole dispatch service over HTTP and topics, on a real Kafka and a real PostgreSQL, by a clock moved by hand."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from chassis.migrate import migrate
from chassis.runtime import application
from chassis.settings import Settings
from contracts.dispatch import Resolved
from contracts.envelope import Event
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place
from contracts.progress import Progressed
from contracts.triage import Assignment, Check, Dispatched, Explanation, Withdrawn
from deploy.district.__main__ import main as generate_district
from services.dispatch.api import ROLES
from services.dispatch.board import stream
from services.dispatch.service import build
from services.dispatch.views import Filters
from tests.support.facts import case_id, fact_record
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Hands, Running, eventually, publish, read_topic, running, token

T0 = datetime(2026, 5, 9, 2, 0, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
HUALIN, OTHER = "CH/shengdeng/hualin/g001", "CH/shuangqiaozi/east/g001"
WATER = token("li", "handling_unit", unit="dept:water")
FIRE = token("ma", "handling_unit", unit="dept:fire")
CENTRE = token("dispatcher-1", "dispatcher")

Start = Callable[..., AbstractAsyncContextManager[Running]]


def plan(case: str, number: int, unit: str, start: datetime = T0, **more: Any) -> Assignment:
    given_out = {
        "id": f"{case}.1.{number}",
        "unit": unit,
        "lead": number == 1,
        "task": "repair the main" if number == 1 else "bring water",
        "acknowledge_by": start + 10 * MINUTE,
        "resolve_by": start + 4 * HOUR,
        "extensions": (start + 8 * HOUR, start + 12 * HOUR),
        "escalated_to": ("district:CH",),
        **more,
    }
    return Assignment.model_validate(given_out)


def dispatched(case: str, *assignments: Assignment, area: str = HUALIN, **more: Any) -> Dispatched:
    ruling = {
        "round": 1,
        "because": "first",
        "category": "component.public-facilities.manhole",
        "condition": "a",
        "priority": 1,
        "title": "a water main has burst",
        "place": Place(area=area, address="Shuangqiao Road"),
        "area": area,
        "filed_at": T0,
        "plan": assignments or (plan(case, 1, "dept:water"), plan(case, 2, "dept:fire")),
        "check": Check(method="photo", by="grid"),
        "explanation": Explanation(rules=("by hand",), catalogue="1", policy="1"),
        **more,
    }
    return Dispatched.model_validate(ruling)


@pytest.fixture(scope="session")
def district(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dispatch-district")
    assert generate_district(["--scale", "tiny", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
async def start(empty_database: Database, district: Path, tmp_path: Path) -> Start:
    """Starts the service on this test's database, as often as the test likes; without a broker unless it names one."""
    schema = build(Settings.model_validate({"CASEGRID_DISTRICT": district})).schema
    await migrate(empty_database.admin_url, "dispatch", PASSWORD, schema.read_text())
    keys = tmp_path / "client_keys.json"
    keys.write_text(
        json.dumps(
            {
                hashlib.sha256(name.encode()).hexdigest(): {
                    "subject": f"partner:{name}",
                    "source": f"/partners/{name}",
                    "roles": ["partner"],
                }
                for name in ("fire", "bench")
            }
        )
    )

    @asynccontextmanager
    async def started(clock: Hands, **more: Any) -> AsyncIterator[Running]:
        service = build(Settings.model_validate({"CASEGRID_DISTRICT": district}))
        url = empty_database.url("dispatch")
        async with running(service, url, clock=clock, CASEGRID_CLIENT_KEYS=keys, **more) as service_running:
            yield service_running

    return started


@pytest.fixture
def clock() -> Hands:
    return Hands(T0)


@pytest.fixture
async def dispatch(start: Start, clock: Hands) -> AsyncIterator[Running]:
    """The service without a broker: HTTP, timers and database."""
    async with start(clock) as service_running:
        yield service_running


async def take(dispatch: Running, case: str, data: Fact, source: str = "/services/triage") -> None:
    """A fact as if it had come from its topic."""
    assert dispatch.runtime.inbox is not None
    await dispatch.runtime.inbox.process([fact_record(case, data, source=source, time=dispatch.runtime.clock())])


async def given_out(dispatch: Running, *assignments: Assignment, case: str | None = None, **more: Any) -> str:
    """A case that was given out; its id."""
    case = case or case_id()
    await take(dispatch, case, dispatched(case, *assignments, **more))
    return case


async def post(dispatch: Running, path: str, who: dict[str, str], status: int = 200, **body: Any) -> Any:
    response = await dispatch.client.post(path, headers=who, json=body)
    assert response.status_code == status, response.text
    return response.json()


async def get(dispatch: Running, path: str, who: dict[str, str] = CENTRE, status: int = 200) -> Any:
    response = await dispatch.client.get(path, headers=who)
    assert response.status_code == status, response.text
    return response.json()


def distinct(events: list[Event[Any]]) -> list[Event[Any]]:
    """Each event once: a relay that is stopped between sending and noting it sends again."""
    return list({event.id: event for event in events}.values())


# ------------------------------------------------------------------------------------------------ over the topics


async def test_a_plan_is_worked_off_from_its_topic_to_the_verdict(
    start: Start, clock: Hands, kafka: str, topics: str
) -> None:
    case = case_id()
    lead, support = f"{case}.1.1", f"{case}.1.2"
    async with start(clock, kafka=kafka, prefix=topics) as dispatch:
        await publish(kafka, topics, [fact_record(case, dispatched(case), source="/services/triage", time=T0)])
        path = "/assignments?unit=dept:water&status=open"
        [item] = await eventually(lambda: items(dispatch, path, WATER), what="the assignment")
        assert (item["assignment_id"], item["status"], item["light"], item["lead"]) == (lead, "assigned", "green", True)
        await post(dispatch, f"/assignments/{support}/acknowledge", {"x-client-key": "fire"})
        for step, minutes in (("acknowledge", 2), ("en-route", 5), ("on-scene", 20)):
            clock.at = T0 + minutes * MINUTE
            await post(dispatch, f"/assignments/{lead}/{step}", WATER)
        clock.at = T0 + 3 * HOUR
        evidence = [{"uri": "s3://evidence/main.jpg"}]
        shown = await post(dispatch, f"/assignments/{lead}/resolve", WATER, note="pressure is back", evidence=evidence)
        assert (shown["status"], shown["open"], shown["light"], shown["late_by_seconds"]) == ("fixed", False, None, 0)
        await publish(kafka, topics, [fire_brigade(case, "fixed")])
        await eventually(lambda: has_status(dispatch, support, "fixed"), what="the partner's end")
        closing = Evaluated(verdict="closed", outcome="fixed")
        await publish(kafka, topics, [fact_record(case, closing, source="/services/feedback")])
        await eventually(lambda: case_has_status(dispatch, case, "closed"), what="the verdict")
        ends = distinct(await read_topic(kafka, topics, "Resolved", lambda found: len(distinct(found)) >= 2))
        steps = distinct(await read_topic(kafka, topics, "Progressed", lambda found: len(distinct(found)) >= 4))
    [own] = [event for event in ends if event.source == "/services/dispatch"]
    assert (own.subject, own.actor, own.causationid, own.sequence) == (case, "li", None, "0000000005")
    assert own.data.model_dump(include={"outcome", "handled_by", "acknowledged_at", "arrived_at"}) == {
        "outcome": "fixed",
        "handled_by": ("li",),
        "acknowledged_at": T0 + 2 * MINUTE,
        "arrived_at": T0 + 20 * MINUTE,
    }
    assert [(event.data.step, event.time) for event in steps] == [
        ("acknowledged", T0),
        ("acknowledged", T0 + 2 * MINUTE),
        ("en_route", T0 + 5 * MINUTE),
        ("on_scene", T0 + 20 * MINUTE),
    ]


async def items(dispatch: Running, path: str, who: dict[str, str] = CENTRE) -> list[Any]:
    return (await get(dispatch, path, who))["items"]


async def has_status(dispatch: Running, assignment_id: str, status: str) -> bool:
    response = await dispatch.client.get(f"/assignments/{assignment_id}", headers=CENTRE)
    return response.status_code == 200 and response.json()["status"] == status


async def case_has_status(dispatch: Running, case: str, status: str) -> bool:
    return (await get(dispatch, f"/cases/{case}"))["status"] == status


def fire_brigade(case: str, outcome: str, number: int = 2, unit: str = "dept:fire", **more: Any) -> Any:
    reason = None if outcome == "fixed" else "not ours"
    end = Resolved.model_validate(
        {"assignment_id": f"{case}.1.{number}", "unit": unit, "outcome": outcome, "reason": reason, **more}
    )
    return fact_record(case, end, source="/partners/fire", time=T0 + HOUR)


async def test_deadlines_survive_a_stop_longer_than_the_limit_and_pass_once(
    start: Start, clock: Hands, kafka: str, topics: str
) -> None:
    case = case_id()
    lead, support = f"{case}.1.1", f"{case}.1.2"
    async with start(clock, kafka=kafka, prefix=topics) as dispatch:
        await publish(kafka, topics, [fact_record(case, dispatched(case), source="/services/triage", time=T0)])
        await eventually(lambda: has_status(dispatch, lead, "assigned"), what="the assignment")
        await post(dispatch, f"/assignments/{lead}/acknowledge", WATER)
    clock.at = T0 + 72 * HOUR
    for _ in range(2):
        async with start(clock, kafka=kafka, prefix=topics) as dispatch:
            await eventually(lambda: has_status(dispatch, support, "escalated"), what="the deadlines")
            assert await dispatch.runtime.timers.look() == 0
            await eventually(lambda: relayed(dispatch), what="the outbox emptied")
    ends = distinct(await read_topic(kafka, topics, "Resolved", lambda found: len(found) >= 1))
    steps = distinct(await read_topic(kafka, topics, "Progressed", lambda found: len(distinct(found)) >= 5))
    assert [(e.data.assignment_id, e.data.outcome, e.actor, e.time) for e in ends] == [
        (support, "escalated", "clock", T0 + 72 * HOUR)
    ]
    assert [(e.data.step, e.data.assignment_id, e.data.unit, e.data.due_at) for e in steps] == [
        ("acknowledged", lead, "dept:water", T0 + 4 * HOUR),
        ("nearly_due", lead, "dept:water", T0 + 4 * HOUR),
        ("overdue", lead, "dept:water", T0 + 4 * HOUR),
        ("escalated", lead, "district:CH", T0 + 4 * HOUR),
        ("escalation_failed", lead, "dept:water", T0 + 8 * HOUR),
    ]


async def relayed(dispatch: Running) -> bool:
    row = await dispatch.runtime.database.fetchrow("SELECT count(*) AS waiting FROM outbox")
    return row is not None and row["waiting"] == 0


async def test_a_deadline_that_passes_while_it_runs_is_a_fact_without_anybody_asking(
    dispatch: Running, clock: Hands
) -> None:
    case = await given_out(dispatch)
    clock.advance(minutes=10)
    await eventually(lambda: has_status(dispatch, f"{case}.1.1", "escalated"), what="the deadline")


async def test_a_partners_end_waits_for_its_plan_and_a_strangers_is_parked(
    start: Start, clock: Hands, kafka: str, topics: str
) -> None:
    case = case_id()
    async with start(clock, kafka=kafka, prefix=topics) as dispatch:
        theirs = [fire_brigade(case, "fixed"), fire_brigade(case, "returned")]
        not_theirs = fire_brigade(other := case_id(), "fixed", number=1, unit="dept:water")
        await publish(kafka, topics, [*theirs, not_theirs])
        parked = await eventually(lambda: all_parked(dispatch, 3), what="what cannot take effect") or []
        assert {(one["case_id"], one["kind"], one["reason"].partition(" ")[0]) for one in parked} == {
            (case, "early", "unknown"),
            (case, "behind", "waits"),
            (other, "unfit", "data.unit:"),
        }
        await publish(kafka, topics, [fact_record(case, dispatched(case), source="/services/triage", time=T0)])
        await eventually(lambda: has_status(dispatch, f"{case}.1.2", "fixed"), what="the partner's end")
        [refused] = await read_topic(kafka, topics, "Progressed", lambda found: len(found) >= 1)
    assert isinstance(refused.data, Progressed)
    assert (refused.data.step, refused.subject) == ("refused", case)


async def all_parked(dispatch: Running, number: int) -> list[Any] | None:
    found = await items(dispatch, "/parked")
    return found if len(found) == number else None


# ------------------------------------------------------------------------------------------------ HTTP


async def test_every_route_is_closed_to_those_it_is_not_for(dispatch: Running) -> None:
    case = await given_out(dispatch)
    for (method, path), allowed in ROLES.items():
        url = path.format(assignment_id=f"{case}.1.1", case_id=case)
        assert (await dispatch.client.request(method, url)).status_code == 401, path
        everybody_else = {"reporter", "handling_unit", "dispatcher", "auditor", "partner"} - allowed
        refused = await dispatch.client.request(method, url, headers=token("x", *everybody_else))
        assert refused.status_code == 403, path


async def test_a_rule_that_forbids_it_is_named(dispatch: Running) -> None:
    case = await given_out(dispatch)
    refused = await post(dispatch, f"/assignments/{case}.1.1/resolve", WATER, 409)
    assert (refused["rule"], refused["type"]) == ("step.order", "urn:casegrid:rule:step.order")
    refused = await post(dispatch, f"/assignments/{case}.1.1/acknowledge", FIRE, 409)
    assert refused["rule"] == "assignment.unit"


async def test_what_there_is_not_is_not_found(dispatch: Running) -> None:
    unknown = case_id()
    await post(dispatch, f"/assignments/{unknown}.1.1/acknowledge", WATER, 404)
    await get(dispatch, f"/assignments/{unknown}.1.1", status=404)
    await get(dispatch, f"/cases/{unknown}", status=404)
    rows = await dispatch.runtime.database.fetch("SELECT 1 FROM streams")
    assert rows == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("return", {}, "reason"),
        ("return", {"reason": ""}, "reason"),
        ("note", {"note": ""}, "note"),
        ("supervise", {"level": 9, "reason": "ordered"}, "level"),
        ("supervise", {"level": 1, "reason": "ordered", "reply_by": "2026-05-09T10:00:00+08:00"}, "reply_by"),
        ("decide-extension", {"granted": False}, "body"),
        ("acknowledge", {"at": "2026-05-09T02:00:00"}, "at"),
        ("acknowledge", {"at": "2027-01-01T00:00:00Z"}, "at"),
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
    rows = await dispatch.runtime.database.fetch("SELECT 1 FROM events WHERE own")
    assert len(rows) == 1


async def test_a_handset_that_was_offline_says_when_it_happened(dispatch: Running, clock: Hands) -> None:
    case = await given_out(dispatch)
    clock.at = T0 + 9 * MINUTE
    at = "2026-05-09T02:03:00Z"
    shown = await post(dispatch, f"/assignments/{case}.1.1/acknowledge", WATER, at=at)
    assert shown["acknowledged_at"] == at


async def test_control_from_urging_to_a_granted_extension(dispatch: Running, clock: Hands) -> None:
    case = await given_out(dispatch)
    url = f"/assignments/{case}.1.1"
    await post(dispatch, f"{url}/acknowledge", WATER)
    shown = await post(dispatch, f"{url}/urge", token("chen", "reporter"), reason="calls every minute")
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


async def test_a_partner_acts_for_its_own_units_with_its_key(dispatch: Running) -> None:
    case = await given_out(dispatch)
    key = {"x-client-key": "fire"}
    shown = await post(dispatch, f"/assignments/{case}.1.2/acknowledge", key)
    assert (shown["status"], shown["handled_by"]) == ("acknowledged", ["partner:fire"])
    assert (await post(dispatch, f"/assignments/{case}.1.1/acknowledge", key, 409))["rule"] == "assignment.unit"
    assert [one["unit"] for one in await items(dispatch, "/assignments", key)] == ["dept:fire"]
    await get(dispatch, f"/assignments/{case}.1.1", key, 403)
    assert len(await items(dispatch, "/assignments", {"x-client-key": "bench"})) == 2
    await post(dispatch, f"/assignments/{case}.1.1/acknowledge", {"x-client-key": "bench"})


async def test_the_list_filters_and_pages_by_what_is_due_first(dispatch: Running, clock: Hands) -> None:
    cases = []
    for n in range(5):
        case = case_id()
        lead = plan(case, 1, "dept:water", acknowledge_by=T0 + (50 - n) * MINUTE)
        await given_out(dispatch, lead, plan(case, 2, "dept:fire"), case=case, area=HUALIN if n < 3 else OTHER)
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
    assert await count("area=CH/shengdeng") == 6
    assert await count("area=CH/sheng") == 0
    assert await count("status=acknowledged") == 1
    assert await count("status=open&lead=false") == 5
    assert await count("due_before=2026-05-09T02:48:00Z&lead=true") == 2
    assert await count("", token("d", "dispatcher", areas=("CH/shuangqiaozi",))) == 4
    await get(dispatch, f"/cases/{cases[0]}", token("d", "dispatcher", areas=("CH/shuangqiaozi",)), 403)
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
    assert board["by_status"] == {"assigned": 1, "acknowledged": 2, "en_route": 0, "on_scene": 0}
    assert board["ended"] == {"fixed": 1, "returned": 0, "escalated": 0, "cancelled": 0}
    assert (await get(dispatch, "/board?area=CH/shuangqiaozi"))["open"] == 0
    for light, number in board["by_light"].items():
        listed = await items(dispatch, f"/assignments?light={light}")
        assert [one["light"] for one in listed] == [None if light == "none" else light] * number


async def test_a_closed_cases_open_assignment_is_open_no_more(dispatch: Running) -> None:
    case = await given_out(dispatch)
    forced = Evaluated(verdict="closed", outcome="forced", reason="by the leader")
    await take(dispatch, case, forced, "/services/feedback")
    assert await items(dispatch, "/assignments?status=open") == []
    assert [one["status"] for one in (await get(dispatch, f"/cases/{case}"))["assignments"]] == ["closed", "closed"]


# ------------------------------------------------------------------------------------------------ the stream


@asynccontextmanager
async def listening(dispatch: Running) -> AsyncIterator[str]:
    """The service on a port of its own, for what a client in the same process cannot do: read while it is written."""
    server = uvicorn.Server(
        uvicorn.Config(application(dispatch.runtime), port=0, lifespan="off", log_config=None, ws="none")
    )
    task = asyncio.create_task(server.serve())
    await eventually(lambda: _value(server.started), what="the server")
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def _value(value: Any) -> Any:
    return value


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
    url = "/board/stream?area=CH/shengdeng"
    async with (
        listening(dispatch) as address,
        httpx.AsyncClient(base_url=address, headers={**CENTRE, "last-event-id": "7"}, timeout=20) as client,
        client.stream("GET", url) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        found = messages(response.aiter_lines())
        snapshot = await message(found, lambda event, _: event == "snapshot")
        assert (snapshot["board"]["open"], len(snapshot["assignments"]), snapshot["more"]) == (2, 2, False)
        await given_out(dispatch, area=OTHER)
        await post(dispatch, f"/assignments/{case}.1.1/acknowledge", WATER)
        change = await message(found, lambda event, data: data["board"]["by_status"]["acknowledged"] == 1)
        assert {one["case_id"] for one in change["assignments"]} <= {case}
        clock.at = T0 + 10 * MINUTE
        change = await message(found, lambda event, data: data["board"]["open"] == 1)
        assert ("escalated", f"{case}.1.2") in [(one["status"], one["assignment_id"]) for one in change["assignments"]]
        await take(dispatch, case, Withdrawn(reason="it has stopped"))
        await message(found, lambda event, data: data["board"]["open"] == 0)


async def test_a_silent_stream_has_a_heartbeat(dispatch: Running) -> None:
    async def heartbeat() -> bool:
        async with aclosing(stream.messages(dispatch.runtime, Filters(), heartbeat_seconds=0.05)) as parts:
            async for part in parts:
                if part.startswith(b": heartbeat"):
                    return True
        return False

    assert await asyncio.wait_for(heartbeat(), 20)
