"""Taking records in: each takes effect once, what cannot is parked in order, and nothing blocks anybody else."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from chassis.clock import wall_clock
from chassis.database import Connection, Database
from chassis.decider import Refused
from chassis.inbox import Inbox
from contracts.dispatch import Resolved
from contracts.intake import Supplement, Withdrawal
from tests.support.facts import case_id, event_of, fact_record, record_of, report
from tests.support.tally import TALLY


@pytest.fixture
async def database(tally_database: str) -> AsyncIterator[Database]:
    found = Database(tally_database, "tally", size=4)
    await found.open()
    yield found
    await found.close()


@pytest.fixture
def inbox(database: Database) -> Inbox:
    return Inbox(TALLY, database, wall_clock)


async def tally(database: Database, case: str) -> tuple[int, int] | None:
    row = await database.fetchrow("SELECT supplements, notes FROM tallies WHERE case_id = $1", case)
    return None if row is None else (row["supplements"], row["notes"])


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
    await Inbox(TALLY, database, wall_clock).process([new, more])
    assert await tally(database, case) == (1, 1)
    sent = await database.fetch("SELECT type, aggregateid FROM outbox")
    assert [tuple(row) for row in sent] == [("casegrid.Progressed.v1", case)]
    stream = await database.fetchrow("SELECT version, sequence FROM streams WHERE stream_id = $1", case)
    assert stream is not None
    assert tuple(stream) == (3, 1)


async def test_two_workers_given_the_same_records_let_them_take_effect_once(inbox: Inbox, database: Database) -> None:
    cases = [case_id() for _ in range(40)]
    records = [fact_record(case, report()) for case in cases]
    other = Inbox(TALLY, database, wall_clock)
    await asyncio.gather(inbox.process(records), other.process(list(reversed(records))))
    assert [await tally(database, case) for case in cases] == [(0, 1)] * 40
    assert len(await database.fetch("SELECT 1 FROM outbox")) == 40


async def test_an_echo_of_its_own_is_passed_over(inbox: Inbox, database: Database) -> None:
    case = case_id()
    await inbox.process([fact_record(case, report(), source="/services/tally".replace("tally", "intake"))])
    _, raw = event_of(case, Supplement(text="own"), source="/services/tally")
    await inbox.process([record_of(raw, case)])
    assert await tally(database, case) == (0, 1)
    assert await waiting(database) == []


async def test_what_is_early_waits_for_a_fact_on_another_topic_and_keeps_its_order(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    end = Resolved(assignment_id=f"{case}.1.1", unit="dept:water", outcome="fixed")
    await inbox.process([fact_record(case, end), fact_record(case, end, sequence=2)])
    assert [kind for kind, _ in await waiting(database)] == ["early", "behind"]
    await inbox.process([fact_record(case, report())])
    assert await waiting(database) == []
    versions = await database.fetch("SELECT topic, own FROM events WHERE stream_id = $1 ORDER BY version", case)
    assert [tuple(row) for row in versions] == [
        ("ReportFiled", False),
        ("Progressed", True),
        ("Resolved", False),
        ("Resolved", False),
    ]


async def test_the_early_and_what_it_waits_for_may_come_in_one_batch(inbox: Inbox, database: Database) -> None:
    case = case_id()
    end = Resolved(assignment_id=f"{case}.1.1", unit="dept:water", outcome="fixed")
    await inbox.process([fact_record(case, end), fact_record(case, report())])
    assert await waiting(database) == []
    assert len(await database.fetch("SELECT 1 FROM events WHERE stream_id = $1", case)) == 3


async def test_later_records_of_a_parked_case_wait_behind_it_and_other_cases_do_not(
    inbox: Inbox, database: Database
) -> None:
    case, other = case_id(), case_id()
    await inbox.process([fact_record(case, report())])
    await inbox.process(
        [
            fact_record(case, Supplement(text="first"), sequence=2),
            record_of(b"not json", case),
            fact_record(case, Supplement(text="second"), sequence=3),
            fact_record(other, report()),
        ]
    )
    await inbox.process([fact_record(case, Supplement(text="third"), sequence=4)])
    assert await tally(database, case) == (1, 1)
    assert await tally(database, other) == (0, 1)
    assert [kind for kind, _ in await waiting(database)] == ["invalid", "behind", "behind"]
    with pytest.raises(Refused, match="comes first"):
        await inbox.settle(2, discard=False, by="operator", reason="try", traceparent=None)
    with pytest.raises(Refused, match="JSON"):
        await inbox.settle(1, discard=False, by="operator", reason="try", traceparent=None)
    await inbox.settle(1, discard=True, by="operator", reason="rubbish", traceparent=None)
    row = await database.fetchrow("SELECT texts FROM tallies WHERE case_id = $1", case)
    assert row is not None
    assert row["texts"] == "first|second|third"
    assert await waiting(database) == []
    steps = await database.fetch(
        "SELECT convert_from(payload, 'UTF8') AS body FROM outbox WHERE aggregateid = $1", case
    )
    assert any('"discarded"' in row["body"] and '"actor":"operator"' in row["body"] for row in steps)


async def test_a_defect_parks_its_record_and_a_retry_after_the_repair_lets_it_take_effect(
    inbox: Inbox, database: Database
) -> None:
    case, other = case_id(), case_id()
    await inbox.process([fact_record(case, report()), fact_record(other, report())])
    broken = fact_record(case, Withdrawal(reason="boom"), sequence=2)
    await inbox.process([broken, fact_record(other, Supplement(text="on"), sequence=2)])
    assert await waiting(database) == [("failed", "ZeroDivisionError: a defect")]
    assert await tally(database, other) == (1, 1)
    with pytest.raises(Refused, match="a defect"):
        await inbox.settle(1, discard=False, by="operator", reason="try", traceparent=None)
    assert await tally(database, case) == (0, 1)


async def test_a_record_the_database_refuses_is_parked_alone(inbox: Inbox, database: Database) -> None:
    good, bad = case_id(), case_id()
    await inbox.process([fact_record(bad, report(title="nul \0 in a text column")), fact_record(good, report())])
    assert await tally(database, good) == (0, 1)
    assert [kind for kind, _ in await waiting(database)] == ["failed"]


POISON = {
    "not JSON": (lambda case, raw: record_of(b"\xff\xfe{", case), "JSON"),
    "no object": (lambda case, raw: record_of(b"[1, 2]", case), "record"),
    "wrong schema": (lambda case, raw: record_of(raw.replace(b'"title"', b'"tilte"'), case), "data.new.title"),
    "unknown type": (lambda case, raw: record_of(raw.replace(b"ReportFiled.v1", b"ReportFiled.v9"), case), "type"),
    "too large": (lambda case, raw: record_of(raw + b" " * 300 * 1024, case), "bytes"),
    "wrong key": (lambda case, raw: record_of(raw, case, key=b"another"), "key"),
    "no key": (lambda case, raw: record_of(raw, case, key=None), "key"),
    "missing headers": (lambda case, raw: record_of(raw, case, headers=()), "content-type"),
    "tombstone": (lambda case, raw: record_of(None, case), "no value"),
    "someone else's topic": (
        lambda case, raw: record_of(raw.replace(b"/partners/hotline", b"/services/dispatch"), case),
        "does not publish",
    ),
    "stranger": (
        lambda case, raw: record_of(raw.replace(b"/partners/hotline", b"/partners/stranger"), case),
        "registered",
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


async def test_a_retry_overlooks_missing_headers_because_a_person_has_looked(inbox: Inbox, database: Database) -> None:
    case = case_id()
    await inbox.process([record_of(event_of(case, report())[1], case, headers=())])
    await inbox.settle(1, discard=False, by="operator", reason="the sender is known", traceparent=None)
    assert await tally(database, case) == (0, 1)
    with pytest.raises(Refused, match="retried already"):
        await inbox.settle(1, discard=False, by="operator", reason="again", traceparent=None)
    with pytest.raises(LookupError):
        await inbox.settle(99, discard=True, by="operator", reason="none", traceparent=None)


async def test_two_records_that_passed_each_other_in_two_transactions_are_brought_together(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    end = fact_record(case, Resolved(assignment_id=f"{case}.1.1", unit="dept:water", outcome="fixed"))
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def slow(connection: Connection, events: object) -> None:
        inside.set()
        await go_on.wait()

    late = Inbox(replace(TALLY, gather=slow), database, wall_clock)
    first = asyncio.create_task(late.process([end]))
    await inside.wait()
    await inbox.process([fact_record(case, report())])
    go_on.set()
    await first
    await inbox.sweep()
    assert await waiting(database) == []
    assert len(await database.fetch("SELECT 1 FROM events WHERE stream_id = $1", case)) == 3


async def test_a_fact_is_never_held_on_the_word_of_a_state_remembered_from_before_another_writer(
    inbox: Inbox, database: Database
) -> None:
    case = case_id()
    await inbox.process([fact_record(case, Withdrawal(reason="too soon, but harmless"))])
    await Inbox(TALLY, database, wall_clock).process([fact_record(case, report(), sequence=2)])
    await inbox.process([fact_record(case, Resolved(assignment_id=f"{case}.1.1", unit="dept:water", outcome="fixed"))])
    assert await waiting(database) == []
    assert len(await database.fetch("SELECT 1 FROM parked")) == 0


async def test_what_cannot_be_appended_is_not_sent_either(inbox: Inbox, database: Database) -> None:
    """The same transaction holds events, views and outbox: a view that fails takes the facts with it."""
    case = case_id()
    await inbox.process([fact_record(case, report(title="nul \0 in a text column"))])
    for table in ("events", "outbox", "streams"):
        assert await database.fetch(f"SELECT 1 FROM {table}") == [], table


async def test_headers_that_are_null_or_hold_u0000_are_parked_like_any_other(inbox: Inbox, database: Database) -> None:
    case, other = case_id(), case_id()
    odd = record_of(b"not json", case, headers=(("a\0b", b"\0"), ("empty", None)))
    await inbox.process([odd, fact_record(other, report())])
    assert [kind for kind, _ in await waiting(database)] == ["invalid"]
    await inbox.settle(1, discard=True, by="operator", reason="rubbish", traceparent=None)
    assert await tally(database, other) == (0, 1)


async def test_an_event_that_came_well_and_badly_wrapped_takes_effect_once_in_either_order(
    inbox: Inbox, database: Database
) -> None:
    first, second = case_id(), case_id()
    for case, well_first in ((first, True), (second, False)):
        raw = event_of(case, report())[1]
        well, badly = record_of(raw, case), record_of(raw, case, headers=())
        if well_first:
            await inbox.process([well, badly])
        else:
            await inbox.process([badly])
    with pytest.raises(Refused, match="taken effect already"):
        await inbox.settle(1, discard=False, by="operator", reason="try", traceparent=None)
    await inbox.settle(2, discard=False, by="operator", reason="the sender is known", traceparent=None)
    [raw] = [row["body"] for row in await database.fetch("SELECT body FROM parked WHERE parked_id = 2")]
    await inbox.process([record_of(raw, second)])
    assert [await tally(database, case) for case in (first, second)] == [(0, 1), (0, 1)]
