"""A batch of records in one transaction: new ones take effect once, others are parked or dropped, nothing blocks the
rest.

    1  read every record (no state needed)     -> an event, or why not; what is not for this service is passed over
    2  mark requests, ask `seen` for facts     -> the requests, unreadable and parked records that came before
    3  load the streams in one query, fold     -> the services' facts that came before
    4  react in memory, record after record    -> facts; for a partner's request facts and its one answer
    5  reach other cases                       -> facts of theirs, or pending propagations for the timers
    6  append facts, views, parked; COMMIT

A service's fact that has taken effect is in its case's stream, whose version guards it: of two workers that take the
same fact in, one gets `Conflict`, reads the stream again and finds it there. What is not in the stream of the case that
it names has a row in `seen`: a partner's request, which may be answered under another subject, a record that cannot be
read, and whatever was parked.

The caller commits the Kafka offsets after that. A batch that fails because of the network or the server is raised to
the caller, who tries again. A batch that fails because of a record falls back to one record at a time, and that record
is parked.
"""

import logging
from collections.abc import Collection, Sequence
from typing import Any

from chassis.clock import Clock, wall_clock
from chassis.engine import parking
from chassis.engine.effects import AnswerLimit, Effects
from chassis.engine.incoming import Incoming, Reader, subjects
from chassis.engine.model import Model
from chassis.engine.parking import Parked
from chassis.engine.unit_of_work import begin
from chassis.kafka.records import Record
from chassis.retry import NotNow
from chassis.store.database import TRANSIENT_ERRORS, Conflict, Connection, Database
from chassis.store.journal import Journal
from chassis.store.streams import Cache
from chassis.telemetry import About

log = logging.getLogger(__name__)

TRIES = 5
"""Of a batch that lost against another writer, before it falls back to one record at a time."""

_MARK = """
INSERT INTO seen (source, id, digest) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT DO NOTHING RETURNING source, id
"""
_SEEN = """
SELECT source, id, digest FROM seen JOIN unnest($1::text[], $2::text[]) AS asked (source, id) USING (source, id)
"""


class Inbox:
    """Takes records in for one service. Safe to run in several processes at once, and to be given a record twice."""

    def __init__(self, model: Model, database: Database, clock: Clock, wall: Clock = wall_clock) -> None:
        self._model = model
        self.database = database
        self._clock = clock
        self._wall = wall
        self.cache: Cache[Any] = Cache()
        self.reader = Reader(model)
        self._limit = AnswerLimit()

    async def process(self, records: Sequence[Record]) -> None:
        """Takes a batch in; returns when it is durable. Raises one of `TRANSIENT_ERRORS` if nothing was done."""
        items = [item for record in records if (item := self.reader.read(record)) is not None]
        if items:
            await self._take_in(items)

    async def _take_in(self, items: list[Incoming]) -> None:
        for attempt in range(TRIES):
            try:
                await self._transact(items)
                return
            except Conflict:
                if attempt == TRIES - 1:
                    if len(items) == 1:
                        raise NotNow(
                            f"{items[0].record.coordinates} lost {TRIES} times against other writers"
                        ) from None
                    break
            except TRANSIENT_ERRORS:
                self.cache.forget(subjects(items))
                raise
            except Exception as fault:
                self.cache.forget(subjects(items))
                if len(items) == 1:
                    await self._park_failed(items[0], fault)
                    return
                log.warning("a batch of %d records failed, taking them one by one: %r", len(items), fault)
                break
        for item in items:
            await self._take_in([item])

    async def _transact(self, items: list[Incoming]) -> None:
        async def run(connection: Connection) -> Journal[Any]:
            fresh = await self.mark(connection, [item for item in items if not item.is_fact])
            seen = await self._seen(connection, {item.identity for item in items if item.is_fact})
            taken = await self._distinguished(connection, items, fresh)
            held = await parking.holding(connection, subjects(taken))
            effects = await self.begin(connection, [item.event for item in taken if item.event], held)
            parked: dict[tuple[str, str], Incoming] = {}
            for item in taken:
                if item.is_fact:
                    if item.identity in seen or item.identity in parked or effects.knows(item):
                        continue
                    if effects.take(item):
                        parked[item.identity] = item
                elif item.identity in fresh:
                    fresh.remove(item.identity)
                    effects.take(item)
            if len(await self.mark(connection, list(parked.values()))) < len(parked):
                raise Conflict("another worker parks the same fact")
            await effects.finish(connection)
            return effects.journal

        journal = await self.database.transact(run)
        self.cache.put(journal.touched)

    async def begin(
        self, connection: Connection, events: Sequence[Any], held: Sequence[Parked], *, cached: bool = True
    ) -> Effects:
        """The effects of a transaction on these events; `held` are the parked records of their cases."""
        wall = self._wall()
        streams = {event.subject for event in events}
        cache = self.cache if cached else None
        work = await begin(self._model, connection, self._clock(), streams, events, cache)
        effects = Effects(self._model, work, self._limit, wall)
        for item in held:
            effects.hold(item)
        return effects

    async def mark(self, connection: Connection, items: Sequence[Incoming]) -> set[tuple[str, str]]:
        """Marks the events as seen; returns the identities that were not marked before."""
        if not items:
            return set()
        digests: dict[tuple[str, str], bytes | None] = {}
        for item in items:
            digests.setdefault(item.identity, item.digest)
        pairs = sorted(digests)
        rows = await connection.fetch(
            _MARK, [source for source, _ in pairs], [event_id for _, event_id in pairs], [digests[p] for p in pairs]
        )
        return {(row["source"], row["id"]) for row in rows}

    async def _seen(
        self, connection: Connection, identities: Collection[tuple[str, str]]
    ) -> dict[tuple[str, str], bytes | None]:
        """Those of these identities that are marked as seen, with their digests."""
        if not identities:
            return {}
        pairs = sorted(identities)
        rows = await connection.fetch(_SEEN, [source for source, _ in pairs], [event_id for _, event_id in pairs])
        return {(row["source"], row["id"]): row["digest"] for row in rows}

    async def _distinguished(
        self, connection: Connection, items: list[Incoming], fresh: set[tuple[str, str]]
    ) -> list[Incoming]:
        """The items; a partner's request that reuses the id of a different request becomes an unreadable record, and is
        marked as such.
        """
        requests = [item for item in items if item.request]
        if len({item.identity for item in requests} & fresh) == len(requests):
            return items
        known = await self._seen(connection, {item.identity for item in requests})
        reused = {
            id(item): Incoming(item.record, None, "invalid", "id: another event of yours had it before", item.request)
            for item in requests
            if known[item.identity] != item.digest
        }
        fresh |= await self.mark(connection, list(reused.values())) if reused else set()
        return [reused.get(id(item), item) for item in items]

    async def _park_failed(self, item: Incoming, fault: Exception) -> None:
        with About(item.record.stream_id, None, item.record.header("traceparent")):
            log.exception("%s failed and is parked", item.record.coordinates, exc_info=fault)
        held = Parked(None, "failed", f"{type(fault).__name__}: {fault}", item.record)

        async def run(connection: Connection) -> None:
            await self.mark(connection, [item])
            await parking.park(connection, [held])

        await self.database.transact(run)
