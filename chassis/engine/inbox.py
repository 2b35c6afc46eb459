"""A batch of records in one transaction: new ones take effect once, others are parked or dropped, nothing blocks the
rest.

    1  read every record (no state needed)     -> an event, or why not; what is not for this service is passed over
    2  ask `seen` and the parked, one question -> what came before, and whether anything holds these cases back
    3  load the streams in one query, fold     -> the services' facts that came before
    4  react in memory, record after record    -> facts; for a partner's request facts and its one answer
    5  reach other cases                       -> facts of theirs, or pending propagations for the timers
    6  append facts, views, parked, `seen`; COMMIT

A service's fact that has taken effect is in its case's stream, whose version guards it: of two workers that take the
same fact in, one gets `Conflict`, reads the stream again and finds it there. What is not in the stream of the case that
it names has a row in `seen`: a partner's request, which may be answered under another subject, a record that cannot be
read, and whatever was parked. Of two workers that mark the same one, one gets `Conflict` as well.

The caller commits the Kafka offsets after that. A batch that fails because of the network or the server is raised to
the caller, who tries again. A batch that fails because of a record is taken in halves, and those again, until that
record is alone and is parked: one among a thousand costs twenty transactions.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chassis.clock import Clock, unmoved
from chassis.engine import parking
from chassis.engine.effects import AnswerLimit, Effects
from chassis.engine.incoming import Incoming, Reader, subjects
from chassis.engine.model import Model
from chassis.engine.parking import Parked
from chassis.engine.room import Room
from chassis.engine.unit_of_work import begin
from chassis.kafka.records import Record
from chassis.retry import NotNow
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.store.streams import Cache
from chassis.store.transaction import Conflict, Transaction, Write
from chassis.telemetry import About

log = logging.getLogger(__name__)

TRIES = 5
"""Of a batch that lost against another writer, before it is taken in halves."""

_MARK = """
INSERT INTO seen (source, id, digest) SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[])
ON CONFLICT DO NOTHING RETURNING true
"""
_KNOWN = f"""
SELECT source, id, digest, NULL AS held FROM seen
  JOIN unnest($1::text[], $2::text[]) AS asked (source, id) USING (source, id)
UNION ALL
SELECT NULL, NULL, NULL, stream_id FROM parked WHERE {parking.HOLDS_BACK} AND stream_id = ANY($3::text[])
"""

_TAKEN = """
SELECT stream_id, topic, event_id, body FROM events
 WHERE NOT own AND stream_id = ANY($1::text[]) AND event_id = ANY($2::text[])
