"""A service without HTTP and broker that is given records: what became of each, whichever of the five it is."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import NAMESPACE_URL, uuid5

import orjson

from chassis.clock import Clock
from chassis.engine.inbox import Inbox
from chassis.engine.model import Model
from chassis.ids import uuid7
from chassis.kafka.records import Record
from chassis.service import Service
from chassis.store.database import Database
from chassis.store.journal import Journal
from chassis.store.transaction import Transaction
from contracts.causes import label
from contracts.export.examples import scenario
from contracts.export.story import Example
from contracts.wire import TOPICS, parse
from services.audit import completeness
from services.audit.log import Log
from tests.support.facts import record_of

EXAMPLES = [one for one in scenario() if one.topic in TOPICS]
"""The facts of the reference scenario, in order."""
OF_KIND = {label(one.event.data): one for one in reversed(EXAMPLES)}
"""Label -> the first such fact."""

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class _Processor(Protocol):
    async def process(self, records: Sequence[Record]) -> None: ...


@dataclass
class Taker:
    """A service's way of taking records in, and what it made of them."""

    service: Service
    store: Database
    clock: Clock
    processor: _Processor

    @property
    def decides(self) -> bool:
        return isinstance(self.service.model, Model)

    @property
    def model(self) -> Model:
        assert isinstance(self.service.model, Model)
        return self.service.model

    def meets(self, model: Model) -> Inbox:
        """From now on it decides by that model."""
        self.processor = Inbox(model, self.store, self.clock)
        return self.processor

    async def take(self, *records: Record) -> None:
        await self.processor.process(records)

    async def parked(self, case: str) -> list[tuple[str, str]]:
        """(kind, reason) of the records under a case that wait for an operator."""
        query = "SELECT kind, reason FROM parked WHERE status = 'waiting' AND stream_id = $1 ORDER BY parked_id"
        rows = await self.store.fetch(query, case)
        return [(row["kind"], row["reason"]) for row in rows]

    async def taken(self, case: str) -> list[str]:
        """The ids of the other services' facts that have taken effect in a case."""
        query = "SELECT event_id FROM events WHERE stream_id = $1 AND NOT own ORDER BY version"
        return [row["event_id"] for row in await self.store.fetch(query, case)]

    async def faults(self, case: str) -> list[str]:
        """What audit finds wrong with a case."""
        found = await completeness.of_case(self.store, case, 10)
        return [] if found is None else found["reasons"]

    async def says(self, examples: Iterable[Example]) -> None:
        """Its own facts, as if it had decided so."""
        told = list(examples)

        async def run(transaction: Transaction) -> None:
            model = self.model
            journal = Journal(model.source, model.decider, model.views, self.clock())
            await journal.open(await transaction.begin(), {one.event.subject for one in told})
            for one in told:
                journal.append(one.event.subject, [one.event.data], at=one.event.time, actor=one.event.actor or "test")
            journal.write(transaction)

        await self.store.decide(run)
        if isinstance(self.processor, Inbox):
            self.processor.cache.forget({one.event.subject for one in told})

    async def hear(self, examples: Iterable[Example]) -> None:
        """A story as the service hears it: what it says itself as its own, everything else from the topics."""
        source = self.model.source if isinstance(self.service.model, Model) else None
        for one in examples:
            if one.event.source == source:
                await self.says([one])
            elif one.topic in self.service.model.topics:
                await self.take(record(one))


@asynccontextmanager
async def taking(service: Service, url: str, clock: Clock | None = None) -> AsyncIterator[Taker]:
    """The service on a database that has its tables."""
    store = Database(url, service.name, size=4, migrations=service.migrations)
    await store.open()
    now = clock or (lambda: datetime.now(UTC))
    processor = Inbox(service.model, store, now) if isinstance(service.model, Model) else Log(store)
    try:
        yield Taker(service, store, now, processor)
    finally:
        await store.close()


def story_of(kind: str, anew: str = "") -> tuple[list[Example], Example]:
    """What was said of a case before the first fact of that kind, and that fact; in cases and with ids of their own."""
    until = EXAMPLES.index(OF_KIND[kind])
    story = [one for one in EXAMPLES[: until + 1] if one.event.subject == OF_KIND[kind].event.subject]
    *before, last = [_renamed(one, f"{kind} {anew}") for one in story]
    return before, last


def _renamed(example: Example, anew: str) -> Example:
    raw = _UUID.sub(lambda found: str(uuid5(NAMESPACE_URL, f"{anew} {found[0].decode()}")).encode(), example.raw)
    return replace(example, raw=raw, event=parse(example.topic, raw))


def record(example: Example, **changed: Any) -> Record:
    """An example on its topic, with other attributes."""
    raw = example.raw if not changed else orjson.dumps(orjson.loads(example.raw) | changed)
    return record_of(raw, example.event.subject, example.topic)


def another(example: Example, **changed: Any) -> Record:
    """The same said again under another id, later, as if it were news."""
    attributes = {"id": uuid7(datetime.now(UTC)), "sequence": "0000000900", **changed}
    return record(example, **attributes)


def reads(service: Service, example: Example) -> bool:
    """Whether the service takes such facts."""
    model = service.model
    if example.topic not in model.topics or not isinstance(model, Model):
        return example.topic in model.topics
    return model.sources.get(example.topic, example.event.source) == example.event.source and model.wants(example.event)


def with_decider(model: Model, **changed: Any) -> Model:
    """The model with other functions."""
    return replace(model, decider=replace(model.decider, **changed))


def event_id(one: Record) -> str:
    """The id of the event in a record."""
    return orjson.loads(one.value or b"")["id"]
