"""What audit says is missing from the log: each question made true, and named, of a case and of the whole log."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from chassis.kafka.records import Record
from contracts.fields import Fact
from contracts.intake import Supplement
from contracts.notice import AcceptanceNotice, RefusalNotice, UrgeNotice
from contracts.progress import Discarded, Forged, OnScene, Retried, Urged, Verified
from contracts.request import Acknowledge, AddSupplement, FileReport
from contracts.triage import Merged, Rejected, Withdrawn
from services.audit.broker import EndOffsets
from services.audit.completeness import of_log
from services.audit.questions import DUPLICATES, NOT_TAKEN_IN, QUESTIONS
from tests.domain.audit_story import (
    CASE,
    FAR,
    OTHER,
    Story,
    assignment_notice,
    burst_main,
    partners_case,
    sent_around,
)
from tests.services.audit.test_api import AUDITOR, get, store
from tests.support.facts import case_id, event_of, fact_record, record_of, report
from tests.support.infrastructure import Database, execute
from tests.support.rulings import WHY
from tests.support.services import Running

REJECTED = Rejected(why="not_reproducible", reason="nothing there", explanation=WHY)
FAULTS = [name for name, question in QUESTIONS.items() if question.fault]
OF_THE_WHOLE = ("index_gaps", "offset_gaps", "lag", "lag_unknown", "lost")


async def verdict_of(audit: Running, case: str) -> dict[str, Any]:
    """The verdict on a case; the whole log, in which nothing else is, has the same to say of each question."""
    found = await get(audit, "/completeness", case_id=case)
    whole = await get(audit, "/completeness")
    for name in (*QUESTIONS, "duplicates"):
        assert found[name] == whole[name], name
    assert found["reasons"] == whole["reasons"][: len(found["reasons"])]
    return found


def at_fault(verdict: dict[str, Any]) -> list[str]:
    return [name for name in FAULTS if verdict[name]["count"]]


@pytest.mark.parametrize("story", [burst_main, sent_around, partners_case], ids=lambda story: story.__name__)
async def test_a_whole_story_is_complete_and_an_unfinished_one_too_but_open(
    story: Callable[[], Story], audit: Running
) -> None:
    await store(audit, *story().records())
    found = await verdict_of(audit, CASE)
    assert (found["verdict"], found["reasons"], found["open_cases"]["count"]) == ("complete", [], 0)
    assert (at_fault(found), found["invalid"]["count"], found["duplicates"]["count"]) == ([], 0, 0)
    assert {name: found[name] for name in OF_THE_WHOLE} == dict.fromkeys(OF_THE_WHOLE)
    await store(audit, fact_record(OTHER, report()))
    found = await get(audit, "/completeness", case_id=OTHER)
    assert (found["verdict"], [case["case_id"] for case in found["open_cases"]["items"]]) == ("complete", [OTHER])


async def test_without_a_broker_the_whole_log_cannot_be_called_complete(audit: Running) -> None:
    found = await get(audit, "/completeness")
    assert (found["verdict"], found["lag"], found["lost"]) == ("incomplete", None, None)
    assert "the broker does not tell" in found["reasons"][0]
    assert found["reasons"][0] == found["lag_unknown"]


async def test_a_broker_that_falls_silent_when_it_is_asked_again_leaves_open_what_is_lost(audit: Running) -> None:
    answers = iter([{("ReportFiled", 0): 0}])

    async def falls_silent() -> EndOffsets:
        for ends in answers:
            return ends
        raise ConnectionError("gone")

    await store(audit, record_of(b"{", CASE))
    found = await of_log(audit.runtime.database, 10, falls_silent)
    assert (found["lag"], found["lost"], found["lag_unknown"]) == (None, None, "gone")


async def test_a_partition_that_the_broker_does_not_have_any_more_is_lost(audit: Running) -> None:
    await store(audit, *(record_of(b"{", CASE, partition=partition) for partition in (0, 1)))
    found = await of_log(audit.runtime.database, 10, partial(_ends, {("ReportFiled", 0): 2**40, ("Assigned", 0): 0}))
    assert (found["lost"], found["lag_unknown"]) == (["ReportFiled/1"], None)


async def test_topics_of_partners_that_nobody_could_be_asked_about_are_named(audit: Running) -> None:
    await store(audit, *(record_of(b"{", CASE, topic) for topic in ("from.gone", "to.gone", "ReportFiled")))
    found = await of_log(audit.runtime.database, 10, partial(_ends, {("ReportFiled", 0): 2**40}))
    assert found["lag_unknown"] == "no partner is registered for from.gone, to.gone, so the broker was not asked"
    assert found["lag_unknown"] in found["reasons"]
    assert (found["lost"], [*found["lag"]]) == ([], ["ReportFiled"])


async def _ends(ends: EndOffsets) -> EndOffsets:
    return ends


FILLED = """
INSERT INTO audit.log (index, topic, partition, "offset", headers, body, valid, invalidity, reason, source, event_id,
                       case_id, kind, label, time, sequence, causation_id, answers, settles, duplicate_of)
