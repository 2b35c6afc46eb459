"""Lost events go back into their streams: in the order of their numbers, each behind the record that it follows from.

What followed once is not decided again. What else stood in the store beside an event is made anew with it:

    streams, views     from the state, deadlines too
    seen, parked       of requests that were answered, and of records that an operator has settled
    propagations       again from each event: a case that was reached is not changed a second time
    forgeries          a forgery that was named is not named again
    accesses           who may read a case by exception
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chassis.clock import Clock
from chassis.engine import parking, propagation
from chassis.engine.inbox import marked
from chassis.engine.incoming import Incoming, Reader
from chassis.engine.model import Model
from chassis.engine.parking import Parked
from chassis.engine.unit_of_work import UnitOfWork, begin
from chassis.kafka.records import Record, headers_from_text
from chassis.store.database import Connection, Database, Row
from chassis.store.transaction import Transaction
from contracts.notice import RefusalNotice
from contracts.progress import Accessed, Discarded, Forged
from contracts.wire import reread

log = logging.getLogger(__name__)

_ROWS = """
SELECT topic, partition, "offset", stream_id, own, event_id, cause, key, headers, body, appended_ms
  FROM lost WHERE stream_id = ANY($1::text[]) ORDER BY own, sequence, topic LIKE 'from.%', topic, partition, "offset"
"""
_KNOWN = "SELECT stream_id, event_id, own FROM events WHERE stream_id = ANY($1::text[])"
_FOUND = "DELETE FROM lost WHERE stream_id = ANY($1::text[])"
_SETTLE = """
UPDATE parked p SET status = u.status, settled_by = u.by, settled_at = now()
  FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::text[])
       AS u (topic, partition, "offset", status, by)
 WHERE p.status = 'waiting' AND (p.topic, p.partition, p."offset") = (u.topic, u.partition, u."offset")
