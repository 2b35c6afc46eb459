"""What a client or a disk can put on a topic, on a real broker: consumer and tail read on, and lose nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import cramjam
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.kafka.completion import stopped
from chassis.kafka.connection import Connection
from chassis.kafka.consumer import Consumer, Reading
from chassis.kafka.reader import KafkaReader
from chassis.kafka.records import Record
from chassis.kafka.tail import Positions, Tail
from chassis.retry import FIRST_SECONDS
from deploy.stack import topics as stack_topics
from deploy.stack.kafka import Kafka
from tests.support.batches import batch, put, record
from tests.support.facts import case_id, record_of
from tests.support.services import eventually, publish

TOPIC = "ReportFiled"
Start = Callable[[Reading], AbstractAsyncContextManager["Follower"]]


class Follower:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    async def positions(self) -> Positions:
        return {}

    async def process(self, records: Sequence[Record]) -> None:
        self.records += records


@asynccontextmanager
async def consumer(reading: Reading, *topics: str) -> AsyncIterator[Follower]:
    follower = Follower()
    one = Consumer(reading, "reader", lambda: topics or [TOPIC], follower.process)
    async with _running(one.run()):
        yield follower
        assert one.fault is None


@asynccontextmanager
async def tail(reading: Reading) -> AsyncIterator[Follower]:
    follower = Follower()
    one = Tail(reading, "reader", lambda: [TOPIC], follower, lambda: True)
    async with _running(one.run()):
        yield follower
        assert one.fault is None


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def taken_in(follower: Follower, number: int) -> list[Record]:
    async def enough() -> bool:
        return len(follower.records) >= number

    await eventually(enough, seconds=40, what=f"{number} records")
    return sorted(follower.records, key=lambda one: (one.partition, one.offset))


EVERY_READER = pytest.mark.parametrize("reader", [consumer, tail])


@EVERY_READER
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_every_codec_is_read(kafka: str, topics: str, reader: Start, codec: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, compression_type=codec, linger_ms=50)
    await producer.start()
    try:
        values = [b"%d " % place * 50 for place in range(40)]
        sent = [await producer.send(topics + TOPIC, value, key=b"case", partition=1) for value in values]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    async with reader(Reading(Connection(kafka), topics, batch=100, session_seconds=3)) as follower:
        found = await taken_in(follower, 40)
    assert [(one.value, one.unread) for one in found] == [(value, None) for value in values]


@EVERY_READER
async def test_what_a_client_can_write_stops_no_partition(kafka: str, topics: str, reader: Start) -> None:
    """Also beside each other: a partition with such records and one without."""
    bomb = bytes(cramjam.zstd.compress(record(0, bytes(96 * 1024 * 1024))))
    odd = [
        batch([record(0, b"1", headers=[(b"na\xffme", b"")])]),
        batch([record(0, b"2"), record(0, b"3"), record(7, b"4")]),
        batch([b""], codec=4, packed=bomb),
        batch([b""], codec=4, packed=bytes(cramjam.zstd.compress(record(0, bytes(3 * 1024 * 1024))))),
    ]
    for raw in odd:
        await put(kafka, topics + TOPIC, 0, raw)
    await put(kafka, topics + TOPIC, 0, batch([record(0, b"last")]))
    await put(kafka, topics + TOPIC, 2, batch([record(0, b"other")]))
    async with reader(Reading(Connection(kafka), topics, batch=100, session_seconds=3)) as follower:
        found = await taken_in(follower, 8)
    assert [(one.partition, one.offset, one.value, one.unread is None) for one in found] == [
        (0, 0, b"1", False),
        (0, 1, b"2", True),
        (0, 2, b"3", False),
        (0, 3, b"4", False),
        (0, 4, found[4].value, False),
        (0, 5, None, False),
        (0, 6, b"last", True),
        (2, 0, b"other", True),
    ]
    assert (found[4].value or b"").endswith(bomb)


@EVERY_READER
async def test_what_is_wrong_on_a_disk_costs_that_batch_alone(own_kafka: Kafka, reader: Start) -> None:
    await stack_topics.create(own_kafka.administrator, [TOPIC], 1)
    for value in (b"first" * 20, b"second" * 20, b"third" * 20):
        await publish(own_kafka.bootstrap, "", [record_of(value, case_id(), TOPIC)])
    (log,) = own_kafka.data_dir.glob(f"{TOPIC}-0/*.log")
    raw = log.read_bytes()
    log.write_bytes(raw.replace(b"second" * 20, b"SECOND" * 20))
    async with reader(Reading(Connection(own_kafka.bootstrap), "", batch=100, session_seconds=3)) as follower:
        found = await taken_in(follower, 3)
    assert [one.unread is None for one in found] == [True, False, True]
    assert b"SECOND" * 20 in (found[1].value or b"")
    assert found[1].unread == "the batch cannot be read: its checksum is wrong"


@EVERY_READER
async def test_what_a_transaction_wrote_is_read_and_its_markers_take_offsets(
    kafka: str, topics: str, reader: Start
) -> None:
    """Committed, aborted and still open alike: a transaction hides nothing, and holds nothing back."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topics}writer")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topics + TOPIC, b"committed", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topics + TOPIC, b"aborted", partition=0)
        await producer.abort_transaction()
        await producer.begin_transaction()
        await producer.send_and_wait(topics + TOPIC, b"open", partition=0)
        async with reader(Reading(Connection(kafka), topics, batch=100, session_seconds=3)) as follower:
            found = await taken_in(follower, 5)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    assert [(one.offset, one.value, one.is_marker) for one in found] == [
        (0, b"committed", False),
        (1, b"", True),
        (2, b"aborted", False),
        (3, b"", True),
        (4, b"open", False),
    ]


