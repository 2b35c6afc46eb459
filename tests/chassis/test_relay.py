"""Own events reach their topics: nothing skipped, nothing lost, in the order of each case, as the exact bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from chassis.clock import wall_clock
from chassis.engine.inbox import Inbox
from chassis.kafka import relay as relay_module
from chassis.kafka.connection import Connection
from chassis.kafka.relay import Relay
from chassis.store.database import Database
from chassis.store.outbox import Outbox
from contracts.envelope import Event
from contracts.intake import Supplement
from tests.support.facts import case_id, fact_record, report
from tests.support.infrastructure import Database as Server
from tests.support.infrastructure import execute
from tests.support.services import eventually, publish, read_topic, running, token
from tests.support.tally import MODEL, TALLY

MORE = Supplement(text="note more")
"""That a case may be told again and again, each time with an event of its own as an answer."""
_TO_NOBODY = """
INSERT INTO events (stream_id, version, own, topic, event_id, body)
SELECT stream_id, max(version) + 1, true, 'to.nobody', 'x', '{}' FROM events GROUP BY stream_id
"""
"""A fact of each case for a topic that is not there."""


@asynccontextmanager
async def relaying(kafka: str, prefix: str, database: Database) -> AsyncIterator[Relay]:
    relay = Relay(broker=Connection(kafka), name="tally", prefix=prefix, database=database)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def at_least(count: int) -> Callable[[list[Event[Any]]], bool]:
    return lambda found: len(found) >= count


async def drained(database: Database) -> bool:
    return not await database.fetch("SELECT 1 FROM unpublished")


async def leader(database: Database) -> int | None:
    """The backend of the relay that leads, if it lives."""
    rows = await database.fetch(
        "SELECT pid FROM leader JOIN pg_stat_activity a USING (pid) WHERE a.backend_start = connected_since"
    )
    return rows[0]["pid"] if rows else None


async def test_one_relay_leads_until_its_session_ends_and_then_the_other_does(
    kafka: str, topics: str, database: Database, empty_database: Server
) -> None:
    async def another_than(before: int | None) -> bool:
        return await leader(database) not in (None, before)

    async with relaying(kafka, topics, database) as first:
        await eventually(lambda: another_than(None), what="a relay that leads")
        async with relaying(kafka, topics, database) as second:
            await eventually(lambda: without_fault(second), what="the other waits without a fault")
            led = await leader(database)
            await execute(empty_database.admin_url, f"SELECT pg_terminate_backend({led})")
            await eventually(lambda: another_than(led), what="a relay that leads after the session has ended")
            await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
            await eventually(lambda: drained(database), what="the outbox")
            assert first.fault is second.fault is None


async def without_fault(relay: Relay) -> bool:
    return relay.fault is None


async def test_a_transaction_held_open_across_the_relays_polls_is_not_skipped(
    kafka: str, topics: str, database: Database
) -> None:
    """A late commit has a lower position than what was already sent; a watermark would pass it over for ever."""
    early = case_id()
    async with writing(database) as transaction, relaying(kafka, topics, database):
        await Inbox(MODEL, database, wall_clock).process([fact_record(early, report())])
        await read_topic(kafka, topics, "Progressed", at_least(1))
        await transaction.commit()
        await eventually(lambda: drained(database), what="the outbox")
    assert await count(kafka, topics) == 2


async def test_what_was_open_while_a_relay_worked_is_found_by_the_next(
    kafka: str, topics: str, database: Database
) -> None:
    async with writing(database) as transaction:
        async with relaying(kafka, topics, database):
            await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
            await read_topic(kafka, topics, "Progressed", at_least(1))
        await transaction.commit()
    async with relaying(kafka, topics, database):
        await eventually(lambda: drained(database), what="the outbox")
    assert len(set(await values(kafka, topics))) == 2


async def test_positions_of_a_transaction_that_was_rolled_back_hold_nothing_up(
    kafka: str, topics: str, database: Database
) -> None:
    inbox = Inbox(MODEL, database, wall_clock)
    async with relaying(kafka, topics, database):
        async with writing(database) as transaction:
            await inbox.process([fact_record(case_id(), report())])
            await read_topic(kafka, topics, "Progressed", at_least(1))
            await transaction.rollback()
        await inbox.process([fact_record(case_id(), report())])
        await eventually(lambda: drained(database), what="the outbox")
    assert await count(kafka, topics) == 2


async def test_what_was_sent_is_noted_once_the_last_gap_has_gone_though_nothing_follows(
    kafka: str, topics: str, database: Database
) -> None:
    async with relaying(kafka, topics, database):
        async with writing(database) as transaction:
            await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
            await read_topic(kafka, topics, "Progressed", at_least(1))
            await transaction.rollback()
        await eventually(lambda: drained(database), what="the outbox")
    assert await count(kafka, topics) == 1


async def test_what_was_sent_before_a_clean_stop_is_not_sent_again(
    kafka: str, topics: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "_NOTE_SECONDS", 3600.0)
    rounds, acknowledge = 0, Outbox.acknowledge

    def counted(outbox: Outbox) -> None:
        nonlocal rounds
        acknowledge(outbox)
        rounds += 1

    async def another_than(before: int) -> bool:
        return rounds > before

    monkeypatch.setattr(Outbox, "acknowledge", counted)
    inbox = Inbox(MODEL, database, wall_clock)
    for sent in range(1, 4):
        async with relaying(kafka, topics, database):
            await inbox.process([fact_record(case_id(), report())])
            await read_topic(kafka, topics, "Progressed", at_least(sent))
            now = rounds
            await eventually(lambda now=now: another_than(now), what="the relay knows that it was sent")
    assert await drained(database)
    assert await count(kafka, topics) == 3


async def test_a_gap_is_kept_for_a_transaction_that_began_after_the_one_that_ended(database: Database) -> None:
    """The one that takes the position may have the highest id of all; only those that have ended end a snapshot."""
    connection = await database.connect()
    outbox, other = await Outbox.open(connection, database.watched), case_id()
    async with database.pool.acquire() as early:
        ends = early.transaction()
        await ends.start()
        await early.execute("INSERT INTO streams (stream_id, version, sequence) VALUES ($1, 1, 1)", other)
        async with writing(database) as late:
            columns = "stream_id, version, own, topic, event_id, body"
            await early.execute(f"INSERT INTO events ({columns}) VALUES ($1, 1, true, 'Progressed', 'x', '')", other)
            await ends.commit()
            found = [*await outbox.read(100), *await outbox.read(100)]
            await late.commit()
    found += await outbox.read(100)
    await connection.close()
    assert [one.position for one in found] == [2, 1]


async def test_a_stop_while_facts_are_set_apart_does_not_pass_them(
    kafka: str, topics: str, database: Database, empty_database: Server
) -> None:
    await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
    await database.fetch(_TO_NOBODY)
    holder = await asyncpg.connect(empty_database.admin_url)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    try:
        async with holder.transaction(), relaying(kafka, topics, database):
            await holder.execute("LOCK TABLE tally.unsent IN EXCLUSIVE MODE")
            await eventually(lambda: holder.fetchval(waiting), what="the relay waits for the table")
    finally:
        await holder.close()
    assert [row["topic"] for row in await database.fetch("SELECT aggregatetype AS topic FROM unpublished")][-1:] == [
        "to.nobody"
    ]


async def test_a_row_that_names_no_event_holds_nothing_up_and_is_named(
    kafka: str, topics: str, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Operators write there, too: what is to be sent again."""
    await database.fetch("INSERT INTO unsent (topic, stream_id, version) VALUES ('Progressed', 'nobody', 1)")
    async with relaying(kafka, topics, database) as relay:
        await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
        await read_topic(kafka, topics, "Progressed", at_least(1))
        await eventually(lambda: without_fault(relay), what="the relay works")
        said = "rows of the table unsent name events that are not there: topics Progressed"

        async def named() -> bool:
            return said in caplog.text

        await eventually(named, what="a line of the log")
        await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
        await read_topic(kafka, topics, "Progressed", at_least(2))


