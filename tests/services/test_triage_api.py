"""Triage as a whole: reports and results from topics, the queue and rulings over HTTP, duplicates across workers."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.inbox import Inbox
from chassis.migrate import migrate
from chassis.service import Service
from chassis.settings import Settings
from contracts.dispatch import Resolved
from contracts.feedback import Evaluated
from contracts.fields import Fact, Place, Point
from contracts.intake import NewReport, Supplement, Withdrawal
from contracts.reference import Areas
from contracts.wire import HOMES
from deploy.district import __main__ as district
from services.triage.service import build
from tests.support.facts import case_id, fact_record
from tests.support.infrastructure import PASSWORD, Database
from tests.support.services import Hands, Running, eventually, publish, read_topic, running, token

MAIN = "event.emergency.water-main"
POTHOLE = "component.road-traffic.surface"
NOW = datetime(2026, 5, 9, 1, 12, tzinfo=UTC)
MEMBER = token("li", "grid_member")
ACCEPTOR = token("wang", "acceptor")
LEADER = token("zhao", "shift_leader")
REPORTER = token("chen", "reporter")
CLOSED = Evaluated(verdict="closed", outcome="fixed", checked_by="member:7")


@pytest.fixture(scope="session")
def district_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("district")
    district.main(["--scale", "tiny", "--out", str(folder)])
    return folder


@pytest.fixture(scope="session")
def grids(district_folder: Path) -> dict[str, tuple[float, float]]:
    """Grid -> the latitude and longitude of its middle."""
    areas = Areas.model_validate_json((district_folder / "areas.json").read_bytes()).areas
    return {
        area.path: (
            sum(lat for _, lat in area.polygon[:-1]) / (len(area.polygon) - 1),
            sum(lon for lon, _ in area.polygon[:-1]) / (len(area.polygon) - 1),
        )
        for area in areas
        if area.level == "grid"
    }


@pytest.fixture(scope="session")
def grid(grids: dict[str, tuple[float, float]]) -> str:
    return min(grids)


@pytest.fixture(scope="session")
def service(district_folder: Path) -> Service:
    return build(Settings.model_validate({"CASEGRID_DISTRICT": district_folder}))


@pytest.fixture
async def url(empty_database: Database, service: Service) -> str:
    await migrate(empty_database.admin_url, "triage", PASSWORD, service.schema.read_text())
    return empty_database.url("triage")


@pytest.fixture
def clock() -> Hands:
    return Hands(NOW)


@pytest.fixture
async def triage(url: str, service: Service, clock: Hands) -> AsyncIterator[Running]:
    async with running(service, url, role="api", clock=clock) as found:
        yield found


def report(category: str | None = MAIN, **more: Any) -> NewReport:
    made: dict[str, Any] = {"channel": "handset", "title": "water gushes out of the road", **more}
    return NewReport(category=category, **made)


async def hear(triage: Running, case: str, *facts: Fact, time: datetime = NOW, inbox: Inbox | None = None) -> None:
    """Lets triage take in what the others published, in one batch."""
    taking = inbox or triage.runtime.inbox
    assert taking is not None
    await taking.process([said(case, fact, time=time) for fact in facts])


def said(case: str, fact: Fact, **more: Any) -> Any:
    """A fact as its home service puts it on its topic."""
    topic: str = fact.topic  # pyright: ignore[reportAttributeAccessIssue]
    return fact_record(case, fact, **{"source": HOMES[topic], "time": NOW, **more})


async def filed(triage: Running, *facts: Fact) -> str:
    case = case_id()
    await hear(triage, case, *facts)
    return case


async def get(triage: Running, path: str, who: dict[str, str] = ACCEPTOR, **query: Any) -> Any:
    answer = await triage.client.get(path, headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def status(triage: Running, case: str) -> str:
    return (await get(triage, f"/cases/{case}"))["status"]


async def rule(triage: Running, case: str, body: dict[str, Any], who: dict[str, str] = ACCEPTOR) -> httpx.Response:
    """A ruling by somebody who has just looked at the case."""
    seen = await triage.client.get(f"/cases/{case}", headers=who)
    match = {"if-match": seen.headers.get("etag", '"1"')}
    return await triage.client.post(f"/cases/{case}/ruling", headers={**who, **match}, json=body)


async def published(triage: Running, case: str) -> list[dict[str, Any]]:
    rows = await triage.runtime.database.fetch(
        "SELECT body FROM events WHERE stream_id = $1 AND own ORDER BY version", case
    )
    return [json.loads(row["body"]) for row in rows]


async def parked(triage: Running) -> list[tuple[str, str, str]]:
    rows = await triage.runtime.database.fetch("SELECT kind, stream_id, reason FROM parked WHERE status = 'waiting'")
    return [tuple(row) for row in rows]


# over the topics


async def test_a_partners_report_is_located_given_out_and_given_out_again(
    url: str, service: Service, kafka: str, topics: str, grids: dict[str, tuple[float, float]], grid: str
) -> None:
    case, (lat, lon) = case_id(), grids[grid]
    new = NewReport(channel="hotline", title="挖断水管", category=MAIN, place=Place(point=Point(lat=lat, lon=lon)))
    back = Resolved(assignment_id=f"{case}.1.1", unit="dept:water", outcome="returned", reason="not our pipe")
    async with running(service, url, kafka=kafka, prefix=topics) as triage:
        early, late = fact_record(case, back, source="/partners/water"), fact_record(case, new)
        await publish(kafka, topics, [early, early, late, late])
        rulings = await read_topic(kafka, topics, "Assigned", lambda events: len(events) >= 2)
        first, second = (event.data for event in rulings)
        assert first.area.startswith(grid)
        assert [one.unit for one in first.plan] == ["dept:water", f"street:{grid.rsplit('/', 2)[0]}", "dept:fire"]
        assert (second.round, second.because, second.plan[0].replaces) == (2, "returned", f"{case}.1.1")
        assert [event.causationid is not None for event in rulings] == [True, True]

        async def settled() -> bool:
            return await parked(triage) == []

        await eventually(settled, what="the early result's release")
        assert (await get(triage, f"/cases/{case}"))["assignments"][0]["outcome"] == "returned"


async def test_what_partners_may_not_say_is_parked(triage: Running, grid: str) -> None:
    case = await filed(triage, report(place=Place(area=grid)))
    result = Resolved(assignment_id=f"{case}.1.3", unit="dept:fire", outcome="fixed")
    inbox = triage.runtime.inbox
    assert inbox is not None
    for partner, fact, reason in (
        ("nobody", result, "not a registered partner"),
        ("hotline", result, "may not publish on Resolved"),
        ("water", result, "may not act for dept:fire"),
    ):
        other = case_id()
        await inbox.process([fact_record(other, fact, source=f"/partners/{partner}")])
        [found] = [words for kind, of, words in await parked(triage) if (kind, of) == ("unfit", other)]
        assert reason in found
    await inbox.process([fact_record(case, result, source="/partners/fire")])
    assert (await get(triage, f"/cases/{case}"))["assignments"][2]["outcome"] == "fixed"


# the queue, verification, rulings


async def test_a_grid_member_works_off_the_queue(triage: Running, grid: str) -> None:
    cases = [await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid))) for _ in range(1)]
    await filed(triage, report(None, title="zzz", place=Place(area=grid)))
    found = await get(triage, "/queue", MEMBER, kind="verify", area=grid.rsplit("/", 1)[0])
    [item] = found["items"]
    assert (item["case_id"], item["queue"], item["unit"], item["area"]) == (cases[0], "verify", f"grid:{grid}", grid)
    assert item["due_at"] == "2026-05-09T01:42:00Z"
    away = token("li", "grid_member", areas=("CH/elsewhere",))
    assert (await get(triage, "/queue", away))["items"] == []
    path = f"/cases/{item['case_id']}/verification"
    assert (await triage.client.post(path, headers=away, json={"confirmed": True})).status_code == 403
    assert (await triage.client.post(path, headers=ACCEPTOR, json={"confirmed": True})).status_code == 403
    bad = await triage.client.post(path, headers=MEMBER, json={"confirmed": False})
    assert bad.status_code == 422
    near = token("li", "grid_member", areas=(grid.rsplit("/", 1)[0],))
    done = await triage.client.post(
        path, headers=near, json={"confirmed": True, "note": "40 cm", "at": "2026-05-09T01:10:00Z"}
    )
    assert done.status_code == 200, done.text
    assert done.json()["ruling"]["filed_at"] == "2026-05-09T01:10:00Z"
    step, ruling = (await published(triage, item["case_id"]))[1:]
    assert (step["data"]["step"], step["actor"], ruling["actor"]) == ("verified_before_filing", "li", "li")
    again = await triage.client.post(path, headers=near, json={"confirmed": True})
    assert (again.status_code, again.json()["rule"]) == (409, "verification.state")
    assert [item["queue"] for item in (await get(triage, "/queue"))["items"]] == ["unclassified"]


async def test_a_ruling_needs_the_version_that_was_looked_at_and_known_names(triage: Running, grid: str) -> None:
    case = await filed(triage, report(None, title="zzz"))
    path, body = f"/cases/{case}/ruling", {"category": MAIN, "area": grid}
    assert (await triage.client.post(path, headers=REPORTER, json=body)).status_code == 403
    assert (await triage.client.post(path, headers=ACCEPTOR, json=body)).status_code == 428
    [item] = (await get(triage, "/queue"))["items"]
    match = {**ACCEPTOR, "if-match": item["etag"]}
    for wrong, field in (
        ({"category": "gone"}, "category"),
        ({"category": MAIN, "condition": "z"}, "condition"),
        ({"condition": "a"}, "condition"),
        ({"area": "CH/gone"}, "area"),
        ({"units": [{"unit": "dept:gone"}]}, "units.0.unit"),
        ({"category": MAIN, "reject": True}, "body"),
        ({"reject": True, "why": "not_ours"}, "body"),
        ({"priority": 9}, "priority"),
        ({"nonsense": 1}, "nonsense"),
    ):
        answer = await triage.client.post(path, headers=match, json=wrong)
        assert answer.status_code == 422, wrong
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    await hear(triage, case, Supplement(text="it is the main before the school"))
    stale = await triage.client.post(path, headers=match, json=body)
    assert stale.status_code == 412
    done = await rule(triage, case, body)
    assert done.status_code == 200, done.text
    found = await get(triage, f"/cases/{case}")
    assert (found["status"], found["area"], len(found["assignments"])) == ("dispatched", grid, 3)
    assert found["supplements"][0]["text"] == "it is the main before the school"
    assert found["ruling"]["explanation"]["catalogue"]
    refused = await rule(triage, case, body)
    assert (refused.status_code, refused.json()["rule"]) == (409, "ruling.state")
    missing = await rule(triage, case_id(), body)
    assert missing.status_code == 404
    assert (await triage.client.get(f"/cases/{case_id()}", headers=ACCEPTOR)).status_code == 404


async def test_of_cases_without_an_area_only_those_rule_who_are_responsible_everywhere(
    triage: Running, grid: str
) -> None:
    case = await filed(triage, report())
    body = {"area": grid}
    local = token("wang", "acceptor", areas=(grid,))
    assert (await get(triage, "/queue", local))["items"] == []
    assert (await rule(triage, case, body, local)).status_code == 403
    assert (await rule(triage, case, body)).status_code == 200


async def test_the_second_return_is_for_the_shift_leader(triage: Running, grid: str) -> None:
    case = await filed(triage, report(place=Place(area=grid)))
    for name, unit in ((f"{case}.1.1", "dept:water"), (f"{case}.2.1", "district:CH")):
        back = Resolved(assignment_id=name, unit=unit, outcome="returned", reason="not ours")
        await hear(triage, case, back)
    body = {"units": [{"unit": "dept:water"}, {"unit": "dept:transport", "task": "excavate"}], "reason": "shared"}
    refused = await rule(triage, case, body)
    assert (refused.status_code, refused.json()["rule"]) == (409, "ruling.second_return")
    done = await rule(triage, case, body, LEADER)
    assert done.status_code == 200, done.text
    assert [one["replaces"] for one in done.json()["ruling"]["plan"]] == [f"{case}.2.1"] * 2
    assert (await get(triage, "/queue"))["items"] == []


async def test_overdue_decisions_are_said_once_by_the_clock(triage: Running, clock: Hands, grid: str) -> None:
    case = await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid)))
    assert await triage.runtime.timers.look() == 0
    clock.advance(days=3)
    assert await triage.runtime.timers.look() == 1
    assert await triage.runtime.timers.look() == 0
    [item] = (await get(triage, "/queue", overdue=True))["items"]
    assert (item["case_id"], item["overdue"]) == (case, True)
    assert [event["data"]["step"] for event in await published(triage, case)] == ["verifying", "overdue"]


# duplicates


async def test_two_workers_given_two_reports_of_one_thing_give_it_out_once(
    triage: Running, service: Service, clock: Hands, grids: dict[str, tuple[float, float]]
) -> None:
    pairs = [(case_id(), case_id(), *grids[path], path) for path in grids]
    manhole, batches = "component.public-facilities.manhole", ([], [])
    for one, other, lat, lon, path in pairs:
        for batch, case in zip(batches, (one, other), strict=True):
            batch.append(said(case, report(manhole, place=Place(point=Point(lat=lat, lon=lon), area=path))))
    workers = [Inbox(service, triage.runtime.database, clock) for _ in batches]
    await asyncio.gather(*(worker.process(batch) for worker, batch in zip(workers, batches, strict=True)))
    for one, other, *_ in pairs:
        found = [await get(triage, f"/cases/{case}") for case in (one, other)]
        assert sorted(case["status"] for case in found) == ["dispatched", "merged"]
        merged, master = sorted(found, key=lambda case: case["status"] != "merged")
        assert merged["ruling"]["into"] == master["case_id"]
        assert master["merged_reports"] == 1


async def test_duplicates_are_found_in_the_store_by_position_and_by_grid_and_not_when_over(
    triage: Running, service: Service, clock: Hands, grids: dict[str, tuple[float, float]], grid: str
) -> None:
    lat, lon = grids[grid]

    async def heard(place: Place, category: str = MAIN, **more: Any) -> tuple[str, dict[str, Any]]:
        case = case_id()
        fresh = Inbox(service, triage.runtime.database, clock)
        await hear(triage, case, report(category, place=place, **more), inbox=fresh)
        return case, (await get(triage, f"/cases/{case}"))

    first, found = await heard(Place(point=Point(lat=lat, lon=lon), area=grid), reporter_ref="a\0b", title="x\0")
    assert found["status"] == "dispatched"
    for place in (
        Place(point=Point(lat=lat + 700 / 111_195, lon=lon), area=grid),
        Place(point=Point(lat=lat - 700 / 111_195, lon=lon), area=grid),
        Place(point=Point(lat=lat, lon=lon + 790 / 95_600), area=grid),
        Place(point=Point(lat=lat, lon=lon - 790 / 95_600), area=grid),
        Place(area=grid),
    ):
        _, found = await heard(place)
        assert (found["status"], found["ruling"].get("into")) == ("merged", first)
    _, found = await heard(Place(point=Point(lat=lat + 900 / 111_195, lon=lon), area=grid))
    assert found["status"] == "dispatched"
    third, found = await heard(Place(area=grid), "event.street-order.homeless")
    assert found["status"] == "dispatched"
    _, found = await heard(Place(point=Point(lat=lat, lon=lon), area=grid), "event.street-order.homeless")
    assert found["ruling"]["into"] == third
    await hear(triage, third, CLOSED)
    _, found = await heard(Place(area=grid), "event.street-order.homeless")
    assert found["status"] == "dispatched"


async def test_in_one_batch_a_duplicate_is_merged_and_a_leader_is_not_withdrawn(triage: Running, grid: str) -> None:
    inbox = triage.runtime.inbox
    assert inbox is not None
    one, two, three = case_id(), case_id(), case_id()
    new = report(place=Place(area=grid))
    await inbox.process([said(one, new), said(two, new), said(one, Withdrawal(reason="dried up"), sequence=2)])
    assert [await status(triage, case) for case in (one, two)] == ["dispatched", "merged"]
    await hear(triage, one, Withdrawal(reason="really"))
    assert await status(triage, one) == "dispatched"
    assert [event["data"].get("step") for event in await published(triage, one)] == [None, "refused", "refused"]
    pothole = report(POTHOLE, place=Place(area=grid))
    await inbox.process([said(three, pothole), said(three, Withdrawal(reason="dried up"), sequence=2)])
    assert await status(triage, three) == "withdrawn"


async def test_merging_by_hand_makes_no_circle_and_no_merge_into_what_is_over(triage: Running, grid: str) -> None:
    cases = [await filed(triage, report(None, title="zzz")) for _ in range(8)]
    answers = await asyncio.gather(
        *(
            rule(triage, one, {"merge_into": other})
            for pair in zip(cases[::2], cases[1::2], strict=True)
            for one, other in (pair, pair[::-1])
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [409] * 4
    assert {answer.json()["rule"] for answer in answers if answer.status_code == 409} == {"merge.target"}
    [merged, *_] = [case for case in cases if (await status(triage, case)) == "merged"]
    new = await filed(triage, report(None, title="zzz"))
    over = await rule(triage, new, {"merge_into": merged})
    assert (over.status_code, over.json()["rule"]) == (409, "merge.target")
    assert (await rule(triage, new, {"merge_into": case_id()})).status_code == 404
    assert (await rule(triage, new, {"merge_into": new})).json()["rule"] == "merge.self"
    assert await status(triage, new) == "awaiting_ruling"


# lists


async def test_lists_are_filtered_and_paged(triage: Running, grids: dict[str, tuple[float, float]]) -> None:
    cases = []
    for n, path in enumerate(sorted(grids) * 2):
        case = case_id()
        category = (MAIN, POTHOLE)[n % 2] if n < len(grids) else "service.finance.tax"
        new = report(category, place=Place(area=path), external_ref=f"ref-{n}")
        await hear(triage, case, new, time=NOW - timedelta(hours=30 * n))
        cases.append(case)
    seen, cursor = [], None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        found = await get(triage, "/cases", **query)
        seen += [item["case_id"] for item in found["items"]]
        if (cursor := found["next"]) is None:
            break
    assert seen == cases
    assert [i["case_id"] for i in (await get(triage, "/cases", external_ref="ref-2"))["items"]] == [cases[2]]
    tax = await get(triage, "/cases", category="service.finance")
    assert {item["category"] for item in tax["items"]} == {"service.finance.tax"}
    assert len(tax["items"]) == len(grids)
    path = sorted(grids)[0]
    assert len((await get(triage, "/cases", area=path))["items"]) == 2
    assert (await get(triage, "/cases", area=path[:-1]))["items"] == []
    late = await get(triage, "/cases", since="2026-05-07T00:00:00Z", until="2026-05-09T01:12:00Z")
    assert [item["case_id"] for item in late["items"]] == cases[1:2]
    assert (await get(triage, "/cases", status="rejected"))["items"] == []
    bad = await triage.client.get("/cases", headers=ACCEPTOR, params={"cursor": "WzEsMl0"})
    assert bad.status_code == 422
    assert (await triage.client.get("/queue", headers=REPORTER)).status_code == 403


async def test_the_queue_is_paged_by_deadline(triage: Running, clock: Hands) -> None:
    cases = []
    for _ in range(5):
        cases.append(await filed(triage, report(None, title="zzz")))
        clock.advance(minutes=1)
    first = await get(triage, "/queue", limit=3)
    rest = await get(triage, "/queue", limit=3, cursor=first["next"])
    assert [item["case_id"] for item in first["items"] + rest["items"]] == cases
    assert rest["next"] is None


async def test_the_openapi_document_shows_an_example_of_every_body(triage: Running) -> None:
    document = await get(triage, "/openapi.json")
    for name in ("Ruling", "Verification", "Outcome", "CaseDetail"):
        assert document["components"]["schemas"][name]["examples"]
    assert {"/queue", "/cases", "/cases/{case_id}", "/cases/{case_id}/ruling"} <= document["paths"].keys()
