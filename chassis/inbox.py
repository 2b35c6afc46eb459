"""A batch of records in one transaction: what is new takes effect once, what cannot is parked, nothing blocks the rest.

    1  read every record (no state needed)          -> event, or invalid
    2  mark (source, id) in the inbox               -> the ones not seen before
    3  load the streams in one query, fold
    4  react in memory, record after record         -> facts, or early, or unfit
    5  append facts, views, outbox, parked; COMMIT

The caller commits the Kafka offsets after that. A batch that fails because of its surroundings is raised to the caller,
who tries again; one that fails because of a record falls back to one record at a time, and that record is parked.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chassis import parking
from chassis.clock import Clock
from chassis.database import PASSING, Conflict, Connection, Database
from chassis.decider import Early, Inputs, Refused, Unfit
from chassis.ids import uuid7
from chassis.journal import Cache, Journal
from chassis.parking import Parked
from chassis.records import Record, read, written_by
from chassis.service import Service
from chassis.telemetry import hop
from contracts.envelope import Event
from contracts.fields import CASE_ID
from contracts.progress import Progressed
from contracts.wire import Invalid

log = logging.getLogger(__name__)

_TRIES = 5
"""Of a batch that lost against another writer, before it falls back to one record at a time."""

_MARK = """
INSERT INTO inbox (source, id) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING RETURNING source, id
"""


@dataclass(slots=True)
class _Item:
    record: Record
    event: Event[Any] | None
    reason: str | None


@dataclass(slots=True)
class _Effects:
    """What one transaction is about to do beside the journal."""

    journal: Journal[Any]
    gathered: Any
    queues: dict[tuple[str, str], list[Parked]] = field(default_factory=dict)
    loose: list[Parked] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    amended: list[Parked] = field(default_factory=list)

    def hold(self, item: Parked) -> None:
        queue = item.queue
        if queue is None:
            self.loose.append(item)
        else:
            self.queues.setdefault(queue, []).append(item)


class Inbox:
    """Takes records in for one service. Safe to run in several processes at once, and to be given a record twice."""

    def __init__(self, service: Service, database: Database, clock: Clock) -> None:
        self._service = service
        self._database = database
        self._clock = clock
        self.cache: Cache[Any] = Cache()

    async def process(self, records: Sequence[Record]) -> None:
        """Takes a batch in. Returns when it is durable. Raises one of `PASSING` where nothing could be done now."""
        items = [self._read(record) for record in records if not written_by(record, self._service.source)]
        if items:
            await self._settle_batch(items)

    async def _settle_batch(self, items: list[_Item]) -> None:
        for attempt in range(_TRIES):
            try:
                await self._transact(items)
                return
            except Conflict:
                if attempt == _TRIES - 1:
                    if len(items) == 1:
                        raise ConnectionError(
                            f"{items[0].record.coordinates} keeps losing against other writers"
                        ) from None
                    break
            except PASSING:
                self.cache.forget(_subjects(items))
                raise
            except Exception as fault:
                self.cache.forget(_subjects(items))
                if len(items) == 1:
                    await self._park_failed(items[0], fault)
                    return
                log.warning("a batch of %d records failed, taking them one by one: %r", len(items), fault)
                break
        for item in items:
            await self._settle_batch([item])

    async def _transact(self, items: list[_Item]) -> None:
        async def work(connection: Connection) -> Journal[Any]:
            fresh = await self._mark(connection, items)
            streams = _subjects(items)
            held = await parking.waiting(connection, streams)
            effects = await self._begin(connection, [item.event for item in items if item.event], held)
            for item in items:
                self._take(item, fresh, effects)
            self._release(effects)
            await self._finish(connection, effects, by=self._service.name)
            return effects.journal

        journal = await self._database.transact(work)
        self.cache.put(journal.touched)

    async def _begin(
        self, connection: Connection, events: list[Event[Any]], held: list[Parked], *, fresh: bool = False
    ) -> _Effects:
        journal = Journal(
            self._service.source,
            self._service.decider,
            self._service.views,
            self._clock(),
            self._service.announces,
            None if fresh else self.cache,
        )
        await journal.open(
            connection,
            {event.subject for event in events} | {item.record.stream_id for item in held if item.record.stream_id},
        )
        gathered = None
        if self._service.gather:  # for what is held, too: it may take effect in this transaction
            gathered = await self._service.gather(connection, [*events, *_readable(held)])
        effects = _Effects(journal, gathered)
        for item in held:
            effects.hold(item)
        return effects

    async def _finish(self, connection: Connection, effects: _Effects, by: str) -> None:
        # What is held was judged by a state that no write is going to check.
        await effects.journal.verify(connection, {stream_id for (_, stream_id), held in effects.queues.items() if held})
        await effects.journal.write(connection)
        fresh = [item for item in effects.loose if item.parked_id is None]
        fresh += [item for queue in effects.queues.values() for item in queue if item.parked_id is None]
        for item in fresh:
            level = logging.DEBUG if item.kind in ("early", "behind") else logging.WARNING
            log.log(level, "parked %s of case %s: %s", item.record.coordinates, item.record.stream_id, item.reason)
        if fresh:
            await parking.park(connection, fresh)
        for item in effects.amended:
            await parking.amend(connection, item)
        if effects.settled:
            await parking.settle(connection, effects.settled, "retried", by)

    async def _mark(self, connection: Connection, items: list[_Item]) -> set[tuple[str, str]]:
        pairs = sorted({(item.event.source, item.event.id) for item in items if item.event})
        if not pairs:
            return set()
        rows = await connection.fetch(_MARK, [source for source, _ in pairs], [event_id for _, event_id in pairs])
        return {(row["source"], row["id"]) for row in rows}

    def _take(self, item: _Item, fresh: set[tuple[str, str]], effects: _Effects) -> None:
        record, event = item.record, item.event
        if event is not None:
            pair = (event.source, event.id)
            if pair not in fresh:
                return
            fresh.remove(pair)
        stream_id = record.stream_id
        if stream_id is not None and (queue := effects.queues.get((record.topic, stream_id))):
            effects.hold(Parked(None, "behind", f"waits behind {queue[0].record.coordinates}", record))
        elif event is None:
            effects.hold(Parked(None, "invalid", item.reason or "", record))
        elif (obstacle := self._apply(record, event, effects)) is not None:
            effects.hold(Parked(None, *obstacle, record))

    def _apply(self, record: Record, event: Event[Any], effects: _Effects) -> tuple[str, str] | None:
        """Lets an event take effect in memory; else (kind, reason), and the journal is as it was."""
        journal = effects.journal
        if event.source.startswith("/partners/") and (reason := self._service.admit(event)) is not None:
            return "unfit", reason
        stream = journal.streams[event.subject]
        inputs = Inputs(at=journal.now, now=journal.now, stream=event.subject, gathered=effects.gathered)
        before = journal.mark(stream)
        try:
            outcome = self._service.decider.react(event, stream.state, inputs)
            if isinstance(outcome, Early):
                return "early", outcome.reason
            if isinstance(outcome, Unfit):
                return "unfit", outcome.reason
            journal.take(event, record.value or b"")
            published = journal.publish(
                event.subject,
                outcome,
                at=journal.now,
                cause=event.id,
                traceparent=hop(f"{self._service.name} {record.topic}", record.header("traceparent"), event.traceparent)
                if outcome
                else None,
            )
        except Exception as fault:
            journal.restore(stream, before)
            log.exception("%s could not take effect", record.coordinates)
            return "failed", f"{type(fault).__name__}: {fault}"
        if hasattr(effects.gathered, "learn"):
            for one in (event, *published):
                effects.gathered.learn(one)
        return None

    def _release(self, effects: _Effects) -> None:
        """Tries what waited for another fact of its case, until nothing moves any more."""
        moved = True
        while moved:
            moved = False
            for queue, held in effects.queues.items():
                stream = effects.journal.streams.get(queue[1])
                touched = stream is not None and stream.version != stream.loaded
                if touched and held and held[0].kind == "early":
                    moved = self._drain(held, effects) or moved

    def _drain(self, held: list[Parked], effects: _Effects) -> bool:
        """Lets the head of a queue, and what waits behind it, take effect in order; whether any did."""
        moved = False
        while held and held[0].kind in ("early", "behind") and self._retry(held[0], effects):
            if (parked_id := held.pop(0).parked_id) is not None:
                effects.settled.append(parked_id)
            moved = True
        return moved

    def _retry(self, item: Parked, effects: _Effects, *, lenient: bool = False) -> bool:
        try:
            event = read(item.record, lenient=lenient)
        except Invalid as finding:
            obstacle = ("invalid", str(finding))
        else:
            obstacle = self._apply(item.record, event, effects)
        if obstacle is None:
            return True
        if obstacle != (item.kind, item.reason):
            item.kind, item.reason = obstacle
            if item.parked_id is not None:
                effects.amended.append(item)
        return False

    async def sweep(self) -> None:
        """Tries what is held as early once more, the oldest hundred cases: two transactions that did not see each other
        may have let a fact and what it waits for pass by one another.
        """
        rows = await self._database.fetch(
            "SELECT stream_id FROM parked JOIN streams USING (stream_id) WHERE status = 'waiting' AND kind = 'early'"
            " GROUP BY stream_id ORDER BY min(parked_id) LIMIT 100"
        )
        if not rows:
            return

        async def work(connection: Connection) -> Journal[Any]:
            held = await parking.waiting(connection, [row["stream_id"] for row in rows])
            effects = await self._begin(connection, [], held)
            for queue in effects.queues.values():
                if queue[0].kind == "early":
                    self._drain(queue, effects)
            self._release(effects)
            await self._finish(connection, effects, by=self._service.name)
            return effects.journal

        journal = await self._database.transact(work)
        self.cache.put(journal.touched)

    async def settle(self, parked_id: int, *, discard: bool, by: str, reason: str, traceparent: str | None) -> Parked:
        """Retries or discards a parked record as a person wants, then lets what waited behind it take effect.

        The step is published as a fact of the case. Raises `LookupError` where there is no such record, `Refused`
        where it is settled already, is not the first of its queue, or still cannot take effect.
        """
        for _ in range(_TRIES):
            try:
                return await self._settle_once(parked_id, discard, by, reason, traceparent)
            except Conflict:
                continue
        raise ConnectionError("the case keeps being changed by others; try again")

    async def _settle_once(
        self, parked_id: int, discard: bool, by: str, reason: str, traceparent: str | None
    ) -> Parked:
        async def work(connection: Connection) -> Parked:
            found = await parking.lock(connection, parked_id)
            if found is None:
                raise LookupError(f"there is no parked record {parked_id}")
            item, status = found
            if status != "waiting":
                raise Refused("parked.settled", f"the record was {status} already")
            stream_id = item.record.stream_id
            held = await parking.waiting(connection, [stream_id] if stream_id else [])
            same = [other for other in held if other.queue == item.queue] or [item]
            if same[0].parked_id != parked_id:
                raise Refused("parked.order", f"record {same[0].parked_id} of the same case and topic comes first")
            event = None
            if not discard:
                try:
                    event = read(item.record, lenient=True)
                except Invalid as finding:
                    raise Refused("parked.invalid", str(finding)) from None
            if event is not None and await self._known(connection, event):
                raise Refused("parked.known", "the same event has taken effect already: discard this record of it")
            effects = await self._begin(connection, [event] if event else [], held, fresh=True)
            if event is not None and (obstacle := self._apply(item.record, event, effects)) is not None:
                raise Refused(f"parked.{obstacle[0]}", obstacle[1])
            await parking.settle(connection, [parked_id], "discarded" if discard else "retried", by)
            await self._tell(connection, effects, item, event, discard, by, reason, traceparent)
            if item.queue is not None:
                queue = effects.queues[item.queue]
                queue.pop(0)
                self._drain(queue, effects)
            self._release(effects)
            await self._finish(connection, effects, by=by)
            return item

        item = await self._database.transact(work)
        self.cache.forget([item.record.stream_id or ""])
        return item

    async def _known(self, connection: Connection, event: Event[Any]) -> bool:
        """Whether the event has taken effect, for instance from another record; from now on it counts as seen."""
        await connection.fetch(_MARK, [event.source], [event.id])
        query = "SELECT true FROM events WHERE stream_id = $1 AND event_id = $2 AND NOT own"
        return bool(await connection.fetchval(query, event.subject, event.id))

    async def _tell(
        self,
        connection: Connection,
        effects: _Effects,
        item: Parked,
        event: Event[Any] | None,
        discard: bool,
        by: str,
        reason: str,
        traceparent: str | None,
    ) -> None:
        journal = effects.journal
        subject = event.subject if event else item.record.stream_id
        if subject is None or not CASE_ID.fullmatch(subject):
            subject = uuid7(journal.now)  # of no case that could be named: the step stands alone
        await journal.open(connection, [subject])
        step = Progressed(
            step="discarded" if discard else "retried",
            reason=reason,
            note=f"{self._service.name} {item.record.coordinates}: {item.reason}"[:2000],
        )
        journal.publish(subject, [step], at=journal.now, actor=by, traceparent=traceparent)

    def _read(self, record: Record) -> _Item:
        try:
            return _Item(record, read(record), None)
        except Invalid as finding:
            return _Item(record, None, str(finding))

    async def _park_failed(self, item: _Item, fault: Exception) -> None:
        log.exception("%s failed and is parked", item.record.coordinates, exc_info=fault)
        held = Parked(None, "failed", f"{type(fault).__name__}: {fault}", item.record)

        async def work(connection: Connection) -> None:
            if item.event is not None:
                await self._mark(connection, [item])
            await parking.park(connection, [held])

        await self._database.transact(work)


def _readable(held: list[Parked]) -> list[Event[Any]]:
    found = []
    for item in held:
        with contextlib.suppress(Invalid):  # it stays parked, with its reason
            found.append(read(item.record, lenient=True))
    return found


def _subjects(items: list[_Item]) -> set[str]:
    found = {item.event.subject for item in items if item.event}
    return found | {item.record.stream_id for item in items if item.record.stream_id is not None}


async def backoff(attempt: int) -> None:
    """Waits before try number `attempt` (from 0): 50 ms, doubled each time, five seconds at most."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        # Python 3.11's wait_for, used by the client libraries, answers a cancellation with the fault that came with it.
        raise asyncio.CancelledError
    await asyncio.sleep(min(5.0, 0.05 * 2 ** min(attempt, 10)))