async def test_a_topic_that_was_deleted_holds_up_its_own_facts_alone(
    kafka: str, topics: str, database: Database, make_topics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "_DEADLINE_SECONDS", 2.0)
    await make_topics(topics, names=("to.nobody",))
    inbox = Inbox(MODEL, database, wall_clock)
    async with relaying(kafka, topics, database) as relay:
        await inbox.process([fact_record(case_id(), report())])
        await database.fetch(_TO_NOBODY)
        await eventually(lambda: drained(database), what="the outbox")
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        await admin.delete_topics([topics + "to.nobody"])
        await admin.close()
        await database.fetch(_TO_NOBODY)
        await inbox.process([fact_record(case_id(), report())])
        await read_topic(kafka, topics, "Progressed", at_least(2), seconds=60)

        async def named() -> bool:
            return relay.missing == [topics + "to.nobody"] or relay.missing == ["to.nobody"]

        await eventually(named, what="the missing topic is named")


async def test_a_long_transaction_of_somebody_else_holds_no_event_up(
    kafka: str, topics: str, database: Database, empty_database: Server
) -> None:
    """It has an id and takes no position, as a rebuild does, or another service's."""
    other = await asyncpg.connect(empty_database.admin_url)
    try:
        async with other.transaction(), writing(database) as transaction, relaying(kafka, topics, database):
            await other.execute("CREATE TABLE long_work ()")
            await Inbox(MODEL, database, wall_clock).process([fact_record(case_id(), report())])
            await read_topic(kafka, topics, "Progressed", at_least(1))
            await transaction.commit()

            async def both() -> bool:
                return await count(kafka, topics) == 2

            await eventually(both, what="what the writer committed")
    finally:
        await other.close()


