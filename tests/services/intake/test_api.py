"""Intake as a whole: reports over HTTP, their status as the others rule, and erasure."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from contracts.feedback import Evaluated
from contracts.reference import Areas, Catalogue
from contracts.triage import Merged, Rejected, Upheld, Withdrawn
from tests.services.intake.callers import (
    ACCEPTOR,
    ADMINISTRATOR,
    ARCHIVE,
    CHEN,
    DISPATCHER,
    ERASURE,
    FIRE,
    FLOOD,
    HOTLINE,
    LI,
    MEMBER,
    events_of,
    file,
    get,
    post,
    rows,
    status_code,
    told,
)
from tests.services.intake.desk import GRID, WHY
from tests.support.facts import case_id
from tests.support.services import Running, token

HOUR = timedelta(hours=1)


def inside(district_folder: Path, path: str) -> dict[str, float]:
    """A point well inside an area, if it is convex there, as the tiny district's is."""
    area = Areas.model_validate_json((district_folder / "areas.json").read_bytes()).by_path[path]
    corners = area.polygon[:-1]
    return {
        "lon": sum(lon for lon, _ in corners) / len(corners),
        "lat": sum(lat for _, lat in corners) / len(corners),
    }


# filing


async def test_a_report_is_answered_with_its_place_and_can_be_followed(intake: Running, district_folder: Path) -> None:
    point = inside(district_folder, f"{GRID}/s01")
    body = {
        **FLOOD,
        "text": "all over the road",
        "category": "event.emergency.water-main",
        "place": {"point": point, "address": "Shuangqiao Road 8"},
        "attachments": [{"uri": "https://photos.example/7.jpg"}],
        "base_records": ["facility:9"],
        "external_ref": "H-1",
    }
    answer = await post(intake, "/reports", MEMBER, body)
    filed = answer.json()
    assert answer.status_code == 201
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["location"] == f"/reports/{filed['case_id']}"
    assert (filed["channel"], filed["area"], filed["status"]) == ("handset", f"{GRID}/s01", "reported")

    shown = await intake.client.get(answer.headers["location"], headers=MEMBER)
    assert shown.headers["etag"] == '"1"'
    found = shown.json()
    assert found["place"]["point"] == point
    assert found["place"]["area"] == found["area"] == f"{GRID}/s01"
    assert (found["text"], found["base_records"], found["external_ref"]) == ("all over the road", ["facility:9"], "H-1")
    assert found["attachments"][0]["uri"] == "https://photos.example/7.jpg"
    assert (found["outcome"], found["merged_into"], found["withdrawal"], found["supplements"]) == (None, None, None, [])

    [event] = await events_of(intake, filed["case_id"])
    assert event["id"] == filed["event_id"]
    assert (event["actor"], event["source"], event["data"]["kind"]) == ("member:7", "/services/intake", "new")
    assert await rows(intake, "SELECT aggregateid, aggregatetype FROM unpublished") == [
        (filed["case_id"], "ReportFiled")
    ]


@pytest.mark.parametrize(
    ("who", "asked", "channel"),
    [
        (LI, None, "citizen"),
        (MEMBER, None, "handset"),
        (ACCEPTOR, None, "hotline"),
        (ACCEPTOR, "citizen", "citizen"),
        (DISPATCHER, None, "hotline"),
        (HOTLINE, None, "partner"),
        (HOTLINE, "hotline", "hotline"),
        (HOTLINE, "sensor", "sensor"),
    ],
)
async def test_the_channel_follows_from_the_role(
    intake: Running, who: dict[str, str], asked: str | None, channel: str
) -> None:
    assert (await file(intake, who, channel=asked))["channel"] == channel


async def test_who_may_not_report_is_told_why(intake: Running) -> None:
    assert (await intake.client.post("/reports", json=FLOOD)).status_code == 401
    assert (await post(intake, "/reports", token("a", "auditor"), FLOOD)).status_code == 403
    channel = await post(intake, "/reports", LI, {**FLOOD, "channel": "sensor"})
    assert (channel.status_code, "citizen" in channel.json()["detail"]) == (403, True)
    for path, body in (("", FLOOD), (f"/{case_id()}/supplements", {"text": "x"})):
        fire = await post(intake, f"/reports{path}", FIRE, body)
        assert (fire.status_code, "not registered for reports" in fire.json()["detail"]) == (403, True)


