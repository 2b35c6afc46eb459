"""The topics that a service writes itself, read to their ends: without a group, without effect on what others read.

It is the only reading of one's own topics, and looks for nothing but what others wrote there. Positions are kept by who
processes the records, with what it does with them. What has not been read yet is read from the earliest offset there
is; so is a partition whose position the broker does not have any more, because retention deleted it.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.kafka.completion import stopped, to_completion
from chassis.kafka.connection import why
from chassis.kafka.consumer import LOOK_MS, Reading
from chassis.kafka.reader import KafkaReader
from chassis.kafka.records import Record, record_from
from chassis.kafka.salvage import behind
from chassis.retry import Backoff, NotNow, in_words, keep_running
from chassis.store.database import TRANSIENT_ERRORS

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.5
"""How often a tail that rests looks whether it may read."""
_POLL_MS = 2_000
"""How long one that reads waits for records until it looks whether it still may."""
_LOOK_SECONDS = 10.0
"""How often the broker is asked which of the topics it has, with how many partitions."""
_DEADLINE_SECONDS = 30.0
"""Of a start, and of a look: a client that was connected to a broker that died may wait for ever."""
_WAIT_MS = 2_000
_ENOUGH_BYTES = 512 * 1024
"""The broker answers when so much is there, or after that time: a large batch costs a fraction of many small ones."""
_BATCH = 1_000

Positions = Mapping[tuple[str, int], int]
"""(topic without prefix, partition) -> the offset to read next."""


class Follower(Protocol):
    """Knows how far it has come, and takes in what follows."""

    async def positions(self) -> Positions:
        """Where to read on; a partition that is not in it has not been read yet."""
        ...

    async def process(self, records: Sequence[Record]) -> None:
        """Returns when the records and the positions behind them are durable. Raises one of `TRANSIENT_ERRORS` if
        nothing could be done now; then it is asked where to read on.
        """
        ...


class Tail:
    """Gives a follower what is on `topics`, until `run` is cancelled.

    It rests while `leads` says that another process reads them. Correctness does not depend on that.
    """

    def __init__(
        self,
        reading: Reading,
        name: str,
        topics: Callable[[], Sequence[str]],
        follower: Follower,
        leads: Callable[[], bool],
    ) -> None:
        self._broker = reading.broker
        self._prefix = reading.prefix
        self._name = name
        self._topics = topics
        self._follower = follower
        self._leads = leads
        self._wanted: Sequence[str] = ()
        self._looked_at = 0.0
        self._ends: Mapping[TopicPartition, int] = {}
        """Where the topics ended at the last look."""
        self._moved = False
        """Whether anything was read since."""
        self.fault: str | None = None
        """What keeps the topics from being read now; None while all is well, or another process reads them."""

    async def run(self) -> None:
        """Reads until cancelled; starts again after any error."""
        await keep_running(self._run, (*TRANSIENT_ERRORS, KafkaError), self._note)

    def _note(self, error: Exception) -> None:
        self.fault = why(error)
        log.warning("%s does not read its own topics now: %s", self._name, in_words(error))

    async def _run(self, backoff: Backoff) -> None:
        while not self._leads():
            self.fault = None
            await asyncio.sleep(_IDLE_SECONDS)
        kafka = KafkaReader(
            **self._broker.options(),
            group_id=None,
            client_id=f"{self._prefix}{self._name}-tail",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_min_bytes=_ENOUGH_BYTES,
            fetch_max_wait_ms=_WAIT_MS,
            max_partition_fetch_bytes=2 * 1024 * 1024,
            fetch_max_bytes=8 * 1024 * 1024,  # of all partitions, so that a long backlog takes little memory
            consumer_timeout_ms=LOOK_MS,
        )
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await self._broker.reach(kafka.start())
            await self._follow(kafka, dict(await self._follower.positions()), backoff)
        finally:
            await stopped(kafka.stop(), seconds=10)

    async def _follow(self, kafka: AIOKafkaConsumer, positions: dict[tuple[str, int], int], backoff: Backoff) -> None:
        self._wanted, self._looked_at, self._ends, self._moved = (), 0.0, {}, False
        while self._leads():
            async with asyncio.timeout(_DEADLINE_SECONDS):
                await self._look(kafka, positions)
            if not kafka.assignment():
                await asyncio.sleep(_IDLE_SECONDS)
                continue
            fetched = await kafka.getmany(timeout_ms=_POLL_MS, max_records=_BATCH)
            if fetched:
                self._moved = True
                records = [record_from(*self._place(tp), one) for tp, batch in fetched.items() for one in batch]
                await self._follower.process(records)
                positions |= {self._place(tp): behind(batch[-1]) for tp, batch in fetched.items()}
            backoff.reset()
            self.fault = None

    async def _look(self, kafka: AIOKafkaConsumer, positions: Positions) -> None:
        """Takes all partitions that there are now. Raises `NotNow` if nothing comes although there is something."""
        wanted = tuple(self._topics())
        if wanted == self._wanted and time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        if not self._moved and any(self._position(kafka, tp) < end for tp, end in self._ends.items()):
            raise NotNow("its own topics have records that do not come")
        await self._assign(kafka, wanted, positions)
        taken = list(kafka.assignment())
        self._ends = await to_completion(kafka.end_offsets(taken)) if taken else {}
        self._wanted, self._looked_at, self._moved = wanted, time.monotonic(), False

    def _position(self, kafka: AIOKafkaConsumer, tp: TopicPartition) -> int:
        """Where the client reads on; 0 while it does not know, and for a partition that it does not read any more the
        end of all.
        """
        if tp not in kafka.assignment():
            return sys.maxsize
        state = kafka._subscription.subscription.assignment.state_value(tp)
        return state.position if state is not None and state.has_valid_position else 0

    async def _assign(self, kafka: AIOKafkaConsumer, wanted: Sequence[str], positions: Positions) -> None:
        """Takes all partitions of the topics, each where it was left."""
        cluster = await to_completion(kafka._client.fetch_all_metadata())
        found = {
            TopicPartition(self._prefix + topic, number)
            for topic in wanted
            for number in cluster.partitions_for_topic(self._prefix + topic) or ()
        }
        if found == kafka.assignment():
            return
        kafka.assign(sorted(found))
        for tp in found:
            if (position := positions.get(self._place(tp))) is not None:
                kafka.seek(tp, position)

    def _place(self, tp: TopicPartition) -> tuple[str, int]:
        return tp.topic[len(self._prefix) :], tp.partition
