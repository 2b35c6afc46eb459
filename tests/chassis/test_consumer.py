"""What a group has read, on a real broker: deadlines wait for it, and a new topic is read without a restart."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from chassis.kafka.connection import Connection
from chassis.kafka.consumer import Consumer, Reading
from chassis.kafka.records import Record
from tests.support.facts import case_id, fact_record, record_of, report
from tests.support.services import administering, eventually, publish

NOW = datetime(2026, 5, 9, 8, tzinfo=UTC)
Topics = Callable[..., Awaitable[list[str]]]


class Reader:
    """A consumer that takes in nothing while `held` is set."""

    def __init__(self, kafka: str, prefix: str, topics: list[str]) -> None:
        self.topics = topics
        self.records: list[Record] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        reading = Reading(Connection(kafka), prefix, batch=100, session_seconds=3)
        self.consumer = Consumer(reading, "reader", lambda: self.topics, self._take)

    async def _take(self, records: Sequence[Record]) -> None:
        await self.go_on.wait()
        self.records += records


@asynccontextmanager
async def reading(kafka: str, prefix: str, *topics: str) -> AsyncIterator[Reader]:
    reader = Reader(kafka, prefix, [*topics])
    running = asyncio.create_task(reader.consumer.run())
    try:
        await eventually(lambda: _assigned(reader), what="partitions")
        yield reader
    finally:
        reader.go_on.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _assigned(reader: Reader) -> bool:
    return reader.consumer.assigned() > 0


async def test_all_is_read_only_once_it_has_taken_effect(kafka: str, topics: str) -> None:
    async with reading(kafka, topics, "ReportFiled") as reader:
        assert await reader.consumer.read_up_to(NOW)
        reader.go_on.clear()
        await publish(kafka, topics, [fact_record(case_id(), report())])
        assert not await reader.consumer.read_up_to(NOW)
        reader.go_on.set()
        assert await eventually(lambda: reader.consumer.read_up_to(NOW))
        assert len(reader.records) == 1


async def test_what_another_worker_of_the_group_has_not_read_counts(kafka: str, topics: str) -> None:
    async with reading(kafka, topics, "ReportFiled") as one, reading(kafka, topics, "ReportFiled") as other:
        await eventually(lambda: _shared(one, other), what="a share for each")
        other.go_on.clear()
        records = [fact_record(case_id(), report()) for _ in range(30)]
        await publish(kafka, topics, records)
        assert not await one.consumer.read_up_to(NOW)
        other.go_on.set()
        assert await eventually(lambda: one.consumer.read_up_to(NOW))
        assert len(one.records) + len(other.records) == 30


async def test_who_writes_without_end_does_not_put_the_deadlines_off(kafka: str, topics: str) -> None:
    async with reading(kafka, topics, "ReportFiled") as reader:
        reader.go_on.clear()
        await publish(kafka, topics, [fact_record(case_id(), report())])
        assert await reader.consumer.read_up_to(NOW) is None
        reader.go_on.set()
        await eventually(lambda: _read(reader, 1), what="the first report")
        reader.go_on.clear()
        await publish(kafka, topics, [fact_record(case_id(), report())])
        later = NOW + timedelta(hours=1)
        assert await eventually(lambda: reader.consumer.read_up_to(later)) == NOW
        assert await reader.consumer.read_up_to(later) is None


async def _shared(one: Reader, other: Reader) -> bool:
    return (
        one.consumer.assigned() + other.consumer.assigned() == 3
        and min(one.consumer.assigned(), other.consumer.assigned()) > 0
    )


async def test_a_long_backlog_on_one_topic_does_not_put_the_others_off(kafka: str, topics: str) -> None:
    await publish(kafka, topics, [record_of(b"{}", case_id(), "ReportFiled") for _ in range(3_000)])
    await publish(kafka, topics, [record_of(b"{}", case_id(), "Resolved") for _ in range(50)])
    async with reading(kafka, topics, "ReportFiled", "Resolved") as reader:
        await eventually(lambda: _read(reader, 3_050), what="all records")
        assert max(place for place, one in enumerate(reader.records) if one.topic == "Resolved") < 1_000


async def test_a_storm_on_one_partition_takes_its_share_of_the_others_topic_alone(kafka: str, topics: str) -> None:
    """Of a topic with three partitions a third while the others have some: of 100 in a batch some 33."""
    junk, good = b"junk", [case_id().encode() for _ in range(300)]
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        name = f"{topics}ReportFiled"
        for _ in range(20_000):
            await producer.send(name, junk, partition=0)
        for place, key in enumerate(good):
            await producer.send(name, b"good", key=key, partition=1 + place % 2)
        await producer.flush()
    finally:
        await producer.stop()
    async with reading(kafka, topics, "ReportFiled") as reader:
        await eventually(lambda: _read(reader, 20_300), seconds=60, what="all records")
        behind = max(place for place, one in enumerate(reader.records) if one.value == b"good")
        assert behind < 300 * 3 + 300


async def test_a_topic_that_was_deleted_does_not_stop_the_deadlines(kafka: str, topics: str) -> None:
    async with reading(kafka, topics, "ReportFiled", "Resolved") as reader:
        assert await reader.consumer.read_up_to(NOW)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        await admin.delete_topics([topics + "Resolved"])
        await admin.close()

        async def named() -> bool:
            await publish(kafka, topics, [fact_record(case_id(), report())])
            return reader.consumer.missing() == [topics + "Resolved"]

        await eventually(named, seconds=90, every=0.5, what="the missing topic is named")
        assert await eventually(lambda: reader.consumer.read_up_to(NOW))


async def test_a_transactions_markers_are_no_backlog(kafka: str, topics: str) -> None:
    """A partner may write in transactions: their markers take offsets, but are no records."""
    async with reading(kafka, topics, "ReportFiled") as reader:
        producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topics}writer")
        await producer.start()
        try:
            record = fact_record(case_id(), report())
            async with producer.transaction():
                await producer.send_and_wait(topics + "ReportFiled", key=record.key, value=record.value)
        finally:
            await producer.stop()
        assert await eventually(lambda: reader.consumer.read_up_to(NOW))
        assert [one.is_marker for one in reader.records] == [False, True]


async def test_a_transaction_beside_a_steady_trickle_does_not_put_the_deadlines_off(kafka: str, topics: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topics}writer")
    await producer.start()
    trickling = asyncio.create_task(_trickle(kafka, topics))
    try:
        record = fact_record(case_id(), report())
        async with producer.transaction():
            await producer.send_and_wait(topics + "ReportFiled", key=record.key, value=record.value)
        async with reading(kafka, topics, "ReportFiled", "Resolved") as reader:
            await eventually(lambda: _read(reader, 10), what="the trickle")
            assert await eventually(lambda: reader.consumer.read_up_to(NOW), seconds=10)
    finally:
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
        await producer.stop()


async def _trickle(kafka: str, topics: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        while True:
            record = record_of(b"{}", case_id(), topic="Resolved")
            await producer.send_and_wait(topics + "Resolved", key=record.key, value=record.value)
    finally:
        await producer.stop()


async def test_what_a_partner_packs_is_unpacked_by_the_broker_and_refused_where_it_is_too_large(
    kafka: str, topics: str, make_topics: Topics
) -> None:
    """A record of a few kilobytes may be a gigabyte for who reads it, or packed by a codec that a reader lacks."""
    await make_topics(topics, partners=("water",), names=())
    producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type="gzip", max_request_size=100_000_000)
    await producer.start()
    try:
        await producer.send_and_wait(topics + "from.water", value=b"0" * 100_000, key=b"k")
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(topics + "from.water", value=b"0" * 30_000_000, key=b"k")
    finally:
        await producer.stop()
    async with reading(kafka, topics, "from.water") as reader:
        await eventually(lambda: _read(reader, 1), what="the partner's record")
        assert len(reader.records[0].value or b"") == 100_000


async def test_a_topic_that_is_registered_later_is_read_from_its_beginning_without_a_restart(
    kafka: str, topics: str, make_topics: Topics
) -> None:
    async with reading(kafka, topics, "ReportFiled") as reader:
        await make_topics(topics, partners=("water",), names=())
        raw = record_of(b"{}", case_id(), topic="from.water")
        await publish(kafka, topics, [raw])
        reader.topics = ["ReportFiled", "from.water"]
        await eventually(lambda: _read(reader, 1), what="the partner's record")
        assert reader.records[0].topic == "from.water"
        assert reader.records[0].appended_ms is not None
        reader.topics = ["ReportFiled"]
        await publish(kafka, topics, [fact_record(case_id(), report())])
        await eventually(lambda: _read(reader, 2), what="a report")
        assert reader.records[1].appended_ms is None


async def test_a_time_that_the_broker_did_not_write_down_is_not_believed(
    kafka: str, topics: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends a record chooses its timestamp, unless the topic keeps LogAppendTime."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topics + "from.water", 1, 1)])
    finally:
        await admin.close()
    async with reading(kafka, topics, "from.water") as reader:
        await publish(kafka, topics, [record_of(b"{}", case_id(), topic="from.water")] * 2)
        await eventually(lambda: _read(reader, 2), what="the partner's records")
        assert [record.appended_ms for record in reader.records] == [None, None]
        assert [words for words in caplog.messages if "LogAppendTime" in words] == [
            "from.water does not keep LogAppendTime: what comes on it counts as arrived when it is read"
        ]


async def test_a_topic_that_is_not_there_holds_no_other_back_and_is_read_when_it_comes(
    kafka: str, topics: str, make_topics: Topics
) -> None:
    async with reading(kafka, topics, "ReportFiled", "from.water") as reader:
        await publish(kafka, topics, [fact_record(case_id(), report())])
        await eventually(lambda: _read(reader, 1), what="the report")
        assert await eventually(lambda: reader.consumer.read_up_to(NOW))
        await make_topics(topics, partners=("water",), names=())
        await publish(kafka, topics, [record_of(b"{}", case_id(), topic="from.water")])
        await eventually(lambda: _read(reader, 2), what="the partner's record")


async def _read(reader: Reader, count: int) -> bool:
    return len(reader.records) >= count


async def test_offsets_are_committed_a_second_later_at_most_and_not_with_every_batch(kafka: str, topics: str) -> None:
    async with reading(kafka, topics, "ReportFiled") as reader, administering(kafka) as admin:
        seen: set[int] = set()
        for number in range(1, 40):
            await publish(kafka, topics, [fact_record(case_id(), report())])
            await eventually(lambda number=number: _read(reader, number), what=f"report {number}")
            seen.add(await _committed(admin, topics))
        assert len(seen) < 20  # with every batch it would be 39
        assert await eventually(lambda: _all_committed(admin, topics, 39), what="the last offsets", seconds=5)


async def test_a_consumer_that_stops_commits_what_has_taken_effect(kafka: str, topics: str) -> None:
    async with administering(kafka) as admin:
        async with reading(kafka, topics, "ReportFiled") as reader:
            await publish(kafka, topics, [fact_record(case_id(), report()) for _ in range(20)])
            await eventually(lambda: _read(reader, 20), what="all reports")
        assert await _committed(admin, topics) == 20


async def test_partitions_that_go_to_another_worker_are_not_read_again(kafka: str, topics: str) -> None:
    async with reading(kafka, topics, "ReportFiled") as one:
        await publish(kafka, topics, [fact_record(case_id(), report()) for _ in range(20)])
        await eventually(lambda: _read(one, 20), what="all reports")
        async with reading(kafka, topics, "ReportFiled") as other:
            await eventually(lambda: _shared(one, other), what="a share for each")
            await publish(kafka, topics, [fact_record(case_id(), report()) for _ in range(20)])
            await eventually(lambda: _both_read(one, other, 40), what="all reports")
            offsets = [(record.partition, record.offset) for record in (*one.records, *other.records)]
            assert len(set(offsets)) == len(offsets) == 40


async def test_a_flow_of_records_is_taken_in_together_and_a_single_one_at_once(kafka: str, topics: str) -> None:
    batches: list[tuple[float, int]] = []

    async def take(records: Sequence[Record]) -> None:
        batches.append((time.monotonic(), len(records)))

    paced = Reading(Connection(kafka), topics, batch=100, session_seconds=3, pace_seconds=0.5)
    consumer = Consumer(paced, "paced", lambda: ["ReportFiled"], take)
    running = asyncio.create_task(consumer.run())
    try:
        await eventually(lambda: _has_partitions(consumer), what="partitions")
        for _ in range(30):
            await publish(kafka, topics, [fact_record(case_id(), report())])
        await eventually(lambda: _taken(batches, 30), what="all reports")
        assert len(batches) < 15
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(batches)]
        assert all(gap > 0.4 for gap in gaps)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_the_longer_batches_take_the_further_apart_they_begin(kafka: str, topics: str) -> None:
    batches: list[tuple[float, int]] = []

    async def take(records: Sequence[Record]) -> None:
        batches.append((time.monotonic(), len(records)))
        worked = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.05, worked.set_result, None)
        await worked

    reading = Reading(Connection(kafka), topics, batch=100, session_seconds=3, pace_seconds=0.02)
    consumer = Consumer(reading, "rested", lambda: ["ReportFiled"], take)
    running = asyncio.create_task(consumer.run())
    try:
        await eventually(lambda: _has_partitions(consumer), what="partitions")
        for _ in range(60):
            await publish(kafka, topics, [fact_record(case_id(), report())])
        await eventually(lambda: _taken(batches, 60), what="all reports")
        gaps = [later - earlier for (earlier, _), (later, _) in pairwise(batches)]
        assert len(gaps) > 1
        assert all(gap > 0.19 for gap in gaps)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _has_partitions(consumer: Consumer) -> bool:
    return consumer.assigned() > 0


async def _taken(batches: list[tuple[float, int]], count: int) -> bool:
    return sum(size for _, size in batches) >= count


async def _both_read(one: Reader, other: Reader, count: int) -> bool:
    return len(one.records) + len(other.records) >= count


async def _committed(admin: AIOKafkaAdminClient, topics: str) -> int:
    """The sum of what the group of `reading` has committed."""
    found = await admin.list_consumer_group_offsets(topics + "reader")
    return sum(max(one.offset, 0) for one in found.values())


async def _all_committed(admin: AIOKafkaAdminClient, topics: str, count: int) -> bool:
    return await _committed(admin, topics) == count
