"""Audit as a whole: from the topics to chains, the case at an instant, lists, counts, and what is missing."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.records import Record
from chassis.service import Service
from chassis.settings import Settings
from contracts.dispatch import Resolved
from contracts.intake import NewReport, Supplement
from contracts.progress import Progressed
from contracts.triage import Merged
from contracts.wire import TOPICS
from deploy.district import __main__ as district
from services.audit.log import Log
from services.audit.service import build
from tests.domain.test_audit import AREA, BEGIN, BURST, CASE, OTHER, WHY, Story, burst_main
from tests.support.facts import case_id, event_of, fact_record, record_of, report
from tests.support.infrastructure import Database
from tests.support.services import Running, eventually, publish, running, token

AUDITOR = token("au.dit@example.org", "auditor")
LEADER = token("leader:1", "shift_leader")
WATER = token("chen", "handling_unit", unit="dept:water")
STREET = token("street:1", "dispatcher", areas=("CH/shuangqiaozi",))
ELSEWHERE = token("street:2", "dispatcher", areas=("CH/shengdeng", "CH/shuangqiao"))
LISTS = ("missing_sequences", "open_causes", "index_gaps", "offset_gaps", "invalid")

MakeTopics = Callable[..., Awaitable[list[str]]]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder: Path = tmp_path_factory.mktemp("district")
    district.main(["--scale", "tiny", "--out", str(folder)])
    return build(Settings.model_validate({"CASEGRID_DISTRICT": folder}))


@pytest.fixture
async def audit(service: Service, database: Database) -> AsyncIterator[Running]:
    """Audit with a database, and no broker: what it is to store is given to its log directly."""
    async with running(service, database.url("audit")) as found:
        yield found


async def store(audit: Running, *records: Record) -> None:
    await Log(audit.runtime.database, audit.runtime.service.admit).process(records)


async def get(audit: Running, path: str, who: Any = AUDITOR, **query: Any) -> Any:
    answer = await audit.client.get(path, headers=who, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def merged_into(case: str, other: str, seed: int) -> Story:
    """A citizen's report of the same, merged."""
    story = Story(case, seed=seed)
    filed = story.tell(
        "intake", NewReport(channel="citizen", title="No water", external_ref=f"app-{seed}"), actor="reporter:2"
    )
    merged = story.tell("triage", Merged(into=other, category=BURST, area=AREA, explanation=WHY), cause=filed)
    story.closed(merged, outcome="duplicate")
    return story


async def test_records_on_the_topics_become_a_chain_and_a_clean_verdict(
    service: Service, database: Database, kafka: str, topic_prefix: str, make_topics: MakeTopics
) -> None:
    await make_topics(topic_prefix)
    story = burst_main()
    async with running(service, database.url("audit"), kafka=kafka, prefix=topic_prefix) as audit:
        await publish(kafka, topic_prefix, story.records())

        async def stored() -> bool:
            return (await get(audit, "/log", limit=1))["size"] == len(story.told)

        await eventually(stored, what="all records stored")
        found = await get(audit, f"/cases/{CASE}")
        assert [event["id"] for event in found["events"]] == [event.id for event in story.events]
        assert found["case"]["status"] == "closed"
        verdict = await get(audit, "/completeness")
        assert (verdict["verdict"], verdict["reasons"]) == ("complete", [])
        assert verdict["lag"] == dict.fromkeys(service.topics, 0)
        assert (await audit.client.get("/ready")).status_code == 200

    async with running(service, database.url("audit"), kafka=kafka, prefix=topic_prefix, role="api") as audit:
        await publish(kafka, topic_prefix, [fact_record(case_id(), report())])
        verdict = await get(audit, "/completeness")
        assert verdict["verdict"] == "incomplete"
        assert verdict["lag"] == {**dict.fromkeys(service.topics, 0), "ReportFiled": 1}
        assert verdict["reasons"] == ["1 records on the topics that are not stored yet"]


