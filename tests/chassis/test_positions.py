"""Where a partition is read from, on a real broker and a real database: no record is passed over without a word."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.records_to_delete import RecordsToDelete

from chassis.kafka.connection import Connection
from chassis.kafka.consumer import Consumer, Reading
from chassis.kafka.positions import Ends, Positions, Verdict, judge
from chassis.kafka.records import Record
from chassis.store.database import Database
from chassis.store.taken import Ledger, Skip, Taken
from tests.support.batches import batch, put, record
from tests.support.infrastructure import Database as Server
from tests.support.infrastructure import execute
from tests.support.services import administering, eventually

TOPIC = "ReportFiled"
OLD, NEW = uuid4(), uuid4()


@pytest.mark.parametrize(
    ("committed", "taken", "ends", "adopt", "position", "until", "said"),
    [
        (7, Taken(7, OLD), Ends(0, 9, OLD), False, 7, None, False),  # as it should be
        (5, Taken(7, OLD), Ends(0, 9, OLD), False, 5, None, False),  # a crash before the broker was told
        (9, Taken(7, OLD), Ends(0, 9, OLD), False, 7, None, True),  # moved ahead
        (None, Taken(7, OLD), Ends(0, 9, OLD), False, 7, None, False),  # lost
        (None, None, Ends(0, 9, OLD), False, 0, None, False),  # never read
        (9, None, Ends(0, 9, OLD), False, 0, None, True),  # an empty store, and a group that has come far
        (6, None, Ends(0, 9, OLD), True, 6, None, False),  # the version before kept no positions
        (None, None, Ends(3, 9, OLD), False, 0, 2, True),  # never read, and gone
        (7, Taken(7, OLD), Ends(8, 9, OLD), False, 7, 7, True),  # gone
        (9, Taken(7, OLD), Ends(9, 9, OLD), False, 7, 8, True),  # gone, and moved ahead
        (0, Taken(7, OLD), Ends(3, 9, OLD), False, 3, None, False),  # sent back to the start
        (7, Taken(7, OLD), Ends(0, 4, OLD), False, 0, None, True),  # the broker has lost the tail
        (7, Taken(7, OLD), Ends(0, 9, NEW), False, 0, None, True),  # made anew, and grown
        (None, Taken(7, OLD), Ends(2, 9, NEW), False, 0, 1, True),  # made anew, and lost some since
        (7, Taken(7, None), Ends(0, 9, NEW), False, 7, None, False),  # known from a broker that did not tell
    ],
)
def test_what_has_taken_effect_decides(
    committed: int | None,
    taken: Taken | None,
    ends: Ends,
    adopt: bool,
    position: int,
    until: int | None,
    said: bool,
) -> None:
    found = judge(committed, taken, ends, adopt=adopt)
    assert found == Verdict(position, until, found.words)
    assert (found.words is not None) == said


class Worker:
    """A worker that keeps what it is given."""

    def __init__(self, database: Database, kafka: str, prefix: str, group: str = "reader") -> None:
        self.records: list[Record] = []
        self.skipped: list[tuple[Record, str]] = []
        self.faults: list[Exception] = []
        self.positions = Positions(Ledger(database), "reader", self._skip)
        reading = Reading(Connection(kafka), prefix, batch=100, session_seconds=3)
        self.consumer = Consumer(reading, group, lambda: [TOPIC], self._take, self.positions)

    async def _take(self, records: Sequence[Record]) -> None:
        if any(one.value == b"poison" for one in records):
            raise ConnectionError("it never passes")
        self.records += records

    async def _skip(self, record: Record, skip: Skip) -> None:
        self.skipped.append((record, skip.reason))

    def values(self, partition: int = 0) -> list[bytes]:
        return [one.value or b"" for one in self.records if one.partition == partition]


@asynccontextmanager
async def working(database: Database, kafka: str, prefix: str, group: str = "reader") -> AsyncIterator[Worker]:
    worker = Worker(database, kafka, prefix, group)
    task = asyncio.create_task(worker.consumer.run())
    try:
        yield worker
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def publish(kafka: str, prefix: str, *values: bytes, partition: int = 0) -> None:
    for value in values:
        await put(kafka, prefix + TOPIC, partition, batch([record(0, value)]))


async def taken_in(worker: Worker, *values: bytes, partition: int = 0) -> None:
    async def there() -> bool:
        return worker.values(partition) == list(values)

    try:
        await eventually(there, seconds=30)
    except AssertionError:
        assert worker.values(partition) == list(values)


async def move_group(kafka: str, group: str, topic: str, offset: int) -> None:
    """As `kafka-consumer-groups --reset-offsets` does."""
    one = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await one.start()
    one.assign([TopicPartition(topic, 0)])
    await one.commit({TopicPartition(topic, 0): offset})
    await one.stop()


async def delete_before(kafka: str, topic: str, offset: int, partition: int = 0) -> None:
    """As retention does."""
    async with administering(kafka) as admin:
        await admin.delete_records({TopicPartition(topic, partition): RecordsToDelete(offset)})


async def test_a_group_that_was_moved_ahead_loses_nothing(
    database: Database, kafka: str, topics: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1", b"2")
        await taken_in(worker, b"1", b"2")
    await publish(kafka, topics, b"3", b"4", b"5")
    await move_group(kafka, topics + "reader", topics + TOPIC, 5)
    async with working(database, kafka, topics) as worker:
        await taken_in(worker, b"3", b"4", b"5")
        assert "the group's offset 5 is ahead of the 2" in str(worker.positions.health()["remarks"])
    assert "the group's offset 5 is ahead of the 2" in caplog.text


async def test_a_group_without_offsets_is_read_on_where_it_was(database: Database, kafka: str, topics: str) -> None:
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1", b"2")
        await taken_in(worker, b"1", b"2")
    await publish(kafka, topics, b"3")
    async with working(database, kafka, topics, "another") as worker:  # of which the broker knows nothing
        await taken_in(worker, b"3")


async def test_an_empty_store_reads_from_the_start_whatever_the_group_says(
    database: Database, kafka: str, topics: str
) -> None:
    await publish(kafka, topics, b"1", b"2")
    await move_group(kafka, topics + "reader", topics + TOPIC, 2)
    async with working(database, kafka, topics) as worker:
        await taken_in(worker, b"1", b"2")


async def test_after_an_upgrade_the_groups_offset_is_believed_once(
    database: Database, empty_database: Server, kafka: str, topics: str
) -> None:
    await execute(
        empty_database.admin_url,
        "UPDATE tally.migrations SET applied_at = applied_at - interval '1 day' WHERE number = 1",
    )
    await publish(kafka, topics, b"1", b"2")
    await move_group(kafka, topics + "reader", topics + TOPIC, 1)
    async with working(database, kafka, topics) as worker:
        await taken_in(worker, b"2")
    await publish(kafka, topics, b"3")
    await move_group(kafka, topics + "reader", topics + TOPIC, 3)
    async with working(database, kafka, topics) as worker:
        await taken_in(worker, b"3")


async def test_records_that_are_gone_are_named_and_waited_for_while_the_rest_goes_on(
    database: Database, kafka: str, topics: str
) -> None:
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1")
        await taken_in(worker, b"1")
    await publish(kafka, topics, b"2", b"3", b"4")
    await delete_before(kafka, topics + TOPIC, 3)
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"other", partition=1)
        await taken_in(worker, b"other", partition=1)
        await eventually(lambda: _gone(worker), what="what is gone")
        words = worker.consumer.lacking() or ""
        assert "ReportFiled/0@1: records are gone from the topic before they were read: 1 to 2" in words
        assert "make skip SERVICE=reader TOPIC=ReportFiled PARTITION=0 OFFSET=1" in words
        assert worker.values() == []
        asked_at = await Ledger(database).ask(TOPIC, 0, 1, "operator", "seen in audit")
        await taken_in(worker, b"4")
        assert worker.consumer.lacking() is None
        [(stepped, reason)] = worker.skipped
        assert (stepped.offset, stepped.last, reason) == (1, 2, "seen in audit")
        outcome = await Ledger(database).outcome(TOPIC, 0, 1, asked_at)
        assert outcome is not None
        assert outcome.until == 2
    await publish(kafka, topics, b"5")
    async with working(database, kafka, topics) as worker:
        await taken_in(worker, b"5")


async def _gone(worker: Worker) -> bool:
    """Whether it says that records are gone; the leader of a topic that was just made may not be known before."""
    return "records are gone" in (worker.consumer.lacking() or "")


async def test_records_that_were_never_read_are_gone_too(database: Database, kafka: str, topics: str) -> None:
    await publish(kafka, topics, b"1", b"2")
    await delete_before(kafka, topics + TOPIC, 1)
    async with working(database, kafka, topics) as worker:
        await eventually(lambda: _gone(worker), what="what is gone")
        assert "OFFSET=0" in (worker.consumer.lacking() or "")
        assert worker.values() == []


@pytest.mark.parametrize("number", [1, 4])
async def test_a_topic_that_was_made_anew_is_read_from_its_start(
    database: Database, kafka: str, topics: str, number: int, make_topics: Callable[..., Awaitable[list[str]]]
) -> None:
    """Whether it has fewer records than had taken effect of the old one, or more."""
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1", b"2")
        await taken_in(worker, b"1", b"2")
    await remake(kafka, topics, make_topics)
    values = [b"new %d" % place for place in range(number)]
    await publish(kafka, topics, *values)
    async with working(database, kafka, topics) as worker:
        await taken_in(worker, *values)
        assert "made anew" in str(worker.positions.health()["remarks"])
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"more")
        await taken_in(worker, b"more")


async def remake(kafka: str, prefix: str, make_topics: Callable[..., Awaitable[list[str]]]) -> None:
    async with administering(kafka) as admin:
        await admin.delete_topics([prefix + TOPIC])

        async def deleted() -> bool:
            return prefix + TOPIC not in await admin.list_topics()

        await eventually(deleted, what="the end of the topic")
    await make_topics(prefix, names=(TOPIC,))


async def test_a_record_that_never_passes_is_stepped_over_when_a_person_says_so(
    database: Database, kafka: str, topics: str
) -> None:
    await publish(kafka, topics, b"1", b"poison", b"2")
    async with working(database, kafka, topics) as worker:
        await Ledger(database).ask(TOPIC, 0, 1, "operator", "it is no report")
        await taken_in(worker, b"1", b"2")
        [(stepped, _)] = worker.skipped
        assert (stepped.offset, stepped.value) == (1, b"poison")
