"""Bare limits, measured in the same run: what the broker, the database and the framework take without any of our work.

Each is measured in wall time, and in processor time of the client, the broker and the database together. The services
run beside it and are idle; neither their own time counts, nor what both servers spend for them.
"""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from chassis.kafka.connection import Connection
from deploy.bench import usage
from deploy.bench.chain import HEADERS
from deploy.bench.client import Client
from deploy.bench.database import SCHEMA, schema
from deploy.stack import topics
from deploy.stack.problem import Problem

_TOPIC = "bench-bare"
_BATCH = 500
_LOOPS = 1_000
_IDLE_SECONDS = 3.0
_CALLERS = 32
_PARTS = ("bench", "kafka", "postgres")
_TABLE = f"""
CREATE SCHEMA {SCHEMA};
CREATE TABLE {SCHEMA}.rows (stream_id text, version bigint, body bytea, PRIMARY KEY (stream_id, version));
"""
_COLUMNS = ("stream_id", "version", "body")
_INSERT = f"INSERT INTO {SCHEMA}.rows VALUES ($1, 1, $2)"


@dataclass(frozen=True)
class Limit:
    """Of one of so many: how many a second, and microseconds of processor time."""

    per_second: float
    cpu_us: float


Measure = Callable[[int, Callable[[], Awaitable[None]]], Awaitable[Limit]]


async def idle(run: Path) -> float:
    """Seconds of processor time that the servers spend in a second for a stack that has nothing to do."""
    before, began = _seconds(run), time.perf_counter()
    await asyncio.sleep(_IDLE_SECONDS)
    return (_seconds(run) - before) / (time.perf_counter() - began)


def measuring(run: Path, idle: float) -> Measure:
    """How work of so many equal pieces is measured, beside the stack whose pid files lie in `run`."""

    async def measured(count: int, work: Callable[[], Awaitable[None]]) -> Limit:
        before, began = _seconds(run), time.perf_counter()
        await work()
        took, spent = time.perf_counter() - began, _seconds(run) - before
        return Limit(count / took, max(0.0, spent - idle * took) / count * 1e6)

    return measured


def _seconds(run: Path) -> float:
    return sum(used.cpu_seconds for name, used in usage.of_stack(run).items() if name in _PARTS)


async def kafka(broker: Connection, messages: Sequence[bytes], measured: Measure) -> tuple[Limit, Limit]:
    """(produced, consumed), by one idempotent producer and one consumer in one process."""
    async with topic(broker) as name:
        async with producing(broker) as producer:
            produced = await measured(len(messages), lambda: _send(producer, name, messages))
        async with _consuming(broker, name) as consumer:
            return produced, await measured(len(messages), lambda: _consume(consumer, len(messages)))


@asynccontextmanager
async def topic(broker: Connection) -> AsyncIterator[str]:
    """The name of a topic that is gone afterwards; each partition of it has a leader."""
    name = f"{_TOPIC}-{time.time_ns()}"
    await topics.create(broker, [name], 6)
    try:
        yield name
    finally:
        admin = AIOKafkaAdminClient(**broker.options())
        await admin.start()
        try:
            await admin.delete_topics([name])
        finally:
            await admin.close()


