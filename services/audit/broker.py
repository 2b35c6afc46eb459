"""What the topics hold beyond the log: their ends, asked of the broker itself."""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.settings import Settings

_DEADLINE_SECONDS = 10.0

Ends = Mapping[tuple[str, int], int]
"""(topic without prefix, partition) -> the offset the next record will get."""


async def ends(settings: Settings, topics: Iterable[str]) -> Ends:
    """The ends of all partitions now. Raises `ConnectionError` where the broker does not tell."""
    names = {settings.topic_prefix + topic: topic for topic in topics}
    kafka = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        client_id=f"{settings.topic_prefix}audit-ends",
        group_id=None,
        isolation_level="read_committed",
        request_timeout_ms=int(_DEADLINE_SECONDS * 1000),
    )
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await kafka.start()
            known = await kafka.topics()
            if missing := sorted(names.keys() - known):
                raise ConnectionError(f"the broker has no topic {', '.join(missing)}")
            partitions = [TopicPartition(name, n) for name in names for n in kafka.partitions_for_topic(name) or ()]
            found = await kafka.end_offsets(partitions)
    except (KafkaError, TimeoutError) as fault:
        raise ConnectionError(f"the broker does not tell where its topics end: {fault!r}") from fault
    finally:
        await kafka.stop()
    return {(names[at.topic], at.partition): offset for at, offset in found.items()}
