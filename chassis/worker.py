"""What a worker does with the records of its topics: a service that decides, or one that records."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chassis.clock import Clock
from chassis.engine import skipping
from chassis.engine.commands import Commands
from chassis.engine.forgeries import Judge
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.engine.rebuild import derived
from chassis.engine.returning import Returning
from chassis.engine.timers import ReadUpTo, Timers
from chassis.kafka.consumer import Reading
from chassis.kafka.records import Record
from chassis.kafka.relay import Relay
from chassis.kafka.tail import Tail
from chassis.settings import Settings
from chassis.store.database import Database
from chassis.store.derived import Derived, Refresher
from chassis.store.taken import Skip

Loops = Mapping[str, Callable[[], Awaitable[None]]]
"""Name -> what runs for as long as the worker lives."""


class Processor(Protocol):
    """Takes records in."""

    async def process(self, records: Sequence[Record]) -> None:
        """Returns when the records are durable. Raises one of `TRANSIENT_ERRORS` if they are to come again: mostly
        nothing was done, but where the connection was lost at the COMMIT that is not known.
        """
        ...


class Worker(Processor, Protocol):
    """The parts of a process that work without being asked."""

    async def step_over(self, record: Record, skip: Skip) -> None:
        """Keeps a record that is not to be taken in, and tells it where the service tells anything; then durable."""
        ...

    def loops(self) -> Loops:
        """What is to run beside the consumer."""
        ...

    def faults(self) -> dict[str, str]:
        """Part -> what is wrong with it; empty when all is well."""
        ...

    def health(self) -> dict[str, Any]:
        """How each part is."""
        ...

    def warnings(self) -> dict[str, str]:
        """Part -> what an operator is to look at, though the worker works."""
        ...


@dataclass(frozen=True)
class Recorder:
    """A service that stores every record and decides nothing: no streams, no commands, no outbox."""

    name: str
    topics: Sequence[str]
    processor: Callable[[Database], Processor]
    derived: Derived
    """What is derived from the records."""


def derived_of(model: Model | Recorder) -> Derived:
    """What a service derives from what it has stored."""
    return derived(model) if isinstance(model, Model) else model.derived


class DecidingWorker:
    """Inbox, commands, timers, relay and tail of a service that decides."""

    def __init__(
        self,
        model: Model,
        database: Database,
        clock: Clock,
        reading: Reading,
        read_up_to: ReadUpTo,
        settings: Settings,
    ) -> None:
        self.inbox = Inbox(model, database, clock)
        self.commands = Commands(model, database, clock, None if settings.role == "api" else self.inbox.cache)
        self.timers = Timers(model, database, clock, self.inbox.cache, read_up_to, settings.look_seconds)
        self.relay = Relay(
            broker=reading.broker,
            name=model.name,
            prefix=reading.prefix,
            database=database,
            raised=settings.partitions_raised,
        )
        self.returning = Returning(model, database, clock, reading)
        self.judge = Judge(model, database, clock, self.inbox.cache)
        self.tail = Tail(
            reading, model.name, lambda: model.registry.topics(model.writes), self.judge, lambda: self.relay.leads
        )
        self._refresher = Refresher(derived(model), database)

    async def process(self, records: Sequence[Record]) -> None:
        """Lets records take effect."""
        await self.inbox.process(records)

    async def step_over(self, record: Record, skip: Skip) -> None:
        """Parks and discards it."""
        await skipping.step_over(self.inbox, record, skip)

    def loops(self) -> Loops:
        """Relay, timers and tail, and what an older version has written."""
        return {
            "relay": self.relay.run,
            "timers": self.timers.run,
            "tail": self.tail.run,
            "refresher": self._refresher.run,
            "room": self.inbox.room.run,
        }

    def faults(self) -> dict[str, str]:
        """Of relay, timers and tail."""
        found = {"relay": self.relay.fault, "timers": self.timers.fault, "tail": self.tail.fault}
        return {part: fault for part, fault in found.items() if fault}

    def health(self) -> dict[str, Any]:
        """Of the relay and the tail, and how many records were passed over."""
        return {
            "relay": {"fault": self.relay.fault, "missing_topics": self.relay.missing},
            "tail": {"fault": self.tail.fault, "forged": self.judge.found if self.relay.leads else None},
            "passed_over": dict(self.inbox.reader.passed_over),
            "parked": self.inbox.room.health(),
            "cache": self.inbox.cache.health(),
        }

    def warnings(self) -> dict[str, str]:
        """Where more records wait for an operator than are kept whole."""
        found = self.inbox.room.warning()
        return {"parked": found} if found else {}


class RecordingWorker:
    """Of a service that records."""

    def __init__(self, recorder: Recorder, database: Database) -> None:
        self.processor = recorder.processor(database)
        self._refresher = Refresher(recorder.derived, database)

    async def process(self, records: Sequence[Record]) -> None:
        """Stores records."""
        await self.processor.process(records)

    async def step_over(self, record: Record, skip: Skip) -> None:
        """Nothing: what is gone is a gap of the log, and the table `skips` says why it is passed."""

    def loops(self) -> Loops:
        """What an older version has written."""
        return {"refresher": self._refresher.run}

    def faults(self) -> dict[str, str]:
        """None: what can fail is the consumer."""
        return {}

    def health(self) -> dict[str, Any]:
        """Nothing beside the consumer."""
        return {}

    def warnings(self) -> dict[str, str]:
        """None."""
        return {}
