"""Triage between its topics: what comes in and goes out, what is parked, and duplicates across workers."""

import asyncio
import json
from typing import Any

import pytest

from chassis.service import Service
from contracts.fields import Attachment, Place, Point
from contracts.homes import HOMES
from contracts.intake import NewReport, Rating, Reopening, Supplement, Withdrawal
from tests.services.triage.desk import (
    CLOSED,
    MAIN,
    POTHOLE,
    another_inbox,
    ended,
    filed,
    get,
    hear,
    parked,
    published,
    report,
    rule,
    said,
    status,
)
from tests.support.facts import case_id, fact_record
from tests.support.services import Running, publish, read_topic, running

# over the topics


async def test_a_report_is_located_given_out_and_given_out_again_once_however_often_it_is_delivered(
    url: str, service: Service, kafka: str, topics: str, grids: dict[str, tuple[float, float]], grid: str
) -> None:
    case, (lat, lon) = case_id(), grids[grid]
    new = NewReport(channel="hotline", title="挖断水管", category=MAIN, place=Place(point=Point(lat=lat, lon=lon)))
    async with running(service, url, kafka=kafka, prefix=topics) as triage:
        filing = said(case, new)
        await publish(kafka, topics, [filing, filing])
        await read_topic(kafka, topics, "Assigned", lambda events: len(events) >= 1)
        coming_back = said(case, ended(case))
        await publish(kafka, topics, [coming_back, filing, coming_back])
        rulings = await read_topic(kafka, topics, "Assigned", lambda events: len(events) >= 2)
        first, second = (event.data for event in rulings)
        assert first.area.startswith(grid)
        assert [one.unit for one in first.plan] == ["dept:water", f"street:{grid.rsplit('/', 2)[0]}", "dept:fire"]
        assert (second.round, second.because, second.plan[0].replaces) == (2, "returned", f"{case}.1.1")
        heard = [json.loads(record.value or b"")["id"] for record in (filing, coming_back)]
        assert [event.causationid for event in rulings] == heard
        assert (await get(triage, f"/cases/{case}"))["assignments"][0]["outcome"] == "returned"
        assert await parked(triage) == []


@pytest.mark.parametrize("source", ["/partners/water", "/services/dispatch", "/services/feedback", "/services/triage"])
async def test_what_its_home_did_not_write_is_parked_and_holds_nothing_back(
    triage: Running, grid: str, source: str
) -> None:
    case = await filed(triage, report(place=Place(area=grid)))
    forged = [
        fact_record(case, fact, source=source)
        for fact in (Withdrawal(reason="no"), ended(case), CLOSED)
        if HOMES[fact.topic] != source
    ]
    await triage.runtime.inbox.process(
        [*forged, said(case, Supplement(text="more")), said(case, ended(case, "1.2", "fixed"))]
    )
    assert [(kind, of) for kind, of, _ in await parked(triage)] == [("forged", case)] * len(forged)
    found = await get(triage, f"/cases/{case}")
    assert (found["status"], found["supplements"][0]["text"], len(found["rounds"])) == ("dispatched", "more", 1)
    assert [one["outcome"] for one in found["assignments"]] == [None, "fixed", None]


async def test_what_is_about_nothing_known_is_parked_for_a_person_and_holds_nothing_back(
    triage: Running, grid: str
) -> None:
    case, unknown = await filed(triage, report(place=Place(area=grid))), case_id()
    await hear(triage, case, ended(case, "7.1"), ended(case))
    for fact in (CLOSED, ended(unknown), Withdrawal(reason="no")):
        await hear(triage, unknown, fact)
    assert await parked(triage) == [
        ("unfit", case, f"assignment_id: the case has no assignment {case}.7.1"),
        *[("unfit", unknown, f"subject: there is no report of case {unknown}")] * 3,
    ]
    assert (await get(triage, f"/cases/{case}"))["ruling"]["because"] == "returned"
    await hear(triage, unknown, report(place=Place(area=grid), external_ref="late"))
    assert await status(triage, unknown) == "merged"


async def test_what_is_said_of_a_closed_case_is_passed_over(triage: Running, grid: str) -> None:
    case, unknown = await filed(triage, report(place=Place(area=grid))), case_id()
    before = await triage.runtime.database.fetch("SELECT stream_id, version FROM streams")
    for fact in (Rating(verdict_id=case_id(), rating=1), Reopening(verdict_id=case_id(), reason="again")):
        for one in (case, unknown):
            await hear(triage, one, fact)
    assert await parked(triage) == []
    assert await triage.runtime.database.fetch("SELECT stream_id, version FROM streams") == before


async def test_what_a_person_gave_out_is_known_when_it_ends(triage: Running, grid: str) -> None:
    """The worker remembers the case as it was before the person ruled."""
    case = await filed(triage, report(None, title="something"))
    assert await status(triage, case) == "reported"
    ruled = await rule(triage, case, {"category": MAIN, "area": grid})
    assert ruled.status_code == 200, ruled.text
    await hear(triage, case, ended(case))
    assert await parked(triage) == []
    assert (await get(triage, f"/cases/{case}"))["ruling"]["because"] == "returned"


