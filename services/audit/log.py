"""The log's one writer: records in, each stored once as exact bytes under the next index, the cases brought up to date.

    1  read every record (no state needed)    -> what it says, or why it says nothing
    2  lock                                   one writer at a time, whichever process it is in
    3  look up the next index, coordinates that are there already, first records of the same events
    4  copy the records in, in one statement
    5  fold them into their cases, write those; COMMIT releases the lock

A record is never refused. Redelivered ones are known by their coordinates, republished ones by source, id and case: the
former are passed over, the latter stored as duplicates. An id that comes again under a second case is an event of that
case, too.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from chassis.database import PASSING, Connection, Database
from chassis.records import Record, read
from contracts.envelope import AnyEvent
from contracts.notice import AcceptanceNotice, RefusalNotice
from contracts.progress import Discarded, Retried
from contracts.wire import FROM, TOPICS, Invalid, identity, reread
from services.audit.domain.case import Case, evolve, fold, tells
from services.audit.views import plain, states, write, write_all

log = logging.getLogger(__name__)

_KINDS = {
    "ReportFiled": "kind",
    "Assigned": "ruling",
    "Resolved": "outcome",
    "Evaluated": "verdict",
    "Progressed": "step",
    "Request": "kind",
    "Notice": "kind",
}
"""Name of a type -> the field that tells what it says apart."""
_CASES_AT_A_TIME = 500
_REMEMBERED = 20_000
LASTING = (*PASSING, asyncpg.IntegrityConstraintViolationError)
"""Faults that storing the bytes alone would not mend: of the surroundings, or of the log itself."""

# The lock goes when the commit is visible, so the next writer sees all indexes given before it looks for the last one.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema()), hashtext('log'))"
_NEXT = "SELECT coalesce(max(index), -1) + 1 FROM log"
_STORED = """
SELECT topic, partition, "offset", body FROM log
  JOIN unnest($1::text[], $2::integer[], $3::bigint[]) AS u (topic, partition, "offset")
 USING (topic, partition, "offset")
"""
_FIRSTS = """
SELECT index, source, event_id, case_id FROM log
 WHERE event_id = ANY($1::text[]) AND duplicate_of IS NULL AND valid
"""
_COLUMNS = (
    *("index", "topic", "partition", "offset", "key", "headers", "body", "valid", "invalidity", "reason", "source"),
    *("event_id", "case_id", "type", "kind", "time", "recorded_time", "sequence", "causation_id", "actor", "answers"),
    *("settles", "duplicate_of"),
)
_OF_CASES = """
SELECT index, topic, case_id, body FROM log
 WHERE case_id = ANY($1::text[]) AND topic = ANY($2::text[]) AND duplicate_of IS NULL AND valid
 ORDER BY case_id, index
"""

_Identity = tuple[str, str, str]
"""Source, id and case: what is the same in all three is the same event."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A record, and the event in it, or why there is none: `invalidity` is `invalid` or `forged`."""

    record: Record
    event: AnyEvent | None
    invalidity: str | None = None
    reason: str | None = None

    @property
    def identity(self) -> _Identity | None:
        """Which event it is."""
        event = self.event
        return None if event is None else (event.source, event.id, event.subject)


def find(record: Record) -> Finding:
    """Reads a record as the services do."""
    try:
        return Finding(record, read(record))
    except Invalid as finding:
        return Finding(record, None, finding.kind, str(finding))


def _settled(data: Any) -> str | None:
    """The parked record that a service's step speaks of, where it is about one."""
    if isinstance(data, Retried | Discarded):
        return plain(f"{data.parked_topic}/{data.partition}@{data.offset}")
    return None


def _answered(data: Any) -> str | None:
    """The request that a notice answers; one that could not be read by its coordinates."""
    match data:
        case AcceptanceNotice() | RefusalNotice(request=str()):
            return data.request
        case RefusalNotice(partition=int(), offset=int()):
            return f"{FROM}{data.to}/{data.partition}@{data.offset}"
        case _:
            return None


