"""A partner's own system: it says what it has to say on `from.<partner>` and hears on `to.<partner>`, nothing else."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from chassis.ids import uuid7
from chassis.kafka.connection import Connection
from contracts.envelope import CONTENT_TYPE
from contracts.fields import Fact
from contracts.homes import partner_source, topic_from, topic_to
from contracts.wire import Circumstances, build, parse

HEADERS = [("content-type", CONTENT_TYPE)]


def request(
    partner: str,
    case: str,
    data: Fact,
    *,
    cause: str | None = None,
    actor: str | None = None,
    at: datetime | None = None,
) -> tuple[str, bytes]:
    """The id and the bytes of a partner's request, as its system would write it."""
    now = at or datetime.now(UTC)
    event, raw = build(
        data,
        Circumstances(
            event_id=uuid7(now),
            source=partner_source(partner),
            subject=case,
            time=now,
            recorded=now,
            sequence=None,
            cause=cause,
            actor=actor or "system",
        ),
    )
    return event.id, raw


class PartnerSystem:
    """Use as an async context manager; it hears what is said from then on."""

    def __init__(
        self,
        broker: Connection,
        partner: str,
        *,
        prefix: str = "",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.partner = partner
        self._broker = broker
        self._prefix = prefix
        self._clock = clock
        self._told = asyncio.Condition()
        self.notices: dict[str, list[Any]] = defaultdict(list)
        """Case -> the notices about it, each once."""

    async def __aenter__(self) -> "PartnerSystem":
        self._producer = AIOKafkaProducer(**self._broker.options(), enable_idempotence=True, acks="all")
        self._consumer = AIOKafkaConsumer(**self._broker.options(), group_id=None, enable_auto_commit=False)
        await self._producer.start()
        await self._consumer.start()
        topic = self._prefix + topic_to(self.partner)
        self._consumer.assign([TopicPartition(topic, n) for n in await partitions_of(self._consumer, topic)])
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def ask(self, case: str, data: Fact, *, cause: str | None = None, actor: str | None = None) -> str:
        """Says it; the request's id, once the broker has it."""
        event_id, raw = request(self.partner, case, data, cause=cause, actor=actor, at=self._clock())
        topic = self._prefix + topic_from(self.partner)
        await self._producer.send_and_wait(topic, value=raw, key=case.encode(), headers=HEADERS)
        return event_id

    async def insist(self, case: str, data: Fact, *, cause: str | None = None, actor: str | None = None) -> Any:
        """Says it and waits for the answer. Raises `AssertionError` with the rule where it is refused."""
        event_id = await self.ask(case, data, cause=cause, actor=actor)
        answer = await self.until(
            lambda notice: getattr(notice.data, "request", None) == event_id, f"answer to {data!r}"
        )
        if answer.data.kind != "accepted":
            raise AssertionError(f"{self.partner} was refused: {answer.data.rule}: {answer.data.reason}")
        return answer

    async def until(self, test: Callable[[Any], bool], what: str, *, seconds: float = 40) -> Any:
        """The first notice of which `test` is true. Raises `TimeoutError` that names `what`."""

        def found() -> Any:
            return next((one for notices in self.notices.values() for one in notices if test(one)), None)

        async with self._told:
            try:
                await asyncio.wait_for(self._told.wait_for(lambda: found() is not None), seconds)
            except TimeoutError:
                raise TimeoutError(f"{what} did not come within {seconds:.0f} s") from None
            return found()

    async def told(self, case: str, kind: str, *, seconds: float = 40) -> Any:
        """The first notice of that kind about a case."""
        return await self.until(
            lambda notice: notice.subject == case and notice.data.kind == kind, f"{kind} on {case}", seconds=seconds
        )

    async def _read(self) -> None:
        async for record in self._consumer:
            notice = parse(record.topic.removeprefix(self._prefix), record.value or b"")
            async with self._told:
                if all(notice.id != other.id for other in self.notices[notice.subject]):
                    self.notices[notice.subject].append(notice)
                    self._told.notify_all()


async def partitions_of(consumer: AIOKafkaConsumer, topic: str) -> list[int]:
    """The partitions of a topic, asked of the broker: a consumer without a group knows no topic by itself."""
    await consumer._client.add_topic(topic)
    return sorted(consumer.partitions_for_topic(topic) or ())