"""
_NAME = """
INSERT INTO forgeries (topic, partition, "offset", digest, stream_id) VALUES ($1, $2, $3, '', $4) ON CONFLICT DO NOTHING
"""
"""The step does not say the bytes: no digest stands for whatever lies there."""
_ALLOW = """
INSERT INTO accesses (subject, stream_id, until) VALUES ($1, $2, $3)
ON CONFLICT (subject, stream_id) DO UPDATE SET until = greatest(accesses.until, excluded.until)
"""


def row(
    record: Record, stream_id: str, event_id: str, sequence: int | None = None, cause: str | None = None
) -> tuple[Any, ...]:
    """A row of the table `lost`; only an own event has a `sequence`."""
    return (
        record.topic,
        record.partition,
        record.offset,
        stream_id,
        sequence is not None,
        sequence,
        event_id,
        cause,
        record.key,
        record.headers_as_text,
        record.value,
        record.appended_ms,
    )


def _record(found: Row) -> Record:
    headers, unread = headers_from_text(found["headers"])
    place = found["topic"], found["partition"], found["offset"]
    return Record(*place, found["key"], found["body"], headers, found["appended_ms"], unread)


async def restore(model: Model, database: Database, clock: Clock, reader: Reader, streams: Sequence[str]) -> None:
    """Restores these streams from the table `lost`. Raises `Conflict` where another process does the same."""

    async def run(transaction: Transaction) -> None:
        connection = await transaction.begin()
        rows = await connection.fetch(_ROWS, streams)
        known = {tuple(one) for one in await connection.fetch(_KNOWN, streams)}
        items = [(one["stream_id"], reader.read_or_fail(_record(one))) for one in rows if not one["own"]]
        own = [(one, reread(one["topic"], one["body"])) for one in rows if one["own"]]
        events = [event for _, event in own] + [item.event for _, item in items if item is not None and item.event]
        work = await begin(model, transaction, clock(), streams, events)
        restoring = _Restoring(model, work, known)
        for stream_id, item in items:
            if item is not None:
                restoring.waits(stream_id, item)
        for found, event in own:
            restoring.take_back(found, event)
        restoring.take_rest()
        work.journal.write(transaction)
        await restoring.finish(transaction, connection)
        await connection.execute(_FOUND, streams)

    await database.decide(run, although_held=True)


@dataclass(slots=True)
class _Restoring:
    """What one transaction restores."""

    model: Model
    work: UnitOfWork[Any]
    known: set[tuple[Any, ...]]
    """(stream, event id, own) of what is in the streams."""
    _waiting: dict[tuple[str, str], list[Incoming]] = field(default_factory=dict)
    """(stream, id or coordinates) -> the records that wait for who names them."""
    _facts: list[Incoming] = field(default_factory=list)
    _seen: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    _parked: list[Parked] = field(default_factory=list)
    _settled: list[tuple[str, int, int, str, str]] = field(default_factory=list)
    _pairs: list[tuple[Any, str]] = field(default_factory=list)
    _forged: list[tuple[Any, ...]] = field(default_factory=list)
    _accesses: list[tuple[Any, ...]] = field(default_factory=list)

    def waits(self, stream_id: str, item: Incoming) -> None:
        """Adds a record that some lost event names."""
        if item.event is not None:
            self._waiting.setdefault((stream_id, item.event.id), []).append(item)
            if item.is_fact and item.event.subject == stream_id:
                self._facts.append(item)
        self._waiting.setdefault((stream_id, item.record.coordinates), []).append(item)

    def take_back(self, found: Row, event: Any) -> None:
        """An own event, behind what it follows from."""
        stream = self.work.journal.streams[event.subject]
        if (event.subject, event.id, True) in self.known:
            return
        if int(event.sequence) <= stream.sequence:
            log.warning("%s has a number that another event of the case has: it is not taken back", event.id)
            return
        for item in self._waiting.pop((event.subject, found["cause"]), ())[:1]:
            self._named(item, event)
        header = _record(found).header("traceparent")
        traceparent = None if header is None else header.decode(errors="replace")
        self.work.journal.take_back(event.subject, event, found["body"], traceparent)
        self.known.add((event.subject, event.id, True))
        self._beside(event)
        self._reach(event, event.subject)

    def take_rest(self) -> None:
        """Facts that events of other cases follow from."""
        for item in self._facts:
            self._receive(item, item.event.subject, self.model.name)

    async def finish(self, transaction: Transaction, connection: Connection) -> None:
        """Writes what stands beside the events."""
        transaction.write(marked(self._seen, first=False))
        propagation.add(transaction, list({(event.id, other): (event, other) for event, other in self._pairs}.values()))
        parking.park(transaction, self._parked)
        await transaction.send()
        if self._settled:
            await connection.execute(_SETTLE, *zip(*self._settled, strict=True))
        await connection.executemany(_NAME, self._forged)
        await connection.executemany(_ALLOW, self._accesses)

    def _named(self, item: Incoming, by: Any) -> None:
        match by.data:
            case Discarded() as step:
                self._park(item, "unfit" if item.event else item.kind, step.parked_because)
                self._settle(item, "discarded", by.actor)
            case RefusalNotice(request=None):
                self._park(item, item.kind, item.reason)
            case _ if item.event is not None:
                self._receive(item, by.subject, by.actor)
            case _:
                pass

    def _park(self, item: Incoming, kind: str, reason: str) -> None:
        self._facts = [one for one in self._facts if one is not item]
        self._parked.append(Parked(None, kind, reason, item.record))
        self._seen[item.identity] = item.digest

    def _receive(self, item: Incoming, stream_id: str, by: str | None) -> None:
        """A record that took effect."""
        self._settle(item, "retried", by)
        if item.request is not None:
            self._seen[item.identity] = item.digest
        if (stream_id, item.event.id, False) in self.known:
            return
        self.known.add((stream_id, item.event.id, False))
        self.work.journal.receive(stream_id, item.record.topic, item.event, item.record.value or b"")
        self._reach(item.event, stream_id)

    def _settle(self, item: Incoming, status: str, by: str | None) -> None:
        record = item.record
        self._settled.append((record.topic, record.partition, record.offset, status, by or self.model.name))

    def _beside(self, event: Any) -> None:
        match event.data:
            case Forged() as step:
                self._forged.append((step.forged_topic, step.partition, step.offset, event.subject))
            case Accessed(until=until) if event.actor is not None:
                self._accesses.append((event.actor, event.subject, until))
            case _:
                pass

    def _reach(self, event: Any, stream_id: str) -> None:
        if self.work.context is not None:
            self.work.context.learn(event)
        state = self.work.journal.streams[stream_id].state
        self._pairs += self.model.decider.propagates_to(event, state, self.work.inputs(stream_id))