async def test_where_the_broker_lost_what_is_stored_the_verdict_says_so(
    service: Service, database: Database, kafka: str, topic_prefix: str, make_topics: MakeTopics
) -> None:
    await make_topics(topic_prefix)
    async with running(service, database.url("audit"), kafka=kafka, prefix=topic_prefix, role="api") as audit:
        await store(audit, *Story(OTHER, told=burst_main(OTHER).told[:1]).records())
        verdict = await get(audit, "/completeness")
    assert verdict["lost"] == [f"ReportFiled/{int(OTHER[-4:], 16) % 3}"]
    assert verdict["verdict"] == "incomplete"


async def test_a_chain_says_who_what_when_why_and_how_long_after(audit: Running) -> None:
    story = burst_main()
    await store(audit, *story.records())
    found = await get(audit, f"/cases/{CASE}")
    first, second = found["events"][:2]
    assert (first["actor"], first["cause"], first["delay_ms"], first["position"]) == ("member:7", None, None, 1)
    assert (second["cause"], second["delay_ms"], second["source"]) == (first["id"], 60_000, "/services/triage")
    assert second["summary"].startswith("triage dispatched round 1")
    assert second["data"] == orjson.loads(story.told[1][1])["data"]
    assert (first["topic"], first["offset"], first["index"]) == ("ReportFiled", 0, 0)
    assert found["stages"][0] == {
        "status": "reported",
        "since": "2026-05-09T08:01:00Z",
        "until": "2026-05-09T08:02:00Z",
        "duration_seconds": 60.0,
    }
    assert found["stages"][-1]["status"] == "closed"
    lead = found["assignments"][0]
    assert lead == {"id": f"{CASE}.1.1", "unit": "dept:water", "lead": True, "stage": "on_scene", "outcome": "fixed"}
    assert found["case"] == (await get(audit, "/cases"))["items"][0]


async def test_a_long_chain_comes_in_pages_and_its_state_is_that_of_the_whole(audit: Running) -> None:
    story = burst_main()
    await store(audit, *story.records())
    seen, cursor = [], None
    while True:
        found = await get(audit, f"/cases/{CASE}", limit=4, **({"cursor": cursor} if cursor else {}))
        assert found["case"]["status"] == "closed"
        seen += [event["id"] for event in found["events"]]
        if (cursor := found["next"]) is None:
            break
    assert seen == [event.id for event in story.events]


async def test_the_case_as_of_an_instant_knows_nothing_later(audit: Running) -> None:
    story = burst_main()
    other = merged_into(OTHER, CASE, 7)
    await store(audit, *story.records(), *_after(story, other))
    at = story.events[3].time
    then = await get(audit, f"/cases/{CASE}", at=at.isoformat())
    assert [event["id"] for event in then["events"]] == [event.id for event in story.events[:4]]
    assert (then["case"]["status"], then["case"]["outcome"]) == ("on_scene", None)
    assert then["as_of"] == at.isoformat().replace("+00:00", "Z")
    assert [case["case_id"] for case in then["merged"]] == [OTHER]
    earlier = await get(audit, f"/cases/{CASE}", at=story.events[0].time.isoformat())
    assert (earlier["case"]["status"], earlier["merged"]) == ("reported", [])
    local = at.astimezone().isoformat()
    assert (await get(audit, f"/cases/{CASE}", at=local))["case"] == then["case"]
    missing = await audit.client.get(f"/cases/{CASE}", headers=AUDITOR, params={"at": BEGIN.isoformat()})
    assert missing.status_code == 404
    naive = await audit.client.get(f"/cases/{CASE}", headers=AUDITOR, params={"at": "2026-05-09T08:00:00"})
    assert naive.status_code == 422


def _after(one: Story, other: Story) -> list[Record]:
    """The other story's records at the offsets behind the one's; both lie in one partition then."""
    counts = {topic: sum(event.data.topic == topic for event in one.events) for topic in TOPICS}
    partition = one.records()[0].partition
    return [Record(r.topic, partition, r.offset + counts[r.topic], r.key, r.value, r.headers) for r in other.records()]


