"""At each start: what the service has published, and its store lacks, is taken back before anything is decided.

A store lacks what it has published when it was restored from a backup, or when a standby took over that had not
everything. The topics know it: the service reads those that it writes from where its store has read them to their ends.

    1  own events (chassis.store.origin) that are not in the store    -> table `lost`
    2  if there are any: the topics that it takes in, from the earliest
       record on, for what those events follow from                   -> table `lost`
    3  some cases in each transaction (chassis.engine.lost_streams)   -> their streams, without being decided again

Each part may be done twice, and by several processes at once: a process that dies begins again. What lacks the code of
the service is no event of its own, however well it would continue a case: chassis.engine.forgeries names it.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from chassis.clock import Clock
from chassis.engine.incoming import Incoming, Reader
from chassis.engine.lost_streams import restore, row
from chassis.engine.model import Model
from chassis.kafka.consumer import Reading
from chassis.kafka.records import Record
from chassis.kafka.through import read_through
from chassis.retry import NotNow
from chassis.store import origin
from chassis.store.database import Database
from chassis.store.transaction import Conflict
from contracts.fields import coordinates, is_object
from contracts.homes import topic_from
from contracts.notice import RefusalNotice
from contracts.progress import Discarded, Retried
from contracts.wire import Unreadable, identity, reread

log = logging.getLogger(__name__)

COMPARING = "the store is compared with the service's own topics; nothing is decided meanwhile"
RETURNING = "the store lacks events that the service has published, and takes them back; nothing is decided meanwhile"

_AT_ONCE = 50
"""The most cases of one transaction."""
_POSITIONS = "SELECT topic, partition, next FROM tail"
_UNKNOWN = """
SELECT place - 1 AS place FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (stream_id, event_id, place)
 WHERE NOT EXISTS (SELECT FROM events e WHERE e.stream_id = u.stream_id AND e.event_id = u.event_id)
"""
_LOSE = """
INSERT INTO lost
       (topic, partition, "offset", stream_id, own, sequence, event_id, cause, key, headers, body, appended_ms)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::text[], $5::boolean[], $6::bigint[], $7::text[],
                     $8::text[], $9::bytea[], $10::json[], $11::bytea[], $12::bigint[])