SELECT n, CASE n % 4 WHEN 0 THEN 'from.water' WHEN 1 THEN 'to.water' ELSE 'Progressed' END, 0, n, '[]', 'x',
       n % 5 <> 3, CASE n % 5 WHEN 3 THEN 'invalid' END, CASE n % 5 WHEN 3 THEN 'odd' END,
       '/services/dispatch', 'event-' || n, 'case-' || n / 10, 'note', 'note', now(), n % 10, 'event-' || n - 1,
       CASE n % 4 WHEN 1 THEN 'event-' || n - 1 END, CASE n % 100 WHEN 2 THEN 'Progressed/0@' || n END,
       CASE n % 7 WHEN 0 THEN 1 END
  FROM generate_series(0, 29999) n
"""


async def test_what_is_asked_of_one_case_never_scans_the_log(audit: Running, database: Database) -> None:
    await execute(database.admin_url, FILLED)
    await execute(database.admin_url, "ANALYZE audit.log")
    for question in (*QUESTIONS.values(), NOT_TAKEN_IN, DUPLICATES):
        query = f"EXPLAIN (FORMAT JSON) {question.of_case}"
        (row,) = await audit.runtime.database.fetch(query, "case-7")
        scans = [node for node in nodes(json.loads(row[0])[0]["Plan"]) if node.get("Relation Name") == "log"]
        assert [node for node in scans if "Index Cond" not in node] == [], question.of_case
        assert not scans or any("case_id" in node["Index Cond"] for node in scans), question.of_case


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of a plan. A bitmap's condition stands in the node below it."""
    below = plan.get("Plans", [])
    if plan["Node Type"] == "Bitmap Heap Scan":
        plan = {**plan, "Index Cond": below[0].get("Index Cond")}
    yield plan
    for inner in below:
        yield from nodes(inner)


def numbered(case: str, *sequences: int | None, data: Fact | None = None, cause: str | None = None) -> list[Record]:
    data = data or Supplement(text="more")
    return [fact_record(case, data, sequence=number, cause=cause) for number in sequences]


async def test_a_lost_event_shows_as_a_gap_in_the_sequence_of_its_source(audit: Running) -> None:
    first = fact_record(CASE, report(), event_id=OTHER)
    asked = numbered(CASE, 2, None, None, 4, data=AddSupplement(text="b"), cause=OTHER)
    await store(audit, first, *numbered(CASE, 4, 5, 7, cause=OTHER), *asked)
    found = await verdict_of(audit, CASE)
    assert [(g["source"], g["since"], g["until"]) for g in found["missing_sequences"]["items"]] == [
        ("/services/intake", 2, 3),
        ("/services/intake", 6, 6),
        ("/partners/water", 1, 1),
        ("/partners/water", 3, 3),
    ]
    assert "4 gaps in the sequences of sources" in found["reasons"]


