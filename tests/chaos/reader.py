"""Reads what a campaign is judged by: the topics while they grow, at the end the stores, the log and the states."""

import contextlib
from collections.abc import Callable, Mapping, Sequence

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from contracts.status import SERVICES
from tests.chaos.checker import DECIDING
from tests.chaos.history import History, Parked, Record, Stored, digest, said
from tests.system.load import pause_for

_CASES: Mapping[str, str] = {name: "reports" if name == "intake" else "cases" for name in SERVICES}
"""Service -> its table of cases."""


class Reader:
    """Notes every record of the topics, once, and tells `hear`. It begins anew where a broker that dies left it."""

    def __init__(self, kafka: str, partitions: Sequence[TopicPartition], history: History) -> None:
        self._kafka = kafka
        self._next = dict.fromkeys(partitions, 0)
        self._records = history.records

    async def run(self, hear: Callable[[Record], None]) -> None:
        """For ever; until cancelled."""
        while True:
            with contextlib.suppress(KafkaError, OSError):
                await self._read(hear)
            await pause_for(0.3)

    async def _read(self, hear: Callable[[Record], None]) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, group_id=None, enable_auto_commit=False)
        try:
            await consumer.start()
            consumer.assign(list(self._next))
            for partition, offset in self._next.items():
                consumer.seek(partition, offset)
            while True:
                for partition, found in (await consumer.getmany(timeout_ms=200, max_records=2000)).items():
                    for one in found:
                        record = Record(one.topic, one.partition, one.offset, digest(one.value), said(one.value))
                        self._records.append(record)
                        self._next[partition] = one.offset + 1
                        hear(record)
        finally:
            await consumer.stop()

    async def caught_up(self) -> bool:
        """Whether nothing is unread. Raises `KafkaError` and `OSError`."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka, group_id=None)
        try:
            await consumer.start()
            ends = await consumer.end_offsets(list(self._next))
        finally:
            await consumer.stop()
        return ends == self._next


async def on_its_way(admin: str, history: History) -> dict[str, int]:
    """What has not arrived yet, by name: facts on no topic, records without audit, open cases. Empty at rest."""
    connection = await asyncpg.connect(admin)
    try:
        filed = {one.said.case for one in history.records if (one.topic, one.said.kind) == ("ReportFiled", "new")}
        found = {
            "records without audit": len(history.records) - await connection.fetchval("SELECT count(*) FROM audit.log")
        }
        for name, table in _CASES.items():
            closed = await connection.fetchval(f"SELECT count(*) FROM {name}.{table} WHERE status LIKE 'closed%'")
            found[f"cases open at {name}"] = len(filed) - closed
        aside: set[str] = set()
        for name in DECIDING:
            found[f"unsent by {name}"] = await connection.fetchval(f"SELECT count(*) FROM {name}.unpublished")
            aside |= {digest(row["body"]) for row in await connection.fetch(f"SELECT body FROM {name}.parked")}
        found["unreadable records not parked"] = len({*history.junk} - aside)
    finally:
        await connection.close()
    return {name: number for name, number in found.items() if number}


async def planted(admin: str, history: History) -> list[tuple[str, int]]:
    """(service, number) of what was planted, is parked and waits."""
    connection = await asyncpg.connect(admin)
    try:
        return [
            (name, row["parked_id"])
            for name in DECIDING
            for row in await connection.fetch(f"SELECT parked_id, body FROM {name}.parked WHERE status = 'waiting'")
            if digest(row["body"]) in history.junk
        ]
    finally:
        await connection.close()


async def collect(admin: str, history: History) -> None:
    """The rest of the history, as the database has it now."""
    connection = await asyncpg.connect(admin)
    try:
        for name in DECIDING:
            rows = await connection.fetch(
                f"SELECT stream_id, version, own, topic, event_id, body FROM {name}.events ORDER BY stream_id, version"
            )
            for case, version, own, topic, event_id, body in rows:
                sequence = said(body).sequence
                history.stored.append(Stored(name, case, version, own, topic, event_id, sequence, digest(body)))
            rows = await connection.fetch(f'SELECT topic, partition, "offset", body, kind, reason FROM {name}.parked')
            for topic, partition, offset, body, kind, reason in rows:
                history.parked.append(Parked(name, f"{topic}/{partition}@{offset}", digest(body), kind, reason))
        rows = await connection.fetch('SELECT topic, partition, "offset", body FROM audit.log ORDER BY index')
        for topic, partition, offset, body in rows:
            history.logged.append(Record(topic, partition, offset, digest(body), said(body)))
        for name, table in _CASES.items():
            rows = await connection.fetch(f"SELECT case_id, status, outcome FROM {name}.{table}")
            history.states[name] = {row["case_id"]: f"{row['status']}, {row['outcome']}" for row in rows}
    finally:
        await connection.close()
