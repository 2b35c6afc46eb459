"""Audit's log on a real PostgreSQL: every record once, as exact bytes, under a gapless index, never changed."""

import asyncio
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import asyncpg
import orjson
import pytest

from chassis.kafka.records import Record
from chassis.store.database import Database
from chassis.store.derived import rebuild
from contracts.envelope import CONTENT_TYPE, Event
from contracts.fields import EARLIEST, FROM, LATEST, Fact, Place, Point
from contracts.intake import Supplement
from contracts.notice import AcceptanceNotice, RefusalNotice, UrgeNotice
from contracts.progress import Discarded, EnRoute, Retried
from contracts.request import Acknowledge, Withdraw
from contracts.wire import MAX_DEPTH
from services.audit import log as subject
from services.audit.log import Log
from services.audit.rebuild import DERIVED
from services.audit.service import MIGRATIONS
from tests.domain.audit_story import CASE, Story, burst_main, partners_case, sent_around
from tests.support import infrastructure
from tests.support.facts import case_id, event_of, fact_record, record_of, report

Fresh = infrastructure.Database


@pytest.fixture
def log(store: Database) -> Log:
    return Log(store)


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
    (table,), _ = await rebuild(DERIVED, store, lambda done, total: None)
    assert await store.fetch("SELECT * FROM cases ORDER BY case_id") == before
    assert (table.equal, table.after.rows) == (True, len(before))


async def test_a_record_is_stored_once_however_often_and_in_whatever_batches_it_comes(
    log: Log, store: Database
) -> None:
    records = burst_main().records()
    await log.process(records[:5])
    await log.process(records[3:9])
    await log.process([*records, *records[:2]])
    await Log(store).process(records)
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
    assert (row["type"], row["kind"], row["label"]) == ("casegrid.Assigned.v1", "dispatched", "dispatched")
    assert row["sequence"] == 1
    assert (row["time"], row["recorded_time"]) == (event.time, event.recordedtime)
    assert (row["causation_id"], row["actor"]) == (story.events[0].id, None)
    assert row["headers"] == f'[["content-type","{CONTENT_TYPE.hex()}"]]'


def raw(case: str, data: Fact | None = None, **circumstances: Any) -> bytes:
    return event_of(case, data or report("leak"), **circumstances)[1]


def changed(old: bytes, new: bytes) -> Callable[[str], Record]:
    """A report in whose bytes the first is the second."""

    def made(case: str) -> Record:
        before = raw(case, report("leak", place=Place(point=Point(lat=30.5, lon=104.5)), retrospective=True))
        assert old in before
        return record_of(before.replace(old, new), case)

    return made


def timed(wire: bytes) -> Callable[[str], Record]:
    """A report whose `time` is these bytes."""
    return lambda case: record_of(re.sub(rb'"time":"[^"]+"', b'"time":' + wire, raw(case)), case)


def step_of(case: str) -> EnRoute:
    return EnRoute(assignment_id=f"{case}.1.1", unit="dept:water")


def request_of(case: str) -> Acknowledge:
    return Acknowledge(assignment_id=f"{case}.1.1")


