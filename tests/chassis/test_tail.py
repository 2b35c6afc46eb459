"""The tail reads on after the broker has died, also if it was told to rest meanwhile."""

import asyncio
from collections.abc import Sequence

from chassis.kafka.connection import Connection
from chassis.kafka.consumer import Reading
from chassis.kafka.records import Record
from chassis.kafka.tail import Positions, Tail
from deploy.stack import topics
from deploy.stack.kafka import Kafka
from tests.support.facts import case_id, record_of
from tests.support.services import eventually, publish

TOPICS = ("Assigned", "Progressed")


class Count:
    """Counts what it is given, and remembers no position."""

    def __init__(self) -> None:
        self.records = 0
        self.leads = True
        self.rested = 0

    def led(self) -> bool:
        """Asked again after it was false once, it rests: what it read with has been stopped."""
        self.rested += not self.leads
        return self.leads

    async def positions(self) -> Positions:
        return {}

    async def process(self, records: Sequence[Record]) -> None:
        self.records += len(records)


async def test_it_rests_while_the_broker_is_away_and_reads_on_afterwards(own_kafka: Kafka) -> None:
    """As beside a relay, which leads no more when its broker has died. aiokafka's `stop` then often ends as if it had
    been cancelled, so several are tried.
    """
    await topics.create(own_kafka.administrator, TOPICS, 6)
    counts = [Count() for _ in range(6)]
    reading = Reading(Connection(own_kafka.bootstrap), "", 100)
    tails = [Tail(reading, "tail", lambda: TOPICS, count, count.led) for count in counts]
    running = [asyncio.create_task(tail.run()) for tail in tails]

    async def all_have(number: int) -> bool:
        return all(count.records >= number for count in counts)

    async def all_rest() -> bool:
        return all(count.rested > 1 for count in counts)

    try:
        await publish(own_kafka.bootstrap, "", [record_of(b"{}", case_id(), "Assigned") for _ in range(10)])
        await eventually(lambda: all_have(10), seconds=40, what="what was there before")
        await own_kafka.kill()
        for count in counts:
            count.leads = False
        await eventually(all_rest, seconds=40, what="rest")
        await own_kafka.start()
        for count in counts:
            count.leads = True
        await publish(own_kafka.bootstrap, "", [record_of(b"{}", case_id(), "Assigned") for _ in range(10)])
        await eventually(lambda: all_have(20), seconds=40, what="what came afterwards")
        assert not any(task.done() for task in running)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
