"""What a piece of work costs the machine: processor time of all processes, and what the database and the broker did.

PostgreSQL is asked by an administrator. What it cannot say (a server of the user's without the right, or without
pg_stat_statements) is None, never 0. Its counters lag behind a session's work by up to a second, so a phase is read
when it has been still for that long.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from chassis.kafka.connection import Connection
from contracts.status import SERVICES
from deploy.bench import usage
from deploy.stack.problem import Problem

STORES = ("events", "log")
"""The tables that keep every record: of the services that decide, and audit's."""
_STILL_SECONDS = 1.1
_STATEMENTS = "SELECT sum(calls)::bigint FROM pg_stat_statements"
_COMMITS = "SELECT sum(xact_commit)::bigint FROM pg_stat_database"
_WAL = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_ROWS = """
SELECT schemaname AS schema, relname AS table, n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_hot_upd AS hot,
       n_tup_del AS deleted
  FROM pg_stat_user_tables
"""


_KINDS = ("inserted", "updated", "hot", "deleted")


@dataclass(frozen=True)
class Counters:
    """As they stood at an instant, or what was added to them from one instant to another."""

    seconds: float
    """Of the monotonic clock; of a difference, how long it took."""
    cpu: Mapping[str, float]
    """Process -> seconds of processor time."""
    backends: Mapping[str, float]
    """Of PostgreSQL's time, by whom the process serves."""
    commits: int
    wal_bytes: int
    statements: int | None
    rows: Mapping[tuple[str, str], Mapping[str, int]]
    """(schema, table) -> rows by kind: inserted, updated, hot (of the updated), deleted."""
    records: int = 0
    """That all topics have taken."""
    deliveries: int = 0
    """That the services' groups have been given."""
    pids: Mapping[str, int] = field(default_factory=dict[str, int])
    """Process -> its number."""

    @property
    def cpu_seconds(self) -> float:
        """Of all processes."""
        return sum(self.cpu.values())

    @property
    def rows_by_kind(self) -> dict[str, int]:
        """Of all tables; and `stored`, of those inserted into stores."""
        found = {kind: sum(counts[kind] for counts in self.rows.values()) for kind in _KINDS}
        return found | {
            "stored": sum(counts["inserted"] for (_, table), counts in self.rows.items() if table in STORES)
        }

    def per(self, cases: int) -> dict[str, Any]:
        """The same for one of so many cases."""
        return {
            "cpu_us_per_case": self.cpu_seconds / cases * 1e6,
            "processes": {name: {"cpu_us_per_case": value / cases * 1e6} for name, value in self.cpu.items()},
            "postgres_us_per_case": {name: value / cases * 1e6 for name, value in self.backends.items()},
            "commits_per_case": self.commits / cases,
            "statements_per_case": None if self.statements is None else self.statements / cases,
            "wal_bytes_per_case": self.wal_bytes / cases,
            "rows_per_case": {kind: count / cases for kind, count in self.rows_by_kind.items()},
            "records_per_case": self.records / cases,
            "deliveries_per_case": self.deliveries / cases,
            "deliveries_per_commit": self.deliveries / self.commits if self.commits else None,
        }


def between(before: Counters, after: Counters) -> Counters:
    """What was added from one instant to the next; of what was not there before, all. Raises `Problem` where a process
    was started again meanwhile: what the one before it took is not known.
    """
    if again := [name for name, pid in after.pids.items() if before.pids.get(name, pid) != pid]:
        raise Problem(f"{again[0]} was started again in the middle of a measurement: nothing of it can be told")
    both = after.statements is not None and before.statements is not None
    return Counters(
        seconds=after.seconds - before.seconds,
        cpu=_added(before.cpu, after.cpu),
        backends=_added(before.backends, after.backends),
        commits=after.commits - before.commits,
        wal_bytes=after.wal_bytes - before.wal_bytes,
        statements=(after.statements or 0) - (before.statements or 0) if both else None,
        rows={
            table: {kind: count - before.rows.get(table, {}).get(kind, 0) for kind, count in counts.items()}
            for table, counts in after.rows.items()
        },
        records=after.records - before.records,
        deliveries=after.deliveries - before.deliveries,
    )


def _added(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before.get(name, 0.0) for name, value in after.items()}


class Meter:
    """Use as an async context manager. `run` is the folder of the stack's pid files."""

    def __init__(self, run: Path, broker: Connection, database: str, prefix: str = "") -> None:
        self._run = run
        self._broker = broker
        self._database = database
        self._prefix = prefix

    async def __aenter__(self) -> "Meter":
        self._connection = await asyncpg.connect(self._database)
        self._admin = AIOKafkaAdminClient(**self._broker.options())
        await self._admin.start()
        self._consumer = AIOKafkaConsumer(**self._broker.options(), group_id=None)
        await self._consumer.start()
        present = "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'"
        self._counts_statements = await self._connection.fetchval(present) > 0
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
        await self._admin.close()
        await self._connection.close()

    async def still(self) -> None:
        """Waits until PostgreSQL's sessions have reported what they did."""
        await asyncio.sleep(_STILL_SECONDS)

    async def begin(self) -> Counters:
        """The counters before work: processor time is read last, so that reading the others is no part of it."""
        found = await self.read()
        return replace(found, cpu=self.cpu(), backends=self._backends(), seconds=time.monotonic())

    async def read(self) -> Counters:
        """The counters after work: processor time is read first."""
        stack, backends, at = usage.of_stack(self._run), self._backends(), time.monotonic()
        groups = [await self._admin.list_consumer_group_offsets(self._prefix + name) for name in SERVICES]
        topics = {partition.topic for group in groups for partition in group}
        ends = await self._ends(topics)
        by_topic: dict[str, int] = {}
        for partition, end in ends.items():
            by_topic[partition.topic] = by_topic.get(partition.topic, 0) + end
        read = [{partition.topic for partition in group} for group in groups]
        rows = await self._connection.fetch(_ROWS)
        return Counters(
            seconds=at,
            cpu={name: used.cpu_seconds for name, used in stack.items()},
            pids={name: used.pid for name, used in stack.items()},
            backends=backends,
            commits=await self._connection.fetchval(_COMMITS),
            wal_bytes=int(await self._connection.fetchval(_WAL)),
            statements=await self._connection.fetchval(_STATEMENTS) if self._counts_statements else None,
            rows={(row["schema"], row["table"]): {kind: row[kind] for kind in _KINDS} for row in rows},
            records=sum(by_topic.values()),
            deliveries=sum(by_topic.get(topic, 0) for topics in read for topic in topics),
        )

    def cpu(self) -> dict[str, float]:
        """Process -> seconds of the stack's processes, and of this one as `bench`."""
        return {name: used.cpu_seconds for name, used in usage.of_stack(self._run).items()}

    def _backends(self) -> dict[str, float]:
        return usage.of_postgres(self._run / "postgres.pid")

    async def _ends(self, topics: Iterable[str]) -> Mapping[TopicPartition, int]:
        partitions: list[TopicPartition] = []
        for topic in topics:
            await self._consumer._client.add_topic(topic)
            partitions += [TopicPartition(topic, n) for n in self._consumer.partitions_for_topic(topic) or ()]
        return await self._consumer.end_offsets(partitions) if partitions else {}
