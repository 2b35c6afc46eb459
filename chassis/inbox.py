"""A batch of records in one transaction: what is new takes effect once, what cannot is parked, nothing blocks the rest.

    1  read every record (no state needed)          -> event, or why not; what is not for this service is passed over
    2  mark (source, id) in the inbox               -> the ones not seen before
    3  load the streams in one query, fold
    4  react in memory, record after record         -> facts; of a partner's request, facts and its one answer
    5  let other cases hear of it                   -> facts of theirs, or a debt that the timers pay
    6  append facts, views, outbox, parked; COMMIT

The caller commits the Kafka offsets after that. A batch that fails because of its surroundings is raised to the caller,
who tries again; one that fails because of a record falls back to one record at a time, and that record is parked.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from chassis import owed, parking, requests
from chassis.clock import Clock, wall_clock
from chassis.database import PASSING, Conflict, Connection, Database
from chassis.decider import Inputs, Unfit
from chassis.deciding import Deciding, opened
from chassis.journal import Cache, Journal
from chassis.parking import HOLDING, Parked
from chassis.partners import EVERY_FROM
from chassis.records import Record, read
from chassis.requests import Asked
from chassis.service import Service
from chassis.telemetry import hop
from contracts.wire import FROM, Invalid, TooLarge, identity

log = logging.getLogger(__name__)

TRIES = 5
"""Of a batch that lost against another writer, before it falls back to one record at a time."""
_APART_A_MINUTE = 600
"""Answers to one partner about nothing of its own, in a minute; what is more is parked without an answer."""
_ANSWERS_IN_A_CASE = 2_000
"""To one partner: every answer stays in the case, and is read with it. What is more is parked likewise."""

_MARK = """
INSERT INTO inbox (source, id, digest) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT DO NOTHING RETURNING source, id
"""
_DIGESTS = """
SELECT source, id, digest FROM inbox JOIN unnest($1::text[], $2::text[]) AS asked (source, id) USING (source, id)
"""


_Outcome = tuple[tuple[str, str] | None, Sequence[Any]]
"""(kind, reason) where it could not take effect; the facts published."""


@dataclass(slots=True)
class Item:
    record: Record
    event: Any
    """None where it could not be read."""
    kind: str = ""
    reason: str = ""
    request: Asked | None = None

    @property
    def identity(self) -> tuple[str, str]:
        """What it is known by, so that it takes effect once: the event's (source, id), else where the record lies."""
        return (self.event.source, self.event.id) if self.event else (self.record.coordinates, "unreadable")

    @property
    def digest(self) -> bytes | None:
        """Of what a partner asks: another request under the same id is none that was answered."""
        return blake2b(self.record.value or b"", digest_size=16).digest() if self.request else None


@dataclass(slots=True)
class Effects:
    """What one transaction is about to do beside the journal."""

    deciding: Deciding[Any]
    wall: datetime
    """The machine's time when `journal.now` was read, so that records that arrived in an order keep it."""
    queues: dict[tuple[str, str], list[Parked]] = field(default_factory=dict)
    """What holds back, by topic and case, in order."""
    parked: list[Parked] = field(default_factory=list)
    """What is parked in this transaction."""
    settled: list[int] = field(default_factory=list)
    amended: list[Parked] = field(default_factory=list)
    apart: Counter[tuple[str, int]] = field(default_factory=Counter)
    """(topic, minute) -> answers that belong to no case."""
    heard: list[tuple[Any, str]] = field(default_factory=list)
    """Events that other cases are to hear of."""

    @property
    def journal(self) -> Journal[Any]:
        return self.deciding.journal

    def park(self, item: Parked) -> None:
        self.parked.append(item)
        if item.kind in HOLDING and item.queue is not None:
            self.queues.setdefault(item.queue, []).append(item)


