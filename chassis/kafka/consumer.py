"""Kafka -> inbox: one consumer group per service, batches, offsets committed after the database transaction.

Batches begin some milliseconds apart, unless the last one was full: a flow of records is taken in together, a single
record at once. After a transient error the consumer seeks back to the start of the batch and polls again, so the group
keeps its member and no batch is held in memory. aiokafka's defaults are overridden where they would lose records or
repeat for ever; the reasons stand beside them.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError

from chassis.kafka.batches import Batches
from chassis.kafka.completion import stopped, to_completion
from chassis.kafka.connection import ANSWER_MS, Connection, why
from chassis.kafka.coverage import Coverage
from chassis.kafka.offsets import Offsets
from chassis.kafka.positions import Positions
from chassis.kafka.reader import KafkaReader
from chassis.kafka.records import Record, record_from
from chassis.kafka.salvage import behind
from chassis.retry import Backoff, in_short, in_words, keep_running
from chassis.store.database import TRANSIENT_ERRORS
from chassis.telemetry import process_span
from contracts.fields import FROM

log = logging.getLogger(__name__)

LOOK_MS = 2_000
"""How often aiokafka's fetcher looks at all its partitions without cause. Whatever changes them wakes it; by default it
looks five times a second all the same."""
_MAX_POLL_INTERVAL_MS = 300_000
_METADATA_MS = 30_000
_STUCK_SECONDS = 30.0
_READ_SECONDS = 3.0
_STOP_SECONDS = 10.0
_LOG_APPEND_TIME = 1
"""Of a record's `timestamp_type`: the broker wrote it down when the record came."""
_LOOK_AGAIN_SECONDS = 0.05
_MISSING_SECONDS = 5.0
_HELP_SECONDS = 2.0
"""How often a worker whose partitions stand looks for what a person wants stepped over."""

DECIDING: Mapping[str, Any] = {"pace_seconds": 0.02}
"""Of a service that decides: the least time between two batches."""
RECORDING: Mapping[str, Any] = {"pace_seconds": 0.1, "wait_ms": 500, "enough_bytes": 64 * 1024}
"""Of a service that records: no case waits for it, so it reads half a second's records together."""