async def test_work_that_a_superior_took_over_and_returned_goes_on_from_there(triage: Running, grid: str) -> None:
    case = await filed(triage, report("event.advertising.poster", place=Place(area=grid)))
    community = grid.rpartition("/")[0]
    await hear(triage, case, ended(case, unit=f"community:{community}"))
    found = await get(triage, f"/cases/{case}")
    assert [(one["unit"], one["outcome"], one["replaced"]) for one in found["assignments"]] == [
        (f"community:{community}", "returned", True),
        (f"street:{community.rpartition('/')[0]}", None, False),
    ]


async def test_a_reports_words_and_pictures_travel_with_every_round(triage: Running, grid: str) -> None:
    photo = Attachment(uri="https://photos.example/1.jpg", sha256="a" * 64, media_type="image/jpeg")
    case = await filed(triage, report(place=Place(area=grid), text="since 6", attachments=(photo,)))
    await hear(triage, case, ended(case))
    again = await filed(triage, report(place=Place(area=grid), title="the road is flooded"))
    rounds = [event["data"] for event in await published(triage, case)]
    assert [(one["round"], one["text"]) for one in rounds] == [(1, "since 6"), (2, "since 6")]
    assert [one["attachments"] for one in rounds] == [[photo.model_dump()]] * 2
    [merged] = await published(triage, again)
    assert (merged["data"]["into"], merged["data"]["said"]) == (case, "the road is flooded")


# duplicates


async def test_two_workers_given_two_reports_of_one_thing_give_it_out_once(
    triage: Running, grids: dict[str, tuple[float, float]]
) -> None:
    pairs = [(case_id(), case_id(), *grids[path], path) for path in grids]
    manhole, batches = "component.public-facilities.manhole", ([], [])
    for one, other, lat, lon, path in pairs:
        for batch, case in zip(batches, (one, other), strict=True):
            batch.append(said(case, report(manhole, place=Place(point=Point(lat=lat, lon=lon), area=path))))
    workers = [another_inbox(triage) for _ in batches]
    await asyncio.gather(*(worker.process(batch) for worker, batch in zip(workers, batches, strict=True)))
    for one, other, *_ in pairs:
        found = [await get(triage, f"/cases/{case}") for case in (one, other)]
        assert sorted(case["status"] for case in found) == ["dispatched", "merged"]
        merged, master = sorted(found, key=lambda case: case["status"] != "merged")
        assert merged["ruling"]["into"] == master["case_id"]
        assert master["merged_reports"] == 1


async def test_duplicates_are_found_in_the_store_by_position_and_by_grid_and_not_when_over(
    triage: Running, grids: dict[str, tuple[float, float]], grid: str
) -> None:
    lat, lon = grids[grid]

    async def heard(place: Place, category: str = MAIN, **more: Any) -> tuple[str, dict[str, Any]]:
        case = case_id()
        await hear(triage, case, report(category, place=place, **more), inbox=another_inbox(triage))
        return case, (await get(triage, f"/cases/{case}"))

    first, found = await heard(Place(point=Point(lat=lat, lon=lon), area=grid), reporter_ref="a", title="x")
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
    one, two, three = case_id(), case_id(), case_id()
    new = report(place=Place(area=grid))
    await triage.runtime.inbox.process(
        [said(one, new), said(two, new), said(one, Withdrawal(reason="dried up"), sequence=2)]
    )
    assert [await status(triage, case) for case in (one, two)] == ["dispatched", "merged"]
    assert await rulings_on(triage, one) == ["dispatched", "upheld"]
    found = await get(triage, f"/cases/{one}")
    assert (found["ruling"]["ruling"], found["merged_reports"]) == ("dispatched", 1)
    pothole = report(POTHOLE, place=Place(area=grid))
    await triage.runtime.inbox.process([said(three, pothole), said(three, Withdrawal(reason="dried up"), sequence=2)])
    assert await status(triage, three) == "withdrawn"


async def test_a_leader_of_an_earlier_batch_is_not_withdrawn_and_a_second_withdrawal_is_parked(
    triage: Running, grid: str
) -> None:
    one, two = case_id(), case_id()
    new = report(place=Place(area=grid))
    await triage.runtime.inbox.process([said(one, new), said(two, new)])
    await hear(triage, one, Withdrawal(reason="dried up"))
    assert await rulings_on(triage, one) == ["dispatched", "upheld"]
    await hear(triage, one, Withdrawal(reason="really"))
    assert await rulings_on(triage, one) == ["dispatched", "upheld"]
    assert [(kind, of) for kind, of, _ in await parked(triage)] == [("unfit", one)]


async def rulings_on(triage: Running, case: str) -> list[str]:
    return [event["data"]["ruling"] for event in await published(triage, case)]
