"""The topics, made explicitly: a broker of this system never makes one because somebody mistyped its name."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from chassis.kafka.connection import Connection
from contracts.homes import topic_from, topic_to
from contracts.wire import TOPICS
from deploy.stack.problem import Problem

Configuration = Mapping[str, str]
"""A topic's own settings, by Kafka's names for them; what is not named is as the broker has it."""

_WRITTEN_BY_A_PARTNER: Configuration = {
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "uncompressed",
}
"""A record's timestamp is when it reached the broker, whatever its writer says: lateness is counted from it. And the
broker unpacks what comes packed, by whatever codec, and refuses what is too large then: a reader need not know the
codec, and is given no more than was written.
"""


def of_partner(partner: str, prefix: str = "") -> dict[str, Configuration]:
    """The two topics of a partner: the one it writes, the one it reads."""
    return {prefix + topic_from(partner): _WRITTEN_BY_A_PARTNER, prefix + topic_to(partner): {}}


def of_installation(partners: Iterable[str], prefix: str = "") -> dict[str, Configuration]:
    """All topics: those of the facts, and two for each of the partners with these ids."""
    found: dict[str, Configuration] = {prefix + name: {} for name in TOPICS}
    for partner in partners:
        found |= of_partner(partner, prefix)
    return found


async def create(
    broker: Connection,
    wanted: Iterable[str] | Mapping[str, Configuration],
    partitions: int,
    timeout_seconds: float = 30,
) -> list[str]:
    """Makes those topics that are missing and waits until each partition has a leader; the names of the new ones.

    Raises `Problem` where a topic exists with another number of partitions, for a case's records would no longer be in
    one, or with another configuration than the wanted one.
    """
    topics: dict[str, Configuration] = dict(wanted) if isinstance(wanted, Mapping) else {name: {} for name in wanted}
    async with _admin(broker) as admin:
        answer: Any = await admin.create_topics(
            [NewTopic(name, partitions, 1, topic_configs=dict(own)) for name, own in topics.items()]
        )
        new = []
        for name, code, *rest in answer.topic_errors:
            fault = for_code(code)
            if fault is NoError:
                new.append(name)
            elif fault is not TopicAlreadyExistsError:
                raise Problem(f"topic {name} could not be made: {rest[0] if rest else fault.__name__}")
        deadline = time.monotonic() + timeout_seconds
        while unready := [topic for topic in await admin.describe_topics(list(topics)) if not _led(topic)]:
            if time.monotonic() > deadline:
                raise Problem(f"topics {', '.join(topic['topic'] for topic in unready)} have no leader yet")
            await asyncio.sleep(0.05)
        for topic in await admin.describe_topics(list(topics)):
            if len(topic["partitions"]) != partitions:
                raise Problem(
                    f"topic {topic['topic']} has {len(topic['partitions'])} partitions, not {partitions}, and all must "
                    f"have the same number: set CASEGRID_PARTITIONS={len(topic['partitions'])}, or start anew with "
                    "`make reset`"
                )
        await _check_configuration(admin, {name: own for name, own in topics.items() if own and name not in new})
        return new


async def partitions(broker: Connection, name: str) -> int | None:
    """How many partitions a topic has; None where there is no such topic."""
    async with _admin(broker) as admin:
        (topic,) = await admin.describe_topics([name])
        return len(topic["partitions"]) if topic["error_code"] == 0 else None


async def delete(broker: Connection, names: Iterable[str]) -> None:
    """Deletes the topics; what is not there is no error."""
    async with _admin(broker) as admin:
        await admin.delete_topics(list(names))


@asynccontextmanager
async def _admin(broker: Connection) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**broker.options(), request_timeout_ms=15_000)
    await broker.reach(admin.start())
    try:
        yield admin
    finally:
        await admin.close()


async def _check_configuration(admin: AIOKafkaAdminClient, topics: Mapping[str, Configuration]) -> None:
    """Raises `Problem` where a topic that was there before has another configuration."""
    if not topics:
        return
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(own)) for name, own in topics.items()]
    answers: Any = await admin.describe_configs(asked)
    for answer in answers:
        for code, words, _, name, entries in answer.resources:
            if for_code(code) is not NoError:
                raise Problem(
                    f"the configuration of topic {name} could not be read: {words or for_code(code).__name__}"
                )
            found = {entry[0]: entry[1] for entry in entries}
            for setting, value in topics[name].items():
                if found.get(setting) != value:
                    raise Problem(f"topic {name} has {setting}={found.get(setting)}: it must be {value}")


def _led(topic: dict[str, Any]) -> bool:
    return topic["error_code"] == 0 and all(partition["leader"] >= 0 for partition in topic["partitions"])
