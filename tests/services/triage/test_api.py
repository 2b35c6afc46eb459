"""Triage over HTTP: the queue, verification, rulings, and lists."""

import asyncio
from datetime import timedelta

from contracts.feedback import Evaluated
from contracts.fields import Place
from contracts.intake import Supplement
from tests.services.triage.desk import (
    ACCEPTOR,
    CLOSED,
    LEADER,
    MAIN,
    MEMBER,
    NOW,
    POTHOLE,
    REPORTER,
    ended,
    filed,
    get,
    hear,
    published,
    report,
    rule,
    said,
    status,
    timers,
)
from tests.support.facts import case_id
from tests.support.services import Hands, Running, token

# the queue, verification, rulings


async def test_a_grid_member_works_off_the_queue(triage: Running, grid: str) -> None:
    cases = [await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid))) for _ in range(1)]
    await filed(triage, report(None, title="zzz", place=Place(area=grid)))
    found = await get(triage, "/queue", MEMBER, queue="verify", area=grid.rsplit("/", 1)[0])
    [item] = found["items"]
    assert (item["case_id"], item["queue"], item["unit"], item["area"]) == (cases[0], "verify", f"grid:{grid}", grid)
    assert item["due_at"] == "2026-05-09T01:42:00Z"
    away = token("li", "grid_member", areas=("CH/elsewhere",))
    assert (await get(triage, "/queue", away))["items"] == []
    path = f"/cases/{item['case_id']}/verification"
    assert (await triage.client.post(path, headers=away, json={"confirmed": True})).status_code == 403
    assert (await triage.client.post(path, headers=ACCEPTOR, json={"confirmed": True})).status_code == 403
    for bad in ({"confirmed": False}, {"confirmed": False, "note": " "}, {"confirmed": True, "why": "not_ours"}):
        assert (await triage.client.post(path, headers=MEMBER, json=bad)).status_code == 422
    unknown = f"/cases/{case_id()}/verification"
    assert (await triage.client.post(unknown, headers=MEMBER, json={"confirmed": True})).status_code == 404
    near = token("li", "grid_member", areas=(grid.rsplit("/", 1)[0],))
    done = await triage.client.post(
        path, headers=near, json={"confirmed": True, "note": "40 cm", "at": "2026-05-09T09:10:00+08:00"}
    )
    assert done.status_code == 200, done.text
    assert done.json()["status"] == "dispatched"
    assert done.json()["ruling"]["filed_at"] == "2026-05-09T01:12:00.000000Z"
    verifying, step, ruling = await published(triage, item["case_id"])
    assert (step["causationid"], ruling["causationid"]) == (verifying["id"], step["id"])
    assert (step["data"]["step"], step["actor"], ruling["actor"]) == ("verified_before_filing", "li", "li")
    for said_by_her in (step, ruling):
        assert (said_by_her["time"], said_by_her["data"]["claimed_at"], said_by_her["data"]["time_doubtful"]) == (
            "2026-05-09T01:12:00.000000Z",
            "2026-05-09T01:10:00.000000Z",
            False,
        )
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


async def test_a_claimed_time_is_never_refused_only_what_is_no_time(triage: Running, grid: str) -> None:
    case = await filed(triage, report(None, title="zzz"))
    for wrong in ("yesterday", "2026-05-09T01:12:00", "0001-01-01T00:00:00Z", 1778289120):
        answer = await rule(triage, case, {"category": MAIN, "area": grid, "at": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "at")
    done = await rule(triage, case, {"category": MAIN, "area": grid, "at": "2126-05-09T01:12:00+08:00"})
    assert done.status_code == 200, done.text
    ruling = done.json()["ruling"]
    assert (ruling["filed_at"], ruling["claimed_at"], ruling["time_doubtful"]) == (
        "2026-05-09T01:12:00.000000Z",
        "2126-05-08T17:12:00.000000Z",
        True,
    )


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
    await hear(triage, case, ended(case), ended(case, "2.1", unit="district:CH"))
    assert await status(triage, case) == "filed"
    [item] = (await get(triage, "/queue", queue="second_return"))["items"]
    assert item["case_id"] == case
    body = {"units": [{"unit": "dept:water"}, {"unit": "dept:transport", "task": "excavate"}], "reason": "shared"}
    refused = await rule(triage, case, body)
    assert (refused.status_code, refused.json()["rule"]) == (409, "ruling.second_return")
    done = await rule(triage, case, body, LEADER)
    assert done.status_code == 200, done.text
    assert [one["replaces"] for one in done.json()["ruling"]["plan"]] == [f"{case}.2.1"] * 2
    assert (await get(triage, "/queue"))["items"] == []


async def test_overdue_decisions_are_said_once_by_the_clock(triage: Running, clock: Hands, grid: str) -> None:
    case = await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid)))
    assert await timers(triage).look() == 0
    clock.advance(days=3)
    assert await timers(triage).look() == 1
    assert await timers(triage).look() == 0
    [item] = (await get(triage, "/queue", overdue=True))["items"]
    assert (item["case_id"], item["overdue"]) == (case, True)
    assert [event["data"]["step"] for event in await published(triage, case)] == ["verifying", "ruling_overdue"]
    assert await status(triage, case) == "verifying"


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
    assert await status(triage, new) == "reported"
    target = await filed(triage, report(place=Place(area=grid)))
    assert (await rule(triage, new, {"merge_into": target})).json()["status"] == "merged"


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
    late = await get(triage, "/cases", since="2026-05-07T00:00:00Z", until="2026-05-09T01:12:00Z")
    assert [item["case_id"] for item in late["items"]] == cases[1:2]
    assert (await get(triage, "/cases", status="rejected"))["items"] == []
    given_out = (await get(triage, "/cases", status="dispatched"))["items"]
    assert [item["case_id"] for item in given_out] == cases
    waiting = await filed(triage, report(None, title="zzz"))
    assert [item["case_id"] for item in (await get(triage, "/cases", status="reported"))["items"]] == [waiting]
    for query in ({"status": "awaiting_ruling"}, {"since": "2026-05-07"}):
        assert (await triage.client.get("/cases", headers=ACCEPTOR, params=query)).status_code == 422
    offset = await get(triage, "/cases", since="2026-05-07T08:00:00+08:00", until="2026-05-09T09:12:00+08:00")
    assert [item["case_id"] for item in offset["items"]] == cases[1:2]
    bad = await triage.client.get("/cases", headers=ACCEPTOR, params={"cursor": "WzEsMl0"})
    assert bad.status_code == 422
    assert (await triage.client.get("/queue", headers=REPORTER)).status_code == 403