async def test_the_next_event_of_a_case_gets_its_position_after_the_commit_of_the_one_before(
    database: Database,
) -> None:
    case = case_id()
    inbox = Inbox(MODEL, database, wall_clock)
    await inbox.process([fact_record(case, report())])
    async with database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE streams SET version = version + 1, sequence = sequence + 1")
        await connection.execute(ANOTHER, case)
        waiting = asyncio.create_task(inbox.process([fact_record(case, MORE, sequence=2)]))
        await eventually(lambda: waits_for_a_lock(database), what="the second writer waits for the first")
        await transaction.commit()
        await waiting
    rows = await database.fetch("SELECT version FROM events WHERE own ORDER BY position")
    assert [row["version"] for row in rows] == sorted(row["version"] for row in rows)
    assert len(rows) == 3


@pytest.mark.parametrize("statement", range(4))
async def test_a_case_is_in_order_whatever_is_committed_between_two_looks_of_the_relay(
    database: Database, statement: int
) -> None:
    inbox = Inbox(MODEL, database, wall_clock)
    case = case_id()
    seen = 0

    async def watched(connection: asyncpg.Connection, asked: Awaitable[Any]) -> Any:
        nonlocal seen
        found = await asked
        seen += 1
        if seen == statement + 1 and looks:
            await transaction.commit()
            await database.fetch(ANOTHER, case)
        return found

    looks = False
    connection = await database.connect()
    try:
        outbox = await Outbox.open(connection, watched)
        async with writing(database, case) as transaction:
            await inbox.process([fact_record(case_id(), report())])
            await outbox.read(100)  # the open transaction's position is a gap now
            looks, seen = True, 0
            found = [one for _ in range(3) for one in await outbox.read(100)]
    finally:
        await connection.close()
    assert [one.version for one in found if one.stream_id == case] == [1, 2]


async def waits_for_a_lock(database: Database) -> bool:
    query = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(await database.fetch(query))


ANOTHER = """
INSERT INTO events (stream_id, version, own, topic, event_id, body)
SELECT stream_id, version + 1, true, topic, event_id, body FROM events WHERE stream_id = $1
 ORDER BY version DESC LIMIT 1
"""


@asynccontextmanager
async def writing(database: Database, case: str | None = None) -> AsyncIterator[Any]:
    """A transaction that has written a case of its own, and is still open; whoever uses it ends it."""
    case = case or case_id()
    async with database.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO streams (stream_id, version, sequence) VALUES ($1, 1, 1)", case)
        await connection.execute(
            "INSERT INTO events (stream_id, version, own, topic, event_id, body)"
            " VALUES ($1, 1, true, 'Progressed', 'x', $2)",
            case,
            (fact_record(case, report()).value or b"").replace(b"ReportFiled", b"Progressed"),
        )
        yield transaction


