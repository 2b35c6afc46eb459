"""How far each partition has taken effect, and what a person had the service step over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from chassis.store.database import Database

_READ = "SELECT topic, partition, next, topic_id FROM taken"
_WRITE = """
INSERT INTO taken (topic, partition, next, topic_id)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::uuid[]) ORDER BY 1, 2
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next, topic_id = excluded.topic_id
"""
_OLDER = """
SELECT min(applied_at) FILTER (WHERE number = 1) < min(applied_at) FILTER (WHERE number = 3)
  FROM migrations WHERE component = 'every'
"""
_ASK = """
INSERT INTO skips (topic, partition, since, asked_by, reason) VALUES ($1, $2, $3, $4, $5) RETURNING asked_at
"""
_SKIPS = "SELECT topic, partition, since, until, asked_at, asked_by, reason, found, topic_id FROM skips"
_ASKED = f"{_SKIPS} WHERE done_at IS NULL ORDER BY asked_at"
_DONE = f"{_SKIPS} WHERE until IS NOT NULL"
_OUTCOME = f"{_SKIPS} WHERE topic = $1 AND partition = $2 AND since = $3 AND asked_at = $4 AND done_at IS NOT NULL"
_FINISH = """
UPDATE skips SET until = $5, found = $6, topic_id = $7, done_at = clock_timestamp()
 WHERE topic = $1 AND partition = $2 AND since = $3 AND asked_at = $4
"""
_WITHDRAW = """
UPDATE skips SET found = 'no worker stood there', done_at = clock_timestamp()
 WHERE topic = $1 AND partition = $2 AND since = $3 AND asked_at = $4 AND done_at IS NULL
"""

Place = tuple[str, int]
"""Topic, without the deployment's prefix, and partition."""


class Taken(NamedTuple):
    """How far a partition has taken effect."""

    next: int
    """The first offset that has not."""
    topic_id: UUID | None
    """Of the topic in which it has; None where the broker does not tell topics of one name apart."""


@dataclass(frozen=True, slots=True)
class Skip:
    """What a person wants the service to step over: the record that a partition stands at."""

    topic: str
    partition: int
    since: int
    """The offset that the partition stands at."""
    until: int | None
    """The last offset that was stepped over; None until that is done, and where it was taken back."""
    asked_at: datetime
    asked_by: str
    reason: str
    found: str | None
    """What was stepped over, or why nothing was."""
    topic_id: UUID | None


class Ledger:
    """The tables `taken` and `skips` of one service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> Mapping[Place, Taken]:
        """Every partition that was ever given to a worker."""
        rows = await self._database.fetch(_READ)
        return {(row["topic"], row["partition"]): Taken(row["next"], row["topic_id"]) for row in rows}

    async def write(self, taken: Mapping[Place, Taken]) -> None:
        """Durable afterwards, in one statement."""
        rows = [(*place, *one) for place, one in taken.items()]
        if rows:
            await self._database.fetch(_WRITE, *zip(*rows, strict=True))

    async def is_older(self) -> bool:
        """Whether the service has worked before there was this table: then the broker alone knows how far it has come
        with a partition that is not in it.
        """
        [row] = await self._database.fetch(_OLDER)
        return bool(row[0])

    async def ask(self, topic: str, partition: int, offset: int, by: str, reason: str) -> datetime:
        """Asks the worker that reads the partition to step over what it stands at; when that was asked."""
        [row] = await self._database.fetch(_ASK, topic, partition, offset, by, reason)
        return row["asked_at"]

    async def withdraw(self, topic: str, partition: int, offset: int, asked_at: datetime) -> None:
        """Takes back what no worker has done."""
        await self._database.fetch(_WITHDRAW, topic, partition, offset, asked_at)

    async def outcome(self, topic: str, partition: int, offset: int, asked_at: datetime) -> Skip | None:
        """What became of it; None while no worker has looked."""
        rows = await self._database.fetch(_OUTCOME, topic, partition, offset, asked_at)
        return Skip(**rows[0]) if rows else None

    async def asked(self) -> list[Skip]:
        """What no worker has done yet."""
        return [Skip(**row) for row in await self._database.fetch(_ASKED)]

    async def done(self) -> list[Skip]:
        """What was stepped over."""
        return [Skip(**row) for row in await self._database.fetch(_DONE)]

    async def finish(self, skip: Skip, until: int, found: str, topic_id: UUID | None) -> None:
        """Notes what was stepped over, up to that offset."""
        place = skip.topic, skip.partition, skip.since, skip.asked_at
        await self._database.fetch(_FINISH, *place, until, found, topic_id)