async def test_a_place_that_is_nowhere_is_left_to_a_person_and_an_unknown_area_refused(intake: Running) -> None:
    lost = await file(intake, place={"point": {"lon": 121.47, "lat": 31.23}, "area": GRID})
    assert lost["area"] is None
    named = await file(intake, place={"area": GRID})
    assert named["area"] == GRID
    by_address = await file(intake, place={"address": "双桥路88号"})
    assert by_address["area"] == GRID
    unknown = await post(intake, "/reports", LI, {**FLOOD, "place": {"area": "CH/atlantis"}})
    assert (unknown.status_code, unknown.json()["errors"][0]["field"]) == (422, "place.area")


@pytest.mark.parametrize("area", ["CH/atlantis", f"{GRID[:-1]}2", "CH"])
async def test_where_there_is_a_position_it_decides_whatever_area_is_named(
    intake: Running, district_folder: Path, area: str
) -> None:
    point = inside(district_folder, f"{GRID}/s01")
    assert (await file(intake, place={"point": point, "area": area}))["area"] == f"{GRID}/s01"


async def test_a_report_counts_from_its_arrival_and_what_was_claimed_stands_beside_it(intake: Running) -> None:
    now = datetime.now(UTC)

    async def filed(who: dict[str, str], **ago: float) -> tuple[timedelta, bool, bool, bool]:
        """(how far from now it counts, whether the claim stands beside it, whether that is doubtful, retrospective)"""
        seen = now - timedelta(**ago)
        found = await file(intake, who, at=seen.astimezone(timezone(timedelta(hours=8))).isoformat())
        shown = await get(intake, f"/reports/{found['case_id']}")
        assert (shown["claimed_at"], shown["time_doubtful"]) == (found["claimed_at"], found["time_doubtful"])
        beside = found["claimed_at"] is not None and datetime.fromisoformat(found["claimed_at"]) == seen
        off = datetime.fromisoformat(found["reported_at"]) - now
        return timedelta(hours=round(off / HOUR)), beside, found["time_doubtful"], found["retrospective"]

    nothing, ago = timedelta(0), timedelta(hours=-100)
    assert await filed(LI, hours=1) == (nothing, True, False, False)
    assert await filed(LI, hours=100) == (nothing, True, True, False)
    assert await filed(ACCEPTOR, hours=100) == (ago, False, False, True)
    assert await filed(MEMBER, hours=100) == (ago, False, False, True)
    assert await filed(LI, hours=-1) == (nothing, True, True, False)
    assert await filed(HOTLINE, hours=1) == (nothing, True, False, False)
    assert await filed(HOTLINE, hours=100) == (nothing, True, True, False)
    assert await filed(ARCHIVE, hours=100) == (ago, False, False, True)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \u3000"}, "title"),
        ({"title": "a\0b"}, "title"),
        ({"titel": "x"}, "titel"),
        ({"place": {"point": {"lat": 91, "lon": 0}}}, "place.point.lat"),
        ({"place": {"where": "here"}}, "place.where"),
        ({"reporter": {"phone": "1\0"}}, "reporter.phone"),
        ({"reporter": {"name": " "}}, "reporter.name"),
        ({"category": "event.emergency.flood"}, "category"),
        ({"at": "2026-05-09T08:00:00"}, "at"),
        ({"at": "0001-01-01T00:00:00+14:00"}, "at"),
        ({"at": "2200-01-01T00:00:00Z"}, "at"),
        ({"at": 1778306400}, "at"),
        ({"attachments": [{"uri": "https://photos.example/7.jpg", "sha256": "y"}]}, "attachments.0.sha256"),
    ],
)
async def test_bad_input_names_its_field(intake: Running, change: dict[str, Any], field: str) -> None:
    answer = await post(intake, "/reports", LI, {**FLOOD, **change})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert await rows(intake, "SELECT 1 FROM reports UNION ALL SELECT 1 FROM reporters") == []


@pytest.mark.parametrize("who", [LI, ACCEPTOR, HOTLINE])
async def test_a_category_that_is_not_in_the_catalogue_is_refused_with_its_version(
    intake: Running, who: dict[str, str], district_folder: Path
) -> None:
    version = Catalogue.model_validate_json((district_folder / "catalogue.json").read_bytes()).version
    answer = await post(intake, "/reports", who, {**FLOOD, "category": "event.emergency"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "category", "rule": f"event.emergency is not in catalogue {version}"}]


