"""Audit as a whole: from the topics to chains, the case at an instant, lists, counts, and what is missing."""

import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from chassis.kafka.records import Record
from chassis.registry import Registry
from chassis.service import Service
from contracts.fields import CASE_ID, EARLIEST
from contracts.intake import NewReport
from contracts.notice import RefusalNotice
from contracts.progress import OnScene
from contracts.request import Acknowledge
from contracts.triage import Merged
from services.audit.log import Log
from services.audit.questions import QUESTIONS
from tests.domain.audit_story import (
    AREA,
    BEGIN,
    BURST,
    CASE,
    FAR,
    OTHER,
    Story,
    burst_main,
    partners_case,
)
from tests.services.audit.test_log import FORGED, NASTY, ODD
from tests.support.facts import case_id, fact_record, record_of, report, topic_of
from tests.support.infrastructure import Database
from tests.support.rulings import WHY
from tests.support.services import Running, eventually, publish, running, token

AUDITOR = token("au.dit@example.org", "auditor")
LEADER = token("leader:1", "shift_leader")
WATER = token("chen", "handling_unit", unit="dept:water")
STREET = token("street:1", "dispatcher", areas=("CH/shuangqiaozi",))
ELSEWHERE = token("street:2", "dispatcher", areas=("CH/shengdeng", "CH/shuangqiao"))
FAULTS = [name for name, question in QUESTIONS.items() if question.fault]
LISTS = (*FAULTS, "invalid", "index_gaps", "offset_gaps")
PARTNERS = ("hotline", "water")

MakeTopics = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def partners(tmp_path: Path) -> Path:
    """A file in which two partners are registered."""
    path = tmp_path / "partners.json"
    entries = [{"id": name, "name": name, "says": ["reports", "steps"]} for name in PARTNERS]
    path.write_text(json.dumps({"partners": entries}))
    return path


@pytest.fixture
async def audit(service: Service, database: Database, partners: Path) -> AsyncIterator[Running]:
    """Audit with a database, and no broker: what it is to store is given to its log directly."""
    async with running(service, database.url("audit"), CASEGRID_PARTNERS=partners) as found:
        yield found


async def store(audit: Running, *records: Record) -> None:
    await Log(audit.runtime.database).process(records)


