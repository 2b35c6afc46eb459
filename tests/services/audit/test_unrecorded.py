"""Transactions, and what nobody can read: no offset counts as lost, and what lies there is shown."""

from pathlib import Path
from typing import Any

import cramjam
import pytest
from aiokafka import AIOKafkaProducer

from chassis.kafka.records import Record
from chassis.kafka.salvage import MARKER
from chassis.service import Service
from tests.domain.audit_story import CASE
from tests.services.audit.test_api import get, store
from tests.support.batches import batch, put, record
from tests.support.facts import event_of, report
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

    async def all_stored(audit: Running) -> dict[str, Any]:
        found = await get(audit, "/completeness")
        return found if found["size"] == 6 and not sum(found["lag"].values()) else {}

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


async def test_offsets_without_a_record_are_no_gaps(audit: Running) -> None:
    """A transaction's markers, also where nothing else is, and the offsets of a batch that cannot be read."""
    _, raw = event_of(CASE, report())
    topic = "ReportFiled"
    records = [
        Record(topic, 0, 0, CASE.encode(), raw, (("content-type", b"x"),)),
        Record(topic, 0, 1, None, b"", (), None, MARKER, 1),
        Record(topic, 0, 2, None, b"raw", (), None, "the batch cannot be read: x; it takes the offsets 2 to 9", 9),
        Record(topic, 0, 10, CASE.encode(), raw, (("content-type", b"x"),)),
        Record(topic, 0, 11, None, b"", (), None, MARKER, 11),
        Record(topic, 1, 0, None, b"", (), None, MARKER, 0),
        Record(topic, 2, 5, None, b"", (), None, MARKER, 5),
    ]
    for _ in range(2):  # a redelivery changes nothing
        await store(audit, *records)
    found = await get(audit, "/completeness")
    assert [(g["partition"], g["since"], g["until"]) for g in found["offset_gaps"]["items"]] == [(2, 0, 4)]
    assert found["size"] == 3
    assert found["invalid"]["waiting"] == 3
    (item,) = [one for one in (await get(audit, "/log"))["items"] if one["offset"] == 2]
    assert item["reason"] == "the batch cannot be read: x; it takes the offsets 2 to 9"
    assert (item["body_base64"], item["headers"]) == ("cmF3", [])


async def test_a_header_name_that_is_not_utf_8_is_shown_byte_by_byte(audit: Running) -> None:
    name = b"na\xffme"
    headers = (("content-type", b"x"), (name.decode("utf-8", "surrogateescape"), b"v"))
    reason = "headers: the name b'na\\xffme' is not UTF-8"
    await store(audit, Record("from.water", 0, 0, CASE.encode(), b"{}", headers, None, reason, 0))
    (item,) = (await get(audit, "/log"))["items"]
    assert item["headers"] == [["content-type", "eA=="], ["na\ufffdme", "dg==", "bmH/bWU="]]
    assert item["reason"] == reason
    assert (await get(audit, "/completeness"))["invalid"]["waiting"] == 1
