"""Topics read from given positions to the ends that they have now, once: without a group, without effect on others."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import TopicPartition

from chassis.kafka.completion import stopped, to_completion
from chassis.kafka.consumer import LOOK_MS, Reading
from chassis.kafka.reader import KafkaReader
from chassis.kafka.records import Record, record_from
from chassis.retry import NotNow

_DEADLINE_SECONDS = 30.0
_SILENCE_SECONDS = 30.0
_BATCH = 1_000


async def read_through(
    reading: Reading,
    name: str,
    topics: Sequence[str],
    positions: Mapping[tuple[str, int], int],
    process: Callable[[Sequence[Record]], Awaitable[None]],
) -> None:
    """Gives `process` what lies between the positions and the ends. A partition without a position is read from its
    earliest record; so is one whose position the broker does not have. Raises `KafkaError` or `NotNow` where it cannot.
    """
    kafka = KafkaReader(
        **reading.broker.options(),
        group_id=None,
        client_id=f"{reading.prefix}{name}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=2 * 1024 * 1024,
        fetch_max_bytes=8 * 1024 * 1024,
        consumer_timeout_ms=LOOK_MS,
    )
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await reading.broker.reach(kafka.start())
            left = await _assigned(kafka, reading.prefix, topics, positions)
        while left:
            await _read(kafka, reading.prefix, left, process)
    finally:
        await stopped(kafka.stop(), seconds=10)


async def _assigned(
    kafka: KafkaReader, prefix: str, topics: Sequence[str], positions: Mapping[tuple[str, int], int]
) -> dict[TopicPartition, int]:
    """Partition -> its end, of those that have something to read; they are assigned, each from its position on."""
    cluster = await to_completion(kafka._client.fetch_all_metadata())
    found = [
        TopicPartition(prefix + topic, number)
        for topic in topics
        for number in cluster.partitions_for_topic(prefix + topic) or ()
    ]
    if not found:
        return {}
    kafka.assign(found)
    ends = await to_completion(kafka.end_offsets(found))
    begins = await to_completion(kafka.beginning_offsets(found))
    left: dict[TopicPartition, int] = {}
    for tp in found:
        begin = positions.get((tp.topic[len(prefix) :], tp.partition), begins[tp])
        begin = begin if begins[tp] <= begin <= ends[tp] else begins[tp]
        if begin < ends[tp]:
            left[tp] = ends[tp]
            kafka.seek(tp, begin)
        else:
            kafka.pause(tp)
    return left


async def _read(
    kafka: KafkaReader,
    prefix: str,
    left: dict[TopicPartition, int],
    process: Callable[[Sequence[Record]], Awaitable[None]],
) -> None:
    """One batch; takes partitions out of `left` whose end is reached."""
    fetched = await kafka.getmany(*left, timeout_ms=int(_SILENCE_SECONDS * 1000), max_records=_BATCH)
    records = [
        record_from(tp.topic[len(prefix) :], tp.partition, one, one.timestamp if one.timestamp_type == 1 else None)
        for tp, batch in fetched.items()
        for one in batch
    ]
    if records:
        await process(records)
    reached = [tp for tp, end in left.items() if await kafka.position(tp) >= end]
    if not records and not reached:
        raise NotNow("the topics have records that do not come")
    for tp in reached:
        del left[tp]
        kafka.pause(tp)