async def test_what_is_sent_are_the_bytes_that_were_stored_in_the_order_of_the_case(
    kafka: str, topics: str, database: Database
) -> None:
    cases = [case_id() for _ in range(50)]
    inbox = Inbox(MODEL, database, wall_clock)
    await inbox.process([fact_record(case, report()) for case in cases])
    for _ in range(3):
        await inbox.process([fact_record(case, MORE, sequence=2) for case in cases])
    async with relaying(kafka, topics, database):
        events = await read_topic(kafka, topics, "Progressed", at_least(200))
    for case in cases:
        assert [event.sequence for event in events if event.subject == case] == [f"{n:010d}" for n in range(1, 5)]
    stored = {row["body"] for row in await database.fetch("SELECT body FROM events WHERE own")}
    assert set(await values(kafka, topics)) == stored


async def test_a_commit_wakes_the_relay(
    kafka: str, topics: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever process commits: facts do not wait until the relay looks of its own accord."""
    monkeypatch.setattr(relay_module, "_POLL_SECONDS", 600.0)
    inbox = Inbox(MODEL, database, wall_clock)
    await inbox.process([fact_record(case_id(), report())])
    async with relaying(kafka, topics, database):
        await read_topic(kafka, topics, "Progressed", at_least(1))
        await inbox.process([fact_record(case_id(), report())])
        await read_topic(kafka, topics, "Progressed", at_least(2))


async def test_two_relays_at_once_and_one_stopped_midway_lose_nothing_and_keep_first_occurrences_in_order(
    kafka: str, topics: str, database: Database
) -> None:
    case = case_id()
    inbox = Inbox(MODEL, database, wall_clock)
    await inbox.process([fact_record(case, report())])
    for _ in range(400):
        await inbox.process([fact_record(case, MORE)])
    async with relaying(kafka, topics, database), relaying(kafka, topics, database):
        await read_topic(kafka, topics, "Progressed", at_least(5))
    async with relaying(kafka, topics, database):
        await eventually(lambda: drained(database), what="the outbox")
    events = await read_topic(kafka, topics, "Progressed", at_least(401))
    first_seen = list(dict.fromkeys(event.sequence for event in events))
    assert first_seen == [f"{n:010d}" for n in range(1, 402)]


async def test_a_supplement_reaches_the_service_through_the_broker_once(
    kafka: str, topics: str, tally_database: str
) -> None:
    case = case_id()
    records = [fact_record(case, report()), fact_record(case, Supplement(text="more"), sequence=2)]
    await publish(kafka, topics, [*records, *records])
    async with running(TALLY, tally_database, kafka=kafka, prefix=topics) as tally:
        await eventually(lambda: ready(tally.client), what="readiness")
        events = await read_topic(kafka, topics, "Progressed", at_least(1))
        assert [event.subject for event in events] == [case]

        async def counted() -> bool:
            rows = await tally.runtime.database.fetch("SELECT supplements FROM tallies")
            return [row["supplements"] for row in rows] == [1]

        await eventually(counted, what="the supplement")
        health = (await tally.client.get("/health", headers=token("ops", "administrator"))).json()
        assert health["consumer"]["fault"] is None
        assert health["consumer"]["assigned"] > 0


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/ready")).status_code == 200


async def values(kafka: str, prefix: str) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        prefix + "Progressed", bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        found: list[bytes] = []
        while len(found) < sum(ends.values()):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += [record.value or b"" for record in batch]
    finally:
        await consumer.stop()
    return found


async def count(kafka: str, prefix: str) -> int:
    return len(await values(kafka, prefix))


async def test_what_waits_for_a_topic_that_is_missing_holds_up_nothing_else(
    database: Database, kafka: str, topics: str, make_topics: Callable[..., Awaitable[list[str]]]
) -> None:
    case = case_id()
    await Inbox(MODEL, database, wall_clock).process([fact_record(case, report())])
    await database.pool.execute(
        "INSERT INTO events (stream_id, version, own, topic, event_id, body)"
        " SELECT stream_id, version + 1, true, 'to.nobody', event_id, body FROM events WHERE own"
    )
    async with relaying(kafka, topics, database) as relay:
        await read_topic(kafka, topics, "Progressed", at_least(1))
        assert await eventually(lambda: _missing(relay)) == ["to.nobody"]
        await eventually(lambda: without_fault(relay), what="no fault")
        await make_topics(topics, names=("to.nobody",))
        await eventually(lambda: drained(database), what="the outbox sent")


async def _missing(relay: Relay) -> list[str]:
    return relay.missing
