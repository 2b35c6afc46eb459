"""What contracts/README.md tells a partner is true: its program runs as it stands, its tables agree with the models."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import ConsumerRecord

from chassis.records import Record, read
from contracts.envelope import CONTENT_TYPE, Event
from contracts.export.__main__ import ROOT
from contracts.export.asyncapi import PARTITIONS, RECEIVES, SENDS
from contracts.export.examples import scenario
from contracts.wire import MAX_BYTES, TOPICS

README = (ROOT / "contracts/README.md").read_text()
DISPATCHED = next(example for example in scenario() if example.name == "dispatched")
DEADLINE_SECONDS = 60


def program() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return found


@asynccontextmanager
async def partner(folder: Path, kafka: str, prefix: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The README's program as a process of its own, which knows nothing of this project."""
    (folder / "partner.py").write_text(program())
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "CASEGRID_TOPIC_PREFIX": prefix,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "partner.py", cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def reading(kafka: str, prefix: str, *topics: str) -> AsyncIterator[AIOKafkaConsumer]:
    names = [prefix + topic for topic in topics]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    async with consumer:
        yield consumer


async def next_event(consumer: AIOKafkaConsumer, prefix: str) -> Event[Any]:
    """The next record as a service reads it."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        record: ConsumerRecord[Any, Any] = await consumer.getone()
    topic = record.topic.removeprefix(prefix)
    return read(Record(topic, record.partition, record.offset, record.key, record.value, record.headers))


async def test_the_program_reports_and_answers(
    kafka: str, topic_prefix: str, make_topics: Callable[..., Awaitable[list[str]]], tmp_path: Path
) -> None:
    await make_topics(topic_prefix)
    case = DISPATCHED.event.subject
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(
            f"{topic_prefix}Assigned", DISPATCHED.raw, case.encode(), headers=[("content-type", CONTENT_TYPE)]
        )
    async with (
        reading(kafka, topic_prefix, "ReportFiled") as reports,
        reading(kafka, topic_prefix, "Resolved") as results,
    ):
        async with partner(tmp_path, kafka, topic_prefix):
            report = await next_event(reports, topic_prefix)
            assert (report.source, report.sequence, report.actor) == (
                "/partners/hotline",
                "0000000001",
                "person:hotline-agent-12",
            )
            assert report.data.kind == "new"
            result = await next_event(results, topic_prefix)
            assert (result.source, result.subject, result.sequence) == ("/partners/water", case, "0000000001")
            assert result.causationid == DISPATCHED.event.id
            assert (result.data.assignment_id, result.data.outcome) == (f"{case}.1.1", "fixed")

        # The answer may have been sent, and its offset not yet committed: the other half of a crash.
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            await producer.send_and_wait(
                f"{topic_prefix}Assigned", DISPATCHED.raw, case.encode(), headers=[("content-type", CONTENT_TYPE)]
            )
        async with partner(tmp_path, kafka, topic_prefix):
            again = await next_event(results, topic_prefix)
            assert (again.source, again.id, again.sequence) == (result.source, result.id, result.sequence)


def test_the_tables_name_every_topic_attribute_and_limit() -> None:
    topics = re.findall(r"^\| `([A-Z]\w+)` \|", README, re.MULTILINE)
    assert topics == list(TOPICS)
    attributes = {
        name
        for cell in re.findall(r"^\| (`[a-z].*?) \|", README, re.MULTILINE)
        for name in re.findall(r"`([a-z]+)`", cell)
    }
    assert set(Event.model_fields) <= attributes
    assert f"{MAX_BYTES:,} bytes" in README
    assert PARTITIONS == 6
    assert "Six partitions each" in README


def test_the_table_says_who_reads_and_publishes_what() -> None:
    rows: dict[str, str] = dict(re.findall(r"^\| `([A-Z]\w+)` \|[^|]*\|([^|\n]*\|[^|\n]*)\|$", README, re.MULTILINE))
    assert list(rows) == list(TOPICS)
    for topic, row in rows.items():
        published, read_by = row.split("|")
        assert {who for who in SENDS if who in published} == {who for who in SENDS if topic in SENDS[who]}
        readers = {who for who in RECEIVES if re.search(rf"\b{who}\b", read_by) and who != "partner"}
        assert readers == {who for who in RECEIVES if topic in RECEIVES[who]} - {"partner"}
