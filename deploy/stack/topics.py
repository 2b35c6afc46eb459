"""The topics, made explicitly: a broker of this system never makes one because somebody mistyped its name."""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from deploy.stack.problem import Problem


async def create(bootstrap: str, names: Iterable[str], partitions: int, timeout_seconds: float = 30) -> list[str]:
    """Makes those topics that are missing and waits until each partition has a leader; the names of the new ones.

    Raises `Problem` where a topic exists with another number of partitions: a case's records would no longer be in one.
    """
    wanted = list(names)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=15_000)
    await admin.start()
    try:
        answer: Any = await admin.create_topics([NewTopic(name, partitions, 1) for name in wanted])
        new = []
        for name, code, *rest in answer.topic_errors:
            fault = for_code(code)
            if fault is NoError:
                new.append(name)
            elif fault is not TopicAlreadyExistsError:
                raise Problem(f"topic {name} could not be made: {rest[0] if rest else fault.__name__}")
        deadline = time.monotonic() + timeout_seconds
        while unready := [topic for topic in await admin.describe_topics(wanted) if not _led(topic)]:
            if time.monotonic() > deadline:
                raise Problem(f"topics {', '.join(topic['topic'] for topic in unready)} have no leader yet")
            await asyncio.sleep(0.05)
        for topic in await admin.describe_topics(wanted):
            if len(topic["partitions"]) != partitions:
                raise Problem(
                    f"topic {topic['topic']} has {len(topic['partitions'])} partitions, not {partitions}: set "
                    f"CASEGRID_PARTITIONS={len(topic['partitions'])}, or start anew with `make reset`"
                )
        return new
    finally:
        await admin.close()


async def delete(bootstrap: str, names: Iterable[str]) -> None:
    """Deletes the topics; what is not there is no error."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=15_000)
    await admin.start()
    try:
        await admin.delete_topics(list(names))
    finally:
        await admin.close()


def _led(topic: dict[str, Any]) -> bool:
    return topic["error_code"] == 0 and all(partition["leader"] >= 0 for partition in topic["partitions"])