async def get(audit: Running, path: str, who: Any = AUDITOR, **query: Any) -> Any:
    answer = await audit.client.get(path, headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def merged_into(case: str, other: str, seed: int) -> Story:
    """A citizen's report of the same, merged."""
    story = Story(case, seed=seed)
    filed = story.publish(
        NewReport(channel="citizen", title="No water", external_ref=f"app-{seed}"), actor="reporter:2"
    )
    merged = story.publish(Merged(into=other, category=BURST, area=AREA, explanation=WHY), cause=filed)
    story.closed(merged, outcome="duplicate")
    return story


async def test_records_on_the_topics_become_a_chain_and_a_clean_verdict(
    service: Service, database: Database, kafka: str, topic_prefix: str, make_topics: MakeTopics, partners: Path
) -> None:
    await make_topics(topic_prefix, partners=PARTNERS)
    topics = dict.fromkeys(Registry(partners).topics(tuple(service.topics)), 0)
    assert {*topics} > {"Assigned", "from.hotline", "to.water"}
    story, url = partners_case(), database.url("audit")
    async with running(service, url, kafka=kafka, prefix=topic_prefix, CASEGRID_PARTNERS=partners) as audit:
        await publish(kafka, topic_prefix, story.records())

        async def stored() -> bool:
            return (await get(audit, "/log", limit=1))["size"] == len(story.published)

        await eventually(stored, what="all records stored")
        found = await get(audit, f"/cases/{CASE}")
        assert [event["event_id"] for event in found["events"]] == [event.id for event in story.events]
        assert found["case"]["status"] == "closed"
        verdict = await get(audit, "/completeness")
        assert (verdict["verdict"], verdict["reasons"]) == ("complete", [])
        assert verdict["lag"] == topics
        assert (await audit.client.get("/ready")).status_code == 200

    async with running(service, url, kafka=kafka, prefix=topic_prefix, role="api", CASEGRID_PARTNERS=partners) as audit:
        await publish(kafka, topic_prefix, [fact_record(case_id(), Acknowledge(assignment_id=f"{CASE}.1.1"))])
        verdict = await get(audit, "/completeness")
        assert verdict["verdict"] == "incomplete"
        assert verdict["lag"] == {**topics, "from.water": 1}
        assert verdict["reasons"] == ["1 records on the topics that are not stored yet"]


async def test_where_the_broker_lost_what_is_stored_the_verdict_says_so(
    service: Service, database: Database, kafka: str, topic_prefix: str, make_topics: MakeTopics, tmp_path: Path
) -> None:
    await make_topics(topic_prefix)
    settings = {"kafka": kafka, "prefix": topic_prefix, "role": "api", "CASEGRID_PARTNERS": tmp_path / "nobody.json"}
    async with running(service, database.url("audit"), **settings) as audit:
        await store(audit, *Story(OTHER, published=burst_main(OTHER).published[:1]).records())
        verdict = await get(audit, "/completeness")
    assert verdict["lost"] == [f"ReportFiled/{int(OTHER[-4:], 16) % 3}"]
    assert verdict["verdict"] == "incomplete"


async def test_a_chain_says_who_what_when_why_and_how_long_after(audit: Running) -> None:
    story = burst_main()
    await store(audit, *story.records())
    found = await get(audit, f"/cases/{CASE}")
    first, second = found["events"][:2]
    assert (first["actor"], first["causation_id"], first["delay_ms"], first["position"]) == ("member:7", None, None, 1)
    assert (second["causation_id"], second["delay_ms"], second["source"]) == (
        first["event_id"],
        60_000,
        "/services/triage",
    )
    assert second["summary"].startswith("triage dispatched round 1")
    assert second["data"] == orjson.loads(story.published[1][1])["data"]
    assert (first["topic"], first["offset"], first["index"]) == ("ReportFiled", 0, 0)
    assert found["statuses"][0] == {
        "status": "reported",
        "since": "2026-05-09T08:01:00Z",
        "until": "2026-05-09T08:02:00Z",
        "duration_seconds": 60.0,
    }
    assert found["statuses"][-1]["status"] == "closed"
    lead = found["assignments"][0]
    assert lead == {
        "assignment_id": f"{CASE}.1.1",
        "unit": "dept:water",
        "lead": True,
        "stage": "on_scene",
        "outcome": "fixed",
    }
    assert found["case"] == (await get(audit, "/cases"))["items"][0]


async def test_a_long_chain_comes_in_pages_and_its_state_is_that_of_the_whole(audit: Running) -> None:
    story = burst_main()
    await store(audit, *story.records(), *(record_of(raw, CASE, topic_of(event)) for event, raw in story.published))
    seen, cursor = [], None
    while True:
        found = await get(audit, f"/cases/{CASE}", limit=4, **({"cursor": cursor} if cursor else {}))
        assert found["case"]["status"] == "closed"
        seen += [event["event_id"] for event in found["events"]]
        if (cursor := found["next"]) is None:
            break
    assert seen == [event.id for event in story.events]


async def test_the_case_as_of_an_instant_knows_nothing_later(audit: Running) -> None:
    story = burst_main()
    other = merged_into(OTHER, CASE, 7)
    await store(audit, *story.records(), *_after(story, other))
    at = story.events[3].time
    then = await get(audit, f"/cases/{CASE}", at=at.isoformat())
    assert [event["event_id"] for event in then["events"]] == [event.id for event in story.events[:4]]
    assert (then["case"]["status"], then["case"]["outcome"]) == ("on_scene", None)
    assert then["as_of"] == at.isoformat().replace("+00:00", "Z")
    assert [case["case_id"] for case in then["merged"]] == [OTHER]
    earlier = await get(audit, f"/cases/{CASE}", at=story.events[0].time.isoformat())
    assert (earlier["case"]["status"], earlier["merged"]) == ("reported", [])
    for offset in (timedelta(hours=8), timedelta(hours=-9, minutes=-30)):
        local = at.astimezone(timezone(offset)).isoformat()
        assert (await get(audit, f"/cases/{CASE}", at=local))["as_of"] == then["as_of"]
    missing = await audit.client.get(f"/cases/{CASE}", headers=AUDITOR, params={"at": BEGIN.isoformat()})
    assert missing.status_code == 404
    for wrong in ("2026-05-09T08:00:00", "0001-01-01T00:00:00Z", "2026-02-30T08:00:00Z", "1746777600", "now"):
        answer = await audit.client.get(f"/cases/{CASE}", headers=AUDITOR, params={"at": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "at"), wrong


async def test_merged_reports_are_shown_as_they_were_at_the_instant(audit: Running) -> None:
    main, other = burst_main(), Story(OTHER, seed=7)
    filed = other.publish(NewReport(channel="citizen", title="No water", external_ref="app-7"), actor="reporter:2")
    merged = other.publish(Merged(into=CASE, category=BURST, area=AREA, explanation=WHY), cause=filed)
    at = other.at
    other.at += timedelta(hours=3)
    other.closed(merged, outcome="duplicate")
    await store(audit, *main.records(), *_after(main, other))
    shown = {
        "case_id": OTHER,
        "title": "No water",
        "channel": "citizen",
        "external_ref": "app-7",
        "reported_at": _text(other.events[0].time),
        "merged_at": _text(at),
        "status": "merged",
    }
    for moment in (at, other.at - timedelta(microseconds=1)):
        assert (await get(audit, f"/cases/{CASE}", at=moment.isoformat()))["merged"] == [shown]
    for query in ({"at": other.at.isoformat()}, {}):
        assert (await get(audit, f"/cases/{CASE}", **query))["merged"] == [shown | {"status": "closed"}]
    assert (await get(audit, f"/cases/{CASE}", at=(at - timedelta(microseconds=1)).isoformat()))["merged"] == []


async def test_a_report_whose_filing_is_not_known_at_the_instant_is_shown_with_what_is(audit: Running) -> None:
    late, ruled = fact_record(OTHER, report("later"), time=BEGIN + timedelta(hours=1)), Story(OTHER, seed=7)
    ruled.publish(Merged(into=CASE, explanation=WHY), cause=CASE)
    await store(audit, *burst_main().records(), *_after(burst_main(), ruled), late)
    (then,) = (await get(audit, f"/cases/{CASE}", at=ruled.at.isoformat()))["merged"]
    assert (then["title"], then["channel"], then["reported_at"], then["status"]) == (None, None, None, "merged")
    (now,) = (await get(audit, f"/cases/{CASE}"))["merged"]
    assert now["title"] == "later"


@pytest.mark.parametrize("claimed", [None, EARLIEST, FAR])
async def test_a_request_is_in_the_chain_from_its_first_effect_on_whatever_time_its_partner_claims(
    claimed: datetime | None, audit: Running
) -> None:
    story = partners_case(claimed=claimed)
    await store(audit, *story.records())
    filed, new = story.events[:2]
    assert filed.data.name == "Request"
    then = await get(audit, f"/cases/{CASE}", at=new.time.isoformat())
    assert [event["event_id"] for event in then["events"]] == [filed.id, new.id]
    before = {"at": (new.time - timedelta(microseconds=1)).isoformat()}
    assert (await audit.client.get(f"/cases/{CASE}", headers=AUDITOR, params=before)).status_code == 404


def _text(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _after(one: Story, other: Story) -> list[Record]:
    """The other story's records at the offsets behind the one's; both lie in one partition then."""
    counts = Counter(topic_of(event) for event in one.events)
    partition = one.records()[0].partition
    return [Record(r.topic, partition, r.offset + counts[r.topic], r.key, r.value, r.headers) for r in other.records()]


async def test_an_unknown_case_is_not_found(audit: Running) -> None:
    unknown = case_id()
    for path in (
        f"/cases/{unknown}",
        "/cases/nothing",
        f"/cases/{unknown}/events",
        "/log/0",
        f"/completeness?case_id={unknown}",
    ):
        answer = await audit.client.get(path, headers=AUDITOR)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_merged_reports_stand_with_the_case_they_were_merged_into(audit: Running) -> None:
    main, other = burst_main(), merged_into(OTHER, CASE, 7)
    await store(audit, *main.records(), *_after(main, other))
    (merged,) = (await get(audit, f"/cases/{CASE}"))["merged"]
    assert (merged["case_id"], merged["channel"], merged["external_ref"]) == (OTHER, "citizen", "app-7")
    assert merged["merged_at"] == "2026-05-09T08:02:00Z"
    mine = (await get(audit, f"/cases/{OTHER}"))["case"]
    assert (mine["merged_into"], mine["status"], mine["outcome"]) == (CASE, "closed", "duplicate")


async def test_cases_are_filtered_and_come_in_pages_without_loss_or_repetition(audit: Running) -> None:
    ids = [case_id() for _ in range(7)]
    for n, case in enumerate(ids):
        await store(audit, fact_record(case, report(external_ref=f"nyc:{n}"), time=BEGIN + timedelta(hours=n)))
    main = burst_main()
    moved = [Record(r.topic, 5, r.offset, r.key, r.value, r.headers) for r in main.records()]
    await store(audit, *moved)

    async def listed(**query: Any) -> list[str]:
        found, cursor = [], None
        while True:
            answer = await get(audit, "/cases", limit=2, **query, **({"cursor": cursor} if cursor else {}))
            found += [case["case_id"] for case in answer["items"]]
            if (cursor := answer["next"]) is None:
                return found

    assert await listed() == [*ids, CASE]
    assert await listed(status="reported") == ids
    assert await listed(open=False) == await listed(outcome="fixed") == await listed(late=True) == [CASE]
    assert await listed(area="CH/shuangqiaozi") == await listed(area=AREA) == [CASE]
    assert await listed(area="CH/shuangqiao") == await listed(area=AREA + "/s01") == []
    assert await listed(category=BURST) == await listed(channel="handset") == [CASE]
    assert await listed(category="event.emergency") == await listed(category="event") == [CASE]
    assert await listed(category="event.emergency.water") == await listed(area="CH/nowhere") == []
    assert await listed(external_ref="nyc:3") == [ids[3]]
    assert await listed(external_prefix="nyc:") == ids
    since, until = (BEGIN + timedelta(hours=2)).isoformat(), (BEGIN + timedelta(hours=4)).isoformat()
    assert await listed(since=since, until=until) == ids[2:4]
    assert await listed(since_index=5) == [*ids[5:], CASE]
    assert await listed(since_case=ids[2], until_case=ids[4]) == ids[2:5]
    assert await listed(since_case=CASE, until_case=CASE) == [CASE]  # its id sorts first, and it came last
    assert await listed(since_case=CASE) == [*ids, CASE]
    nothing = await audit.client.get("/cases", headers=AUDITOR, params={"since_case": ids[4], "until_case": ids[2]})
    assert nothing.json()["errors"] == [{"field": "until_case", "rule": "lies before since_case"}]
    for name, wrong in (
        ("status", "lost"),
        ("area", "%"),
        ("category", "Event"),
        ("category", "event.a.b.c"),
        ("merged_into", "nothing"),
        ("since_case", "nothing"),
        ("external_ref", " "),
        ("cursor", "x"),
        ("limit", 1000),
        ("since", "yesterday"),
    ):
        answer = await audit.client.get("/cases", headers=AUDITOR, params={name: wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, name), wrong


async def test_a_case_of_which_only_steps_are_known_is_open_and_has_no_status(audit: Running) -> None:
    await store(audit, fact_record(CASE, OnScene(assignment_id=f"{CASE}.1.1", unit="dept:water"), cause=OTHER))
    found = await get(audit, f"/cases/{CASE}")
    assert (found["case"]["status"], found["statuses"]) == (None, [])
    assert found["assignments"] == [
        {"assignment_id": f"{CASE}.1.1", "unit": None, "lead": False, "stage": "on_scene", "outcome": None}
    ]
    for query, count in (({"open": True}, 1), ({"open": False}, 0), ({"status": "reported"}, 0)):
        assert len((await get(audit, "/cases", **query))["items"]) == count
    counts = await get(audit, "/summary")
    assert (counts["open"], counts["closed"], counts["by_status"]) == (1, 0, {})


async def test_the_log_gives_back_exact_bytes_in_order(audit: Running) -> None:
    records = [
        fact_record(CASE, report()),
        record_of(b"\xff{", CASE, headers=[("content-type", None), ("x", b"\0")]),
        record_of(None, None),
    ]
    await store(audit, *records)
    found = await get(audit, "/log", limit=2)
    assert (len(found["items"]), found["next"], found["size"]) == (2, 2, 3)
    found["items"] += (await get(audit, "/log", **{"from": found["next"]}))["items"]
    assert [item["index"] for item in found["items"]] == [0, 1, 2]
    for record, item in zip(records, found["items"], strict=True):
        assert _bytes(item["body_base64"]) == record.value
        assert _bytes(item["key_base64"]) == record.key
        assert [(name, _bytes(value)) for name, value in item["headers"]] == list(record.headers)
        assert (item["topic"], item["partition"], item["offset"]) == (record.topic, record.partition, record.offset)
        assert item == await get(audit, f"/log/{item['index']}")
    assert found["items"][0]["summary"] == "person:test reported by sensor: water on the road"
    assert [item["summary"] for item in found["items"][1:]] == [None, None]
    assert (await get(audit, "/log", **{"from": 3})) == {"items": [], "next": 3, "size": 3}
    of_case = await get(audit, f"/cases/{CASE}/events", limit=1)
    assert of_case["items"] == found["items"][:1]
    rest = await get(audit, f"/cases/{CASE}/events", cursor=of_case["next"])
    assert (rest["items"], rest["next"]) == (found["items"][1:2], None)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def test_the_second_case_of_an_id_is_a_case_with_a_chain(audit: Running) -> None:
    event_id, second = case_id(), case_id()
    await store(audit, fact_record(CASE, report(), event_id=event_id), fact_record(second, report(), event_id=event_id))
    for case in (CASE, second):
        found = await get(audit, f"/cases/{case}")
        assert (found["case"]["status"], [event["event_id"] for event in found["events"]]) == ("reported", [event_id])
    assert len((await get(audit, "/cases"))["items"]) == 2


async def test_what_partners_ask_and_hear_is_in_the_chain_but_makes_no_case(audit: Running) -> None:
    story, stray = partners_case(), case_id()
    apart = RefusalNotice(to="water", request=OTHER, case_id=stray, rule="unknown", reason="no such case")
    await store(audit, *story.records(), fact_record(stray, Acknowledge(assignment_id=f"{stray}.1.1"), event_id=OTHER))
    found = await get(audit, f"/cases/{CASE}")
    assert found["case"]["events"] == len(
        [event for event in story.events if event.data.name not in ("Request", "Notice")]
    )
    asked = found["events"][0]
    assert (asked["type"], asked["sequence"], asked["topic"]) == ("casegrid.Request.v1", None, "from.hotline")
    assert (asked["time"], asked["delay_ms"]) == (FAR.isoformat().replace("+00:00", "Z"), None)
    assert found["case"]["last_at"] == story.events[-1].time.isoformat().replace("+00:00", "Z")
    strangers = fact_record(CASE, Acknowledge(assignment_id=f"{CASE}.1.1"), source="/partners/stranger")
    await store(audit, strangers)
    assert [one["event_id"] for one in (await get(audit, f"/cases/{CASE}"))["events"]] == [
        one["event_id"] for one in found["events"]
    ]
    kept = (await get(audit, f"/cases/{CASE}/events", limit=200))["items"]
    assert json.loads(strangers.value or b"")["id"] in [one["event_id"] for one in kept]
    subject = case_id()
    await store(audit, fact_record(subject, apart, cause=OTHER))
    for case in (stray, subject):
        answer = await audit.client.get(f"/cases/{case}", headers=AUDITOR)
        assert answer.status_code == 404
        assert [item["case_id"] for item in (await get(audit, f"/cases/{case}/events"))["items"]] == [case]
        assert (await audit.client.get(f"/completeness?case_id={case}", headers=AUDITOR)).status_code == 404
    assert [case["case_id"] for case in (await get(audit, "/cases"))["items"]] == [CASE]


async def test_a_forged_record_is_distinguished_from_an_invalid_one(audit: Running) -> None:
    forged = fact_record(CASE, report(), source="/partners/water")
    await store(audit, forged, record_of(b"{", CASE))
    found = (await get(audit, "/log"))["items"]
    assert [(item["valid"], item["invalidity"]) for item in found] == [(False, "forged"), (False, "invalid")]
    assert found[0]["reason"] == "source: /partners/water does not write ReportFiled"
    verdict = await get(audit, "/completeness", case_id=CASE)
    assert [item["invalidity"] for item in verdict["invalid"]["items"]] == ["forged", "invalid"]
    assert verdict["invalid"]["waiting"] == 2


async def test_no_record_whatever_its_bytes_makes_any_answer_fail(audit: Running) -> None:
    made = [record(CASE) for record in (ODD | FORGED | NASTY).values()]
    await store(audit, *burst_main().records(), *made)
    shown = (await get(audit, "/log", limit=200))["items"]
    assert len(shown) == len(made) + len(burst_main().published)
    cases = {item["case_id"] for item in shown} - {None}
    assert len(cases) > 2
    for item in shown:
        assert await get(audit, f"/log/{item['index']}") == item
    for case in cases:
        assert (await get(audit, f"/cases/{quote(case)}/events", limit=200))["items"]
        verdict = await audit.client.get("/completeness", headers=AUDITOR, params={"case_id": case})
        if CASE_ID.match(case):
            assert (verdict.status_code, verdict.json()["verdict"]) == (200, "incomplete")
        else:
            assert (verdict.status_code, verdict.json()["errors"][0]["field"]) == (422, "case_id")
        chain = await audit.client.get(f"/cases/{quote(case)}", headers=AUDITOR)
        assert chain.status_code == (200 if case == CASE else 404)
    whole = await get(audit, f"/cases/{CASE}", limit=200)
    assert len(whole["events"]) == len(burst_main().published) + len(NASTY)
    await get(audit, "/completeness")
    await get(audit, "/summary")


async def test_the_summary_counts_what_the_list_lists(audit: Running) -> None:
    main, other = burst_main(), merged_into(OTHER, CASE, 7)
    await store(audit, *main.records(), *_after(main, other), fact_record(case_id(), report(category="event.x.y")))
    found = await get(audit, "/summary")
    counts = {"reported": 3, "filed": 1, "merged": 1, "rejected": 0, "withdrawn": 0, "closed": 2, "open": 1}
    assert {name: found[name] for name in counts} == counts
    assert (found["late"], found["rework"], found["size"]) == (1, 1, len(main.published) + 4)
    assert found["by_outcome"] == {"duplicate": 1, "fixed": 1}
    assert found["by_status"] == {"closed": 2, "reported": 1}
    assert found["by_channel"] == {"citizen": 1, "handset": 1, "sensor": 1}
    assert [(line["category"], line["reported"]) for line in found["by_category"]] == [(BURST, 2), ("event.x.y", 1)]
    assert (await get(audit, "/summary", external_prefix="app-"))["by_outcome"] == {"duplicate": 1}
    assert (await get(audit, "/summary", since_index=len(main.published)))["reported"] == 2
    assert (await get(audit, "/summary", until=BEGIN.isoformat()))["reported"] == 0
    assert (await get(audit, "/summary", since_case=CASE, until_case=OTHER))["reported"] == 2
    assert (await get(audit, "/summary", area="CH/shuangqiaozi"))["reported"] == 2


async def test_routes_are_open_to_their_roles_and_areas_only(audit: Running) -> None:
    await store(audit, *burst_main().records(), fact_record(OTHER, report()))

    async def status(path: str, who: dict[str, str]) -> int:
        return (await audit.client.get(path, headers=who)).status_code

    for path in ("/cases", f"/cases/{CASE}", f"/cases/{CASE}/events", "/log", "/log/0", "/completeness", "/summary"):
        assert await status(path, {}) == 401
        assert await status(path, WATER) == 403
        assert await status(path, AUDITOR) == 200
    assert await status("/log", LEADER) == 403
    assert await status("/completeness", LEADER) == 200
    limited = token("au.dit", "auditor", areas=("CH/shuangqiaozi",))
    for path in (f"/cases/{CASE}/events", "/log", "/log/0", "/completeness"):
        assert await status(path, limited) == 403
    assert [case["case_id"] for case in (await get(audit, "/cases", STREET))["items"]] == [CASE]
    assert (await get(audit, "/cases", ELSEWHERE))["items"] == []
    assert await status(f"/cases/{CASE}", STREET) == 200
    assert await status(f"/cases/{CASE}", ELSEWHERE) == 403
    assert await status(f"/cases/{OTHER}", STREET) == 403
    assert (await get(audit, "/summary", limited))["reported"] == 1


async def test_every_answer_is_documented_with_an_example(audit: Running) -> None:
    document = (await audit.client.get("/openapi.json")).json()
    for path, name in (
        ("/cases", "CasePage"),
        ("/cases/{case_id}", "CaseDetail"),
        ("/cases/{case_id}/events", "RecordPage"),
        ("/log", "LogPage"),
        ("/log/{index}", "LogRecord"),
        ("/completeness", "Completeness"),
        ("/summary", "Summary"),
    ):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}
        assert document["components"]["schemas"][name]["examples"]