ON CONFLICT DO NOTHING
"""
_COUNT = "SELECT count(*) FILTER (WHERE own) AS events, count(DISTINCT stream_id) AS cases FROM lost"
_NAMING = """
SELECT cause, stream_id FROM lost WHERE own AND cause = ANY($1::text[]) ORDER BY cause, stream_id, sequence
"""
_NEXT = "SELECT DISTINCT stream_id FROM lost ORDER BY stream_id LIMIT $1"


class Returning:
    """Compares a store with the topics, and takes back what it lacks."""

    def __init__(self, model: Model, database: Database, clock: Clock, reading: Reading) -> None:
        self._model = model
        self._database = database
        self._clock = clock
        self.reading = reading
        self._reader = Reader(model)
        self._key = b""
        self.told = COMPARING
        """What it does now, for an operator."""

    async def run(self) -> None:
        """Returns when the store has everything that is on the topics. Raises one of `TRANSIENT_ERRORS`, or
        `KafkaError`, where that cannot be found out now.
        """
        registry = self._model.registry
        blind = registry.blind  # then partners' topics are left out, so that their file stops nobody else
        self._key = await origin.key_of(self._database)
        rows = await self._database.fetch(_POSITIONS)
        positions = {(one["topic"], one["partition"]): one["next"] for one in rows}
        name = self._model.name
        await read_through(
            self.reading, f"{name}-comparison", registry.topics(self._model.writes), positions, self._find
        )
        (found,) = await self._database.fetch(_COUNT)
        if found["cases"]:
            self._lacks()
            log.warning(
                "the store of %s lacks %d events of %d cases that it has published: it was restored; it takes them"
                " back before it decides anything",
                name,
                found["events"],
                found["cases"],
            )
            topics = registry.topics(tuple(self._model.topics))
            await read_through(self.reading, f"{name}-causes", topics, {}, self._find_causes)
            await self._restore()
            log.warning("the store of %s has taken back what it lacked", name)
        if not blind:
            await origin.note(self._database)
        self._database.hold(None)

    async def may_go_on(self) -> bool:
        """Whether people's commands need not wait for a broker that cannot be asked: nothing was found so far, and the
        server says that it is the store that was compared last. Then they are not held any more.
        """
        if self.told != COMPARING or not await origin.is_same(self._database):
            return False
        self._database.hold(None)
        return True

    async def _find(self, records: Sequence[Record]) -> None:
        """Own events that the store does not have."""
        own: list[tuple[Record, str]] = []
        for record in records:
            known = identity(record.value or b"")
            if known is not None and known[0] == self._model.source and self._is_own(record):
                own.append((record, known[1]))
        if not own:
            return
        unknown = await self._database.fetch(_UNKNOWN, [one.stream_id for one, _ in own], [name for _, name in own])
        if unknown:
            self._lacks()
        lost = [own[int(one["place"])][0] for one in unknown]
        rows = [found for record in lost if (found := self._lost(record)) is not None]
        await self._lose(rows)

    def _lacks(self) -> None:
        self.told = RETURNING
        self._database.hold(RETURNING)

    def _is_own(self, record: Record) -> bool:
        return origin.is_own(self._key, record.topic, record.value or b"", record.header(origin.HEADER))

    def _lost(self, record: Record) -> tuple[Any, ...] | None:
        try:
            event = reread(record.topic, record.value or b"")
        except Unreadable as fault:
            log.error("%s cannot be taken back: %s", record.coordinates, fault)
            raise NotNow(
                f"{record.coordinates} is the service's own and cannot be read by this version: run a newer one"
            ) from fault
        if event.subject != record.stream_id:  # somebody has copied it under another key
            return None
        return row(record, event.subject, event.id, int(event.sequence), _cause(event))

    async def _find_causes(self, records: Sequence[Record]) -> None:
        """The records that lost events follow from, or speak of."""
        names = [name for record in records for name in (record.coordinates, _id_of(record)) if name is not None]
        naming: dict[str, list[str]] = {}
        for one in await self._database.fetch(_NAMING, names):
            naming.setdefault(one["cause"], []).append(one["stream_id"])
        if naming:
            await self._lose([found for record in records if (found := self._named(record, naming)) is not None])

    def _named(self, record: Record, naming: Mapping[str, Sequence[str]]) -> tuple[Any, ...] | None:
        spoken_of, followed = naming.get(record.coordinates), naming.get(_id_of(record) or "")
        if record.is_marker or not (spoken_of or followed):
            return None
        item = self._reader.read_or_fail(record)
        if item is None:
            return None
        if spoken_of:
            return row(record, spoken_of[0], item.identity[1] if item.event else record.coordinates)
        if item.event is None or followed is None:
            return None
        return row(record, _stream_of(item, followed), item.event.id)

    async def _lose(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            await self._database.fetch(_LOSE, *zip(*rows, strict=True))

    async def _restore(self) -> None:
        while streams := [one["stream_id"] for one in await self._database.fetch(_NEXT, _AT_ONCE)]:
            try:
                await restore(self._model, self._database, self._clock, self._reader, streams)
            except Conflict:
                raise NotNow("another process takes the same events back") from None


def _cause(event: Any) -> str | None:
    """The id of what an event follows from; the coordinates of the record that it speaks of."""
    match event.data:
        case Retried() | Discarded() as step:
            return coordinates(step.parked_topic, step.partition, step.offset)
        case RefusalNotice(to=to, request=None, partition=int() as partition, offset=int() as offset):
            return coordinates(topic_from(to), partition, offset)
        case _:
            return event.causationid


def _id_of(record: Record) -> str | None:
    """The id of the event in a record, whoever wrote it."""
    if record.value is None:
        return None
    if (known := identity(record.value)) is not None:
        return known[1]
    try:
        value = orjson.loads(record.value)
    except orjson.JSONDecodeError:
        return None
    found = value.get("id") if is_object(value) else None
    return found if isinstance(found, str) and "\0" not in found else None


def _stream_of(item: Incoming, followed: Sequence[str]) -> str:
    """The stream that keeps a record: its case, but of a request that was answered under another subject that one."""
    return item.event.subject if item.is_fact or item.event.subject in followed else followed[0]
