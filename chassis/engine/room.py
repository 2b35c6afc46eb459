"""How much parked records may take: a bound of what is kept whole of each topic, an end for what was settled, and what
is told while very many come.

Every record that could not take effect has a row until somebody settles it. Beyond the bound only its coordinates, case
and reason are kept of one that nobody could use (`WITHOUT_BYTES`): the bytes are on the topic and in audit's log. Each
topic has one writer, so a partner's storm takes the room of nobody else. A settled row goes after `KEPT_DAYS`: the step
about it is in the chain of the case. The database refuses to remove a row that waits.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from chassis.engine.parking import Parked
from chassis.retry import in_words
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.telemetry import About, Sparing

log = logging.getLogger(__name__)

MOST_RECORDS = 10_000
MOST_BYTES = 64 * 1024 * 1024
"""Of a topic's waiting records: so many are kept with their bytes, and so many bytes."""
WITHOUT_BYTES = frozenset({"invalid", "forged", "unanswered"})
"""The kinds that are kept without bytes beyond the bound. Others are events that may still take effect."""
KEPT_DAYS = 90

_COUNT_SECONDS = 10.0
"""How old the counts may be while records are parked."""
_LOOK_SECONDS = 60.0
_AT_ONCE = 1_000
_COUNT = """
SELECT topic, count(*) AS waiting, count(body) AS whole, coalesce(sum(octet_length(body)), 0)::bigint AS bytes
  FROM parked WHERE status = 'waiting' GROUP BY topic
"""
_FORGET = """
DELETE FROM parked WHERE parked_id IN (
    SELECT parked_id FROM parked WHERE status <> 'waiting' AND settled_at < now() - make_interval(days => $1)
     ORDER BY settled_at LIMIT $2) RETURNING true
"""


class Room:
    """What parked records take in one service, as this process counted last; another may have parked more since."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counted_at = -1.0
        """Negative: never."""
        self._whole: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._full: frozenset[str] = frozenset()
        self.lines = Sparing()
        """What is said of each topic's records."""
        self.waiting: Counter[str] = Counter()
        """Topic -> records that wait for an operator."""

    async def run(self) -> None:
        """Counts what waits and forgets what was settled long ago, until cancelled."""
        while True:
            try:
                await self._count(self._database)
                while len(await self._database.fetch(_FORGET, KEPT_DAYS, _AT_ONCE)) == _AT_ONCE:
                    pass
            except TRANSIENT_ERRORS as fault:
                log.info("parked records are counted again later: %s", in_words(fault))
            await asyncio.sleep(_LOOK_SECONDS)

    async def bounded(self, connection: Connection, items: list[Parked]) -> None:
        """Takes the bytes out of those for which there is no room; to be called before they are parked."""
        if self._counted_at < 0 or time.monotonic() - self._counted_at >= _COUNT_SECONDS:
            await self._count(connection)
        for place, item in enumerate(items):
            topic, size = item.record.topic, len(item.record.value or b"")
            if item.kind in WITHOUT_BYTES and not self._fits(topic, size):
                items[place] = _without_bytes(item)
            elif item.record.value is not None:
                self._whole[topic] += 1
                self._bytes[topic] += size
            self.waiting[topic] += 1
        self._judge()

    def tell(self, items: Iterable[Parked]) -> None:
        """Logs what was parked, a bounded number of lines a minute for each topic."""
        for item in items:
            record = item.record
            with About(record.stream_id, None, record.header("traceparent")):
                if item.kind == "behind":
                    log.debug("parked %s of case %s: %s", record.coordinates, record.stream_id, item.reason)
                elif self.lines.allows(record.topic):
                    log.warning("parked %s of case %s: %s", record.coordinates, record.stream_id, item.reason)

    def warning(self) -> str | None:
        """Of which topics more waits than is kept whole; None mostly."""
        if not self._full:
            return None
        return ", ".join(f"{self.waiting[topic]} records of {topic} wait" for topic in sorted(self._full))

    def health(self) -> Mapping[str, Any]:
        """Topic -> records that wait; the topics with more than is kept whole. Null in a process that counts none."""
        counted = self._counted_at >= 0
        return {"waiting": dict(self.waiting) if counted else None, "full": sorted(self._full) if counted else None}

    def _fits(self, topic: str, size: int) -> bool:
        return self._whole[topic] < MOST_RECORDS and self._bytes[topic] + size <= MOST_BYTES

    async def _count(self, source: Connection | Database) -> None:
        rows = await source.fetch(_COUNT)
        self.waiting = Counter({row["topic"]: row["waiting"] for row in rows})
        self._whole = Counter({row["topic"]: row["whole"] for row in rows})
        self._bytes = Counter({row["topic"]: row["bytes"] for row in rows})
        self._counted_at = time.monotonic()
        self._judge()

    def _judge(self) -> None:
        full = frozenset(
            topic for topic in self.waiting if not self._fits(topic, 0) or self.waiting[topic] > MOST_RECORDS
        )
        for topic in sorted(full - self._full):
            log.warning("%d records of %s wait in /parked, more than are kept whole", self.waiting[topic], topic)
        self._full = full


def _without_bytes(item: Parked) -> Parked:
    record = item.record
    length = len(record.value or b"")
    words = f"its {length} bytes are not kept here: so many records of {record.topic} wait. Audit's log has them"
    key = record.key if record.key is not None and len(record.key) <= 200 else None
    bare = record._replace(key=key, value=None, headers=(), unread=words)
    return Parked(None, item.kind, item.reason, bare)