ODD: dict[str, Callable[[str], Record]] = {
    "not JSON": lambda case: record_of(b"{", case),
    "not text": lambda case: record_of(b"\xff\x00\xfe", case),
    "a number": lambda case: record_of(b"17", case),
    "a list": lambda case: record_of(b"[" + raw(case) + b"]", case),
    "null": lambda case: record_of(b"null", case),
    "empty": lambda case: record_of(b"", case),
    "UTF-16": lambda case: record_of(raw(case).decode().encode("utf-16"), case),
    "with a byte order mark": lambda case: record_of(b"\xef\xbb\xbf" + raw(case), case),
    "two at once": lambda case: record_of(raw(case) * 2, case),
    "very deep": lambda case: record_of(b"[" * 100_000, case),
    "deep": changed(b'"title":"leak"', b'"title":"leak","x":' + b"[" * 300 + b"]" * 300),
    "300 KiB": lambda case: record_of(b'"' + b"x" * 300 * 1024 + b'"', case),
    "tombstone": lambda case: record_of(None, case),
    "no key": lambda case: record_of(raw(case), None),
    "wrong key": lambda case: record_of(raw(case), case_id()),
    "NUL in the key": lambda case: record_of(raw(case), "a\0b"),
    "key is no text": lambda case: record_of(raw(case), case, key=b"\xff\xfe"),
    "no headers": lambda case: record_of(raw(case), case, headers=()),
    "header without value": lambda case: record_of(raw(case), case, headers=[("content-type", None)]),
    "header name with NUL": lambda case: record_of(raw(case), case, headers=[("a\0", b"\0")]),
    "unknown type": changed(b"ReportFiled.v1", b"ReportFiled.v9"),
    "type is no text": changed(b'"casegrid.ReportFiled.v1"', b"{}"),
    "another topic's": lambda case: record_of(raw(case, source="/services/dispatch"), case, "Resolved"),
    "NaN": changed(b'"lat":30.5', b'"lat":NaN'),
    "infinite": changed(b'"lat":30.5', b'"lat":1e400'),
    "a number in quotes": changed(b'"lat":30.5', b'"lat":"30.65"'),
    "a flag in words": changed(b'"retrospective":true', b'"retrospective":"yes"'),
    "NUL in a text": changed(b'"leak"', b'"le\\u0000ak"'),
    "NUL where nobody looks": changed(b'"title":"leak"', b'"title":"leak","x":{"a\\u0000":1}'),
    "a key twice": changed(b'"title":"leak"', b'"title":"leak","title":"leek"'),
    "half a surrogate pair": changed(b'"leak"', b'"\\ud800"'),
    "an integer too long": changed(b'"title":"leak"', b'"title":"leak","x":9007199254740993'),
    "before 1970": timed(b'"0001-01-01T00:00:00.000000Z"'),
    "after 2199": timed(b'"9999-12-31T23:59:59.999999Z"'),
    "time as a number": timed(b"1746777600"),
    "time with an offset": timed(b'"2026-05-09T08:00:00+08:00"'),
    "time is null": timed(b"null"),
    "no such notice": lambda case: record_of(
        raw(case, UrgeNotice(to="fire", assignment_id=f"{case}.1.1", count=1)), case, "to.water"
    ),
}
FORGED: dict[str, Callable[[str], Record]] = {
    "a notice on a partner's own topic": lambda case: record_of(
        raw(case, AcceptanceNotice(to="water", request=case)), case, "from.water"
    ),
    "another service's": lambda case: record_of(raw(case, source="/services/triage"), case),
    "a partner's": lambda case: record_of(raw(case, source="/partners/water"), case),
    "nobody's": lambda case: record_of(raw(case).replace(b"/services/intake", b"/services/nobody"), case),
    "a step of another service": lambda case: fact_record(case, step_of(case), source="/services/triage"),
    "a step by a partner": lambda case: record_of(
        raw(case, step_of(case), source="/partners/water"), case, "Progressed"
    ),
    "another partner's": lambda case: record_of(raw(case, request_of(case)), case, "from.fire"),
    "a service's request": lambda case: record_of(
        raw(case, request_of(case), source="/services/dispatch"), case, "from.water"
    ),
    "a notice by a partner": lambda case: record_of(
        raw(case, AcceptanceNotice(to="water", request=case), source="/partners/water"), case, "to.water"
    ),
    "a notice by triage": lambda case: record_of(
        raw(case, AcceptanceNotice(to="water", request=case), source="/services/triage"), case, "to.water"
    ),
}


async def test_what_cannot_be_read_is_stored_with_its_reason_and_costs_nobody_else_anything(
    log: Log, store: Database
) -> None:
    records, invalid = [], {}
    for what, odd in (ODD | FORGED).items():
        case = case_id()
        record = odd(case)
        invalid[coordinates(record)] = (what, "forged" if what in FORGED else "invalid")
        records += [fact_record(case, report()), record, fact_record(case, Supplement(text="x"), sequence=2)]
    await log.process(records)
    await assert_each_once(store, records)
    for row in await rows(store):
        what, invalidity = invalid.get((row["topic"], row["partition"], row["offset"]), ("a valid one", None))
        assert (row["valid"], row["invalidity"]) == (invalidity is None, invalidity), what
        assert (row["reason"] is None) == row["valid"], what
    assert [row["events"] for row in await store.fetch("SELECT events FROM cases")] == [2] * len(invalid)
    await assert_rebuilt_equal(store)