async def test_two_events_with_one_number_are_named_unless_nobody_gave_one(audit: Running) -> None:
    story = partners_case()
    forged = fact_record(
        CASE, Urged(assignment_id=story.assignment_id(1), unit="dept:water", count=1), cause=story.events[3].id
    )
    forged = forged._replace(partition=story.records()[0].partition, offset=1_000)
    elsewhere = fact_record(OTHER, report())
    await store(audit, *story.records(), forged, elsewhere)
    found = await get(audit, "/completeness", case_id=CASE)
    assert at_fault(found) == ["repeated_sequences"]
    (item,) = found["repeated_sequences"]["items"]
    assert (item["source"], item["sequence"], item["times"]) == ("/services/dispatch", 1, 2)
    assert (item["first_index"], item["last_index"]) == (4, len(story.published))
    assert found["reasons"] == ["1 sequence numbers that two events of one source have"]
    assert (await get(audit, "/completeness"))["repeated_sequences"] == found["repeated_sequences"]


async def test_an_id_that_came_again_with_other_bytes_or_under_a_second_case_is_named(audit: Running) -> None:
    event_id = case_id()
    first = fact_record(CASE, report("one"), event_id=event_id)
    await store(
        audit, first, record_of(first.value, CASE), fact_record(OTHER, AddSupplement(text="x"), event_id=event_id)
    )
    found = await get(audit, "/completeness", case_id=CASE)
    assert (found["verdict"], found["duplicates"]) == ("complete", {"count": 1})
    await store(audit, fact_record(CASE, report("two"), event_id=event_id))
    found = await get(audit, "/completeness", case_id=CASE)
    assert found["reasons"] == ["1 ids that came again with other bytes or under a second case"]
    (item,) = found["conflicting_ids"]["items"]
    assert (item["source"], item["event_id"], item["cases"], item["times"]) == ("/services/intake", event_id, 1, 3)
    second = case_id()
    await store(audit, fact_record(second, report("three"), event_id=event_id))
    for case in (CASE, second):
        (item,) = (await get(audit, "/completeness", case_id=case))["conflicting_ids"]["items"]
        assert (item["cases"], item["first_index"], item["last_index"]) == (2, 0, 4)
    assert (await get(audit, "/completeness", case_id=OTHER))["conflicting_ids"]["count"] == 0


async def test_an_event_whose_cause_was_never_stored_is_named(audit: Running) -> None:
    story, unknown = Story(), case_id()
    story.dispatched(story.report())
    late = story.acknowledged(unknown)
    await store(audit, *story.records())
    found = await verdict_of(audit, CASE)
    assert [(c["causation_id"], c["event_id"]) for c in found["open_causes"]["items"]] == [(unknown, late)]
    assert found["reasons"] == ["1 events whose cause is not in the log"]


async def test_an_event_whose_cause_cannot_be_its_own_is_named(audit: Running) -> None:
    story = Story()
    new = story.report()
    ruled = story.dispatched(new)
    early = story.publish(OnScene(assignment_id=story.assignment_id(1), unit="dept:water"), cause=ruled)
    checked = story.publish(Verified(), cause=new)
    withdrawn = story.publish(Withdrawn(reason="it stopped"), cause=new)
    notice = story.publish(UrgeNotice(to="water", assignment_id=story.assignment_id(1), count=1), cause=ruled)
    await store(audit, *story.records())
    found = await verdict_of(audit, CASE)
    assert [(c["event_id"], c["kind"], c["cause"]) for c in found["wrong_causes"]["items"]] == [
        (early, "on_scene", "dispatched"),
        (checked, "verified", "new"),
        (withdrawn, "withdrawn", "new"),
        (notice, "urged", "dispatched"),
    ]
    assert found["reasons"] == ["4 events with a cause of a kind that cannot be theirs"]