"""

_Digests = dict[tuple[str, str], bytes | None]
"""What was seen before -> its digest, if it was read."""


def marked(seen: Mapping[tuple[str, str], bytes | None], *, first: bool) -> Write:
    """Marks these as seen; `first` asserts that nobody has marked one of them before."""
    rows = [(*identity, digest) for identity, digest in sorted(seen.items())]
    return Write(_MARK, rows, exactly="records are seen for the first time" if first else None)


def _reusing(item: Incoming) -> Incoming:
    """The item as one that cannot be taken, because a different event had its id before."""
    if item.request is not None:
        return Incoming(item.record, None, "invalid", "id: another event of yours had it before", item.request)
    return Incoming(item.record, None, "unfit", "id: another event had it before, with other bytes")


class Inbox:
    """Takes records in for one service. Safe to run in several processes at once, and to be given a record twice."""

    def __init__(self, model: Model, database: Database, clock: Clock, wall: Clock | None = None) -> None:
        self._model = model
        self.database = database
        self._clock = clock
        self._wall = wall or unmoved(clock)
        self.cache: Cache[Any] = Cache()
        self.reader = Reader(model)
        self.room = Room(database)
        self._limit = AnswerLimit()

    async def process(self, records: Sequence[Record]) -> None:
        """Takes a batch in; returns when it is durable. Raises one of `TRANSIENT_ERRORS` if it is to come again: mostly
        nothing was done, but where the connection was lost at the commit that is not known.
        """
        items = [item for record in records if (item := self.reader.read_or_fail(record)) is not None]
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
                raise
            except Exception as fault:
                if len(items) == 1:
                    await self._park_failed(items[0], fault)
                    return
                log.warning("a batch of %d records failed, taking it in halves: %r", len(items), fault)
                break
        half = len(items) // 2
        await self._take_in(items[:half])
        await self._take_in(items[half:])

    async def _transact(self, items: list[Incoming]) -> None:
        async def run(transaction: Transaction) -> Effects:
            connection = transaction.connection
            seen, held_back = await self._known(connection, items)
            taken = await self._distinguished(connection, items, seen)
            # What holds a case back is held until the end, so nothing is parked behind what is settled meanwhile.
            holding = await parking.holding(await transaction.begin(), held_back) if held_back else []
            effects = await self.begin(transaction, [item.event for item in taken if item.event], holding)
            taken = await self._not_as_before(connection, taken, seen, effects)
            new: _Digests = {}
            for item in taken:
                if item.event is not None and new.get(item.identity) not in (None, item.digest):
                    item = _reusing(item)  # of another case: what has the id was parked just now
                if item.identity in seen or item.identity in new or effects.knows(item):
                    continue
                if effects.take(item) or not item.is_fact:
                    new[item.identity] = item.digest
            transaction.write(marked(new, first=True))
            if effects.parked:
                await self.room.bounded(connection, effects.parked)
            await effects.finish(transaction)
            return effects

        effects = await self.database.decide(run)
        self.cache.put(effects.journal.streams.values())
        effects.committed()
        self.room.tell(effects.parked)

    async def begin(
        self, transaction: Transaction, events: Sequence[Any], held: Sequence[Parked], *, cached: bool = True
    ) -> Effects:
        """The effects of a transaction on these events; `held` are the parked records of their cases."""
        wall = self._wall()
        streams = {event.subject for event in events}
        cache = self.cache if cached else None
        work = await begin(self._model, transaction, self._clock(), streams, events, cache)
        effects = Effects(self._model, work, self._limit, wall, self.room.lines)
        for item in held:
            effects.hold(item)
        return effects

    async def _known(self, connection: Connection, items: Sequence[Incoming]) -> tuple[_Digests, list[str]]:
        """Which of these records were marked as seen, and which of their cases a parked record holds back."""
        identities = sorted({item.identity for item in items})
        rows = await connection.fetch(
            _KNOWN,
            [source for source, _ in identities],
            [event_id for _, event_id in identities],
            list(subjects(items)),
        )
        seen = {(row["source"], row["id"]): row["digest"] for row in rows if row["held"] is None}
        return seen, [row["held"] for row in rows if row["held"] is not None]

    async def _distinguished(
        self, connection: Connection, items: Sequence[Incoming], seen: _Digests
    ) -> Sequence[Incoming]:
        """The items; one that reuses the id of a different event that was marked as seen, or of a different request
        before it in the batch, is one that cannot be taken. Adds to `seen` which of those were marked before.
        """
        digests = dict(seen)

        def differs(item: Incoming) -> bool:
            if item.request is not None:
                return digests.setdefault(item.identity, item.digest) != item.digest
            return item.event is not None and digests.get(item.identity) not in (None, item.digest)

        return await self._replaced(connection, items, differs, seen)

    async def _not_as_before(
        self, connection: Connection, items: Sequence[Incoming], seen: _Digests, effects: Effects
    ) -> Sequence[Incoming]:
        """The items; a fact that comes with other bytes than when it took effect, or than before it in the batch, is
        one that cannot be taken.
        """
        first: dict[tuple[str, str, str], bytes | None] = {}
        known = [item for item in items if effects.knows(item)]
        if known:
            streams, ids = {item.event.subject for item in known}, {item.event.id for item in known}
            for row in await connection.fetch(_TAKEN, list(streams), list(ids)):
                first[row["stream_id"], row["topic"], row["event_id"]] = row["body"]

        def differs(item: Incoming) -> bool:
            if not item.is_fact:
                return False
            place = (item.event.subject, item.record.topic, item.event.id)
            return first.setdefault(place, item.record.value) != item.record.value

        return await self._replaced(connection, items, differs, seen)

    async def _replaced(
        self,
        connection: Connection,
        items: Sequence[Incoming],
        differs: Callable[[Incoming], bool],
        seen: _Digests,
    ) -> Sequence[Incoming]:
        reused: list[Incoming] = []
        found: list[Incoming] = []
        for item in items:
            if differs(item):
                item = _reusing(item)
                reused.append(item)
            found.append(item)
        if reused:
            seen |= (await self._known(connection, reused))[0]
        return found

    async def _park_failed(self, item: Incoming, fault: Exception) -> None:
        if self.room.lines.allows(item.record.topic):
            with About(item.record.stream_id, None, item.record.header("traceparent")):
                log.exception("%s failed and is parked", item.record.coordinates, exc_info=fault)
        held = Parked(None, "failed", f"{type(fault).__name__}: {fault}", item.record)

        async def run(transaction: Transaction) -> None:
            transaction.write(marked({item.identity: item.digest}, first=False))
            parking.park(transaction, [held])

        await self.database.decide(run)