_LEFT = MAX_DEPTH - 2  # below the record and its data
NASTY: dict[str, Callable[[str], Record]] = {
    "unknown fields": changed(b'"title":"leak"', b'"title":"leak","x":{"a":[null,1e308,-0.0]}'),
    "as deep as can be": changed(b'"title":"leak"', b'"title":"leak","x":' + b"[" * _LEFT + b"]" * _LEFT),
    "many pages long": lambda case: fact_record(case, report("leak", text="\u2028\x7f" * 5_000)),
    "keys in another order": lambda case: record_of(
        orjson.dumps(orjson.loads(raw(case)), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2), case
    ),
    "header twice": lambda case: record_of(raw(case), case, headers=[("x", None), ("Content-Type", CONTENT_TYPE)]),
}


async def test_what_is_odd_but_valid_counts(log: Log, store: Database) -> None:
    records = [made(case_id()) for made in NASTY.values()]
    await log.process(records)
    await assert_each_once(store, records)
    assert [row["reason"] for row in await rows(store)] == [None] * len(records)
    assert [row["title"] for row in await store.fetch("SELECT title FROM cases")] == ["leak"] * len(records)
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("at", [EARLIEST, LATEST])
async def test_the_first_and_the_last_instant_are_stored(at: Any, log: Log, store: Database) -> None:
    record = fact_record(case_id(), report(), time=at)
    await log.process([record])
    await assert_each_once(store, [record])
    assert await store.fetch("SELECT reported_at FROM cases") == [(at,)]
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
        "cannot be folded: ZeroDivisionError: a defect",
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
            fact_record(case, request_of(case), event_id=event_id),
        ]
    )
    assert [row["duplicate_of"] for row in await rows(store)] == [None, None]


async def test_an_id_that_comes_again_under_a_second_case_is_an_event_of_that_case_too(
    log: Log, store: Database
) -> None:
    first, second, event_id = case_id(), case_id(), case_id()
    one, other = (fact_record(case, report(), event_id=event_id) for case in (first, second))
    await log.process([one, other])
    await log.process([record_of(one.value, first), record_of(other.value, second)])
    assert [row["duplicate_of"] for row in await rows(store)] == [None, None, 0, 1]
    found = await store.fetch("SELECT case_id, events, first_index FROM cases ORDER BY first_index")
    assert [tuple(row) for row in found] == [(first, 1, 0), (second, 1, 1)]
    await assert_rebuilt_equal(store)


async def test_requests_and_notices_of_partners_are_stored_but_make_no_case(log: Log, store: Database) -> None:
    case, water = case_id(), "/partners/water"
    asked, _ = event_of(case, request_of(case), source=water)
    unreadable = record_of(b"{", case, f"{FROM}water", partition=2)
    unread = RefusalNotice(
        to="water", case_id=case, rule="record.invalid", reason="no", partition=2, offset=unreadable.offset
    )
    await log.process(
        [
            fact_record(case, request_of(case), event_id=asked.id, sequence=None),
            fact_record(case, Withdraw(reason="no"), cause=asked.id, source="/partners/hotline"),
            fact_record(case, AcceptanceNotice(to="water", request=asked.id), cause=asked.id),
            fact_record(case, RefusalNotice(to="water", request=asked.id, rule="r", reason="no"), cause=asked.id),
            fact_record(case, unread),
            fact_record(case, UrgeNotice(to="water", assignment_id=f"{case}.1.1", count=1), cause=asked.id),
            unreadable,
        ]
    )
    columns = ("topic", "kind", "label", "sequence", "answers")
    found = [tuple(row[name] for name in columns) for row in await rows(store)]
    assert found == [
        ("from.water", "acknowledge", "request", None, None),
        ("from.hotline", "withdrawal", "request", 1, None),
        ("to.water", "accepted", "notice accepted", 1, asked.id),
        ("to.water", "refused", "notice refused", 1, asked.id),
        ("to.water", "refused", "notice refused", 1, unreadable.coordinates),
        ("to.water", "urged", "notice urged", 1, None),
        ("from.water", None, None, None, None),
    ]
    assert await store.fetch("SELECT 1 FROM cases") == []
    await assert_rebuilt_equal(store)