async def test_a_cause_that_was_not_valid_is_no_cause(audit: Running) -> None:
    event, raw = event_of(CASE, report())
    await store(audit, record_of(raw, CASE, headers=()), *numbered(CASE, 1, cause=event.id))
    assert at_fault(await verdict_of(audit, CASE)) == ["wrong_causes"]


async def test_what_an_operator_did_may_name_any_event_or_none(audit: Running) -> None:
    story = Story()
    new = story.report()
    for cause in (new, None):
        story.publish(settled(record_of(b"", CASE), Retried), cause=cause, source="/services/triage")
    await store(audit, *story.records())
    assert at_fault(await verdict_of(audit, CASE)) == []


async def test_an_event_that_names_no_cause_is_named_unless_it_is_the_cases_first_report(audit: Running) -> None:
    story = Story()
    story.report()
    again = story.report()
    bare = [
        story.publish(data)
        for data in (
            Supplement(text="x"),
            Urged(assignment_id=story.assignment_id(1), unit="dept:water", count=1),
            UrgeNotice(to="water", assignment_id=story.assignment_id(1), count=1),
        )
    ]
    await store(audit, *story.records())
    found = await verdict_of(audit, CASE)
    assert [item["event_id"] for item in found["missing_causes"]["items"]] == [again, *bare]
    (item,) = found["repeated_facts"]["items"]
    assert (item["case_id"], item["role"], item["times"]) == (CASE, "report", 2)
    assert found["reasons"] == ["1 facts that a case has once only, told a second time", "4 events without a cause"]


def asked(story: Story, cause: str | None, *, accepted: bool = True) -> str:
    """A request of the water company's, and its answer."""
    request = story.publish(Acknowledge(assignment_id=story.assignment_id(1)), cause=cause, claimed=FAR)
    if accepted:
        story.publish(AcceptanceNotice(to="water", request=request), cause=story.acknowledged(request))
    else:
        story.publish(RefusalNotice(to="water", request=request, rule="cause.unknown", reason="no"), cause=request)
    return request


CLAIMS: dict[str, Callable[[Story], str | None]] = {
    "open_causes": lambda _: case_id(),
    "wrong_causes": lambda story: story.publish(
        assignment_notice(story).model_copy(update={"to": "fire"}), cause=story.events[1].id
    ),
    "missing_causes": lambda _: None,
}


@pytest.mark.parametrize("fault", CLAIMS)
async def test_the_cause_of_a_request_is_a_notice_to_its_partner_once_it_is_accepted(
    fault: str, audit: Running
) -> None:
    story = Story()
    ruled = story.dispatched(story.report())
    asked(story, story.publish(assignment_notice(story), cause=ruled))
    claim = CLAIMS[fault](story)
    asked(story, claim, accepted=False)
    await store(audit, *story.records())
    assert at_fault(await verdict_of(audit, CASE)) == []
    known = len(story.published)
    wrong = asked(story, claim)
    await store(audit, *story.records()[known:])
    found = await verdict_of(audit, CASE)
    assert at_fault(found) == [fault]
    assert [item["event_id"] for item in found[fault]["items"]] == [wrong]


async def test_a_notice_on_another_case_is_no_cause_of_a_request(audit: Running) -> None:
    story, other = Story(), Story(OTHER)
    elsewhere = other.publish(assignment_notice(other), cause=other.dispatched(other.report()))
    story.dispatched(story.report())
    wrong = asked(story, elsewhere)
    await store(audit, *story.records(), *other.records())
    found = await get(audit, "/completeness")
    assert [item["event_id"] for item in found["wrong_causes"]["items"]] == [wrong]


def settled(record: Record, step: type[Retried] | type[Discarded]) -> Fact:
    """What a service says of a parked record that an operator settled."""
    return step(
        parked_topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        parked_because="record: is not JSON",
        reason="looked at",
    )