async def test_a_reader_whose_fetching_has_ended_says_so(kafka: str, topics: str) -> None:
    """aiokafka logs it, and its `getmany` gives nothing for ever."""
    one = KafkaReader(**Connection(kafka).options(), group_id=None)
    await one.start()
    try:

        async def broken(assignment: Any, node_id: Any, request: Any) -> bool:
            raise ValueError("something unforeseen")

        assert one._fetcher is not None
        one._fetcher._proc_fetch_request = broken
        one.assign([TopicPartition(topics + TOPIC, 0)])

        async def ended() -> bool:
            try:
                await one.getmany(timeout_ms=100)
            except KafkaError:
                return True
            return False

        await eventually(ended, what="an error")
    finally:
        await stopped(one.stop(), seconds=10)


async def test_a_consumer_whose_fault_lasts_joins_its_group_ever_more_seldom(kafka: str, topics: str) -> None:
    """Each time it joins, all members of the group stop."""
    await publish(kafka, topics, [record_of(b"{}", case_id(), TOPIC)])
    times: list[float] = []

    async def process(records: Sequence[Record]) -> None:
        times.append(time.monotonic())
        raise KafkaError("the client cannot go on")

    async def enough() -> bool:
        return len(times) >= 7

    one = Consumer(Reading(Connection(kafka), topics, batch=100, session_seconds=3), "reader", lambda: [TOPIC], process)
    async with _running(one.run()):
        await eventually(enough, seconds=60, what="seven attempts")
    assert times[6] - times[5] >= FIRST_SECONDS * 2**5


DAMAGE = {
    "a length that is too long": (8, b"\0\0\x7f\xff"),
    "a length below zero": (8, b"\xff\xff\xff\xff"),
}


async def test_where_the_broker_loses_its_way_in_a_file_the_reader_finds_on(own_kafka: Kafka) -> None:
    """No checksum covers the length of a batch: where it is wrong, that offset is never served, or with an error."""
    names = [f"damaged-{which}-{place}" for which in range(len(DAMAGE)) for place in (0, 5)]
    await stack_topics.create(own_kafka.administrator, names, 1)
    values = [b"%02d" % place * 250 for place in range(20)]
    producer = AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap)
    await producer.start()
    for value in values:
        await asyncio.gather(*[producer.send_and_wait(name, value) for name in names])
    await producer.stop()
    for name in names:
        _, which, place = name.split("-")
        begin, to = list(DAMAGE.values())[int(which)]
        (log,) = own_kafka.data_dir.glob(f"{name}-0/*.log")
        raw = log.read_bytes()
        begin += raw.index(b"\0" * 4 + bytes([0, 0, 0, int(place)])) if int(place) else 0
        log.write_bytes(raw[:begin] + to + raw[begin + len(to) :])

    async with consumer(Reading(Connection(own_kafka.bootstrap), "", batch=100, session_seconds=3), *names) as follower:

        async def all_passed() -> bool:
            reached = {one.topic: one.next_offset for one in follower.records}
            return [reached.get(name) for name in names] == [20] * len(names)

        await eventually(all_passed, seconds=120, every=0.5, what="the ends of all topics")
    for name in names:
        found = [one for one in follower.records if one.topic == name]
        covered = [offset for one in found for offset in range(one.offset, one.next_offset)]
        assert covered == list(range(20)), name
        assert all(one.value == values[one.offset] for one in found if one.unread is None), name
        place = int(name.rsplit("-", 1)[1])
        unread = [(one.offset, one.next_offset) for one in found if one.unread is not None]
        assert len(unread) == 1, name
        assert unread[0][0] == place, name
        if place:
            assert unread == [(5, 6)], name