class Log:
    """Takes records in for ever. Any number of these, in any processes, write one gapless log."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._memory = Memory()

    async def process(self, records: Sequence[Record]) -> None:
        """Stores a batch. Returns when it is durable. Raises one of `PASSING` where nothing could be done now."""
        try:
            await self._store([find(record) for record in records])
        except LASTING:
            raise
        except Exception as fault:  # of one of them, or of ours with one of them: it must not cost the others
            log.warning("a batch of %d records failed, taking them one by one: %r", len(records), fault)
            for record in records:
                await self._store_alone(record)

    async def _store_alone(self, record: Record) -> None:
        try:
            await self._store([find(record)])
        except LASTING:
            raise
        except Exception as fault:
            log.exception("%s is stored as bytes only", record.coordinates)
            reason = f"cannot be taken in: {type(fault).__name__}: {fault}"
            await self._store([Finding(record, None, "invalid", reason)])

    async def _store(self, findings: Sequence[Finding]) -> None:
        self._memory.learn(await self._database.transact(lambda c: _append(c, findings, self._memory)))


@dataclass(frozen=True, slots=True)
class _Written:
    """What one transaction did: the indexes it gave, the end excluded, and the cases as they are after it."""

    since: int
    until: int
    cases: Mapping[str, Case | None]


class Memory:
    """The cases this process wrote last; good for as long as nobody else writes, which the next index tells."""

    def __init__(self) -> None:
        self._next = 0
        self._cases: dict[str, Case] = {}

    def at(self, index: int) -> Mapping[str, Case]:
        """What is remembered, if the log goes on at `index`."""
        return self._cases if index == self._next else {}

    def learn(self, written: _Written) -> None:
        """Takes in what has been committed."""
        if written.since != self._next:
            self._cases.clear()
        self._next = written.until
        for case_id, case in written.cases.items():
            self._cases.pop(case_id, None)  # so that the order is that of use
            if case is not None:
                self._cases[case_id] = case
        while len(self._cases) > _REMEMBERED:
            del self._cases[next(iter(self._cases))]


async def rebuild(database: Database) -> int:
    """Makes the table of cases anew from the log, while nobody writes; the number of cases."""

    async def work(connection: Connection) -> int:
        await connection.execute(_LOCK)
        return await write_all(connection, _all_folded(connection))

    return await database.transact(work)


async def _all_folded(connection: Connection) -> AsyncIterator[Mapping[str, Case | None]]:
    after = ""
    while rows := await connection.fetch(
        "SELECT DISTINCT case_id FROM log WHERE case_id > $1 ORDER BY case_id LIMIT $2", after, _CASES_AT_A_TIME
    ):
        after = rows[-1]["case_id"]
        yield await _folded_anew(connection, [row["case_id"] for row in rows])


async def _append(connection: Connection, findings: Sequence[Finding], memory: Memory) -> _Written:
    await connection.execute(_LOCK)
    fresh = await _not_stored(connection, findings)
    since = await connection.fetchval(_NEXT)
    if not fresh:
        return _Written(since, since, {})
    firsts = await _firsts(connection, fresh)
    rows: list[tuple[Any, ...]] = []
    new: list[tuple[AnyEvent, int]] = []
    for index, finding in enumerate(fresh, start=since):
        duplicate_of = None
        if finding.event is not None and finding.identity is not None:
            first = firsts.setdefault(finding.identity, index)
            if first != index:
                duplicate_of = first
            elif tells(finding.event):
                new.append((finding.event, index))
        rows.append(_row(index, finding, duplicate_of))
    await connection.copy_records_to_table("log", records=rows, columns=_COLUMNS)
    return _Written(since, since + len(rows), await _bring_up_to_date(connection, new, memory.at(since)))


async def _not_stored(connection: Connection, findings: Sequence[Finding]) -> list[Finding]:
    """Those whose coordinates are not in the log yet, each once."""
    pending = {(f.record.topic, f.record.partition, f.record.offset): f for f in findings}
    for row in await connection.fetch(_STORED, *zip(*pending, strict=True)):
        finding = pending.pop((row["topic"], row["partition"], row["offset"]))
        if finding.record.value != row["body"]:
            raise ConnectionError(
                f"{finding.record.coordinates} is in the log with other bytes: this is another topic of the same name;"
                " nothing is stored until it gets a log of its own"
            )
    return list(pending.values())


async def _firsts(connection: Connection, fresh: Iterable[Finding]) -> dict[_Identity, int]:
    ids = [finding.event.id for finding in fresh if finding.event is not None]
    rows = await connection.fetch(_FIRSTS, ids) if ids else []
    return {(row["source"], row["event_id"], row["case_id"]): row["index"] for row in rows}


def _row(index: int, finding: Finding, duplicate_of: int | None) -> tuple[Any, ...]:
    record, event = finding.record, finding.event
    coordinates = (index, record.topic, record.partition, record.offset, record.key, _headers(record), record.value)
    if event is None:
        source, event_id = (identity(record.value) if record.value else None) or (None, None)
        reason = (plain(finding.reason) or "")[:2000]
        said = (source, event_id, record.stream_id, *(None,) * 10)
        return (*coordinates, False, finding.invalidity, reason, *said)
    return (
        *(*coordinates, True, None, None),
        event.source,
        event.id,
        event.subject,
        event.type,
        getattr(event.data, _KINDS[event.data.name]),
        event.time,
        event.recordedtime,
        None if event.sequence is None else int(event.sequence),
        event.causationid,
        plain(event.actor),
        _answered(event.data),
        _settled(event.data),
        duplicate_of,
    )


def _headers(record: Record) -> str:
    named = [(name, value.hex() if value is not None else None) for name, value in record.headers]
    return orjson.dumps(named).decode()


async def _bring_up_to_date(
    connection: Connection, new: Sequence[tuple[AnyEvent, int]], remembered: Mapping[str, Case]
) -> Mapping[str, Case | None]:
    touched = {event.subject for event, _ in new}
    cases: dict[str, Case | None] = {case_id: remembered[case_id] for case_id in touched & remembered.keys()}
    if unknown := touched - cases.keys():
        cases |= await states(connection, unknown)
    for event, index in new:
        cases[event.subject] = evolve(cases.get(event.subject), event, index)
    await write(connection, cases.items())
    return cases


async def _folded_anew(connection: Connection, case_ids: Sequence[str]) -> dict[str, Case | None]:
    """Cases folded from the log alone: every fact once, in the log's order."""
    events: dict[str, list[tuple[AnyEvent, int]]] = {}
    for row in await connection.fetch(_OF_CASES, case_ids, TOPICS):
        events.setdefault(row["case_id"], []).append((reread(row["topic"], row["body"]), row["index"]))
    return {case_id: fold(found) for case_id, found in events.items()}