async def test_an_unknown_case_is_not_found(audit: Running) -> None:
    for path in (f"/cases/{case_id()}", "/cases/nothing", f"/cases/{case_id()}/events", "/log/0"):
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
    assert await listed(q="nyc:3") == [ids[3]]
    assert await listed(external_prefix="nyc:") == ids
    since, until = (BEGIN + timedelta(hours=2)).isoformat(), (BEGIN + timedelta(hours=4)).isoformat()
    assert await listed(since=since, until=until) == ids[2:4]
    assert await listed(since_index=5) == [*ids[5:], CASE]
    assert await listed(since_case=ids[2], until_case=ids[4]) == ids[2:5]
    for wrong in ({"status": "lost"}, {"area": "%"}, {"cursor": "x"}, {"limit": 1000}, {"since": "yesterday"}):
        answer = await audit.client.get("/cases", headers=AUDITOR, params=wrong)
        assert answer.status_code == 422, wrong


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
    assert found["items"][0]["summary"] == "partner:test reported by partner: water on the road"
    assert [item["summary"] for item in found["items"][1:]] == [None, None]
    assert (await get(audit, "/log", **{"from": 3})) == {"items": [], "next": 3, "size": 3}
    of_case = await get(audit, f"/cases/{CASE}/events", limit=1)
    assert of_case["items"] == found["items"][:1]
    rest = await get(audit, f"/cases/{CASE}/events", cursor=of_case["next"])
    assert (rest["items"], rest["next"]) == (found["items"][1:2], None)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


async def verdict_of(audit: Running, case: str) -> dict[str, Any]:
    found = await get(audit, "/completeness", case_id=case)
    whole = await get(audit, "/completeness")
    for name in ("missing_sequences", "open_causes", "invalid", "duplicates"):
        assert found[name] == whole[name], name
    return found


async def test_a_whole_story_is_complete_and_an_unfinished_one_too_but_open(audit: Running) -> None:
    await store(audit, *burst_main().records())
    found = await verdict_of(audit, CASE)
    assert (found["verdict"], found["reasons"], found["open_cases"]["count"]) == ("complete", [], 0)
    assert all(found[name]["count"] == 0 for name in LISTS)
    await store(audit, fact_record(OTHER, report()))
    found = await get(audit, "/completeness", case_id=OTHER)
    assert (found["verdict"], [case["case_id"] for case in found["open_cases"]["items"]]) == ("complete", [OTHER])


async def test_without_a_broker_the_whole_log_cannot_be_called_complete(audit: Running) -> None:
    found = await get(audit, "/completeness")
    assert (found["verdict"], found["lag"]) == ("incomplete", None)
    assert "the broker does not tell" in found["reasons"][0]


async def test_a_lost_event_shows_as_a_gap_in_the_sequence_of_its_source(audit: Running) -> None:
    story = Story()
    story.report()
    story.tell("intake", Supplement(text="more"), skipped=2)
    story.tell("/partners/hotline", Supplement(text="more still"), skipped=1)
    await store(audit, *story.records())
    found = await verdict_of(audit, CASE)
    assert found["verdict"] == "incomplete"
    assert [(g["source"], g["since"], g["until"]) for g in found["missing_sequences"]["items"]] == [
        ("/services/intake", 2, 3),
        ("/partners/hotline", 1, 1),
    ]


async def test_an_event_whose_cause_was_never_stored_is_named(audit: Running) -> None:
    story, unknown = Story(), case_id()
    story.dispatched(story.report())
    story.step("dispatch", "overdue", cause=unknown)
    await store(audit, *story.records())
    found = await verdict_of(audit, CASE)
    assert [(c["causation_id"], c["event_id"]) for c in found["open_causes"]["items"]] == [
        (unknown, story.events[2].id)
    ]
    assert found["reasons"] == ["1 events whose cause is not in the log"]


