"""Offsets that the broker does not serve, though its log goes on behind them: it has lost the way in a damaged file.

The length of a batch is under no checksum. Where it is wrong on the broker's disk, every fetch at that offset brings an
error, or nothing for ever. A fetch that begins some records earlier brings the file's bytes across the damage, in which
the batches behind it are found (unpacking.py). Where there are no earlier ones, the next offset that is served is
looked for by bisection, and what lies before it is named as lost to this reader.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import CorruptRecordException, KafkaError, NoError, UnknownError, for_code
from aiokafka.protocol.fetch import FetchRequest

from chassis.kafka.completion import to_completion
from chassis.kafka.salvage import Salvaged, unread
from chassis.kafka.unpacking import Patience, Unpacked

log = logging.getLogger(__name__)

OF_THE_FILE = (CorruptRecordException, UnknownError)
"""What the broker answers where it cannot read its own file."""

_LOOK_SECONDS = 2.0
_PATIENCE_SECONDS = 6.0
"""How long a partition that has more does not move before the broker is asked about it alone."""
_HELP_SECONDS = 10.0
"""How long the reader waits for that: the broker may have died meanwhile."""
_BYTES = 4 * 1024 * 1024
_EARLIER = (1, 2, 4, 16, 64, 256)


class Unserved:
    """Looks after the partitions of one reader."""

    def __init__(self, kafka: AIOKafkaConsumer, patience: Patience) -> None:
        self._kafka = kafka
        self._patience = patience
        self._looked_at = 0.0
        self._since: dict[TopicPartition, tuple[int, float]] = {}
        """Partition that has more than it is given -> its position, and since when that is so."""
        self.refused: set[TopicPartition] = set()
        """Partitions whose last fetch was answered by one of `OF_THE_FILE`."""

    async def look(self) -> None:
        """Helps a partition on that has stood for seconds; to be called between two fetches, however often."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        self._since = {tp: self._since_when(tp, position, now) for tp, position in self._standing()}
        for tp, (position, since) in self._since.items():
            if now - since >= _PATIENCE_SECONDS:
                del self._since[tp]
                try:
                    async with asyncio.timeout(_HELP_SECONDS):
                        await self._help(tp, position)
                except (KafkaError, OSError) as fault:
                    log.info("%s/%d@%d is looked at again later: %r", tp.topic, tp.partition, position, fault)
                return

    def _since_when(self, tp: TopicPartition, position: int, now: float) -> tuple[int, float]:
        before = self._since.get(tp)
        return before if before is not None and before[0] == position else (position, now)

    def _standing(self) -> Iterator[tuple[TopicPartition, int]]:
        kafka: Any = self._kafka
        for tp in kafka.assignment():
            state = kafka._subscription.subscription.assignment.state_value(tp)
            if state is None or not state.has_valid_position or tp in kafka._fetcher._records:
                continue
            if tp in self.refused or (state.highwater is not None and state.position < state.highwater):
                yield tp, state.position

    async def _help(self, tp: TopicPartition, position: int) -> None:
        end = (await to_completion(self._kafka.end_offsets([tp])))[tp]
        if position >= end or await self._fetched(tp, position):
            return  # it has only waited its turn
        found = await self._across(tp, position, end) or await self._beyond(tp, position, end)
        if found is None:
            log.warning("%s/%d@%d is not served, nor is anything behind it", tp.topic, tp.partition, position)
            return
        kafka: Any = self._kafka
        assignment = kafka._subscription.subscription.assignment
        state = assignment.state_value(tp)
        if state is not None and state.has_valid_position and state.position == position:
            fetcher = kafka._fetcher
            backoff = fetcher._prefetch_backoff
            fetcher._records[tp] = FetchResult(tp, partition_records=found, assignment=assignment, backoff=backoff)

    async def _across(self, tp: TopicPartition, position: int, end: int) -> Unpacked | None:
        """What a fetch before the damage brings of what lies behind the position; None where it brings nothing."""
        for earlier in _EARLIER:
            raw = await self._fetched(tp, position - earlier, _BYTES) if position >= earlier else b""
            self._patience.again[tp] = position  # it was fetched often enough
            if raw and next(iter(Unpacked(tp, raw, position, end, self._patience)), None) is not None:
                return Unpacked(tp, raw, position, end, self._patience)
        return None

    async def _beyond(self, tp: TopicPartition, position: int, end: int) -> "_Passed | None":
        """All up to the next offset that is served; None where there is none."""
        failing, step = position, 1
        while True:
            served = min(position + step, end - 1)
            if served <= failing:
                return None
            if await self._fetched(tp, served):
                break
            failing, step = served, 2 * step
        while served - failing > 1:
            middle = (failing + served) // 2
            if await self._fetched(tp, middle):
                served = middle
            else:
                failing = middle
        log.warning("%s/%d@%d is not served, reading goes on at %d", tp.topic, tp.partition, position, served)
        return _Passed(unread(position, served - 1, b"", "the broker does not serve what lies there"))

    async def _fetched(self, tp: TopicPartition, offset: int, most: int = 1) -> bytes:
        """What the broker has from there on, one batch at least, asked about that partition alone and in no session."""
        client = self._kafka._client
        request = FetchRequest(0, 1, most, 0, [(tp.topic, [(tp.partition, offset, most)])])
        leader = client.cluster.leader_for_partition(tp)
        answer: Any = await to_completion(AIOKafkaClient.send(client, leader, request))
        for _, parts in answer.topics:
            for _, code, *_, raw in parts:
                error = for_code(code)
                if error is not NoError and error not in OF_THE_FILE:
                    raise error()
                return raw or b""
        return b""


class _Passed:
    """One item, as aiokafka's `FetchResult` expects records."""

    def __init__(self, item: Salvaged) -> None:
        item.value = None
        self.next_fetch_offset = item.offset
        self._items = self._give(item)

    def _give(self, item: Salvaged) -> Iterator[Salvaged]:
        self.next_fetch_offset = item.last + 1
        yield item

    def __iter__(self) -> Iterator[Salvaged]:
        return self._items
