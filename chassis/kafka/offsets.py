"""Offsets of a group: those that its records have reached in the database, and those that the broker knows of.

The broker is told once a second, beside the work: nothing waits for it but a deadline, a rebalance and the stop.
Records whose offsets it does not know yet come again after a crash, and have no effect a second time. The service
writes down what has taken effect before it tells the broker, so what the broker says is never ahead by itself.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from chassis.kafka.completion import to_completion
from chassis.retry import in_words
from chassis.store.database import TRANSIENT_ERRORS

log = logging.getLogger(__name__)

_EVERY_SECONDS = 1.0
_LAST_SECONDS = 2.0
"""How long the last commit of a consumer that stops, or of partitions that go to another worker, is waited for. A call
that is under way by then has five seconds more (`to_completion`).
"""


class Offsets(ConsumerRebalanceListener):
    """Commits what is durable. Give it to `subscribe` as the listener."""

    def __init__(
        self, kafka: AIOKafkaConsumer, keep: Callable[[Mapping[TopicPartition, int]], Awaitable[None]] | None = None
    ) -> None:
        """`keep` writes down what has taken effect, durably. Raises one of `TRANSIENT_ERRORS` if it cannot now."""
        self._kafka = kafka
        self._keep = keep
        self._durable: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._told_at = time.monotonic()

    def reached(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Notes that all records before these offsets have taken effect, and tells the broker if that is due.

        Raises what the last attempt to tell it met.
        """
        ours = self._kafka.assignment()
        self._durable.update({tp: offset for tp, offset in offsets.items() if tp in ours})
        if self._committing is not None and self._committing.done():
            task, self._committing = self._committing, None
            task.result()
        if self._committing is None and self._pending() and time.monotonic() - self._told_at >= _EVERY_SECONDS:
            self._committing = asyncio.create_task(self.commit())

    def forget(self, tp: TopicPartition) -> None:
        """Says that what was read of the partition is of another topic than what is read now."""
        self._durable.pop(tp, None)
        self._committed.pop(tp, None)

    def known(self, tp: TopicPartition) -> int:
        """Up to where records have taken effect, as far as this process knows; 0 where it does not."""
        return self._durable.get(tp, 0)

    async def commit(self) -> None:
        """Tells the broker all that is durable. A commit lost to a rebalance only means that records come again."""
        async with self._one_at_a_time:
            ours = {tp: offset for tp, offset in self._pending().items() if tp in self._kafka.assignment()}
            self._told_at = time.monotonic()
            if not ours:
                return
            try:
                if self._keep is not None:
                    await self._keep(ours)
            except TRANSIENT_ERRORS as fault:
                log.info("offsets not committed, as the database does not take them: %s", in_words(fault))
                return
            try:
                await to_completion(self._kafka.commit(ours))
                self._committed.update(ours)
            except (CommitFailedError, IllegalStateError) as fault:
                log.info("offsets not committed, the records will come again: %s", fault)

    def _pending(self) -> dict[TopicPartition, int]:
        return {tp: offset for tp, offset in self._durable.items() if offset != self._committed.get(tp)}

    async def on_partitions_revoked(self, revoked: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  it may
        """Before other workers may get the partitions: tells the broker where those are to begin."""
        await self.give_up()

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Nothing: the client reads on from what was committed."""

    async def close(self) -> None:
        """Tells the broker the last offsets, if it answers."""
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
        await self.give_up()

    async def give_up(self) -> None:
        """Tells the broker the last offsets of partitions that may go to another worker, and forgets them."""
        with contextlib.suppress(TimeoutError, KafkaError, OSError):  # then the records come again
            async with asyncio.timeout(_LAST_SECONDS):
                await self.commit()
        self._durable.clear()
        self._committed.clear()