async def test_an_invalid_record_waits_until_somebody_has_settled_it(audit: Running) -> None:
    odd = record_of(b"{", CASE, "Resolved")
    step = record_of(b"{", CASE, "Progressed")
    await store(audit, odd, step)
    found = await verdict_of(audit, CASE)
    assert (found["invalid"]["count"], found["invalid"]["waiting"]) == (2, 1)
    assert found["reasons"] == ["1 invalid records that nobody has retried or discarded"]
    note = f"triage {odd.coordinates}: record: Invalid JSON"
    await store(
        audit, fact_record(CASE, Progressed(step="discarded", note=note, reason="spam"), source="/services/triage")
    )
    found = await verdict_of(audit, CASE)
    assert (found["verdict"], found["invalid"]["waiting"]) == ("complete", 0)
    assert [item["settled"] for item in found["invalid"]["items"]] == [True, False]


async def test_gaps_in_offsets_are_named_and_long_lists_keep_their_count(audit: Running) -> None:
    _, raw = event_of(CASE, report())
    gappy = [Record("ReportFiled", 2, offset, CASE.encode(), raw, (("content-type", b"x"),)) for offset in (1, 2, 5, 9)]
    await store(audit, *gappy)
    found = await get(audit, "/completeness", limit=2)
    gaps = found["offset_gaps"]
    assert gaps["count"] == 3
    assert [(g["partition"], g["since"], g["until"]) for g in gaps["items"]] == [(2, 0, 0), (2, 3, 4)]
    assert (found["invalid"]["count"], len(found["invalid"]["items"])) == (4, 2)


async def test_an_event_that_came_again_with_other_bytes_is_no_harmless_duplicate(audit: Running) -> None:
    event_id = case_id()
    first = fact_record(CASE, report("one"), event_id=event_id)
    await store(audit, first, record_of(first.value, CASE))
    assert (await verdict_of(audit, CASE))["duplicates"] == {"count": 1, "differing": 0}
    await store(audit, fact_record(CASE, report("two"), event_id=event_id))
    found = await verdict_of(audit, CASE)
    assert found["duplicates"] == {"count": 2, "differing": 1}
    assert found["verdict"] == "incomplete"


async def test_an_unregistered_partner_is_told_apart(audit: Running) -> None:
    await store(
        audit,
        fact_record(CASE, report(), source="/partners/nobody"),
        fact_record(
            CASE, Resolved(assignment_id=f"{CASE}.1.1", unit="dept:water", outcome="fixed"), source="/partners/fire"
        ),
        fact_record(CASE, report(), source="/partners/fire"),
    )
    reasons = [item["reason"] for item in (await get(audit, "/log"))["items"]]
    assert reasons == [
        "source: /partners/nobody is not a registered partner",
        "data.unit: /partners/fire may not act for dept:water",
        "source: /partners/fire may not publish on ReportFiled",
    ]


async def test_the_summary_counts_what_the_list_lists(audit: Running) -> None:
    main, other = burst_main(), merged_into(OTHER, CASE, 7)
    await store(audit, *main.records(), *_after(main, other), fact_record(case_id(), report(category="event.x.y")))
    found = await get(audit, "/summary")
    counts = {"reported": 3, "filed": 1, "merged": 1, "rejected": 0, "withdrawn": 0, "closed": 2, "open": 1}
    assert {name: found[name] for name in counts} == counts
    assert (found["late"], found["rework"], found["size"]) == (1, 1, len(main.told) + 4)
    assert found["by_outcome"] == {"duplicate": 1, "fixed": 1}
    assert found["by_status"] == {"closed": 2, "reported": 1}
    assert found["by_channel"] == {"citizen": 1, "handset": 1, "partner": 1}
    assert [(line["category"], line["reported"]) for line in found["by_category"]] == [(BURST, 2), ("event.x.y", 1)]
    assert (await get(audit, "/summary", external_prefix="app-"))["by_outcome"] == {"duplicate": 1}
    assert (await get(audit, "/summary", since_index=len(main.told)))["reported"] == 2
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
        ("/cases", "Cases"),
        ("/cases/{case_id}", "Chain"),
        ("/cases/{case_id}/events", "RecordPage"),
        ("/log", "Records"),
        ("/log/{index}", "Stored"),
        ("/completeness", "Completeness"),
        ("/summary", "Summary"),
    ):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}
        assert document["components"]["schemas"][name]["examples"]