async def test_writers_in_several_processes_write_one_gapless_log(database: Fresh, store: Database) -> None:
    chance = Random(17)
    cases = [case_id() for _ in range(60)]
    records = [fact_record(case, report()) for case in cases]
    records += [fact_record(case, Supplement(text="more"), sequence=2) for case in cases]
    writers = [Database(database.url("audit"), "audit", size=2, migrations=MIGRATIONS) for _ in range(6)]

    async def write(writer: Database) -> None:
        await writer.open()
        mine = chance.sample(records, len(records))
        log = Log(writer)
        for start in range(0, len(mine), 7):
            await log.process(mine[start : start + 7])
        await writer.close()

    await asyncio.gather(*(write(writer) for writer in writers))
    await assert_each_once(store, records)
    assert [row["events"] for row in await store.fetch("SELECT events FROM cases")] == [2] * len(cases)
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("between", [True, False])
async def test_the_cached_case_of_a_writer_is_invalid_once_another_has_written(
    between: bool, log: Log, store: Database
) -> None:
    case = case_id()
    first, second, third = (fact_record(case, Supplement(text=str(n)), sequence=n) for n in (1, 2, 3))
    await log.process([first])
    await Log(store).process([second])
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


async def insert(connection: asyncpg.Connection, *indexes: int) -> None:
    """As audit does it, under coordinates that nothing else has."""
    rows = [(index, "ReportFiled", 99, index, "[]", True) for index in indexes]
    columns = ("index", "topic", "partition", "offset", "headers", "valid")
    await connection.copy_records_to_table("log", records=rows, columns=columns, schema_name="audit")


@pytest.mark.parametrize("who", ["audit", "administrator", "replica"])
@pytest.mark.parametrize(
    ("before", "indexes"),
    [(0, [1]), (0, [0, 2]), (3, [4]), (3, [3, 5]), (3, [3, 4, 6, 7]), (3, [5, 4]), (3, [10**9]), (3, [-1, 3])],
)
async def test_nobody_leaves_a_gap_in_the_log(
    before: int, indexes: list[int], who: str, log: Log, database: Fresh
) -> None:
    if before:
        await log.process([fact_record(case_id(), report()) for _ in range(before)])
    connection = await asyncpg.connect(database.url("audit") if who == "audit" else database.admin_url)
    if who == "replica":  # its sessions skip ordinary triggers
        await connection.execute("SET session_replication_role = replica")
    with pytest.raises(asyncpg.CheckViolationError):
        await insert(connection, *indexes)
    await insert(connection, before, before + 2, before + 1)
    assert await connection.fetchval("SELECT count(*) FROM audit.log") == before + 3
    await connection.close()


async def test_two_writers_without_the_lock_leave_no_gap_either(log: Log, database: Fresh) -> None:
    """The second cannot build on what the first has not committed."""
    first, second = [await asyncpg.connect(database.url("audit")) for _ in range(2)]
    transaction = first.transaction()
    await transaction.start()
    await insert(first, 0, 1)
    with pytest.raises(asyncpg.CheckViolationError, match="gapless: indexes 2 to 2"):
        await insert(second, 2)
    await transaction.rollback()
    await insert(second, 0)
    for connection in (first, second):
        await connection.close()


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


@pytest.mark.parametrize("step", [Retried, Discarded])
async def test_an_operators_step_names_the_record_by_fields_and_makes_nothing_count(
    step: type[Retried] | type[Discarded], log: Log, store: Database
) -> None:
    case = case_id()
    bare = record_of(raw(case), case, headers=())
    data = step(
        parked_topic=bare.topic,
        partition=bare.partition,
        offset=bare.offset,
        parked_because="header content-type is missing",
        reason="looked at",
    )
    settled = fact_record(case, data, source="/services/triage")
    await log.process([bare])
    await log.process([settled])
    assert [(row["settles"], row["valid"]) for row in await rows(store)] == [(None, False), (bare.coordinates, True)]
    assert await store.fetch("SELECT 1 FROM cases") == []
    await assert_rebuilt_equal(store)


@pytest.mark.parametrize("seed", range(5))
async def test_the_cases_are_a_pure_function_of_the_log(seed: int, log: Log, store: Database) -> None:
    chance = Random(seed)
    streams = [
        story.records()
        for story in (burst_main(case_id(), 1), sent_around(case_id()), partners_case(case_id()), Story(case_id()))
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
    (table,), _ = await rebuild(DERIVED, store, lambda done, total: None)
    assert (table.equal, table.before.rows, table.after.rows) == (False, 2, 3)
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
