"""Kafka -> inbox: one consumer group per service, batches, offsets committed after the database has.

A batch that fails because of its surroundings is un-read: the consumer seeks back to its start and polls again, so
the group keeps its member and nothing is held in memory. aiokafka's defaults are overridden where they would lose or
repeat for ever; the reasons stand beside them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from chassis.database import PASSING
from chassis.inbox import backoff
from chassis.records import Record

log = logging.getLogger(__name__)

_POLL_MS = 200
_MAX_POLL_INTERVAL_MS = 300_000
_STUCK_SECONDS = 30.0

Process = Callable[[Sequence[Record]], Awaitable[None]]


class Consumer:
    """Feeds `process` with batches of at most `batch` records for as long as `run` is not cancelled."""

    def __init__(
        self,
        *,
        servers: str,
        group: str,
        topics: Sequence[str],
        prefix: str,
        batch: int,
        process: Process,
        session_seconds: float = 10,
    ) -> None:
        self._servers = servers
        self._group = prefix + group
        self._topics = [prefix + topic for topic in topics]
        self._prefix = prefix
        self._batch = batch
        self._session_seconds = session_seconds
        self._process = process
        self._kafka: AIOKafkaConsumer | None = None
        self._moved: dict[TopicPartition, tuple[int, float]] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._current: frozenset[TopicPartition] = frozenset()
        """The assignment for which everything found at its beginning has taken effect."""
        self.fault: str | None = "the broker has not been reached yet"
        """What keeps records from being taken in now; None while all is well."""

    async def run(self) -> None:
        """Consumes until cancelled; waits for a broker that is not there, starts anew after a fault that lasts."""
        attempt = 0
        while True:
            try:
                await self._start()
                attempt = 0
                await self._consume()
            except (*PASSING, KafkaError) as fault:
                self.fault = f"{type(fault).__name__}: {fault}"
                log.warning("consumer of %s starts anew: %s", self._group, self.fault)
            finally:
                await self._stop()
            await backoff(attempt)
            attempt += 1

    async def _start(self) -> None:
        kafka = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,  # offsets follow the database
            auto_offset_reset="earliest",  # a new group reads everything
            isolation_level="read_committed",
            partition_assignment_strategy=(
                RangePartitionAssignor,
            ),  # co-partitioned: a case's topics meet in one worker
            rebalance_timeout_ms=60_000,  # the default of ten seconds is less than a slow batch
            session_timeout_ms=int(self._session_seconds * 1000),
            heartbeat_interval_ms=int(self._session_seconds * 1000 / 4),
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            request_timeout_ms=40_000,
        )
        kafka.subscribe(topics=self._topics)
        self._kafka = kafka
        await kafka.start()

    async def _stop(self) -> None:
        kafka, self._kafka = self._kafka, None
        self._moved.clear()
        self._ends.clear()
        self._current = frozenset()
        if kafka is not None:
            try:
                await asyncio.wait_for(kafka.stop(), 10)
            except (TimeoutError, KafkaError, OSError) as fault:
                log.warning("the consumer did not stop cleanly: %r", fault)

    async def _consume(self) -> None:
        kafka = self._kafka
        assert kafka is not None
        attempt = 0
        while True:
            fetched = await self._fetch(kafka)
            if not fetched:
                if attempt == 0:
                    self.fault = None if kafka.assignment() else "no partitions are assigned"
                    self._note_progress(kafka)
                continue
            records = [
                Record(tp.topic[len(self._prefix) :], tp.partition, r.offset, r.key, r.value, r.headers)
                for tp, batch in fetched.items()
                for r in batch
            ]
            try:
                await self._process(records)
            except PASSING as fault:
                self.fault = f"{type(fault).__name__}: {fault}"
                log.warning("a batch of %d records is tried again: %s", len(records), self.fault)
                for tp, batch in fetched.items():
                    self._unread(kafka, tp, batch[0].offset)
                await backoff(attempt)
                attempt += 1
                continue
            attempt = 0
            self.fault = None
            self._note_progress(kafka)
            await self._commit(kafka, {tp: batch[-1].offset + 1 for tp, batch in fetched.items()})

    async def _fetch(self, kafka: AIOKafkaConsumer) -> dict[TopicPartition, list[Any]]:
        """At most a batch, an equal share from each topic as long as each has some, in the order of the service's
        topics.

        aiokafka would give all that is buffered of one partition before it looks at the next, and an answer would be
        read long before what it answers.
        """
        found: dict[TopicPartition, list[Any]] = {}
        room = self._batch
        lanes = {topic: [tp for tp in kafka.assignment() if tp.topic == topic] for topic in self._topics}
        for share in (max(1, self._batch // len(self._topics)), self._batch):
            for partitions in lanes.values():
                if partitions and room > 0:
                    part = await kafka.getmany(*partitions, timeout_ms=0, max_records=min(share, room))
                    for tp, batch in part.items():
                        found.setdefault(tp, []).extend(batch)
                        room -= len(batch)
        return found or await kafka.getmany(timeout_ms=_POLL_MS, max_records=self._batch)

    def _unread(self, kafka: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
        try:
            kafka.seek(tp, offset)
        except IllegalStateError:  # assigned to another worker meanwhile, which starts from the committed offset
            log.info("%s is not ours any more", tp)

    async def _commit(self, kafka: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        """Commits what is durable. A commit lost to a rebalance only means that records come again."""
        ours = {tp: offset for tp, offset in offsets.items() if tp in kafka.assignment()}
        if not ours:
            return
        try:
            await kafka.commit(ours)
        except (CommitFailedError, IllegalStateError) as fault:
            log.info("offsets not committed, the records will come again: %s", fault)

    async def unreachable(self) -> str | None:
        """Why no broker answers now; None where one does. Asks the broker, three seconds at most."""
        kafka = self._kafka
        if kafka is None:
            return self.fault or "the broker has not been reached yet"
        try:
            await asyncio.wait_for(kafka.topics(), 3)
        except (OSError, TimeoutError, KafkaError) as fault:
            return f"{type(fault).__name__}: {fault}"
        return None

    def lag(self) -> dict[str, int]:
        """Records not read yet per topic, as far as the last fetch told."""
        found: dict[str, int] = {topic[len(self._prefix) :]: 0 for topic in self._topics}
        for tp, position, end in self._positions():
            found[tp.topic[len(self._prefix) :]] += max(0, end - position)
        return found

    def stuck(self) -> list[str]:
        """Partitions that have records but have not moved for half a minute."""
        now = time.monotonic()
        found = []
        for tp, position, end in self._positions():
            seen, since = self._moved.get(tp, (-1, now))
            if seen != position:
                self._moved[tp] = (position, now)
            elif position < end and now - since > _STUCK_SECONDS:
                found.append(f"{tp.topic}/{tp.partition}@{position} of {end}")
        return found

    def caught_up(self) -> bool:
        """Whether everything has taken effect that was on the topics when this consumer was given its partitions.

        Until then a deadline may seem to have passed only because its end has not been read yet.
        """
        return self._kafka is not None and self._current == self._kafka.assignment()

    def _note_progress(self, kafka: AIOKafkaConsumer) -> None:
        if self._current == kafka.assignment():
            return
        positions = self._positions()
        behind = [tp for tp, position, end in positions if position < self._ends.setdefault(tp, end)]
        if not behind and len(positions) == len(kafka.assignment()):
            self._current = frozenset(kafka.assignment())

    def assigned(self) -> int:
        """The number of partitions this process reads."""
        return len(self._kafka.assignment()) if self._kafka else 0

    def _positions(self) -> list[tuple[TopicPartition, int, int]]:
        kafka = self._kafka
        if kafka is None:
            return []
        found = []
        for tp in kafka.assignment():
            state = kafka._subscription.subscription.assignment.state_value(tp)
            end = kafka.highwater(tp)
            if state is not None and state.has_valid_position and end is not None:
                found.append((tp, state.position, end))
        return found