async def test_a_request_without_an_answer_waits_for_one_or_for_an_operator_who_discards_it(audit: Running) -> None:
    request = fact_record(CASE, FileReport(title="leak"), event_id=OTHER, sequence=None)
    await store(audit, request, record_of(request.value, CASE, "from.water"), fact_record(CASE, report()))
    found = await verdict_of(audit, CASE)
    assert at_fault(found) == ["unanswered"]
    (item,) = found["unanswered"]["items"]
    assert (item["event_id"], item["kind"], item["topic"], item["offset"]) == (
        OTHER,
        "report",
        "from.water",
        request.offset,
    )
    assert found["reasons"] == ["1 requests without an answer that were not discarded"]
    another = AcceptanceNotice(to="hotline", request=OTHER)
    await store(audit, fact_record(CASE, another, cause=OTHER))
    assert at_fault(await verdict_of(audit, CASE)) == ["unanswered"]  # that one is another partner's
    await store(audit, fact_record(CASE, settled(request, Retried), source="/services/intake", sequence=2))
    assert at_fault(await verdict_of(audit, CASE)) == ["unanswered"]
    await store(audit, fact_record(CASE, settled(request, Discarded), source="/services/intake", sequence=3))
    assert at_fault(await verdict_of(audit, CASE)) == []


async def test_a_request_has_one_answer_and_no_more(audit: Running) -> None:
    request = fact_record(CASE, FileReport(title="leak"), event_id=OTHER, sequence=None)
    answer = fact_record(CASE, AcceptanceNotice(to="water", request=OTHER), cause=OTHER, source="/services/intake")
    filed = fact_record(CASE, report(), cause=OTHER, sequence=2)
    await store(audit, request, filed, answer, record_of(answer.value, CASE, "to.water"))
    assert at_fault(await verdict_of(audit, CASE)) == []
    apart = RefusalNotice(to="water", request=OTHER, case_id=CASE, rule="unknown", reason="no")
    await store(audit, fact_record(case_id(), apart, cause=OTHER))
    found = await get(audit, "/completeness", case_id=CASE)
    assert at_fault(found) == ["answered_twice"]
    assert [(item["event_id"], item["answers"]) for item in found["answered_twice"]["items"]] == [(OTHER, 2)]
    assert found["reasons"] == ["1 requests with more than one answer"]


@pytest.mark.parametrize("topic", ["ReportFiled", "Assigned", "Resolved", "Evaluated", "from.water"])
async def test_an_invalid_record_waits_until_somebody_has_settled_it(topic: str, audit: Running) -> None:
    odd, known = record_of(b"{", CASE, topic), fact_record(CASE, report())
    parked_by_nobody = [record_of(b"{", CASE, "Progressed"), record_of(b"{", CASE, "to.water")]
    await store(audit, odd, *parked_by_nobody, known)
    found = await verdict_of(audit, CASE)
    assert (found["invalid"]["count"], found["invalid"]["waiting"]) == (3, 1)
    assert found["reasons"] == ["1 invalid records that nobody has retried or discarded"]
    unread = RefusalNotice(
        to="water", case_id=CASE, rule="record.invalid", reason="no", partition=odd.partition, offset=odd.offset
    )
    await store(audit, fact_record(CASE, unread, source="/services/intake", sequence=2))
    found = await verdict_of(audit, CASE)
    assert [item["answered"] for item in found["invalid"]["items"]] == [topic == "from.water", False, False]
    assert (at_fault(found), found["invalid"]["waiting"]) == ([], 1)
    await store(audit, fact_record(CASE, settled(odd, Discarded), source="/services/triage"))
    found = await verdict_of(audit, CASE)
    assert (found["verdict"], found["invalid"]["waiting"]) == ("complete", 0)
    assert [item["settled"] for item in found["invalid"]["items"]] == [True, False, False]