async def test_a_caller_with_areas_sees_the_cases_of_these_areas_only(
    triage: Running, grids: dict[str, tuple[float, float]]
) -> None:
    here, there = sorted(grids)[0], sorted(grids)[-1]
    mine, other = [await filed(triage, report(place=Place(area=path))) for path in (here, there)]
    nowhere = await filed(triage, report())
    local, wide = token("wang", "acceptor", areas=(here,)), token("wang", "acceptor", areas=("CH/elsewhere", "CH"))
    assert [item["case_id"] for item in (await get(triage, "/cases", local))["items"]] == [mine]
    assert (await get(triage, "/cases", local, area=there))["items"] == []
    assert {item["case_id"] for item in (await get(triage, "/cases", wide))["items"]} == {mine, other, nowhere}
    assert {item["case_id"] for item in (await get(triage, "/cases"))["items"]} == {mine, other, nowhere}
    assert (await get(triage, f"/cases/{mine}", local))["area"] == here
    for case in (other, nowhere):
        assert (await triage.client.get(f"/cases/{case}", headers=local)).status_code == 403
    assert (await triage.client.get(f"/cases/{case_id()}", headers=local)).status_code == 404
    body = {"category": POTHOLE, "area": there}
    unclassified = await filed(triage, report(None, title="zzz", place=Place(area=here)))
    assert (await rule(triage, unclassified, body, local)).status_code == 403


async def test_a_filter_that_names_what_does_not_exist_is_refused(triage: Running) -> None:
    for path, field, value in (
        ("/queue", "area", "CH/gone"),
        ("/queue", "area", "%"),
        ("/queue", "queue", "gone"),
        ("/cases", "area", "CH/gone"),
        ("/cases", "category", "event.emerg"),
        ("/cases", "category", "event.emergency.gone"),
        ("/cases", "status", "gone"),
        ("/cases", "status", "checking"),
        ("/cases", "merged_into", "gone"),
        ("/cases", "until", "yesterday"),
        ("/cases", "limit", 0),
    ):
        answer = await triage.client.get(path, headers=ACCEPTOR, params={field: value})
        assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (422, [field]), value
    assert (await get(triage, "/cases", category="event.emergency"))["items"] == []


async def test_a_case_shows_its_assignments_and_its_verdict(triage: Running, grid: str) -> None:
    case = await filed(triage, report(place=Place(area=grid)))
    found = await get(triage, f"/cases/{case}")
    assert [one["assignment_id"] for one in found["assignments"]] == [f"{case}.1.{n}" for n in (1, 2, 3)]
    assert (found["waiting"], found["verdict"], found["outcome"], found["verdict_reason"]) == (None, None, None, None)
    failed = Evaluated(verdict="rework", failed=(f"{case}.1.1",), reason="still leaking")
    await hear(triage, case, failed)
    found = await get(triage, f"/cases/{case}")
    assert (found["verdict"], found["outcome"], found["verdict_reason"]) == ("rework", None, "still leaking")
    assert [one["failed"] for one in found["assignments"]] == [True, False, False]
    await triage.runtime.inbox.process([said(case, CLOSED, sequence=2)])
    found = await get(triage, f"/cases/{case}")
    assert (found["status"], found["verdict"], found["outcome"]) == ("closed", "closed", "fixed")
    waiting = await filed(triage, report(POTHOLE, channel="citizen", place=Place(area=grid)))
    found = (await get(triage, f"/cases/{waiting}"))["waiting"]
    assert (found["queue"], found["unit"], found["due_at"]) == ("verify", f"grid:{grid}", "2026-05-09T01:42:00Z")
    assert found["words"][0] == f"area {grid} as reported"


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
    for name in ("RulingBody", "VerificationBody", "CaseChange", "CaseDetail"):
        assert document["components"]["schemas"][name]["examples"]
    assert {"/queue", "/cases", "/cases/{case_id}", "/cases/{case_id}/ruling"} <= document["paths"].keys()