async def test_half_a_character_is_bad_input(intake: Running) -> None:
    answer = await intake.client.post(
        "/reports", headers={**LI, "content-type": "application/json"}, content=b'{"title": "\\ud800"}'
    )
    assert answer.status_code == 422


async def test_the_same_key_files_once_and_says_where(intake: Running) -> None:
    body = {**FLOOD, "reporter": {"name": "Li Na", "phone": "+86 28 5555 0101"}}
    first = await post(intake, "/reports", ACCEPTOR, body, **{"idempotency-key": "k"})
    again = await post(intake, "/reports", ACCEPTOR, body, **{"idempotency-key": "k"})
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await rows(intake, "SELECT * FROM reports")) == 1
    assert len(await rows(intake, "SELECT * FROM reporters")) == 1


# people


async def test_a_name_is_kept_beside_the_events_and_can_be_erased(intake: Running) -> None:
    body = {**FLOOD, "reporter": {"name": "Li Na", "phone": "+86 28 5555 0101"}}
    filed = (await post(intake, "/reports", ACCEPTOR, body, **{"idempotency-key": "k"})).json()
    path = f"/reporters/{filed['reporter_ref']}"
    before = await rows(intake, "SELECT body FROM events")
    everything = str(
        [before, await rows(intake, "SELECT payload FROM unpublished"), await rows(intake, "SELECT * FROM reports")]
    )
    everything += str(await rows(intake, "SELECT body FROM idempotency"))
    assert filed["reporter_ref"] in everything
    assert "Li Na" not in everything
    assert "5555" not in everything

    purpose = {"case_id": filed["case_id"], "purpose": "call back"}
    assert (await post(intake, f"{path}/disclosure", ACCEPTOR, purpose)).json()["name"] == "Li Na"
    before = await rows(intake, "SELECT body FROM events")
    assert await status_code(intake, path, LI) == 404
    assert (await intake.client.delete(path, headers=ACCEPTOR)).status_code == 403
    assert (await intake.client.delete(path + ERASURE, headers=ADMINISTRATOR)).status_code == 204
    assert (await intake.client.delete(path + ERASURE, headers=ADMINISTRATOR)).status_code == 404
    assert (await post(intake, f"{path}/disclosure", ACCEPTOR, purpose)).status_code == 404
    assert await rows(intake, "SELECT * FROM reporters") == []
    assert await rows(intake, "SELECT body FROM events") == before
    assert (await get(intake, f"/reports/{filed['case_id']}"))["reporter_ref"] == filed["reporter_ref"]


async def test_a_person_with_a_login_has_one_reference_and_no_other_name_in_events(intake: Running) -> None:
    both = await asyncio.gather(*(file(intake, LI) for _ in range(6)))
    assert len({filed["reporter_ref"] for filed in both}) == 1
    reference = both[0]["reporter_ref"]
    await file(intake, LI, reporter={"name": "Li Na"})
    await file(intake, LI, reporter={"phone": "5555"})
    for (body,) in await rows(intake, "SELECT body FROM events"):
        assert b"li.na" not in body
        assert json.loads(body)["actor"] == reference
    assert await get(intake, f"/reporters/{reference}", LI) == {
        "reporter_ref": reference,
        "name": "Li Na",
        "phone": "5555",
    }
    assert (await file(intake, CHEN))["reporter_ref"] != reference


async def test_an_erased_person_is_a_new_one_when_they_report_again(intake: Running) -> None:
    first = await file(intake, LI, reporter={"name": "Li Na"})
    reference = first["reporter_ref"]
    assert (await intake.client.delete(f"/reporters/{reference}", headers=CHEN)).status_code == 404
    assert (await intake.client.delete(f"/reporters/{reference}", headers=LI)).status_code == 204
    assert (await get(intake, "/reports", LI))["items"] == []
    assert await status_code(intake, f"/reports/{first['case_id']}", LI) == 404
    assert (await file(intake, LI))["reporter_ref"] != reference


