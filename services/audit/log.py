"""The one writer of the log: it stores each record once, as exact bytes under the next index, and updates the cases.

    1  parse every record (this needs no state)    -> its event, or why it has none
    2  lock                                        one writer at a time, in whichever process
    3  look up the next index, the coordinates that are stored already, and the first records of the same events
    4  copy the new records in, with one statement
    5  fold their facts into the cases and write those; COMMIT releases the lock

No record is refused. What the Kafka client cannot read is one like any other that is no event, and is stored as what
lies there; a batch that cannot be read is one record, at its first offset. Offsets without a record of their own are
noted in `unrecorded`, so that they do not count as missing. A redelivered record has known coordinates and is skipped.
An event that was published again has the same source, id and case, and is stored as a duplicate. An id that comes again
under a second case is an event of that case as well. A record that could not be taken in keeps its row for ever; a
version that can take it in stores it again, under the next index (`read_again`).
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import asyncpg
from pydantic import TypeAdapter

from chassis.kafka.partitions import place
from chassis.kafka.records import REASON, Record, headers_from_text, read, writable
from chassis.retry import NotNow, together_or_alone
from chassis.settings import Raised
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.store.derived import NOTE
from chassis.store.locks import lock_alone
from contracts.causes import kind, label
from contracts.envelope import AnyEvent
from contracts.fields import FROM, coordinates
from contracts.homes import topic_from
from contracts.notice import AcceptanceNotice, RefusalNotice
from contracts.progress import Discarded, Retried
from contracts.wire import Invalid, identity
from services.audit.domain.case import Case, evolve, is_case_fact
from services.audit.records import SIZE
from services.audit.views import CASES

log = logging.getLogger(__name__)

_STATE: TypeAdapter[Case] = TypeAdapter(Case)
_CACHED_CASES = 20_000
_BATCH_ERRORS = (*TRANSIENT_ERRORS, asyncpg.IntegrityConstraintViolationError)
"""Errors of the surroundings or of the log itself, which storing the records one by one would not avoid."""

_STORED = """
SELECT topic, partition, "offset", body FROM log
  JOIN unnest($1::text[], $2::integer[], $3::bigint[]) AS u (topic, partition, "offset")
 USING (topic, partition, "offset") WHERE reread_of IS NULL
"""
_UNRECORDED = """
INSERT INTO unrecorded (topic, partition, since, until, because)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bigint[], $5::text[]) ON CONFLICT DO NOTHING
"""
_FIRSTS = """
SELECT index, source, event_id, case_id FROM log
 WHERE event_id = ANY($1::text[]) AND duplicate_of IS NULL AND valid
"""
_NOT_TAKEN_IN = """
SELECT index, topic, partition, "offset", key, headers, body FROM log l
 WHERE NOT valid AND case_id = ANY($1::text[]) AND NOT EXISTS (SELECT FROM log r WHERE r.reread_of = l.index)
 ORDER BY index
