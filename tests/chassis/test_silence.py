"""Connections to the broker that fall silent, as behind a proxy that drops packets, are noticed and made anew."""

import time

from chassis.store.database import Database
from tests.chassis.test_positions import publish, taken_in, working
from tests.support.services import eventually
from tests.support.silence import around, line_to


async def test_a_silent_broker_is_noticed_and_read_on_when_it_is_back(
    database: Database, kafka: str, topics: str
) -> None:
    async with line_to(int(kafka.rpartition(":")[2])) as line, working(database, kafka, topics) as worker:
        with around():
            await publish(kafka, topics, b"1")
        await taken_in(worker, b"1")
        line.fall_silent()
        began = time.monotonic()
        await eventually(worker.consumer.unreachable, seconds=30, what="a broker that is not there")
        assert time.monotonic() - began < 10
        with around():
            await publish(kafka, topics, b"2")
        assert worker.values() == [b"1"]
        line.mend()
        began = time.monotonic()
        await taken_in(worker, b"1", b"2")
        assert time.monotonic() - began < 25
