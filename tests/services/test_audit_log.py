"""Audit's log on a real PostgreSQL: every record once, as exact bytes, under a gapless index, never changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random
from typing import Any

import asyncpg
import pytest

from chassis.database import Database
from chassis.records import Record
from contracts.envelope import CONTENT_TYPE, Event
from contracts.intake import NewReport, Supplement
from contracts.progress import Progressed
from services.audit import log as subject
from services.audit import views
from services.audit.log import Log, rebuild
from tests.domain.test_audit import BEGIN, CASE, Story, burst_main, sent_around
from tests.support import infrastructure
from tests.support.facts import case_id, event_of, fact_record, record_of, report

Fresh = infrastructure.Database


def anybody(_: Event[Any]) -> None:
    """Admits every partner."""
    return


@pytest.fixture
async def store(database: Fresh) -> AsyncIterator[Database]:
    found = Database(database.url("audit"), "audit", size=6)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def log(store: Database) -> Log:
    return Log(store, anybody)


async def rows(store: Database) -> list[asyncpg.Record]:
    return await store.fetch("SELECT * FROM log ORDER BY index")


def coordinates(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


async def assert_each_once(store: Database, records: Sequence[Record]) -> None:
    """The log is these records: each once, as exact bytes, under indexes from 0 without a gap."""
    found = await rows(store)
    assert [row["index"] for row in found] == list(range(len(records)))
    stored = {(row["topic"], row["partition"], row["offset"]): (row["key"], row["body"]) for row in found}
    assert stored == {coordinates(record): (record.key, record.value) for record in records}


async def assert_rebuilt_equal(store: Database) -> None:
    before = await store.fetch("SELECT * FROM cases ORDER BY case_id")
    count = await rebuild(store)
    assert await store.fetch("SELECT * FROM cases ORDER BY case_id") == before
    assert count == len(before)


async def test_a_record_is_stored_once_however_often_and_in_whatever_batches_it_comes(
    log: Log, store: Database
) -> None:
    records = burst_main().records()
    await log.process(records[:5])
    await log.process(records[3:9])
    await log.process([*records, *records[:2]])
    await Log(store, anybody).process(records)
    await assert_each_once(store, records)
    assert [row["valid"] for row in await rows(store)] == [True] * len(records)
    assert [row["case_id"] for row in await store.fetch("SELECT case_id FROM cases")] == [CASE]


async def test_what_is_stored_is_what_can_be_asked_for(log: Log, store: Database) -> None:
    story = Story()
    story.dispatched(story.report())
    await log.process(story.records())
    _, row = await rows(store)
    event = story.events[1]
    assert (row["source"], row["event_id"], row["case_id"]) == ("/services/triage", event.id, CASE)
    assert (row["type"], row["kind"], row["sequence"]) == ("casegrid.Assigned.v1", "dispatched", 1)
    assert (row["time"], row["recorded_time"]) == (event.time, event.recordedtime)
    assert (row["causation_id"], row["actor"]) == (story.events[0].id, None)
    assert row["headers"] == f'[["content-type","{CONTENT_TYPE.hex()}"]]'


ODD: dict[str, Callable[[str], Record]] = {
    "not JSON": lambda case: record_of(b"{", case),
    "not text": lambda case: record_of(b"\xff\x00\xfe", case),
    "a number": lambda case: record_of(b"17", case),
    "deep": lambda case: record_of(b"[" * 100_000, case),
    "300 KiB": lambda case: record_of(b'"' + b"x" * 300 * 1024 + b'"', case),
    "tombstone": lambda case: record_of(None, case),
    "no key": lambda case: record_of(event_of(case, report())[1], None),
    "wrong key": lambda case: record_of(event_of(case, report())[1], case_id()),
    "NUL in the key": lambda case: record_of(event_of(case, report())[1], "a\0b"),
    "key is no text": lambda case: record_of(event_of(case, report())[1], case, key=b"\xff\xfe"),
    "no headers": lambda case: record_of(event_of(case, report())[1], case, headers=()),
    "header without value": lambda case: record_of(event_of(case, report())[1], case, headers=[("content-type", None)]),
    "header name with NUL": lambda case: record_of(event_of(case, report())[1], case, headers=[("a\0", b"\0")]),
    "unknown type": lambda case: record_of(
        event_of(case, report())[1].replace(b"ReportFiled.v1", b"ReportFiled.v9"), case
    ),
    "another topic's": lambda case: record_of(event_of(case, report())[1], case, "Resolved"),
    "not its home": lambda case: record_of(event_of(case, report(), source="/services/triage")[1], case),
}


@pytest.mark.parametrize("what", ODD)
async def test_what_cannot_be_read_is_stored_with_its_reason_and_costs_nobody_else_anything(
    what: str, log: Log, store: Database
) -> None:
    case = case_id()
    before, odd, after = (
        fact_record(case, report()),
        ODD[what](case),
        fact_record(case, Supplement(text="x"), sequence=2),
    )
    await log.process([before, odd, after])
    await assert_each_once(store, [before, odd, after])
    found = await rows(store)
    assert [row["valid"] for row in found] == [True, False, True]
    assert found[1]["reason"]
    assert (await store.fetch("SELECT events FROM cases"))[0]["events"] == 2
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("at", [BEGIN.replace(year=1), BEGIN.replace(year=9999)])
async def test_nul_and_extreme_times_in_a_valid_event_are_stored(at: Any, log: Log, store: Database) -> None:
    case = case_id()
    data = NewReport(channel="partner", title="a\0b", text="\0", external_ref="x\0", category="c\0")
    record = fact_record(case, data, time=at)
    await log.process([record])
    await assert_each_once(store, [record])
    row = (await store.fetch("SELECT title, external_ref, category, reported_at FROM cases"))[0]
    assert tuple(row) == ("a\ufffdb", "x\ufffd", "c\ufffd", at)
    await assert_rebuilt_equal(store)


async def test_a_defect_with_one_record_costs_neither_it_nor_the_others(
    log: Log, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(case: Any, event: Event[Any], index: int) -> Any:
        if isinstance(event.data, Supplement):
            raise ZeroDivisionError("a defect")
        return whole(case, event, index)

    whole = subject.evolve
    monkeypatch.setattr(subject, "evolve", broken)
    case = case_id()
    records = [fact_record(case, report()), fact_record(case, Supplement(text="x")), fact_record(case_id(), report())]
    await log.process(records)
    await assert_each_once(store, records)
    found = {row["body"]: row["reason"] for row in await rows(store)}
    assert [found[record.value] for record in records] == [
        None,
        "cannot be taken in: ZeroDivisionError: a defect",
        None,
    ]


async def test_an_event_that_came_again_under_other_coordinates_is_a_duplicate_and_counts_once(
    log: Log, store: Database
) -> None:
    case = case_id()
    _, raw = event_of(case, report())
    first, again, third = record_of(raw, case), record_of(raw, case), record_of(raw, case)
    await log.process([first, again])
    await log.process([third])
    assert [row["duplicate_of"] for row in await rows(store)] == [None, 0, 0]
    assert (await store.fetch("SELECT events FROM cases"))[0]["events"] == 1
    await assert_rebuilt_equal(store)


async def test_the_same_id_of_another_source_is_another_event(log: Log, store: Database) -> None:
    case, event_id = case_id(), case_id()
    await log.process(
        [
            fact_record(case, report(), event_id=event_id),
            fact_record(case, report(), event_id=event_id, source="/partners/fire"),
        ]
    )
    assert [row["duplicate_of"] for row in await rows(store)] == [None, None]


async def test_writers_in_several_processes_write_one_gapless_log(database: Fresh, store: Database) -> None:
    chance = Random(17)
    cases = [case_id() for _ in range(60)]
    records = [fact_record(case, report()) for case in cases]
    records += [fact_record(case, Supplement(text="more"), sequence=2) for case in cases]
    writers = [Database(database.url("audit"), "audit", size=2) for _ in range(6)]

    async def write(writer: Database) -> None:
        await writer.open()
        mine = chance.sample(records, len(records))
        log = Log(writer, anybody)
        for start in range(0, len(mine), 7):
            await log.process(mine[start : start + 7])
        await writer.close()

    await asyncio.gather(*(write(writer) for writer in writers))
    await assert_each_once(store, records)
    assert [row["events"] for row in await store.fetch("SELECT events FROM cases")] == [2] * len(cases)
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("between", [True, False])
async def test_what_a_writer_remembers_of_a_case_is_void_once_another_has_written(
    between: bool, log: Log, store: Database
) -> None:
    case = case_id()
    first, second, third = (fact_record(case, Supplement(text=str(n)), sequence=n) for n in (1, 2, 3))
    await log.process([first])
    await Log(store, anybody).process([second])
    if between:
        await log.process([fact_record(case_id(), report())])
    await log.process([third])
    assert (await store.fetch("SELECT events FROM cases WHERE case_id = $1", case))[0]["events"] == 3
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("attempt", ["UPDATE log SET body = ''", "DELETE FROM log", "TRUNCATE log"])
async def test_nobody_changes_the_log(attempt: str, log: Log, store: Database, database: Fresh) -> None:
    records = burst_main().records()
    await log.process(records)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await store.fetch(attempt)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await infrastructure.execute(database.admin_url, attempt.replace("log", "audit.log"))
    # A replica's sessions skip ordinary triggers; this one fires for them too.
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await infrastructure.execute(
            database.admin_url, f"SET session_replication_role = replica; {attempt.replace('log', 'audit.log')}"
        )
    await assert_each_once(store, records)


async def test_coordinates_that_hold_other_bytes_stop_the_writer_instead_of_losing_a_record(
    log: Log, store: Database
) -> None:
    first = fact_record(case_id(), report())
    await log.process([first])
    _, raw = event_of(case_id(), report())
    made_anew = Record(first.topic, first.partition, first.offset, first.key, raw, first.headers)
    with pytest.raises(ConnectionError, match="other bytes"):
        await log.process([fact_record(case_id(), report()), made_anew])
    await assert_each_once(store, [first])


async def test_a_stranger_is_stored_but_no_part_of_the_case(store: Database) -> None:
    log = Log(store, lambda event: "source: unknown" if event.source == "/partners/stranger" else None)
    case = case_id()
    await log.process(
        [fact_record(case, report()), fact_record(case, Supplement(text="x"), source="/partners/stranger", sequence=1)]
    )
    assert [(row["valid"], row["reason"]) for row in await rows(store)] == [(True, None), (False, "source: unknown")]
    assert (await store.fetch("SELECT events FROM cases"))[0]["events"] == 1
    await assert_rebuilt_equal(store)


def settled(case: str, record: Record, step: Any) -> Record:
    """What a service publishes when an operator has settled a parked record."""
    note = f"triage {record.coordinates}: header content-type is missing"
    return fact_record(
        case, Progressed(step=step, note=note, reason="looked at"), source="/services/triage", sequence=9
    )


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)])
async def test_a_record_retried_in_spite_of_its_headers_counts_whenever_it_came_and_once(
    order: tuple[int, ...], log: Log, store: Database
) -> None:
    case = case_id()
    _, raw = event_of(case, report("leak"))
    bare = record_of(raw, case, headers=())
    records = [bare, settled(case, bare, "retried"), record_of(raw, case)]
    for place in order:
        await log.process([records[place]])
    row = (await store.fetch("SELECT title, events, status FROM cases"))[0]
    assert tuple(row) == ("leak", 1, "reported")
    await assert_rebuilt_equal(store)


async def test_a_discarded_record_does_not_count(log: Log, store: Database) -> None:
    case = case_id()
    bare = record_of(event_of(case, report())[1], case, headers=())
    await log.process([bare, settled(case, bare, "discarded")])
    assert await store.fetch("SELECT 1 FROM cases") == []
    assert [row["settles"] for row in await rows(store)] == [None, bare.coordinates]
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("seed", range(5))
async def test_the_cases_are_a_pure_function_of_the_log(seed: int, log: Log, store: Database) -> None:
    chance = Random(seed)
    streams = [
        story.records()
        for story in (burst_main(case_id(), 1), sent_around(case_id()), burst_main(case_id(), 2), Story(case_id()))
    ]
    records = _through_topics(streams, chance)
    while records:
        size = chance.randint(1, 9)
        batch, records = records[:size], records[size:]
        await log.process([*batch, *chance.sample(batch, min(2, len(batch)))])
    found = await store.fetch("SELECT * FROM cases ORDER BY first_index")
    assert sorted((row["status"], row["outcome"]) for row in found) == [
        ("closed", "duplicate"),
        ("closed", "fixed"),
        ("closed", "fixed"),
    ]
    await store.fetch("DELETE FROM cases WHERE outcome = 'duplicate'")
    await store.fetch("UPDATE cases SET status = 'wrong', events = 0")
    assert await rebuild(store) == 3
    assert await store.fetch("SELECT * FROM cases ORDER BY first_index") == found


def _through_topics(streams: Sequence[Sequence[Record]], chance: Random) -> list[Record]:
    """The records as the topics might deliver them: any order between topics, each topic's own kept; new offsets."""
    queues: dict[tuple[str, bytes | None], list[Record]] = {}
    for stream in streams:
        for record in stream:
            queues.setdefault((record.topic, record.key), []).append(record)
    offsets: dict[str, int] = {}
    found = []
    while waiting := [queue for queue in queues.values() if queue]:
        record = chance.choice(waiting).pop(0)
        offset = offsets[record.topic] = offsets.get(record.topic, -1) + 1
        found.append(Record(record.topic, 0, offset, record.key, record.value, record.headers))
    return found


async def test_a_filter_of_nothing_finds_all(log: Log, store: Database) -> None:
    await log.process(burst_main().records())
    assert [case["case_id"] for case in await views.listed(store, views.Filter(), -1, 10)] == [CASE]