async def test_filing_and_erasing_at_once_block_nobody(intake: Running) -> None:
    async def file_and_erase(number: int) -> set[int]:
        filed = await post(intake, "/reports", LI, {**FLOOD, "reporter": {"name": f"Li Na {number}"}})
        gone = await intake.client.delete(f"/reporters/{filed.json()['reporter_ref']}", headers=LI)
        return {filed.status_code, gone.status_code}

    codes = set[int]().union(*await asyncio.gather(*(file_and_erase(number) for number in range(20))))
    assert {201, 204} <= codes <= {201, 204, 404}
    assert "Li Na" not in str(await rows(intake, "SELECT payload FROM unpublished"))


# saying more, taking back


async def test_a_reporter_adds_and_takes_back_and_both_are_shown(intake: Running) -> None:
    case = (await file(intake, LI))["case_id"]
    added = await post(intake, f"/reports/{case}/supplements", LI, {"text": "in the cellars now"})
    assert (added.status_code, added.json()["supplement_count"], added.headers["etag"]) == (201, 1, '"2"')
    taken = await post(intake, f"/reports/{case}/withdrawal", LI, {"reason": "dried up"})
    assert (taken.status_code, taken.json()["withdrawal_requested"]) == (202, True)
    found = await get(intake, f"/reports/{case}", LI)
    assert [(one["text"], one["by"]) for one in found["supplements"]] == [("in the cellars now", found["reporter_ref"])]
    assert found["withdrawal"]["reason"] == "dried up"
    assert found["status"] == "reported"
    await told(intake, case, Withdrawn(reason="dried up"))
    assert (await get(intake, f"/reports/{case}", LI))["status"] == "withdrawn"
    refused = await post(intake, f"/reports/{case}/supplements", LI, {"text": "again"})
    assert (refused.status_code, refused.json()["rule"]) == (409, "report.ended")


async def test_only_whoever_filed_it_or_an_acceptor_may_speak_for_a_report(intake: Running) -> None:
    case = (await file(intake, DISPATCHER, reporter={"name": "Li Na"}))["case_id"]
    paths = (
        (f"/reports/{case}/supplements", {"text": "more"}, 201),
        (f"/reports/{case}/withdrawal", {"reason": "dried up"}, 202),
    )
    for path, body, done in paths:
        for headers in ({}, {"if-match": '"7"'}):  # what it may not change has no version for it
            refused = await post(intake, path, MEMBER, body, **headers)
            assert (refused.status_code, refused.json()["rule"]) == (409, "report.owner")
        assert (await post(intake, path, ACCEPTOR, body)).status_code == done
    assert (await post(intake, f"/reports/{case_id()}/withdrawal", LI, {"reason": "x"})).status_code == 404
    assert (await post(intake, "/reports/nonsense/withdrawal", LI, {"reason": "x"})).status_code == 422


async def test_who_speaks_on_behalf_does_so_in_their_areas_only(intake: Running) -> None:
    street = GRID.rsplit("/", 2)[0]
    here, elsewhere = (token(name, "acceptor", areas=(area,)) for name, area in (("xu", street), ("he", f"{street}x")))
    places = ({"area": GRID}, {})
    case, lost = [(await file(intake, DISPATCHER, place=place))["case_id"] for place in places]
    own = (await file(intake, elsewhere, place={"area": GRID}))["case_id"]

    async def codes(who: dict[str, str], case: str) -> list[int]:
        bodies = {"supplements": {"text": "more"}, "withdrawal": {"reason": "dried up"}}
        return [(await post(intake, f"/reports/{case}/{path}", who, body)).status_code for path, body in bodies.items()]

    assert await codes(elsewhere, case) == await codes(elsewhere, lost) == await codes(here, lost) == [403, 403]
    assert await codes(here, case) == await codes(elsewhere, own) == [201, 202]
    assert await codes(here, case_id()) == [404, 404]
    assert [item["case_id"] for item in (await get(intake, "/reports", elsewhere))["items"]] == [own]


