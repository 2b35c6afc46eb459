"""Outbox -> Kafka: own events in order, sent with one idempotent producer, noted after the acknowledgement.

How far publishing has come is noted once a second, and at a clean stop, of what the broker has acknowledged
(chassis.store.outbox). A relay that dies midway sends again; readers drop duplicates. After any error the producer is
discarded and the relay starts again at what was noted, because an idempotent producer that failed once may stay broken
for a partition (aiokafka #1017, #1154).

A lease (chassis.store.leadership) lets one relay of a service work at a time. Correctness does not depend on it: a
second relay sends the same events in the same order. So does one that was frozen, lost the lease, and wakes up: what it
still sends has been sent, or is sent in the same order by its successor, which began at what was noted.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from chassis.kafka.completion import stopped, to_completion
from chassis.kafka.connection import Connection, why
from chassis.kafka.partitions import Partitioner
from chassis.retry import Backoff, in_words, keep_running
from chassis.settings import Raised
from chassis.store.database import TRANSIENT_ERRORS, Database
from chassis.store.leadership import Lease
from chassis.store.origin import HEADER, code, key_of
from chassis.store.outbox import Outbox, Unpublished
from contracts.envelope import CONTENT_TYPE

log = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
"""How often the outbox is read without having been told of anything. A server that hangs is found so, too."""
_NOTE_SECONDS = 1.0
"""How often it is noted how far publishing has come, while more and more is sent: a commit of its own."""
_LEAD_SECONDS = 0.5
"""How often a relay that does not lead asks whether it may."""
_BATCH = 1000
_MISSING_SECONDS = 5.0
"""How long events for a topic that the broker does not have are left aside before it is asked again."""
_DEADLINE_SECONDS = 30.0
"""Of one batch: aiokafka retries an idempotent send for ever."""


class Relay:
    """Publishes one service's outbox for as long as `run` is not cancelled."""

    def __init__(
        self, *, broker: Connection, name: str, prefix: str, database: Database, raised: Sequence[Raised] = ()
    ) -> None:
        self._broker = broker
        self._partitioner = Partitioner(raised)
        self._name = name
        self._prefix = prefix
        self._database = database
        self._wake = asyncio.Event()
        self._there: set[str] = set()
        self._missing: dict[str, float] = {}
        self._key = b""
        self.fault: str | None = "the outbox has not been read yet"
        """What keeps facts from being published now; None while all is well."""
        self.leads = False
        """Whether this relay is the one that publishes."""

    async def run(self) -> None:
        """Publishes until cancelled; starts again after any error."""
        await keep_running(self._run, (*TRANSIENT_ERRORS, KafkaError), self._note)

    async def _run(self, backoff: Backoff) -> None:
        connection: asyncpg.Connection | None = None
        producer: AIOKafkaProducer | None = None
        try:
            connection = await self._database.connect()
            self._there.clear()  # a topic may have been deleted: sending there would fail again and again
            lease = Lease(connection, self._database.watched)
            await self._lead(lease)
            self.leads = True
            producer = self._producer()
            await lease.kept(self._broker.reach(producer.start()))
            backoff.reset()
            await self._publish(connection, lease, producer)
        finally:
            self.leads = False
            await self._close(connection, producer)

    def _note(self, error: Exception) -> None:
        self.fault = why(error)
        log.warning("the relay starts again: %s", in_words(error))

    async def _lead(self, lease: Lease) -> None:
        """Waits until no other relay of the service leads, and then leads until the connection ends."""
        while not await lease.take():
            self.fault = None
            await asyncio.sleep(_LEAD_SECONDS)

    def _producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            **self._broker.options(),
            client_id=f"{self._prefix}{self._name}-relay",
            enable_idempotence=True,
            acks="all",
            linger_ms=2,
            max_batch_size=256 * 1024,
            max_request_size=2 * 1024 * 1024,
            request_timeout_ms=20_000,
            partitioner=self._partitioner,  # pyright: ignore[reportArgumentType]  any callable will do
        )

    async def _publish(self, connection: asyncpg.Connection, lease: Lease, producer: AIOKafkaProducer) -> None:
        watched = self._database.watched
        schema = await watched(connection, connection.fetchval("SELECT current_schema()"))
        await watched(connection, connection.add_listener(f"{schema}_outbox", lambda *_: self._wake.set()))
        self._key = await key_of(self._database)
        outbox = await Outbox.open(connection, watched)
        try:
            await self._publish_from(outbox, lease, producer)
        except asyncio.CancelledError:
            try:
                if not outbox.is_noted:
                    await outbox.note()
            except TRANSIENT_ERRORS as fault:
                log.info("what was sent in the last second will be sent again: %s", in_words(fault))
            raise

    async def _publish_from(self, outbox: Outbox, lease: Lease, producer: AIOKafkaProducer) -> None:
        looked_at = noted_at = time.monotonic()
        while True:
            self._wake.clear()
            if time.monotonic() - looked_at >= _MISSING_SECONDS:
                await self._publish_apart(outbox, lease, producer)
                looked_at = time.monotonic()
            events = await outbox.read(_BATCH)
            if unknown := {one.topic for one in events} - self._there:
                await lease.kept(self._look_for(unknown, producer))
            if events:
                later = [one for one in events if one.topic not in self._there or one.topic in outbox.apart]
                sent = [one for one in events if one.topic in self._there and one.topic not in outbox.apart]
                await lease.kept(self._send_all(producer, sent))
                if later:
                    await outbox.set_apart(later)
            outbox.acknowledge()
            self.fault = None
            if not outbox.is_noted and time.monotonic() - noted_at >= _NOTE_SECONDS:
                await outbox.note()
                noted_at = time.monotonic()
            if len(events) < _BATCH:
                with contextlib.suppress(TimeoutError):  # not wait_for: on 3.11 it may lose a cancellation
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()

    async def _publish_apart(self, outbox: Outbox, lease: Lease, producer: AIOKafkaProducer) -> None:
        """Sends what waits for topics that are there by now."""
        await outbox.settle_apart()
        while outbox.apart - set(self._aside()):
            events = await outbox.read_apart(self._aside(), _BATCH)
            if not events:
                lost = ", ".join(sorted(outbox.apart - set(self._aside())))
                log.warning("rows of the table unsent name events that are not there: topics %s", lost)
                return
            if unknown := {one.topic for one in events} - self._there:
                await lease.kept(self._look_for(unknown, producer))
            sent = [one for one in events if one.topic in self._there]
            await lease.kept(self._send_all(producer, sent))
            await outbox.forget_apart(sent)
            await outbox.settle_apart()

    async def _send_all(self, producer: AIOKafkaProducer, events: Sequence[Unpublished]) -> None:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            acknowledged = [await self._send(producer, one) for one in events]
            await asyncio.gather(*acknowledged)

    def _aside(self) -> list[str]:
        """Topics that are not looked for again yet: what waits for them must not hold up the rest."""
        now = time.monotonic()
        return [topic for topic, since in self._missing.items() if now - since < _MISSING_SECONDS]

    @property
    def missing(self) -> list[str]:
        """Topics that the broker does not have, though something waits to be sent there."""
        return sorted(self._missing)

    async def _look_for(self, topics: set[str], producer: AIOKafkaProducer) -> None:
        """Asks the broker which of these topics it has: sending to one that it lacks takes half a minute to fail."""
        cluster = await to_completion(producer.client.fetch_all_metadata())
        known = cluster.topics(exclude_internal_topics=False)
        for topic in topics:
            if self._prefix + topic in known:
                self._there.add(topic)
                self._missing.pop(topic, None)
            else:
                self._missing[topic] = time.monotonic()

    async def _send(self, producer: AIOKafkaProducer, event: Unpublished) -> asyncio.Future[object]:
        headers = [("content-type", CONTENT_TYPE), (HEADER, code(self._key, event.topic, event.body))]
        if event.traceparent:
            headers.append(("traceparent", event.traceparent.encode()))
        return await producer.send(
            self._prefix + event.topic, key=event.key.encode(), value=event.body, headers=headers
        )

    async def _close(self, connection: asyncpg.Connection | None, producer: AIOKafkaProducer | None) -> None:
        try:
            if producer is not None:
                await stopped(producer.stop(), seconds=5)
        finally:  # a process that ends meanwhile cancels the waiting
            if connection is not None:
                try:
                    await connection.close(timeout=5)
                except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                    connection.terminate()
