"""The ends of the topics, asked of the broker itself: what it has beyond the log, and what it has lost."""

import asyncio
import logging
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from chassis.kafka.connection import Connection
from chassis.retry import NotNow, in_short, in_words
from chassis.settings import Settings

log = logging.getLogger(__name__)

_DEADLINE_SECONDS = 10.0

EndOffsets = Mapping[tuple[str, int], int]
"""(topic without prefix, partition) -> the offset that the next record gets."""


async def end_offsets(settings: Settings, topics: Iterable[str]) -> EndOffsets:
    """The end of every partition now. Raises `NotNow` if the broker does not tell it."""
    broker = Connection.of(settings)
    names = {settings.topic_prefix + topic: topic for topic in topics}
    kafka = AIOKafkaConsumer(
        *names,
        **broker.options(),
        client_id=f"{settings.topic_prefix}audit-ends",
        group_id=None,  # outside the group it is assigned all partitions
        auto_offset_reset="latest",
        isolation_level="read_uncommitted",  # as audit reads: an open transaction is no loss
        request_timeout_ms=int(_DEADLINE_SECONDS * 1000),
    )
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            await broker.reach(kafka.start())
            found = await kafka.end_offsets(kafka.assignment())
    except (KafkaError, TimeoutError) as fault:
        log.warning("the broker does not tell where its topics end: %s", in_words(fault))
        raise NotNow(f"the broker does not tell where its topics end: {in_short(fault)}") from fault
    finally:
        await kafka.stop()
    if missing := names.keys() - {at.topic for at in found}:
        raise NotNow(f"the broker has no topic {', '.join(sorted(missing))}")
    return {(names[at.topic], at.partition): offset for at, offset in found.items()}