async def test_what_a_service_says_is_forged_stays_named_apart_from_what_is_invalid(audit: Running) -> None:
    """Whether the record is valid, invalid as well, or not stored yet; nothing settles it."""
    story = Story()
    report_id = story.report()
    story.publish(REJECTED, cause=report_id)
    *_, false = records = list(story.records())
    odd = record_of(b'{"source": "/services/triage"}', CASE, "Assigned", partition=1)
    later = record_of(b"", CASE, "Assigned", partition=2)
    named = [
        Forged(forged_topic=one.topic, partition=one.partition, offset=one.offset, because="unknown")
        for one in (false, odd, later)
    ]
    await store(audit, *records, odd)
    for number, step in enumerate(named, start=2):
        await store(audit, fact_record(CASE, step, source="/services/triage", sequence=number, actor="triage"))
    found = await verdict_of(audit, CASE)
    assert [(item["topic"], item["partition"], item["offset"]) for item in found["forged"]["items"]] == [
        (one.topic, one.partition, one.offset) for one in (false, odd, later)
    ]
    assert [item["index"] for item in found["forged"]["items"]] == [1, 2, None]
    assert [item["kind"] for item in found["forged"]["items"]] == ["rejected", None, None]
    assert [item["named_at"] for item in found["forged"]["items"]] == [3, 4, 5]
    assert {(item["source"], item["case_id"]) for item in found["forged"]["items"]} == {("/services/triage", CASE)}
    assert (found["verdict"], at_fault(found)) == ("incomplete", ["forged"])
    await store(audit, fact_record(CASE, settled(odd, Discarded), source="/services/dispatch"))
    found = await verdict_of(audit, CASE)
    assert found["reasons"] == ["3 records that bear a service's name and are not its own"]
    assert (found["invalid"]["count"], found["invalid"]["waiting"], found["missing_causes"]["count"]) == (1, 0, 0)


async def status_of(audit: Running, **query: str) -> int:
    return (await audit.client.get("/completeness", headers=AUDITOR, params=query)).status_code


async def test_an_unknown_case_is_not_found_and_a_malformed_id_is_refused(audit: Running) -> None:
    unknown = case_id()
    assert await status_of(audit, case_id=unknown) == 404
    story = Story(OTHER)
    story.publish(Merged(into=CASE, explanation=WHY), cause=story.report())
    await store(audit, *story.records())
    assert (await status_of(audit, case_id=OTHER), await status_of(audit, case_id=CASE)) == (200, 404)
    for malformed in ("", "nothing", unknown.upper(), unknown + "0", "%"):
        assert await status_of(audit, case_id=malformed) == 422, malformed


async def test_records_with_the_id_of_an_unknown_case_are_named_until_nothing_is_wrong_with_them(
    audit: Running,
) -> None:
    odd, request = record_of(b"{", CASE), fact_record(OTHER, Acknowledge(assignment_id=f"{OTHER}.1.1"), sequence=None)
    await store(audit, odd, request)
    for case, reason in ((CASE, "1 invalid records that"), (OTHER, "1 requests without an answer that")):
        (found,) = (await get(audit, "/completeness", case_id=case))["reasons"]
        assert found.startswith(reason)
    event = json.loads(request.value or b"")["id"]
    refusal = RefusalNotice(to="water", request=event, rule="unknown", reason="no such case")
    await store(
        audit,
        fact_record(CASE, settled(odd, Discarded), source="/services/triage"),
        fact_record(OTHER, refusal, cause=event),
    )
    for case in (CASE, OTHER):
        assert await status_of(audit, case_id=case) == 404


async def test_gaps_in_offsets_are_named_and_long_lists_keep_their_count(audit: Running) -> None:
    _, raw = event_of(CASE, report())
    gappy = [Record("ReportFiled", 2, offset, CASE.encode(), raw, (("content-type", b"x"),)) for offset in (1, 2, 5, 9)]
    await store(audit, *gappy)
    found = await get(audit, "/completeness", limit=2)
    gaps = found["offset_gaps"]
    assert gaps["count"] == 3
    assert [(g["partition"], g["since"], g["until"]) for g in gaps["items"]] == [(2, 0, 0), (2, 3, 4)]
    assert (found["invalid"]["count"], len(found["invalid"]["items"])) == (4, 2)