@asynccontextmanager
async def producing(broker: Connection, linger_ms: int = 5) -> AsyncIterator[AIOKafkaProducer]:
    """An idempotent producer that has begun."""
    producer = AIOKafkaProducer(
        **broker.options(), enable_idempotence=True, acks="all", linger_ms=linger_ms, max_batch_size=256 * 1024
    )
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def _consuming(broker: Connection, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(topic, **broker.options(), group_id=None, auto_offset_reset="earliest")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def produce(broker: Connection, topic: str, messages: Sequence[bytes]) -> None:
    """Each under its number as the key; returns when the broker has all."""
    async with producing(broker) as producer:
        await _send(producer, topic, messages)


async def _send(producer: AIOKafkaProducer, topic: str, messages: Sequence[bytes]) -> None:
    sent = [
        await producer.send(topic, value=raw, key=str(n).encode(), headers=HEADERS) for n, raw in enumerate(messages)
    ]
    await asyncio.gather(*sent)


async def _consume(consumer: AIOKafkaConsumer, count: int) -> None:
    seen = 0
    while seen < count:
        seen += sum(len(batch) for batch in (await consumer.getmany(timeout_ms=200, max_records=_BATCH)).values())


async def postgres(url: str, messages: Sequence[bytes], measured: Measure) -> dict[str, Limit]:
    """Rows into a table like `events`: 500 at a time by INSERT and by COPY, and one at a time; each durable."""

    async def inserted() -> None:
        for start in range(0, len(messages), _BATCH):
            part = messages[start : start + _BATCH]
            keys = [f"i{start + n:035d}" for n in range(len(part))]
            await pool.execute(
                f"INSERT INTO {SCHEMA}.rows SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[])",
                keys,
                [1] * len(part),
                part,
            )

    async def copied() -> None:
        async with pool.acquire() as connection:
            for start in range(0, len(messages), _BATCH):
                rows = [(f"c{start + n:035d}", 1, raw) for n, raw in enumerate(messages[start : start + _BATCH])]
                await connection.copy_records_to_table("rows", schema_name=SCHEMA, columns=_COLUMNS, records=rows)

    async def single() -> None:
        for n, raw in enumerate(messages[:_LOOPS]):
            await pool.execute(_INSERT, f"s{n:035d}", raw)

    async with _table(url) as pool:
        return {
            "postgres_rows": await measured(len(messages), inserted),
            "postgres_copied": await measured(len(messages), copied),
            "postgres_single": await measured(min(len(messages), _LOOPS), single),
        }


@asynccontextmanager
async def _table(url: str) -> AsyncIterator[asyncpg.Pool]:
    async with schema(url), asyncpg.create_pool(url, min_size=1, max_size=2) as pool:
        await pool.execute(_TABLE)
        yield pool


async def loop(broker: Connection, url: str, messages: Sequence[bytes], measured: Measure) -> Limit:
    """One record consumed, one row inserted and committed, one record produced and acknowledged; then the next one."""
    records = messages[:_LOOPS]

    async with topic(broker) as source, topic(broker) as sink, _table(url) as pool, pool.acquire() as connection:
        await produce(broker, source, records)
        async with producing(broker, linger_ms=0) as producer, _consuming(broker, source) as consumer:

            async def looped() -> None:
                for n in range(len(records)):
                    record = await consumer.getone()
                    await connection.execute(_INSERT, f"l{n:035d}", record.value)
                    await producer.send_and_wait(sink, value=record.value, key=record.key, headers=HEADERS)

            return await measured(len(records), looped)


async def handler(body: bytes, count: int = 2_000) -> Limit:
    """An empty handler of FastAPI that is given that body by 32 callers; processor time of the server alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.bench.empty", str(port), start_new_session=True
    )
    url = f"http://127.0.0.1:{port}"
    try:
        await _answers(url, body)
        await _posted(url, body, count // 4)  # warms up
        before, began = usage.tree(server.pid), time.perf_counter()
        await _posted(url, body, count)
        took, spent = time.perf_counter() - began, usage.tree(server.pid) - before
        return Limit(count / took, spent / count * 1e6)
    finally:
        server.terminate()
        await server.wait()


async def _answers(url: str, body: bytes) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            await _posted(url, body, 1)
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise Problem("the empty service does not answer") from None
            await asyncio.sleep(0.1)


async def _posted(url: str, body: bytes, count: int) -> None:
    left = iter(range(count))

    async def call() -> None:
        async with Client(url) as client:
            for _ in left:
                answer = await client.request("POST", "/reports", body, {})
                if answer.status != 201:
                    raise Problem(f"the empty service answered {answer.status}: {answer.body[:200].decode()}")

    await asyncio.gather(*(call() for _ in range(min(_CALLERS, count))))