Process = Callable[[Sequence[Record]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a consumer reads: from which broker, under which prefix of topics and group, how many records at once."""

    broker: Connection
    prefix: str
    batch: int
    session_seconds: float = 10
    pace_seconds: float = 0.0
    """The least time from the beginning of one batch to that of the next, while the reader keeps up."""
    wait_ms: int = 1_000
    enough_bytes: int = 1
    """The broker answers when there is so much to read, or after that time. Each answer costs it and the reader up to a
    millisecond, also one without a record."""


class Consumer:
    """Gives `process` batches of records for as long as `run` is not cancelled.

    `topics` is asked between two batches: when it has changed, the consumer subscribes anew, without a restart. A topic
    that does not exist is left out until it does, because aiokafka would read none of the others meanwhile.
    """

    def __init__(
        self,
        reading: Reading,
        group: str,
        topics: Callable[[], Sequence[str]],
        process: Process,
        positions: Positions | None = None,
    ) -> None:
        """`positions` knows what has taken effect; without it the group's offsets are believed."""
        self._reading = reading
        self._broker = reading.broker
        self._group = reading.prefix + group
        self._wanted = topics
        self._topics: list[str] = []
        self._there: frozenset[str] = frozenset()
        self._missing: frozenset[str] = frozenset()
        self._undated: set[str] = set()
        self._looked_at = -_MISSING_SECONDS
        self._prefix = reading.prefix
        self._process = process
        self.positions = positions
        self._helped_at = 0.0
        self._kafka: AIOKafkaConsumer | None = None
        self._moved: dict[TopicPartition, tuple[int, float]] = {}
        """Partition that has records to be read -> where it stands, and since when it was seen to."""
        self._admin: AIOKafkaAdminClient | None = None
        self._batches = Batches(reading.prefix, reading.batch, reading.pace_seconds)
        self._coverage = Coverage(self._group, self._made_anew)
        self._offsets: Offsets | None = None
        self._mark: tuple[datetime, dict[TopicPartition, int]] | None = None
        self.fault: str | None = "the broker has not been reached yet"
        """What keeps records from being taken in now; None while all is well."""

    async def run(self) -> None:
        """Consumes until cancelled; waits for a broker that is not there, starts again after an error that lasts."""
        await keep_running(self._run, (*TRANSIENT_ERRORS, KafkaError), self._note)

    async def _run(self, backoff: Backoff) -> None:
        watching: asyncio.Task[None] | None = None
        try:
            await self._start()
            assert self._kafka is not None
            assert self._admin is not None
            watching = asyncio.create_task(self._coverage.run(self._kafka, self._admin, self._all_topics))
            await self._consume(backoff)
        finally:
            if watching is not None:
                watching.cancel()
            await self._stop()

    def _all_topics(self) -> list[str]:
        return [self._prefix + topic for topic in self._wanted()]

    def _made_anew(self, topic: str) -> None:
        if self.positions is not None:
            self.positions.made_anew(topic)

    def _note(self, error: Exception) -> None:
        self.fault = why(error)
        log.warning("the consumer of %s starts again: %s", self._group, in_words(error))

    async def _start(self) -> None:
        positions = self.positions
        kafka = KafkaReader(
            **self._broker.options(),
            place=None if positions is None else positions.place,
            group_id=self._group,
            client_id=self._group,
            enable_auto_commit=False,  # offsets follow the database
            auto_offset_reset="earliest",  # a new group reads everything
            partition_assignment_strategy=(
                RangePartitionAssignor,
            ),  # co-partitioned: a case's topics meet in one worker
            rebalance_timeout_ms=60_000,  # the default of ten seconds is less than a slow batch
            session_timeout_ms=int(self._reading.session_seconds * 1000),
            heartbeat_interval_ms=int(self._reading.session_seconds * 1000 / 4),
            max_poll_interval_ms=_MAX_POLL_INTERVAL_MS,
            fetch_max_wait_ms=self._reading.wait_ms,
            fetch_min_bytes=self._reading.enough_bytes,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            consumer_timeout_ms=LOOK_MS,
            metadata_max_age_ms=_METADATA_MS,
        )
        admin = AIOKafkaAdminClient(
            **self._broker.options(), client_id=f"{self._group}-admin", request_timeout_ms=ANSWER_MS
        )
        self._topics, self._there, self._looked_at = [], frozenset(), -_MISSING_SECONDS
        self._offsets = Offsets(kafka, None if positions is None else positions.keep)
        if positions is not None:
            positions.follow(kafka, self._prefix, self._offsets.forget)
        try:
            await self._broker.reach(admin.start())
            await self._subscribe(kafka, admin, self._offsets)
            await to_completion(kafka.start())
        except BaseException:
            await stopped(admin.close(), kafka.stop(), seconds=_STOP_SECONDS)
            raise
        self._kafka, self._admin = kafka, admin  # from now on they may be asked

    async def _stop(self) -> None:
        kafka, self._kafka = self._kafka, None
        self._moved.clear()
        self._mark = None
        admin, self._admin = self._admin, None
        if kafka is not None and admin is not None:
            if self._offsets is not None:
                await self._offsets.close()
            await stopped(admin.close(), kafka.stop(), seconds=_STOP_SECONDS)

    async def _subscribe(self, kafka: AIOKafkaConsumer, admin: AIOKafkaAdminClient, offsets: Offsets) -> None:
        wanted = self._all_topics()
        # One that the client knows nothing of is new to it, or was deleted.
        missing = [topic for topic in wanted if topic not in self._there or not kafka.partitions_for_topic(topic)]
        if not missing:
            self._missing = frozenset()
        elif time.monotonic() - self._looked_at >= _MISSING_SECONDS:
            self._looked_at = time.monotonic()
            self._there = frozenset(await to_completion(admin.list_topics()))
            still = frozenset(missing) - self._there
            if still and still != self._missing:
                log.warning("%s reads on without %s, not there yet", self._group, ", ".join(sorted(still)))
            self._missing = still
        topics = [topic for topic in wanted if topic in self._there] or wanted
        if topics != self._topics:
            self._topics, self._mark = topics, None
            await offsets.give_up()  # the client forgets what is assigned to it
            kafka.subscribe(topics=topics, listener=offsets)

    async def _consume(self, starting: Backoff) -> None:
        """Takes in batch after batch. `starting` is reset only once there is progress: who starts again joins the group
        anew, which stops all its workers.
        """
        kafka, admin, offsets = self._kafka, self._admin, self._offsets
        assert kafka is not None
        assert admin is not None
        assert offsets is not None
        backoff = Backoff()
        failed = False
        while True:
            await self._subscribe(kafka, admin, offsets)
            await self._help()
            fetched = await self._batches.fetch(kafka)
            if not fetched:
                if not failed:
                    self.fault = None if kafka.assignment() else "no partitions are assigned"
                    if self._all_read(kafka):
                        starting.reset()
                    offsets.reached(self._passed(offsets))
                continue
            began = time.monotonic()
            begins, ends = self._checked(fetched)
            numbers = {tp: len(kafka.partitions_for_topic(tp.topic) or ()) for tp in fetched}
            records = [self._record(tp, one, numbers[tp]) for tp, batch in fetched.items() for one in batch]
            try:
                with process_span(self._group, (one.header("traceparent") for one in records), len(records)):
                    if records:
                        await self._process(records)
            except TRANSIENT_ERRORS as fault:
                failed, self.fault = True, in_short(fault)
                log.warning("a batch of %d records is tried again: %s", len(records), in_words(fault))
                for tp, begin in begins.items():
                    if self._stands(tp, ends[tp]):
                        self._unread(kafka, tp, begin)
                await self._help(records)
                await backoff.wait()
                continue
            starting.reset()
            backoff.reset()
            failed, self.fault = False, None
            self._batches.began(began)
            offsets.reached({tp: end for tp, end in ends.items() if self._stands(tp, end)} | self._passed(offsets))

    def _checked(
        self, fetched: dict[TopicPartition, list[Any]]
    ) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Leaves of what was fetched what follows what came before. Where each partition is read again if that is not
        taken in, and where it is read on if it is.
        """
        begins, ends = {}, {}
        for tp, batch in fetched.items():
            begins[tp], ends[tp] = batch[0].offset, behind(batch[-1])
            if self.positions is not None and (expected := self.positions.expected(tp)) is not None:
                fetched[tp] = self.positions.continued(tp, batch)
                begins[tp], ends[tp] = min(begins[tp], expected), self.positions.expected(tp) or expected
        return begins, ends

    def _stands(self, tp: TopicPartition, end: int) -> bool:
        """Whether the partition was not placed anew while its records were taken in."""
        return self.positions is None or self.positions.expected(tp) in (None, end)

    async def _help(self, failing: Sequence[Record] = ()) -> None:
        """Where something stands, looks whether a person wants it stepped over."""
        if self.positions is None or (not failing and time.monotonic() - self._helped_at < _HELP_SECONDS):
            return
        self._helped_at = time.monotonic()
        standing = self._standing()
        if failing or standing or self.positions.gone():
            try:
                await self.positions.step_over(failing, standing)
            except TRANSIENT_ERRORS as fault:
                log.warning("nothing is stepped over now: %s", in_words(fault))

    def _record(self, tp: TopicPartition, one: Any, partitions: int) -> Record:
        topic = tp.topic[len(self._prefix) :]
        appended_ms = None
        if topic.startswith(FROM):
            if one.timestamp_type == _LOG_APPEND_TIME:
                appended_ms = one.timestamp
            elif one.timestamp >= 0 and topic not in self._undated:  # of a damaged batch it is not known
                self._undated.add(topic)
                log.warning("%s does not keep LogAppendTime: what comes on it counts as arrived when it is read", topic)
        return record_from(topic, tp.partition, one, appended_ms, partitions)

    def _all_read(self, kafka: AIOKafkaConsumer) -> bool:
        """Whether nothing is left to read of what is assigned here, as far as the last fetch told."""
        known = self._positions()
        return len(known) == len(kafka.assignment()) and all(position >= end for _, position, end in known)

    def _unread(self, kafka: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> None:
        try:
            kafka.seek(tp, offset)
            if self.positions is not None:
                self.positions.back(tp, offset)
        except IllegalStateError:  # assigned to another worker meanwhile, which starts from the committed offset
            log.info("%s is not ours any more", tp)

    def _passed(self, offsets: Offsets) -> dict[TopicPartition, int]:
        """Past what is no record (a transaction's markers), so that a topic read to its end counts as read."""
        return {
            tp: position for tp, position, end in self._positions() if position == end and position > offsets.known(tp)
        }

    async def unreachable(self) -> str | None:
        """Why no broker answers now; None where one does. Asks the broker, three seconds at most."""
        kafka = self._kafka
        if kafka is None:
            return self.fault or "the broker has not been reached yet"
        try:
            await asyncio.wait_for(kafka.topics(), 3)
        except (OSError, TimeoutError, KafkaError) as fault:
            log.warning("no broker answers: %s", in_words(fault))
            turned_away = None if isinstance(fault, TimeoutError) else await self._broker.refusal()
            return turned_away or in_short(fault)
        return None

    def lag(self) -> dict[str, int]:
        """Records not read yet per topic, as far as the last fetch told."""
        found: dict[str, int] = {topic[len(self._prefix) :]: 0 for topic in self._topics}
        for tp, position, end in self._positions():
            found[tp.topic[len(self._prefix) :]] += max(0, end - position)
        return found

    def stuck(self) -> list[str]:
        """Partitions that have records but have not moved for half a minute."""
        return [f"{tp.topic}/{tp.partition}@{position} of {end}" for tp, (position, end) in self._standing().items()]

    def lacking(self) -> str | None:
        """Which of its partitions are not read, and why; None where all are."""
        if self.positions is not None and (words := self.positions.fault or "; ".join(self.positions.gone())):
            return words
        if words := self._coverage.lacking():
            return words
        stuck = self.stuck()
        return "stuck: " + ", ".join(stuck) if stuck else None

    def _standing(self) -> dict[TopicPartition, tuple[int, int]]:
        now = time.monotonic()
        moved, self._moved = self._moved, {}
        for tp, position, end in self._positions():
            if position < end and not (self.positions is not None and self.positions.waits(tp)):
                seen, since = moved.get(tp, (-1, now))
                self._moved[tp] = (position, since if seen == position else now)
        ends = {tp: end for tp, _, end in self._positions()}
        return {
            tp: (position, ends[tp]) for tp, (position, since) in self._moved.items() if now - since > _STUCK_SECONDS
        }

    async def read_up_to(self, now: datetime) -> datetime | None:
        """An instant, `now` or before, at which all that was on the topics has taken effect; None: not yet.

        The broker is asked where the topics end, and how far the group has committed, which follows the database: this
        process commits at once what it has, other workers within a second or after the batch under way. What is asked
        for stands until it is reached, so that who writes without end cannot put it off for ever.
        """
        kafka, admin, offsets = self._kafka, self._admin, self._offsets
        if kafka is None or admin is None or offsets is None:
            return None
        try:
            async with asyncio.timeout(_READ_SECONDS):
                if self._mark is None:
                    numbers = {topic: kafka.partitions_for_topic(topic) for topic in self._topics}
                    if not all(numbers.values()):
                        return None  # the client has not heard yet of a topic that it was just told to read
                    partitions = [TopicPartition(topic, number) for topic in numbers for number in numbers[topic] or ()]
                    self._mark = now, await to_completion(kafka.end_offsets(partitions))
                at, ends = self._mark
                while True:
                    await offsets.commit()
                    if not await self._behind(ends, admin):
                        self._mark = None
                        return at
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except (TimeoutError, KafkaError, OSError) as fault:
            log.info("deadlines wait until the topics are read: %r", fault)
            return None

    async def _behind(self, ends: dict[TopicPartition, int], admin: AIOKafkaAdminClient) -> bool:
        committed = await to_completion(admin.list_consumer_group_offsets(self._group))
        return any(end > (committed[tp].offset if tp in committed else 0) for tp, end in ends.items())

    def missing(self) -> list[str]:
        """Topics that are to be read and are not there, by their names on the broker."""
        return sorted(self._missing)

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
