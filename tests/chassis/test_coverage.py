"""A service reads every partition of every topic that it should, on a real broker, or says which it does not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka.admin import NewPartitions

from chassis.kafka import consumer
from chassis.store.database import Database
from tests.chassis.test_positions import TOPIC, publish, remake, taken_in, working
from tests.support.services import administering, eventually

Topics = Callable[..., Awaitable[list[str]]]


@pytest.mark.parametrize("number", [1, 4])
async def test_a_topic_that_is_made_anew_is_read_on_by_a_worker_that_runs(
    database: Database, kafka: str, topics: str, number: int, make_topics: Topics
) -> None:
    """Whether it has fewer records than had taken effect of the old one, or more."""
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1", b"2")
        await publish(kafka, topics, b"other", partition=2)
        await taken_in(worker, b"1", b"2")
        await remake(kafka, topics, make_topics)
        values = [b"new %d" % place for place in range(number)]
        await publish(kafka, topics, *values)
        await publish(kafka, topics, b"new other", partition=2)

        async def all_read() -> bool:
            return {*values} <= {*worker.values()} and b"new other" in worker.values(2)

        await eventually(all_read, seconds=60, what="the new topic's records")
        await eventually(lambda: _well(worker.consumer), what="nothing lacks")
        await publish(kafka, topics, b"last", partition=1)
        await taken_in(worker, b"last", partition=1)


async def _well(one: consumer.Consumer) -> bool:
    return one.lacking() is None and one.assigned() == 3


async def test_partitions_that_are_added_are_read_within_seconds(database: Database, kafka: str, topics: str) -> None:
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1")
        await taken_in(worker, b"1")
        async with administering(kafka) as admin:
            await admin.create_partitions({topics + TOPIC: NewPartitions(5)})
        began = time.monotonic()
        await publish(kafka, topics, b"new", partition=4)
        await taken_in(worker, b"new", partition=4)
        assert time.monotonic() - began < 25
        assert worker.consumer.assigned() == 5


async def test_a_topic_that_is_not_there_is_named(database: Database, kafka: str, topics: str) -> None:
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1")
        await taken_in(worker, b"1")
        async with administering(kafka) as admin:
            await admin.delete_topics([topics + TOPIC])

        async def named() -> bool:
            return f"not there: {topics}{TOPIC}" in (worker.consumer.lacking() or "")

        await eventually(named, seconds=40, what="the missing topic is named")


async def test_the_first_record_of_an_idle_partition_is_not_stuck(
    database: Database, kafka: str, topics: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it was idle, and whenever it was asked last."""
    monkeypatch.setattr(consumer, "_STUCK_SECONDS", 0.5)
    async with working(database, kafka, topics) as worker:
        await publish(kafka, topics, b"1")
        await taken_in(worker, b"1")
        assert worker.consumer.stuck() == []
        idle = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(1, idle.set_result, None)
        await idle
        client: Any = worker.consumer._kafka
        for tp, _, end in worker.consumer._positions():  # as the client knows it in the moment when a record has come
            client._subscription.subscription.assignment.state_value(tp).highwater = end + 1
        assert worker.consumer.stuck() == []