@pytest.mark.parametrize(
    ("path", "body", "field"), [("supplements", {"text": " \n"}, "text"), ("withdrawal", {"reason": "\t"}, "reason")]
)
async def test_who_adds_or_withdraws_must_say_something(
    intake: Running, path: str, body: dict[str, str], field: str
) -> None:
    case = (await file(intake, LI))["case_id"]
    answer = await post(intake, f"/reports/{case}/{path}", LI, body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_withdrawal_that_is_not_followed_is_shown_with_its_reason(intake: Running) -> None:
    case = (await file(intake, LI))["case_id"]
    seen = (datetime.now(UTC) - HOUR).isoformat()
    await post(intake, f"/reports/{case}/withdrawal", LI, {"reason": "dried up", "at": seen})
    await told(intake, case, Upheld(reason="the main is still open"))
    found = await get(intake, f"/reports/{case}", LI)
    assert (found["status"], found["withdrawal"]["reason"]) == ("reported", "dried up")
    assert found["withdrawal"]["upheld_reason"] == "the main is still open"
    assert datetime.fromisoformat(found["withdrawal"]["claimed_at"]) == datetime.fromisoformat(seen)
    [item] = (await get(intake, "/reports", LI))["items"]
    assert (item["withdrawal_requested"], item["upheld_reason"]) == (True, "the main is still open")
    again = await post(intake, f"/reports/{case}/withdrawal", LI, {"reason": "dried up"})
    assert (again.status_code, again.json()["rule"]) == (409, "withdrawal.once")


async def test_a_partners_report_is_its_own_whoever_of_its_people_calls(intake: Running) -> None:
    filed = await file(intake, HOTLINE)
    case = filed["case_id"]
    [event] = await events_of(intake, case)
    assert (event["data"]["reported_by"], event["actor"]) == ("hotline", "partner:hotline")
    found = await get(intake, f"/reports/{case}", HOTLINE)
    assert (found["reported_by"], found["filed_by"]) == ("hotline", "partner:hotline")
    assert await status_code(intake, f"/reports/{case}", ARCHIVE) == 404
    for path, body, done in (("supplements", {"text": "more"}, 201), ("withdrawal", {"reason": "dried up"}, 202)):
        refused = await post(intake, f"/reports/{case}/{path}", ARCHIVE, body)
        assert refused.status_code == 404
        assert (await post(intake, f"/reports/{case}/{path}", HOTLINE, body)).status_code == done


# following


async def test_a_merged_report_tells_the_status_and_outcome_of_the_case_it_became_part_of(intake: Running) -> None:
    first, second, third = [(await file(intake, who))["case_id"] for who in (MEMBER, LI, CHEN)]
    duplicate = Evaluated(verdict="closed", outcome="duplicate", reason="the same main")
    await told(intake, second, Merged(into=first, explanation=WHY), duplicate)
    await told(intake, third, Merged(into=second, explanation=WHY))
    open_still = await get(intake, f"/reports/{third}", CHEN)
    assert (open_still["status"], open_still["own_status"], open_still["outcome"]) == ("reported", "merged", None)
    await told(intake, first, Evaluated(verdict="closed", outcome="fixed", reason="pipe replaced"))
    for case, who, own in ((second, LI, "closed"), (third, CHEN, "merged")):
        found = await get(intake, f"/reports/{case}", who)
        assert (found["status"], found["outcome"], found["reason"]) == ("closed", "fixed", None)
        assert found["closed_at"] is not None
        assert found["own_status"] == own
    assert (await get(intake, "/reports", LI))["items"][0]["outcome"] == "fixed"
    into = await get(intake, "/reports", merged_into=first)
    assert [(item["case_id"], item["status"]) for item in into["items"]] == [(second, "closed")]


async def test_a_circle_of_merges_and_a_case_unknown_here_are_survived(intake: Running) -> None:
    first, second = [(await file(intake))["case_id"] for _ in range(2)]
    await told(intake, first, Merged(into=second, explanation=WHY))
    await told(intake, second, Merged(into=first, explanation=WHY))
    assert (await get(intake, f"/reports/{first}"))["status"] == "merged"
    await told(intake, first, Evaluated(verdict="closed", outcome="fixed"))
    await told(intake, second, Merged(into=case_id(), explanation=WHY))
    assert (await get(intake, f"/reports/{second}"))["status"] == "merged"


async def test_a_rejected_report_says_why(intake: Running) -> None:
    case = (await file(intake))["case_id"]
    await told(intake, case, Rejected(why="not_ours", reason="private ground"))
    found = await get(intake, f"/reports/{case}", LI)
    assert (found["status"], found["reason"]) == ("rejected", "private ground")


async def test_reports_are_seen_by_whoever_filed_them_and_by_staff_of_their_area(intake: Running) -> None:
    case = (await file(intake, LI, place={"area": GRID}))["case_id"]
    lost = (await file(intake, LI))["case_id"]
    here, elsewhere = (token("w", "dispatcher", areas=(area,)) for area in ("CH/shuangqiaozi", "CH/shuangqiaoz"))
    assert [await status_code(intake, f"/reports/{case}", who) for who in (LI, DISPATCHER, here)] == [200, 200, 200]
    assert [await status_code(intake, f"/reports/{case}", who) for who in (CHEN, HOTLINE, elsewhere)] == [404, 404, 403]
    assert await status_code(intake, f"/reports/{lost}", here) == 403
    assert await status_code(intake, f"/reports/{case_id()}", DISPATCHER) == 404
    assert await status_code(intake, "/reports/%00", DISPATCHER) == 422

    async def listed(who: dict[str, str]) -> set[str]:
        return {item["case_id"] for item in (await get(intake, "/reports", who))["items"]}

    assert await listed(LI) == await listed(DISPATCHER) == {case, lost}
    assert await listed(here) == {case}
    assert await listed(elsewhere) == await listed(CHEN) == await listed(HOTLINE) == set()


async def test_lists_are_filtered(intake: Running) -> None:
    day = datetime(2026, 1, 9, 8, tzinfo=UTC)  # long past: the reports are retrospective, and their own times count
    grid, community = GRID, GRID.rpartition("/")[0]
    a = (await file(intake, ACCEPTOR, channel="citizen", place={"area": grid}, at=day.isoformat()))["case_id"]
    b = (await file(intake, MEMBER, place={"area": community}, at=(day + HOUR).isoformat()))["case_id"]
    c = (await file(intake, ARCHIVE, external_ref="H-7", at=(day + 2 * HOUR).isoformat()))["case_id"]
    await told(intake, b, Rejected(why="not_ours", reason="private ground"))

    async def listed(**query: Any) -> list[str]:
        return [item["case_id"] for item in (await get(intake, "/reports", ADMINISTRATOR, **query))["items"]]

    assert await listed() == [c, b, a]
    assert await listed(status="reported") == [c, a]
    assert await listed(status="rejected", channel="handset") == [b]
    assert await listed(area=community) == [b, a]
    assert await listed(area=grid) == [a]
    assert await listed(area=f"{grid}/s01") == []
    assert await listed(channel="citizen") == [a]
    assert await listed(since=(day + HOUR).isoformat()) == [c, b]
    assert await listed(until=(day + HOUR).astimezone(timezone(timedelta(hours=8))).isoformat()) == [a]
    assert await listed(external_ref="H-7") == [c]
    for bad in (
        {"area": "CH/%"},
        {"area": grid[:-1]},
        {"area": "CH/atlantis"},
        {"status": "open"},
        {"status": "acknowledged"},
        {"since": "yesterday"},
        {"until": "2026-01-09T08:00:00"},
        {"external_ref": "\0"},
        {"limit": 201},
    ):
        assert await status_code(intake, "/reports", ADMINISTRATOR, **bad) == 422


async def test_pages_hold_every_report_once_also_those_of_one_instant(intake: Running) -> None:
    day = datetime(2026, 1, 9, 8, tzinfo=UTC)
    filed = {(await file(intake, at=(day + timedelta(hours=n // 3)).isoformat()))["case_id"] for n in range(7)}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        found = await get(intake, "/reports", ADMINISTRATOR, limit=2, **cursor)
        assert len(found["items"]) <= 2
        seen += [item["case_id"] for item in found["items"]]
        if found["next"] is None:
            break
        cursor = {"cursor": found["next"]}
    assert len(seen) == 7
    assert set(seen) == filed
    for bad in ("x", "WzEsMl0", "WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIlx1MDAwMCJd", "WyIyMDI2LTAxLTAxIiwieCJd"):
        assert await status_code(intake, "/reports", ADMINISTRATOR, cursor=bad) == 422


async def test_a_case_of_which_only_a_ruling_is_known_is_shown_to_nobody(intake: Running) -> None:
    case = case_id()
    await told(intake, case, Rejected(why="not_ours", reason="private ground"))
    assert await status_code(intake, f"/reports/{case}", ADMINISTRATOR) == 404
