"""Taking records in: each takes effect once, what cannot is parked in order, and nothing blocks anybody else."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from chassis.clock import wall_clock
from chassis.engine import parking, propagation
from chassis.engine.decider import Refused
from chassis.engine.inbox import Inbox
from chassis.engine.settling import Decision, settle
from chassis.engine.timers import Timers
from chassis.kafka.records import Record
from chassis.kafka.salvage import MARKER
from chassis.store.database import Database
from chassis.store.streams import Cache
from contracts.dispatch import Resolved
from contracts.intake import Supplement, Withdrawal
from tests.support.facts import case_id, event_of, fact_record, record_of, report
from tests.support.services import all_read
from tests.support.tally import MODEL

NOW = datetime.now(UTC)


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(MODEL, database, wall_clock)


async def tally(database: Database, case: str) -> tuple[int, int] | None:
    row = await database.fetchrow("SELECT supplements, notes FROM tallies WHERE case_id = $1", case)
    return None if row is None else (row["supplements"], row["notes"])


async def sent(database: Database) -> list[dict[str, Any]]:
    return [
        orjson.loads(row["payload"])
        for row in await database.fetch("SELECT payload FROM unpublished ORDER BY position")
    ]


def event_id(record: Record) -> str:
    return orjson.loads(record.value or b"")["id"]


async def waiting(database: Database) -> list[tuple[str, str]]:
    rows = await database.fetch("SELECT kind, reason FROM parked WHERE status = 'waiting' ORDER BY parked_id")
    return [(row["kind"], row["reason"]) for row in rows]


async def test_a_fact_takes_effect_once_however_often_and_in_whatever_batches_it_comes(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    new, more = fact_record(case, report()), fact_record(case, Supplement(text="still"), sequence=2)
    await inbox.process([new, more, new])
    await inbox.process([more, new])
    await Inbox(MODEL, database, wall_clock).process([new, more])
    assert await tally(database, case) == (1, 1)
    sent = await database.fetch("SELECT aggregatetype, aggregateid FROM unpublished")
    assert [tuple(row) for row in sent] == [("Progressed", case)]
    stream = await database.fetchrow("SELECT version, sequence FROM streams WHERE stream_id = $1", case)
    assert stream is not None
    assert tuple(stream) == (3, 1)


async def test_two_workers_given_the_same_records_let_them_take_effect_once(inbox: Inbox, database: Database) -> None:
    cases = [case_id() for _ in range(40)]
    records = [fact_record(case, report()) for case in cases]
    other = Inbox(MODEL, database, wall_clock)
    await asyncio.gather(inbox.process(records), other.process(list(reversed(records))))
    assert [await tally(database, case) for case in cases] == [(0, 1)] * 40
    assert len(await database.fetch("SELECT 1 FROM unpublished")) == 40


JUNK = (b"not json", b"[]", b"{}", b'{"specversion": "1.0"}', b"")


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_under_a_cases_key_delays_no_valid_record_of_that_case(
    inbox: Inbox, database: Database, junk: bytes
) -> None:
    case = case_id()
    _, forged = event_of(case, report(title="forged"), source="/services/dispatch")
    await inbox.process(
        [
            record_of(junk, case),
            fact_record(case, report()),
            record_of(forged, case),
            fact_record(case, Supplement(text="first"), sequence=2),
        ]
    )
    assert await tally(database, case) == (1, 1)
    assert [kind for kind, _ in await waiting(database)] == ["invalid", "forged"]
    with pytest.raises(Refused):
        await settle(inbox, Decision(1, False, "operator", "try"))
    await settle(inbox, Decision(1, True, "operator", "rubbish"))
    steps = [body for body in await sent(database) if body["data"].get("step") == "discarded"]
    [parked] = await database.fetch('SELECT partition, "offset" FROM parked WHERE parked_id = 1')
    named = {name: steps[0]["data"][name] for name in ("parked_topic", "partition", "offset")}
    assert named == {"parked_topic": "ReportFiled", "partition": parked["partition"], "offset": parked["offset"]}
    assert steps[0]["actor"] == "operator"
    assert "causationid" not in steps[0]


async def test_a_service_that_does_not_park_a_topic_counts_what_it_cannot_read_there(database: Database) -> None:
    case = case_id()
    inbox = Inbox(replace(MODEL, parks=("Resolved",)), database, wall_clock)
    await inbox.process([record_of(b"not json", case), fact_record(case, report())])
    assert await waiting(database) == []
    assert await tally(database, case) == (0, 1)
    assert inbox.reader.passed_over == {"ReportFiled": 1}


async def test_a_service_takes_from_a_topic_what_its_one_source_says_and_what_it_wants(database: Database) -> None:
    case = case_id()
    service = replace(
        MODEL,
        sources={"ReportFiled": "/services/intake"},
        wants=lambda event: not isinstance(event.data, Supplement),
    )
    inbox = Inbox(service, database, wall_clock)
    _, forged = event_of(case, report(title="forged"), source="/services/triage")
    new, more = fact_record(case, report()), fact_record(case, Supplement(text="unwanted"), sequence=2)
    await inbox.process([record_of(forged, case), new, more])
    assert await tally(database, case) == (0, 1)
    assert await waiting(database) == []
    received = await database.fetch("SELECT event_id FROM events WHERE NOT own")
    assert [row["event_id"] for row in received] == [event_id(new)]


async def test_only_what_failed_holds_back_what_follows_it_in_its_case_and_topic(
    inbox: Inbox, database: Database
) -> None:
    case, other = case_id(), case_id()
    await inbox.process([fact_record(case, report())])
    end = Resolved(assignment_id=f"{case}.1.1", unit="nobody", outcome="fixed", resolve_by=NOW, late_by_seconds=0)
    await inbox.process(
        [
            fact_record(case, Withdrawal(reason="boom"), sequence=2),
            fact_record(case, Supplement(text="first"), sequence=3),
            fact_record(case, end),
            fact_record(other, report()),
        ]
    )
    await inbox.process([fact_record(case, Supplement(text="second"), sequence=4)])
    assert await tally(database, case) == (0, 1)
    assert await tally(database, other) == (0, 1)
    assert [kind for kind, _ in await waiting(database)] == ["failed", "behind", "unfit", "behind"]
    with pytest.raises(Refused, match="comes first"):
        await settle(inbox, Decision(2, False, "operator", "try"))
    await settle(inbox, Decision(1, True, "operator", "ours"))
    row = await database.fetchrow("SELECT texts FROM tallies WHERE case_id = $1", case)
    assert row is not None
    assert row["texts"] == "first|second"
    assert [kind for kind, _ in await waiting(database)] == ["unfit"]
    steps = [body for body in await sent(database) if body["data"].get("step") == "discarded"]
    assert steps[0]["causationid"] is not None


async def test_a_defect_parks_its_record_and_a_retry_after_the_repair_lets_it_take_effect_and_what_waited(
    inbox: Inbox, database: Database
) -> None:
    case, other = case_id(), case_id()
    await inbox.process([fact_record(case, report()), fact_record(other, report())])
    broken = fact_record(case, Withdrawal(reason="boom"), sequence=2)
    behind = fact_record(case, Supplement(text="later"), sequence=3)
    await inbox.process([broken, fact_record(other, Supplement(text="on"), sequence=2)])
    await inbox.process([behind])
    assert [kind for kind, _ in await waiting(database)] == ["failed", "behind"]
    assert await tally(database, other) == (1, 1)
    with pytest.raises(Refused, match="a defect"):
        await settle(inbox, Decision(1, False, "operator", "try"))
    assert await tally(database, case) == (0, 1)

    repaired = Inbox(replace(MODEL, decider=replace(MODEL.decider, react=lambda *_: [])), database, wall_clock)
    await settle(repaired, Decision(1, False, "operator", "the defect is mended"))
    assert await tally(database, case) == (1, 1)
    rows = await database.fetch("SELECT status, settled_by FROM parked ORDER BY parked_id")
    assert [tuple(row) for row in rows] == [("retried", "operator"), ("retried", "operator")]
    [step] = [body for body in await sent(database) if body["data"].get("step") == "retried"]
    assert (step["causationid"], step["actor"]) == (event_id(broken), "operator")
    assert step["data"]["reason"] == "the defect is mended"
    events = await database.fetch("SELECT event_id FROM events WHERE stream_id = $1 ORDER BY version", case)
    assert [row["event_id"] for row in events][-3:] == [event_id(broken), step["id"], event_id(behind)]
    await inbox.process([broken, behind])
    assert await tally(database, case) == (1, 1)
    with pytest.raises(Refused, match="retried already"):
        await settle(repaired, Decision(1, False, "operator", "again"))


async def test_a_record_the_database_refuses_is_parked_alone(inbox: Inbox, database: Database) -> None:
    good, bad = case_id(), case_id()
    await inbox.process([fact_record(bad, report(title="unbearable")), fact_record(good, report())])
    assert await tally(database, good) == (0, 1)
    assert [kind for kind, _ in await waiting(database)] == ["failed"]


POISON = {
    "not JSON": (lambda case, raw: record_of(b"\xff\xfe{", case), "JSON"),
    "no object": (lambda case, raw: record_of(b"[1, 2]", case), "record"),
    "wrong schema": (lambda case, raw: record_of(raw.replace(b'"title"', b'"tilte"'), case), "data.title"),
    "unknown type": (lambda case, raw: record_of(raw.replace(b"ReportFiled.v1", b"ReportFiled.v9"), case), "type"),
    "too large": (lambda case, raw: record_of(raw + b" " * 300 * 1024, case), "bytes"),
    "wrong key": (lambda case, raw: record_of(raw, case, key=b"another"), "key"),
    "no key": (lambda case, raw: record_of(raw, case, key=None), "key"),
    "binary mode": (
        lambda case, raw: record_of(
            raw, case, headers=[("content-type", b"application/json"), ("ce_specversion", b"1.0")]
        ),
        "binary mode",
    ),
    "data in base64": (lambda case, raw: record_of(raw.replace(b'"data"', b'"data_base64"'), case), "data_base64"),
    "missing headers": (lambda case, raw: record_of(raw, case, headers=()), "content-type"),
    "tombstone": (lambda case, raw: record_of(None, case), "no value"),
    "someone else's topic": (
        lambda case, raw: record_of(raw.replace(b"/services/intake", b"/services/dispatch"), case),
        "does not write",
    ),
    "a partner's": (
        lambda case, raw: record_of(raw.replace(b"/services/intake", b"/partners/stranger"), case),
        "does not write",
    ),
    "unknown case": (
        lambda case, raw: record_of(event_of(case, Supplement(text="of what?"))[1], case),
        "no report of this case",
    ),
}


@pytest.mark.parametrize("poison", POISON)
async def test_a_poison_record_is_parked_with_its_reason_and_bytes_and_stops_nobody(
    inbox: Inbox, database: Database, poison: str
) -> None:
    make, word = POISON[poison]
    case, other = case_id(), case_id()
    record = make(case, event_of(case, report())[1])
    await inbox.process([record, fact_record(other, report())])
    await inbox.process([record])
    row = await database.fetchrow('SELECT reason, body, key, topic, "offset" FROM parked')
    assert row is not None
    assert word in row["reason"]
    assert (row["body"], row["key"], row["topic"], row["offset"]) == (
        record.value,
        record.key,
        record.topic,
        record.offset,
    )
    assert len(await waiting(database)) == 1
    assert await tally(database, other) == (0, 1)


async def test_what_cannot_be_appended_is_not_sent_either(inbox: Inbox, database: Database) -> None:
    """The same transaction holds events and views: a view that fails takes the facts with it."""
    case = case_id()
    await inbox.process([fact_record(case, report(title="unbearable"))])
    for table in ("events", "streams"):
        assert await database.fetch(f"SELECT 1 FROM {table}") == [], table


async def test_headers_that_are_null_or_hold_u0000_are_parked_like_any_other(inbox: Inbox, database: Database) -> None:
    case, other = case_id(), case_id()
    odd = record_of(b"not json", case, headers=(("a\0b", b"\0"), ("empty", None)))
    await inbox.process([odd, fact_record(other, report())])
    assert [kind for kind, _ in await waiting(database)] == ["invalid"]
    await settle(inbox, Decision(1, True, "operator", "rubbish"))
    assert await tally(database, other) == (0, 1)


async def test_what_the_client_could_not_read_is_parked_with_its_bytes_and_a_retry_says_why_again(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    odd = ("na\udcffme", b"v")
    named = fact_record(case, report())._replace(
        headers=[odd], unread="headers: the name b'na\\xffme' is not UTF-8", last=7
    )
    batch = Record(
        "ReportFiled", 0, 900, None, b"\0raw", (), None, "the batch cannot be read: its checksum is wrong", 905
    )
    marker = Record("ReportFiled", 0, 906, None, b"", (), None, MARKER, 906)
    await inbox.process([named, batch, marker, fact_record(case, report())])
    await inbox.process([batch, named])
    assert await waiting(database) == [("invalid", named.unread), ("invalid", batch.unread)]
    assert await tally(database, case) == (0, 1)
    rows = await database.fetch("SELECT * FROM parked ORDER BY parked_id")
    assert [row["body"] for row in rows] == [named.value, batch.value]
    assert parking.parked_of(rows[0]).record.headers == [odd]
    for number, one in enumerate((named, batch), 1):
        with pytest.raises(Refused, match=re.escape(one.unread or "")):
            await settle(inbox, Decision(number, False, "operator", "try"))
        await settle(inbox, Decision(number, True, "operator", "rubbish"))
    assert await waiting(database) == []


async def test_other_cases_hear_of_it_some_at_once_and_the_rest_from_the_timers(
    inbox: Inbox, database: Database
) -> None:
    teller, others = case_id(), sorted(case_id() for _ in range(propagation.AT_ONCE + 60))
    await inbox.process([fact_record(teller, report()), *(fact_record(other, report()) for other in others)])
    told = fact_record(teller, Supplement(text="tell " + " ".join(others)), sequence=2)
    await inbox.process([told])
    await inbox.process([told])
    assert len(await heard(database)) == propagation.AT_ONCE
    with pytest.raises(ZeroDivisionError):
        await propagation.carry_out(
            replace(MODEL, load_context=dying), database, wall_clock, await propagation.pending(database)
        )
    timers = Timers(MODEL, database, wall_clock, Cache(), all_read)
    assert [await timers.propagate() for _ in range(3)] == [propagation.AT_ONCE, 10, 0]
    bodies = await heard(database)
    assert sorted(body["subject"] for body in bodies) == others
    assert {body["causationid"] for body in bodies} == {event_id(told)}


async def dying(*_: object) -> None:
    raise ZeroDivisionError


async def heard(database: Database) -> list[dict[str, Any]]:
    return [body for body in await sent(database) if body["data"].get("rule")]


async def test_nothing_is_judged_by_a_state_that_another_process_has_changed(inbox: Inbox, database: Database) -> None:
    """What is parked or answered apart writes nothing to its case, so no version of it would tell."""
    case = case_id()
    end = Resolved(assignment_id=f"{case}.1.1", unit="dept:water", outcome="fixed", resolve_by=NOW, late_by_seconds=0)
    await inbox.process([fact_record(case, end)])
    await Inbox(MODEL, database, wall_clock).process([fact_record(case, report())])
    await inbox.process([fact_record(case, Supplement(text="more"), sequence=2)])
    assert await waiting(database) == []
    assert await tally(database, case) == (1, 1)


async def test_a_fact_names_the_event_that_it_follows_from(inbox: Inbox, database: Database) -> None:
    case = case_id()
    record = fact_record(case, report())
    await inbox.process([record])
    [note] = await sent(database)
    assert note["causationid"] == event_id(record)


async def test_a_row_that_has_not_changed_is_not_written_again(inbox: Inbox, database: Database) -> None:
    case = case_id()
    await inbox.process([fact_record(case, report())])

    async def version_of_row() -> Any:
        return await database.pool.fetchval("SELECT xmin::text FROM tallies WHERE case_id = $1", case)

    first = await version_of_row()
    await inbox.process([fact_record(case, Withdrawal(reason="a mistake"), sequence=2)])
    assert await version_of_row() == first
    await inbox.process([fact_record(case, Supplement(text="more"), sequence=3)])
    assert await version_of_row() != first


async def test_a_row_that_another_worker_wrote_is_what_the_case_says(inbox: Inbox, database: Database) -> None:
    case = case_id()
    await inbox.process([fact_record(case, report())])
    other = Inbox(MODEL, database, wall_clock)
    await other.process([fact_record(case, Supplement(text="more"), sequence=2)])
    await inbox.process([fact_record(case, Supplement(text="still more"), sequence=3)])
    await other.process([fact_record(case, Withdrawal(reason="a mistake"), sequence=4)])
    assert await tally(database, case) == (2, 1)