"""
_STATES = "SELECT case_id, state FROM cases WHERE case_id = ANY($1::text[])"
_COLUMNS = (
    *("index", "topic", "partition", "offset", "key", "headers", "body", "valid", "invalidity", "reason", "source"),
    *("event_id", "case_id", "type", "kind", "label", "time", "recorded_time", "sequence", "causation_id", "actor"),
    *("answers", "settles", "duplicate_of", "reread_of", "home"),
)

_Identity = tuple[str, str, str]
"""Source, id and case: events that share all three are the same event."""


class ParsedRecord(NamedTuple):
    """A record, and the event in it, or why it has none: `invalidity` is `invalid`, `forged` or `failed`.

    `reread_of` is the index at which it has been stored before, as one that could not be taken in.
    """

    record: Record
    event: AnyEvent | None
    invalidity: str | None = None
    reason: str | None = None
    reread_of: int | None = None
    home: int | None = None
    """The partition of its key."""


def _parse(record: Record, reread_of: int | None = None) -> ParsedRecord:
    """Reads a record as the deciding services do."""
    try:
        return ParsedRecord(record, read(record), reread_of=reread_of)
    except Invalid as fault:
        return ParsedRecord(record, None, fault.kind, str(fault))


def _home(record: Record, history: Sequence[Raised]) -> int | None:
    """The partition of its key; None of what partners write, and where it has no key."""
    if record.topic.startswith(FROM) or not record.key or not record.partitions or record.unread is not None:
        return None
    return place(record.key, record.partitions, history)


class Log:
    """Stores records. Any number of instances, in any processes, write one gapless log."""

    def __init__(self, database: Database, raised: Sequence[Raised] = ()) -> None:
        self._database = database
        self._raised = raised
        self._cache = CaseCache()

    async def process(self, records: Sequence[Record]) -> None:
        """Stores a batch. Returns when it is durable. Raises one of `TRANSIENT_ERRORS` if it cannot be now."""
        # A defect with one record must not cost the others.
        await together_or_alone(records, self._store_parsed, self._store_bytes, _BATCH_ERRORS)

    async def _store_parsed(self, records: Sequence[Record]) -> None:
        await self._store([_parse(record) for record in records])

    async def _store_bytes(self, record: Record, fault: Exception) -> None:
        log.error("%s is stored as bytes only", record.coordinates, exc_info=fault)
        reason = f"cannot be folded: {type(fault).__name__}: {fault}"
        await self._store([ParsedRecord(record, None, "failed", reason)])

    async def _store(self, parsed: Sequence[ParsedRecord]) -> None:
        async def work(connection: Connection) -> _Appended:
            # Released when the commit is visible: the next writer sees every index before it looks up the last one.
            await lock_alone(connection)
            placed = [one._replace(home=_home(one.record, self._raised)) for one in parsed]
            records = await _without_markers(connection, placed)
            return await _append(connection, await _not_stored(connection, records), self._cache)

        self._cache.update(await self._database.transact(work))


async def read_again(connection: Connection, case_ids: Sequence[str]) -> None:
    """Stores again, as events, the records of these cases that could not be taken in when they came and can be now.

    The caller holds the lock, and the rows of the cases follow from the log. A record that still fails stays as it is.
    """
    rows = await connection.fetch(_NOT_TAKEN_IN, case_ids)
    parsed = (_parse(_record(row), row["index"]) for row in rows)
    if readable := [one for one in parsed if one.event is not None]:
        await together_or_alone(readable, partial(_append_inside, connection), _leave, _BATCH_ERRORS)


async def _append_inside(connection: Connection, parsed: Sequence[ParsedRecord]) -> None:
    """Appends in a transaction inside the caller's: a failure undoes this alone."""
    async with connection.transaction():
        await _append(connection, parsed, CaseCache())


async def _leave(parsed: ParsedRecord, fault: Exception) -> None:
    log.warning("%s still cannot be taken in: %r", parsed.record.coordinates, fault)


@dataclass(frozen=True, slots=True)
class _Appended:
    """What one transaction did: the indexes it gave, `end` excluded, and the cases as they are after it."""

    first: int
    end: int
    cases: Mapping[str, Case]


class CaseCache:
    """The cases this process wrote last. It is valid while no other process writes, which the next index shows."""

    def __init__(self) -> None:
        self._next_index = 0
        self._cases: dict[str, Case] = {}

    def valid_at(self, next_index: int) -> Mapping[str, Case]:
        """The cases, if the log continues at that index; else none."""
        return self._cases if next_index == self._next_index else {}

    def update(self, appended: _Appended) -> None:
        """Stores the cases of a committed transaction."""
        if appended.first != self._next_index:
            self._cases.clear()
        self._next_index = appended.end
        for case_id, case in appended.cases.items():
            self._cases.pop(case_id, None)  # keeps the order of the last use
            self._cases[case_id] = case
        while len(self._cases) > _CACHED_CASES:
            del self._cases[next(iter(self._cases))]


async def _append(connection: Connection, new: Sequence[ParsedRecord], cache: CaseCache) -> _Appended:
    first_index: int = await connection.fetchval(SIZE)
    if not new:
        return _Appended(first_index, first_index, {})
    firsts = await _first_records(connection, new)
    rows: list[tuple[Any, ...]] = []
    facts: list[tuple[AnyEvent, int]] = []
    for index, one in enumerate(new, start=first_index):
        duplicate_of, event = None, one.event
        if event is not None:
            first = firsts.setdefault((event.source, event.id, event.subject), index)
            if first != index:
                duplicate_of = first
            elif is_case_fact(event):
                facts.append((event, index))
        rows.append(_row(index, one, duplicate_of))
    await connection.copy_records_to_table("log", records=rows, columns=_COLUMNS)
    cases = await _update_cases(connection, facts, cache.valid_at(first_index))
    return _Appended(first_index, first_index + len(rows), cases)


