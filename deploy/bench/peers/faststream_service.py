"""A straightforward FastStream service: consume a record, insert a row, commit, publish a record, acknowledge.

`python -m deploy.bench.peers.faststream_service` runs it in the peers' own environment. Each setting is what the
packages' pages advise, or better for it:

    uvloop                  as `faststream run` takes it where it is installed
    ack_policy              NACK_ON_ERROR: acknowledged after the work, and again after an error
    max_workers             one consumer for each partition, FastStream's way to work concurrently with such a policy
    publisher               the decorator: what the handler returns is published, and confirmed before the message is
    producer                idempotent, acks=all (contract.py); FastStream's default would wait for one replica only
    asyncpg                 a pool, and `connection.transaction()` for each message, as its page on pools shows
    ON CONFLICT DO NOTHING  a message that comes again after a crash changes nothing

It publishes after the commit. Where it dies between both, the message comes again and a note of another id is
published. Nothing is validated but the three fields that it uses.
"""

# pyright: reportMissingImports=false

import logging

import asyncpg
import uvloop
from faststream import AckPolicy, FastStream
from faststream.kafka import KafkaResponse

from deploy.bench.peers import contract

INSERT = "INSERT INTO bench.reports (event_id, case_id, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
broker = contract.kafka()
publisher = broker.publisher(contract.TO)


async def main() -> None:
    """Runs until it is told to stop."""
    async with asyncpg.create_pool(contract.DATABASE_URL, min_size=1, max_size=contract.WORKERS) as pool:

        @publisher
        @broker.subscriber(
            contract.FROM,
            group_id=contract.GROUP,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.NACK_ON_ERROR,
            max_workers=contract.WORKERS,
            session_timeout_ms=contract.SESSION_MS,
            heartbeat_interval_ms=contract.HEARTBEAT_MS,
        )
        async def take(body: bytes) -> KafkaResponse:
            report = contract.Report.model_validate_json(body)
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(INSERT, report.id, report.subject, body)
            return KafkaResponse(
                contract.note(report),
                headers={"content-type": contract.CONTENT_TYPE},
                key=report.subject.encode(),
            )

        await FastStream(broker).run(log_level=logging.WARNING)


if __name__ == "__main__":
    uvloop.run(main())
