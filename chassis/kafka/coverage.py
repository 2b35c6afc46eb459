"""Whether a service reads all that it should: every partition of every topic, by whichever of its workers.

A group gives out the partitions that its leader knew of when it was last formed. Of a topic that was deleted and made
anew, or of partitions that were added, aiokafka learns late or never, and nobody reads them: with a lag of 0, because
the lag is of what is read. So each worker asks the broker every few seconds which partitions there are, which of them
the group has given out, and whether its topics are still the same ones. What nobody reads makes it form the group anew.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import KafkaError

from chassis.kafka.completion import to_completion
from chassis.kafka.layout import layout
from chassis.retry import in_words

log = logging.getLogger(__name__)

_LOOK_SECONDS = 3.0
_ANSWER_SECONDS = 5.0
_PATIENCE_SECONDS = 10.0
"""How long what nobody reads is no fault: a group that is formed anew has given nothing out yet."""
_LONGEST_SECONDS = 60.0
"""The group is formed anew for what nobody reads ever more seldom, because all its workers stop meanwhile."""
_STABLE = "Stable"


class Coverage:
    """Watches over one worker's group."""

    def __init__(self, group: str, made_anew: Callable[[str], None]) -> None:
        """`made_anew` is told a topic that this worker reads and that is another one now."""
        self._group = group
        self._made_anew = made_anew
        self._unread_since: dict[TopicPartition, float] = {}
        self._absent_since: dict[str, float] = {}
        self._ids: dict[str, object] = {}
        self._again_at = 0.0
        self._again_seconds = _LOOK_SECONDS

    async def run(self, kafka: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topics: Callable[[], list[str]]) -> None:
        """Looks until cancelled; `topics` are those that are to be read, by their names on the broker."""
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._look(kafka, admin, topics())
            except (KafkaError, OSError, TimeoutError) as fault:  # which the consumer meets as well, and says
                log.info("%s cannot look what its group reads: %s", self._group, in_words(fault))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look(self, kafka: AIOKafkaConsumer, admin: AIOKafkaAdminClient, topics: Sequence[str]) -> None:
        found = await layout(admin._client, topics)
        now = time.monotonic()
        for topic, one in found.items():
            before = self._ids.get(topic)
            self._ids[topic] = one.topic_id
            if before is not None and one.topic_id is not None and before != one.topic_id:
                log.warning("%s: the topic %s was made anew", self._group, topic)
                self._made_anew(topic)
        self._absent_since = {one: self._absent_since.get(one, now) for one in topics if one not in found}
        there = {TopicPartition(topic, number) for topic, one in found.items() for number in one.partitions}
        given = await self._given(admin)
        if given is None:  # the group is being formed
            return
        unread = there - given
        lasting = [tp for tp in unread if tp in self._unread_since]
        self._unread_since = {tp: self._unread_since.get(tp, now) for tp in unread}
        if not unread:
            self._again_seconds = _LOOK_SECONDS
        elif lasting and now >= self._again_at:
            self._again_at, self._again_seconds = (
                now + self._again_seconds,
                min(2 * self._again_seconds, _LONGEST_SECONDS),
            )
            log.warning("%s: nobody reads %s; the group is formed anew", self._group, ", ".join(_names(lasting)))
            await asyncio.shield(kafka._client.force_metadata_update())
            coordinator: Any = kafka._coordinator
            if coordinator is not None:
                coordinator.request_rejoin()

    async def _given(self, admin: AIOKafkaAdminClient) -> set[TopicPartition] | None:
        """The partitions that some member of the group has; None while it is formed."""
        answer: Any
        [answer] = await to_completion(admin.describe_consumer_groups([self._group]))
        [(_, _, state, _, _, members, *_)] = answer.groups
        if state != _STABLE:
            return None
        return {tp for member in members for tp in ConsumerProtocol.ASSIGNMENT.decode(member[4]).partitions()}

    def lacking(self) -> str | None:
        """What nobody reads although it should be read, for longer than a group takes to be formed; None: nothing."""
        until = time.monotonic() - _PATIENCE_SECONDS
        absent = sorted(topic for topic, since in self._absent_since.items() if since < until)
        unread = _names(tp for tp, since in self._unread_since.items() if since < until)
        words = [f"not there: {', '.join(absent)}"] if absent else []
        return "; ".join([*words, *([f"read by no worker: {', '.join(unread)}"] if unread else [])]) or None


def _names(partitions: Collection[TopicPartition] | Iterator[TopicPartition]) -> list[str]:
    return [f"{tp.topic}/{tp.partition}" for tp in sorted(partitions)]