async def _without_markers(connection: Connection, parsed: Sequence[ParsedRecord]) -> Sequence[ParsedRecord]:
    """The records to be stored; notes which offsets have none: those of markers, and of an unreadable batch all but the
    first.
    """
    unread = [one.record for one in parsed if one.record.unread is not None]
    if not unread:
        return parsed
    first = [one.offset + (not one.is_marker) for one in unread]
    rows = [
        (one.topic, one.partition, since, one.next_offset - 1, "marker" if one.is_marker else "unreadable")
        for one, since in zip(unread, first, strict=True)
        if since < one.next_offset
    ]
    if rows:
        await connection.execute(_UNRECORDED, *zip(*rows, strict=True))
    return [one for one in parsed if not one.record.is_marker]


async def _not_stored(connection: Connection, parsed: Sequence[ParsedRecord]) -> list[ParsedRecord]:
    """The records whose coordinates are not in the log yet, each once."""
    if not parsed:
        return []
    pending = {(one.record.topic, one.record.partition, one.record.offset): one for one in parsed}
    for row in await connection.fetch(_STORED, *zip(*pending, strict=True)):
        record = pending.pop((row["topic"], row["partition"], row["offset"])).record
        if record.value != row["body"]:
            raise NotNow(
                f"{record.coordinates} is in the log with other bytes, so this is another topic of the same name;"
                " nothing is stored until the new topics have a database of their own"
            )
    return list(pending.values())


async def _first_records(connection: Connection, new: Iterable[ParsedRecord]) -> dict[_Identity, int]:
    """Event -> index of its first record, for those of these events that are in the log already."""
    ids = [one.event.id for one in new if one.event is not None]
    rows = await connection.fetch(_FIRSTS, ids) if ids else []
    return {(row["source"], row["event_id"], row["case_id"]): row["index"] for row in rows}


def _row(index: int, parsed: ParsedRecord, duplicate_of: int | None) -> tuple[Any, ...]:
    record, event = parsed.record, parsed.event
    stored = (index, record.topic, record.partition, record.offset, record.key, record.headers_as_text, record.value)
    if event is None:
        source, event_id = (identity(record.value) if record.value else None) or (None, None)
        reason = writable(parsed.reason or "", REASON)
        return (
            *stored,
            False,
            parsed.invalidity,
            reason,
            source,
            event_id,
            record.stream_id,
            *(None,) * 12,
            parsed.home,
        )
    return (
        *(*stored, True, None, None),
        event.source,
        event.id,
        event.subject,
        event.type,
        kind(event.data),
        label(event.data),
        event.time,
        event.recordedtime,
        None if event.sequence is None else int(event.sequence),
        event.causationid,
        event.actor,
        _answered_request(event.data),
        _settled_record(event.data),
        duplicate_of,
        parsed.reread_of,
        parsed.home,
    )


def _record(row: asyncpg.Record) -> Record:
    """The record as it came, from its row."""
    headers, unread = headers_from_text(row["headers"])
    place = row["topic"], row["partition"], row["offset"]
    return Record(*place, row["key"], row["body"], headers, unread=unread)


def _answered_request(data: Any) -> str | None:
    """The id of the request that a notice answers; the coordinates of one that could not be read."""
    match data:
        case AcceptanceNotice() | RefusalNotice(request=str()):
            return data.request
        case RefusalNotice(partition=int(partition), offset=int(offset)):
            return coordinates(topic_from(data.to), partition, offset)
        case _:
            return None


def _settled_record(data: Any) -> str | None:
    """The coordinates of the parked record that an operator retried or discarded."""
    if isinstance(data, Retried | Discarded):
        return coordinates(data.parked_topic, data.partition, data.offset)
    return None


async def _update_cases(
    connection: Connection, facts: Sequence[tuple[AnyEvent, int]], cached: Mapping[str, Case]
) -> Mapping[str, Case]:
    """The cases of these (fact, index) after them, as written."""
    touched = {event.subject for event, _ in facts}
    cases = {case_id: cached[case_id] for case_id in touched & cached.keys()}
    if missing := touched - cases.keys():
        rows = await connection.fetch(_STATES, list(missing))
        cases |= {row["case_id"]: _STATE.validate_json(row["state"]) for row in rows}
    for event, index in facts:
        case = evolve(cases.get(event.subject), event, index)
        if case is not None:
            cases[event.subject] = case
    await CASES.write(connection, cases.items())
    await connection.execute(NOTE, list(cases))
    return cases