class Inbox:
    """Takes records in for one service. Safe to run in several processes at once, and to be given a record twice."""

    def __init__(
        self,
        service: Service,
        database: Database,
        clock: Clock,
        wall: Clock = wall_clock,
    ) -> None:
        self._service = service
        self.database = database
        self._clock = clock
        self._wall = wall
        self.cache: Cache[Any] = Cache()
        self.passed_over: Counter[str] = Counter()
        """Topic -> records that could not be read or are forged, and that another service parks."""
        self._apart: Counter[tuple[str, int]] = Counter()

    async def process(self, records: Sequence[Record]) -> None:
        """Takes a batch in. Returns when it is durable. Raises one of `PASSING` where nothing could be done now."""
        items = [item for record in records if (item := self.read(record)) is not None]
        if items:
            await self._settle_batch(items)

    def read(self, record: Record) -> Item | None:
        """The record as far as this service is concerned; None where it is not."""
        expected = self._service.sources.get(record.topic)
        if expected is not None and (identity(record.value or b"") or ("",))[0] != expected:
            return None
        try:
            event = read(record)
        except Invalid as finding:
            if not self._parks(record.topic):
                self.passed_over[record.topic] += 1
                return None
            return Item(record, None, finding.kind, str(finding))
        if record.topic.startswith(FROM):
            handled = self._service.requests
            request = requests.asked(handled, self._service.registry.partners, record, event) if handled else None
            return Item(record, event, request=request) if request is not None else None
        return Item(record, event) if self._service.wants(event) else None

    def _parks(self, topic: str) -> bool:
        return (EVERY_FROM if topic.startswith(FROM) else topic) in self._service.parks

    async def _settle_batch(self, items: list[Item]) -> None:
        for attempt in range(TRIES):
            try:
                await self._transact(items)
                return
            except Conflict:
                if attempt == TRIES - 1:
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

    async def _transact(self, items: list[Item]) -> None:
        async def work(connection: Connection) -> Journal[Any]:
            fresh = await self.mark(connection, items)
            taken = await self._told_apart(connection, items, fresh)
            held = await parking.holding(connection, _subjects(taken))
            effects = await self.begin(connection, [item.event for item in taken if item.event], held)
            for item in taken:
                self._take(item, fresh, effects)
            await self.finish(connection, effects, by=self._service.name)
            return effects.journal

        journal = await self.database.transact(work)
        self.cache.put(journal.touched)

    async def begin(
        self, connection: Connection, events: list[Any], held: list[Parked], *, fresh: bool = False
    ) -> Effects:
        wall = self._wall()
        subjects = {event.subject for event in events}
        cache = None if fresh else self.cache
        effects = Effects(await opened(self._service, connection, self._clock(), subjects, events, cache), wall)
        for item in held:
            if item.queue is not None:
                effects.queues.setdefault(item.queue, []).append(item)
        return effects

    async def finish(self, connection: Connection, effects: Effects, by: str) -> None:
        await self._tell_others(connection, effects)
        await effects.journal.write(connection)
        for item in effects.parked:
            level = logging.DEBUG if item.kind == "behind" else logging.WARNING
            log.log(level, "parked %s of case %s: %s", item.record.coordinates, item.record.stream_id, item.reason)
        if effects.parked:
            await parking.park(connection, effects.parked)
        for item in effects.amended:
            await parking.amend(connection, item)
        if effects.settled:
            await parking.settle(connection, effects.settled, "retried", by)
        self._answered(effects.apart)

    async def _tell_others(self, connection: Connection, effects: Effects) -> None:
        """Lets other cases hear of what took effect: some now, the rest by the timers."""
        heard = effects.heard
        while heard:
            now, later = owed.divided(heard)
            await effects.journal.open(connection, {other for _, other in now})
            heard = [pair for event, other in now for pair in owed.hear(self._service, effects.deciding, event, other)]
            await owed.owe(connection, later)

    async def mark(self, connection: Connection, items: list[Item]) -> set[tuple[str, str]]:
        """Notes the events as seen; those that were not seen before, by their identity."""
        digests: dict[tuple[str, str], bytes | None] = {}
        for item in items:
            digests.setdefault(item.identity, item.digest)
        pairs = sorted(digests)
        rows = await connection.fetch(
            _MARK, [source for source, _ in pairs], [event_id for _, event_id in pairs], [digests[p] for p in pairs]
        )
        return {(row["source"], row["id"]) for row in rows}

    async def _told_apart(self, connection: Connection, items: list[Item], fresh: set[tuple[str, str]]) -> list[Item]:
        """The items, where another request under an id of before is one that cannot be read, and is marked as such."""
        asked = [item for item in items if item.request]
        if len({item.identity for item in asked} & fresh) == len(asked):
            return items
        pairs = sorted({item.identity for item in asked})
        rows = await connection.fetch(_DIGESTS, [source for source, _ in pairs], [event_id for _, event_id in pairs])
        known = {(row["source"], row["id"]): row["digest"] for row in rows}
        others = {
            id(item): Item(item.record, None, "invalid", "id: another event of yours had it before", item.request)
            for item in asked
            if known[item.identity] != item.digest
        }
        fresh |= await self.mark(connection, list(others.values())) if others else set()
        return [others.get(id(item), item) for item in items]

    def _take(self, item: Item, fresh: set[tuple[str, str]], effects: Effects) -> None:
        record, event = item.record, item.event
        if item.identity not in fresh:
            return
        fresh.remove(item.identity)
        if event is None:
            effects.park(Parked(None, item.kind, item.reason, record))
            self._answer_unreadable(item, effects)
        elif queue := effects.queues.get((record.topic, event.subject)):
            effects.park(Parked(None, "behind", f"waits behind {queue[0].record.coordinates}", record))
        elif (obstacle := self.apply(item, effects)) is not None:
            effects.park(Parked(None, *obstacle, record))

    def apply(self, item: Item, effects: Effects) -> tuple[str, str] | None:
        """Lets an event take effect in memory; else (kind, reason), and the journal is as it was."""
        record, event, journal = item.record, item.event, effects.journal
        stream, inputs = journal.streams[event.subject], effects.deciding.inputs(event.subject)
        before = journal.mark(stream)
        try:
            judged = self._asked if item.request else self._reacted
            obstacle, published = judged(item, inputs, effects)
            if obstacle is not None:
                return obstacle
            effects.heard += self._service.decider.heard(event, stream.state, inputs)
        except Exception as fault:
            journal.restore(stream, before)
            log.exception("%s could not take effect", record.coordinates)
            return "failed", f"{type(fault).__name__}: {fault}"
        if hasattr(inputs.gathered, "learn"):
            for one in (event, *published):
                inputs.gathered.learn(one)
        return None

    def _reacted(self, item: Item, inputs: Inputs, effects: Effects) -> _Outcome:
        record, event, journal = item.record, item.event, effects.journal
        outcome = self._service.decider.react(event, journal.streams[event.subject].state, inputs)
        if isinstance(outcome, Unfit):
            return ("unfit", outcome.reason), ()
        journal.take(event.subject, record.topic, event, record.value or b"")
        return None, journal.publish(
            event.subject, outcome, at=journal.now, cause=event, traceparent=self._hop(record, event, outcome)
        )

    def _asked(self, item: Item, inputs: Inputs, effects: Effects) -> _Outcome:
        """What a partner asked for, with its one answer."""
        record, event, request, journal = item.record, item.event, item.request, effects.journal
        handled = self._service.requests
        assert request is not None
        assert handled is not None
        stream = journal.streams[event.subject]
        if handled.answered(stream.state, request.partner.id) >= _ANSWERS_IN_A_CASE:
            return ("unanswered", f"{_ANSWERS_IN_A_CASE} requests in one case are answered, and these were more"), ()
        arrived = record.arrived(journal.now, effects.wall)
        reply = requests.judge(request, handled, self._service.decider, stream.state, inputs, arrived)
        before = journal.mark(stream)
        try:
            return self._replied(item, reply, effects)
        except TooLarge as fault:
            journal.restore(stream, before)
            reply = requests.refused(request, handled, stream.state, "request.too_large", str(fault), arrived)
            return self._replied(item, reply, effects)

    def _replied(self, item: Item, reply: requests.Reply, effects: Effects) -> _Outcome:
        record, event, request, journal = item.record, item.event, item.request, effects.journal
        assert request is not None
        subject = event.subject
        if reply.apart:
            if not self._may_answer(record.topic, effects):
                return ("unanswered", "more requests about nothing of its own than are answered in a minute"), ()
            subject = journal.begin()
        journal.take(subject, record.topic, event, record.value or b"")
        return None, journal.publish(
            subject,
            reply.facts,
            at=reply.counted.at,
            cause=event,
            actor=requests.actor_of(request),
            traceparent=self._hop(record, event, reply.facts),
        )

    def _answer_unreadable(self, item: Item, effects: Effects) -> None:
        handled, record = self._service.requests, item.record
        if handled is None or not record.topic.startswith(FROM) or not (item.request or handled.answers_unreadable):
            return
        answer = requests.unreadable(record, self._service.registry.partners, item.kind, item.reason)
        if answer is None or not self._may_answer(record.topic, effects):
            return
        subject = effects.journal.begin()
        effects.journal.publish(subject, [answer], at=effects.journal.now, actor=self._service.name)

    def _may_answer(self, topic: str, effects: Effects) -> bool:
        """Whether one more answer about nothing of its own may go to this partner in this minute."""
        key = topic, int(effects.journal.now.timestamp() // 60)
        if self._apart[key] + effects.apart[key] >= _APART_A_MINUTE:
            return False
        effects.apart[key] += 1
        return True

    def _answered(self, answers: Counter[tuple[str, int]]) -> None:
        """Counts what is about to be answered, also where the transaction then fails; forgets the minutes before."""
        if answers:
            latest = max(minute for _, minute in answers)
            self._apart = Counter({key: count for key, count in self._apart.items() if key[1] >= latest}) + answers

    def _hop(self, record: Record, event: Any, facts: Sequence[Any]) -> str | None:
        if not facts:
            return None
        return hop(f"{self._service.name} {record.topic}", record.header("traceparent"), event.traceparent)

    async def _park_failed(self, item: Item, fault: Exception) -> None:
        log.exception("%s failed and is parked", item.record.coordinates, exc_info=fault)
        held = Parked(None, "failed", f"{type(fault).__name__}: {fault}", item.record)

        async def work(connection: Connection) -> None:
            await self.mark(connection, [item])
            await parking.park(connection, [held])

        await self.database.transact(work)


def _subjects(items: Iterable[Item]) -> set[str]:
    found = {item.event.subject for item in items if item.event}
    return found | {item.record.stream_id for item in items if item.record.stream_id is not None}


async def backoff(attempt: int) -> None:
    """Waits before try number `attempt` (from 0): 50 ms, doubled each time, five seconds at most."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        # Python 3.11's wait_for, used by the client libraries, answers a cancellation with the fault that came with it.
        raise asyncio.CancelledError
    await asyncio.sleep(min(5.0, 0.05 * 2 ** min(attempt, 10)))
