"""On a real broker: a client that spreads its keys by CRC32, as librdkafka's does by default, beside ours."""

from pathlib import Path
from typing import Any
from zlib import crc32

from aiokafka import AIOKafkaProducer

from chassis.kafka.partitions import Partitioner, place
from chassis.service import Service
from tests.services.audit.test_api import get
from tests.support.facts import HEADERS, case_id, event_of, report
from tests.support.infrastructure import Database
from tests.support.services import Running, eventually, running

PARTITIONS = 3


def by_crc32(key: bytes, every: list[int], _: list[int]) -> int:
    return every[crc32(key) % len(every)]


async def write(kafka: str, topic: str, cases: list[str], partitioner: Any) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka, partitioner=partitioner)
    await producer.start()
    try:
        for case in cases:
            _, raw = event_of(case, report())
            await producer.send_and_wait(topic, raw, key=case.encode(), headers=list(HEADERS))
    finally:
        await producer.stop()


async def test_what_another_partitioner_wrote_is_reported(
    service: Service, database: Database, kafka: str, topics: str, tmp_path: Path
) -> None:
    cases = [case_id() for _ in range(12)]
    foreign = [case for case in cases if place(case.encode(), PARTITIONS) != crc32(case.encode()) % PARTITIONS]

    async def stored(audit: Running, count: int) -> dict[str, Any]:
        found = await get(audit, "/completeness")
        return found if found["size"] == count else {}

    more = {"kafka": kafka, "prefix": topics, "CASEGRID_PARTNERS": tmp_path / "none.json"}
    async with running(service, database.url("audit"), **more) as audit:
        await write(kafka, f"{topics}ReportFiled", cases, Partitioner())
        found = await eventually(lambda: stored(audit, 12), seconds=60, what="ours")
        assert (found["foreign_partitions"]["count"], found["split_cases"]["count"]) == (0, 0)
        await write(kafka, f"{topics}ReportFiled", cases, by_crc32)
        found = await eventually(lambda: stored(audit, 24), seconds=60, what="theirs")
        assert {one["case_id"] for one in found["foreign_partitions"]["items"]} == set(foreign)
        assert {one["case_id"] for one in found["split_cases"]["items"]} == set(foreign)
