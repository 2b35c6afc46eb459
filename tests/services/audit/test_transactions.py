"""A transactional producer, and batches that nobody can read, on a real broker: no offset counts as lost."""

from pathlib import Path
from typing import Any

import cramjam
import pytest
from aiokafka import AIOKafkaProducer

from chassis.service import Service
from tests.services.audit.test_api import get
from tests.support.batches import batch, put, record
from tests.support.infrastructure import Database
from tests.support.services import Running, eventually, running

TOPIC = "ReportFiled"


@pytest.fixture
async def producer(kafka: str, topics: str) -> Any:
    found = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{topics}writer")
    await found.start()
    yield found
    await found.stop()


async def test_markers_and_unreadable_batches_are_no_losses(
    service: Service, database: Database, kafka: str, topics: str, tmp_path: Path, producer: AIOKafkaProducer
) -> None:
    name = topics + TOPIC

    async def write(value: bytes) -> None:
        await producer.send_and_wait(name, value, partition=0)

    async with producer.transaction():  # offsets 0 and 1, and the marker's
        await write(b"committed")
        await write(b"committed, too")
    await producer.begin_transaction()  # 3, and the marker's
    await write(b"aborted")
    await producer.abort_transaction()
    bomb = bytes(cramjam.zstd.compress(b"".join(record(place, bytes(6 << 20)) for place in range(3))))
    await put(kafka, name, 0, batch([b""] * 3, codec=4, packed=bomb))  # 5 to 7
    await put(kafka, name, 0, batch([record(0, b"x", headers=[(b"\xff", b"")])]))  # 8
    await producer.begin_transaction()  # 9, and stays open
    await write(b"open")

    async def all_stored(audit: Running) -> dict[str, Any] | None:
        found = await get(audit, "/completeness")
        return found if found["size"] == 6 and not sum(found["lag"].values()) else None

    more = {"kafka": kafka, "prefix": topics, "CASEGRID_PARTNERS": tmp_path / "none.json"}
    async with running(service, database.url("audit"), **more) as audit:
        found = await eventually(lambda: all_stored(audit), seconds=60, what="all records stored")
        assert (found["offset_gaps"]["count"], found["lost"], found["lag_unknown"]) == (0, [], None)
        assert found["reasons"] == ["6 invalid records that nobody has retried or discarded"]
        stored = [one["offset"] for one in (await get(audit, "/log"))["items"]]
        assert stored == [0, 1, 3, 5, 8, 9]
        await producer.commit_transaction()
        found = await eventually(lambda: all_stored(audit), seconds=60, what="the last marker")
        assert found["offset_gaps"]["count"] == 0
