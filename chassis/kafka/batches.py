"""Batches of records: how many of which partition at once, and how far apart they begin."""

import asyncio
import time
from typing import Any, cast

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.fields import FROM, TO

_POLL_MS = 1_000

# The pace of batches where records flow. The next batch begins `_REST` times as long after the last one began as that
# one took, but not before the least time of the service, nor after the longest rest. So a busy machine makes larger
# batches of the same records, and gets less to do, and a record waits as long. With a longest rest of 40 ms and once as
# long as it took, 50 cases a second took a sixth more processor time, and three quarters of the time to be assigned.
_REST = 4
_LONGEST_REST_SECONDS = 0.2


class Batches:
    """Takes batches from one client after the other, for one consumer."""

    def __init__(self, prefix: str, most: int, least_seconds: float) -> None:
        """At most `most` records at once; `least_seconds` from the beginning of one batch to that of the next."""
        self._prefix = prefix
        self._most = most
        self._least_seconds = least_seconds
        self._next_at = 0.0
        self._paced = False
        self._full = False

    def _lanes(self, kafka: AIOKafkaConsumer) -> dict[str, list[TopicPartition]]:
        """The partitions of each topic; all that partners write are one lane, and so is all that they read."""
        lanes: dict[str, list[TopicPartition]] = {}
        for tp in kafka.assignment():
            topic = tp.topic[len(self._prefix) :]
            lanes.setdefault(next((lane for lane in (FROM, TO) if topic.startswith(lane)), topic), []).append(tp)
        return lanes

    async def fetch(self, kafka: AIOKafkaConsumer) -> dict[TopicPartition, list[Any]]:
        """At most a batch, once it may begin. If the one before was full, an equal share from each lane."""
        if (rest := self._next_at - time.monotonic()) > 0:
            await asyncio.sleep(rest)
        found = await self._shares(kafka) if self._full else {}
        if not found:
            found = await kafka.getmany(timeout_ms=_POLL_MS, max_records=self._most)
        self._full = sum(map(len, found.values())) >= self._most
        self._paced = bool(found) and not self._full
        return found

    async def _shares(self, kafka: AIOKafkaConsumer) -> dict[TopicPartition, list[Any]]:
        """What is buffered, at most a batch of it, an equal share from each lane as long as each has some, and of a
        lane's share as much from each of its partitions.

        aiokafka would give all that is buffered of one partition before it looks at the next: an answer would be read
        long before what it answers, and whoever fills one partition would hold up those who share the topic.
        """
        found: dict[TopicPartition, list[Any]] = {}
        room = self._most
        lanes, fetcher = self._lanes(kafka), cast(Any, kafka._fetcher)
        for share in (max(1, self._most // max(1, len(lanes))), self._most):
            for partitions in lanes.values():
                left = min(share, room)
                buffered = [tp for tp in partitions if tp in fetcher._records]
                for place, tp in enumerate(buffered):
                    if left <= 0:
                        break
                    part = await kafka.getmany(tp, timeout_ms=0, max_records=max(1, left // (len(buffered) - place)))
                    for batch in part.values():
                        found.setdefault(tp, []).extend(batch)
                        left -= len(batch)
                        room -= len(batch)
        return found

    def began(self, began: float) -> None:
        """After a batch that began at that time: when the next may, unless nothing or very much is to be read."""
        took = time.monotonic() - began
        least = self._least_seconds
        self._next_at = began + min(max(least, took * _REST), max(least, _LONGEST_REST_SECONDS)) if self._paced else 0.0
