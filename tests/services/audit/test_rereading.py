"""Records that a version of audit could not take in are read again by a rebuild of one that can."""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from chassis.kafka.records import Record
from chassis.store import derived
from chassis.store.derived import rebuild
from contracts import superseded
from contracts.intake import Supplement
from contracts.notice import RefusalNotice
from contracts.progress import OnScene, Retried
from contracts.request import Acknowledge
from services.audit import log as subject
from services.audit.log import Log
from services.audit.rebuild import DERIVED
from tests.domain.audit_story import CASE, OTHER, Story, burst_main
from tests.services.audit.test_api import get, store
from tests.services.audit.test_log import assert_rebuilt_equal
from tests.support.facts import case_id, fact_record, record_of, report
from tests.support.services import Running

SUPERSEDED = b".v0"


def of_version_0(record: Record) -> Record:
    """The same event as a version of its type that only an upgrade can read."""
    assert record.value is not None
    assert record.key is not None
    return record_of(
        record.value.replace(b'.v1"', SUPERSEDED + b'"', 1), record.key.decode(), record.topic, headers=record.headers
    )


def upgrade(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """From now on version 0 of these types can be read."""
    same = {f"casegrid.{name}{SUPERSEDED.decode()}": lambda data: data for name in names}
    monkeypatch.setattr(superseded, "UPCASTERS", {**superseded.UPCASTERS, **same})


def with_a_defect(monkeypatch: pytest.MonkeyPatch, title: str) -> None:
    """Audit cannot fold a supplement with these words."""

    def broken(case: Any, event: Any, index: int) -> Any:
        if isinstance(event.data, Supplement) and event.data.text == title:
            raise ZeroDivisionError("a defect")
        return whole(case, event, index)

    whole = subject.evolve
    monkeypatch.setattr(subject, "evolve", broken)


async def rows(audit: Running) -> list[asyncpg.Record]:
    return await audit.runtime.database.fetch("SELECT * FROM log ORDER BY index")


async def rebuilt(audit: Running) -> None:
    await rebuild(DERIVED, audit.runtime.database, lambda done, total: None)


async def invalid_of(audit: Running, case: str) -> Mapping[str, Any]:
    return (await get(audit, "/completeness", case_id=case))["invalid"]


async def test_after_an_upgrade_a_rebuild_files_what_can_be_read_now_and_nothing_waits_any_more(
    audit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = burst_main().records()
    old = [of_version_0(record) for record in records]
    await store(audit, *old, record_of(b"{", OTHER, "Progressed"))
    found = await get(audit, "/completeness", case_id=CASE)
    waiting = sum(record.topic != "Progressed" for record in records)
    assert found["invalid"]["waiting"] == waiting
    assert f"{waiting} invalid records that nobody has retried or discarded" in found["reasons"]
    assert (await audit.client.get(f"/cases/{CASE}")).status_code != 200
    before = await rows(audit)

    upgrade(monkeypatch, *{record.topic for record in records})
    await rebuilt(audit)
    found = await get(audit, "/completeness", case_id=CASE)
    assert (found["verdict"], found["invalid"]["count"]) == ("complete", len(old))
    assert (found["invalid"]["waiting"], found["invalid"]["failed"]) == (0, 0)
    again = [item["reread_as"] for item in found["invalid"]["items"]]
    assert again == list(range(len(before), len(before) + len(old)))
    chain = (await get(audit, f"/cases/{CASE}"))["events"]
    assert [event["index"] for event in chain] == again
    assert [(event["topic"], event["offset"]) for event in chain] == [(record.topic, record.offset) for record in old]
    (last,) = (await get(audit, "/log", **{"from": again[-1]}))["items"]
    assert (last["reread_of"], last["valid"], last["kind"]) == (len(old) - 1, True, "rating")

    after = await rows(audit)
    assert after[: len(before)] == before
    assert [(row["reread_of"], row["body"]) for row in after[len(before) :]] == [
        (index, record.value) for index, record in enumerate(old)
    ]
    whole = await get(audit, "/completeness")
    assert (whole["index_gaps"]["count"], whole["size"]) == (0, len(after))
    await assert_rebuilt_equal(audit.runtime.database)
    assert await rows(audit) == after


async def test_a_record_that_audit_failed_to_take_in_counts_as_failed_until_a_rebuild_of_a_repaired_version(
    audit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as version:
        with_a_defect(version, "odd")
        with_a_defect(version, "odder")
        story = Story()
        new = story.report()
        for text in ("odd", "odder", "even"):
            story.publish(Supplement(text=text), cause=new)
        await store(audit, *story.records())
        found = await get(audit, "/completeness", case_id=CASE)
        assert "2 records that audit failed to take in" in found["reasons"]
        assert (found["invalid"]["waiting"], found["invalid"]["failed"]) == (0, 2)
        assert [item["invalidity"] for item in found["invalid"]["items"]] == ["failed", "failed"]
    with monkeypatch.context() as version:
        with_a_defect(version, "odder")
        await rebuilt(audit)
        assert (await invalid_of(audit, CASE))["failed"] == 1
        assert [item["reread_as"] for item in (await invalid_of(audit, CASE))["items"]] == [4, None]
    await rebuilt(audit)
    found = await get(audit, "/completeness", case_id=CASE)
    assert (found["verdict"], found["invalid"]["failed"]) == ("complete", 0)
    assert (await get(audit, f"/cases/{CASE}"))["case"]["events"] == 4
    await assert_rebuilt_equal(audit.runtime.database)


@pytest.mark.parametrize("data", [OnScene(assignment_id=f"{CASE}.1.1", unit="dept:water"), Supplement(text="x")])
async def test_a_failed_record_is_a_fault_on_every_topic(
    data: Any, audit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(case: Any, event: Any, index: int) -> Any:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(subject, "evolve", broken)
    await store(audit, fact_record(CASE, data, cause=OTHER))
    assert (await get(audit, "/completeness", case_id=CASE))["reasons"] == ["1 records that audit failed to take in"]


async def test_what_was_read_again_may_come_again(audit: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    case = case_id()
    log = Log(audit.runtime.database)
    old, supplement = of_version_0(fact_record(case, report())), Supplement(text="x")
    await log.process([old, fact_record(case, supplement, sequence=2)])
    upgrade(monkeypatch, "ReportFiled")
    await rebuilt(audit)
    await log.process([old, record_of(old.value, case), fact_record(case, supplement, sequence=3)])
    assert [(row["reread_of"], row["duplicate_of"]) for row in await rows(audit)] == [
        (None, None),
        (None, None),
        (0, None),
        (None, 2),
        (None, None),
    ]
    (found,) = (await get(audit, "/cases"))["items"]
    assert (found["events"], found["first_index"], found["title"]) == (3, 1, "water on the road")
    await assert_rebuilt_equal(audit.runtime.database)


async def test_an_event_that_came_as_a_valid_record_meanwhile_is_a_duplicate_when_it_is_read_again(
    audit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = fact_record(CASE, report())
    await store(audit, of_version_0(known), known)
    upgrade(monkeypatch, "ReportFiled")
    await rebuilt(audit)
    assert [(row["reread_of"], row["duplicate_of"]) for row in await rows(audit)][2:] == [(0, 1)]
    assert (await get(audit, "/cases"))["items"][0]["events"] == 1


async def test_the_partner_and_the_operator_have_settled_what_is_read_again_already(
    audit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = of_version_0(fact_record(CASE, Acknowledge(assignment_id=f"{CASE}.1.1"), sequence=None))
    answer = RefusalNotice(
        to="water", case_id=CASE, rule="record.invalid", reason="no", partition=asked.partition, offset=asked.offset
    )
    new, parked = fact_record(CASE, report(), event_id=OTHER), of_version_0(fact_record(CASE, report(), cause=OTHER))
    retried = Retried(
        parked_topic="ReportFiled", partition=parked.partition, offset=parked.offset, parked_because="?", reason="now"
    )
    await store(audit, new, asked, fact_record(CASE, answer), parked)
    upgrade(monkeypatch, "Request", "ReportFiled")
    await rebuilt(audit)
    await store(audit, fact_record(CASE, retried, source="/services/triage"))
    found = await get(audit, "/completeness", case_id=CASE)
    assert found["unanswered"]["count"] == found["answered_twice"]["count"] == 0
    assert [(item["settled"], item["answered"]) for item in found["invalid"]["items"]] == [(False, True), (True, False)]
    assert found["invalid"]["waiting"] == 0


async def test_records_of_many_cases_are_read_again_each_in_the_order_in_which_it_came(
    audit: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [case_id() for _ in range(7)]
    old = [of_version_0(fact_record(case, report())) for case in cases]
    old += [of_version_0(fact_record(case, Supplement(text="x"), sequence=2, cause=OTHER)) for case in cases]
    await store(audit, *old, record_of(b"{", None))
    upgrade(monkeypatch, "ReportFiled")
    monkeypatch.setattr(derived, "_BATCH", 2)
    await rebuilt(audit)
    found = [(row["case_id"], row["reread_of"]) for row in await rows(audit) if row["reread_of"] is not None]
    assert sorted(found, key=lambda one: one[1]) == list(zip([*cases, *cases], range(14), strict=True))
    assert [index for case in cases for one, index in found if one == case] == [
        index for number in range(7) for index in (number, number + 7)
    ]
    await assert_rebuilt_equal(audit.runtime.database)


async def test_no_two_records_of_one_validity_have_the_same_coordinates(audit: Running) -> None:
    records: Sequence[Record] = burst_main().records()
    await store(audit, *records)
    copy = """
    INSERT INTO log (index, topic, partition, "offset", headers, body, valid)
    SELECT 1000, topic, partition, "offset", headers, body, true FROM log WHERE index = 0
    """
    with pytest.raises(asyncpg.UniqueViolationError):
        await audit.runtime.database.fetch(copy)
