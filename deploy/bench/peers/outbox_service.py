"""The same service with a transactional outbox, the PyPI package `faststream-outbox`.

`python -m deploy.bench.peers.outbox_service` runs it in the peers' own environment. The row and the outbox's row are
one transaction of SQLAlchemy's session; the package's subscriber relays the outbox's rows to Kafka. The settings of
faststream_service.py hold, and those of the package's own pages on performance and relays:

    pool_size                  enough for all workers and the relay
    session                    one per message; the row by a Core statement, which is cheaper than an ORM object
    fetch_batch_size           100 rows claimed at once, as in the package's benchmark
    terminal_flush_batch_size  100 relayed rows deleted at once, the package's lever for throughput
    max_workers of the relay   1: with batched deletes one worker does more than four without, says the package
    autovacuum                 as `outbox_autovacuum_ddl` recommends
    wake-up                    LISTEN and NOTIFY, which the package does by itself with asyncpg

It publishes at least once, and the row and its message stand or fall together. One relay keeps the outbox's order.
"""

# pyright: reportMissingImports=false

import logging
import sys
from uuid import UUID

import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaResponse
from faststream_outbox import OutboxBroker, make_outbox_table, outbox_autovacuum_ddl
from faststream_outbox.annotations import OutboxMessage
from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from deploy.bench.peers import contract

QUEUE = "notes"
metadata = MetaData(schema="bench")
reports = Table(
    "reports",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("case_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
outbox = make_outbox_table(metadata)
engine = create_async_engine(
    "postgresql+asyncpg" + contract.DATABASE_URL[contract.DATABASE_URL.index(":") :], pool_size=contract.WORKERS + 4
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
kafka = contract.kafka()
broker = OutboxBroker(engine, outbox_table=outbox, logger=contract.LOG)
publisher = kafka.publisher(contract.TO)


@kafka.subscriber(
    contract.FROM,
    group_id=contract.GROUP,
    auto_offset_reset="earliest",
    ack_policy=AckPolicy.NACK_ON_ERROR,
    max_workers=contract.WORKERS,
    session_timeout_ms=contract.SESSION_MS,
    heartbeat_interval_ms=contract.HEARTBEAT_MS,
)
async def take(body: bytes) -> None:
    """Stores a report, and what is to be published of it, in one transaction."""
    report = contract.Report.model_validate_json(body)
    async with sessions() as session, session.begin():
        row = {"event_id": UUID(str(report.id)), "case_id": report.subject, "body": body}
        stored = await session.execute(
            insert(reports).values(row).on_conflict_do_nothing().returning(reports.c.event_id)
        )
        if stored.first() is not None:
            await broker.publish(
                contract.note(report),
                queue=QUEUE,
                session=session,
                headers={"content-type": contract.CONTENT_TYPE, "key": report.subject},
            )


@publisher
@broker.subscriber(QUEUE, fetch_batch_size=100, terminal_flush_batch_size=100)
async def relay(body: bytes, message: OutboxMessage) -> KafkaResponse:
    """Publishes a row of the outbox under its case's key."""
    headers = {"content-type": contract.CONTENT_TYPE}
    return KafkaResponse(body, headers=headers, key=message.headers["key"].encode())


async def create() -> None:
    """Makes the tables, as a migration would."""
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(text(outbox_autovacuum_ddl(outbox.name, schema=outbox.schema)))
    await engine.dispose()


async def main() -> None:
    """Runs until it is told to stop."""
    await FastStream(kafka, broker).run(log_level=logging.WARNING)
    await engine.dispose()


if __name__ == "__main__":
    uvloop.run(create() if sys.argv[1:] == ["create"] else main())
