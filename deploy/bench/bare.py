"""Bare limits, measured in the same run: the same bytes through Kafka without a database, and rows without a broker."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from chassis.kafka.connection import Connection
from deploy.bench.chain import HEADERS

_TOPIC = "bench-bare"
_BATCH = 500


async def kafka(broker: Connection, messages: list[bytes]) -> tuple[float, float]:
    """(produced, consumed) messages a second by one idempotent producer and one consumer in one process."""
    async with topic(broker) as name:
        return await produce(broker, name, messages), await _consume(broker, name, len(messages))


@asynccontextmanager
async def topic(broker: Connection) -> AsyncIterator[str]:
    """The name of a topic that is gone afterwards."""
    admin = AIOKafkaAdminClient(**broker.options())
    await admin.start()
    name = f"{_TOPIC}-{time.time_ns()}"
    try:
        await admin.create_topics([NewTopic(name, 6, 1)])
        yield name
    finally:
        await admin.delete_topics([name])
        await admin.close()


async def produce(broker: Connection, topic: str, messages: Sequence[bytes]) -> float:
    """Messages a second, each under its number as the key."""
    producer = AIOKafkaProducer(
        **broker.options(), enable_idempotence=True, acks="all", linger_ms=5, max_batch_size=256 * 1024
    )
    await producer.start()
    try:
        began = time.perf_counter()
        sent = [
            await producer.send(topic, value=raw, key=str(n).encode(), headers=HEADERS)
            for n, raw in enumerate(messages)
        ]
        await asyncio.gather(*sent)
        return len(messages) / (time.perf_counter() - began)
    finally:
        await producer.stop()


async def _consume(broker: Connection, topic: str, count: int) -> float:
    consumer = AIOKafkaConsumer(topic, **broker.options(), group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        began = time.perf_counter()
        seen = 0
        while seen < count:
            seen += sum(len(batch) for batch in (await consumer.getmany(timeout_ms=200, max_records=_BATCH)).values())
        return count / (time.perf_counter() - began)
    finally:
        await consumer.stop()


async def postgres(url: str, messages: list[bytes]) -> float:
    """Rows a second, inserted 500 at a time into a table like `events`, a transaction each, durable."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        await connection.execute("DROP TABLE IF EXISTS bench.rows")
        await connection.execute(
            "CREATE TABLE bench.rows (stream_id text, version bigint, body bytea, PRIMARY KEY (stream_id, version))"
        )
        began = time.perf_counter()
        for start in range(0, len(messages), _BATCH):
            part = messages[start : start + _BATCH]
            await connection.execute(
                "INSERT INTO bench.rows SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])",
                [f"{start + n:036d}" for n in range(len(part))],
                [1] * len(part),
                part,
            )
        rate = len(messages) / (time.perf_counter() - began)
        await connection.execute("DROP SCHEMA bench CASCADE")
        return rate
    finally:
        await connection.close()
