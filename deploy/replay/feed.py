"""What the topics say from now on: read without a group, so that nobody's position is touched."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer

from chassis.kafka.connection import Connection
from contracts.homes import HOMES

TOPICS = ("Assigned", "Progressed", "Evaluated")


class Feed:
    """Events of the home services. What is published after `start` has returned is not missed."""

    def __init__(self, broker: Connection, prefix: str = "") -> None:
        self._prefix = prefix
        self._consumer = AIOKafkaConsumer(
            *(prefix + topic for topic in TOPICS),
            **broker.options(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
        )

    async def start(self) -> None:
        """Finds the end of each partition. Raises KafkaError where the broker cannot be reached."""
        await self._consumer.start()
        await self._consumer.seek_to_end()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)

    async def stop(self) -> None:
        """Lets go of the broker."""
        await self._consumer.stop()

    async def events(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """(Topic, event) for ever; what is not by the topic's home, of `Progressed` by any service, is left out."""
        async for record in self._consumer:
            topic = record.topic.removeprefix(self._prefix)
            try:
                event = orjson.loads(record.value or b"")
            except orjson.JSONDecodeError:
                continue
            if isinstance(event, dict) and str(event.get("source")).startswith(HOMES.get(topic, "/services/")):
                yield topic, event
