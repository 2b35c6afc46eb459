"""The log's one writer: records in, each stored once as exact bytes under the next index, the cases brought up to date.

    1  read every record (no state needed)    -> what it says, or why it says nothing
    2  lock                                   one writer at a time, whichever process it is in
    3  look up the next index, coordinates that are there already, first records of the same events
    4  copy the records in, in one statement
    5  fold them into their cases, write those; COMMIT releases the lock

A record is never refused. Redelivered ones are known by their coordinates, republished ones by (source, id): the former
are passed over, the latter stored as duplicates. A record that was not valid when it came, but that an operator had
retried all the same, counts from then on; its case is folded anew.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import orjson

from chassis.database import PASSING, Connection, Database
from chassis.records import Record, read
from contracts.envelope import Event
from contracts.progress import Progressed
from contracts.wire import Invalid, identity, parse
from services.audit.domain.case import Case, evolve, fold
from services.audit.reference import Admit
from services.audit.views import plain, states, write, write_all

log = logging.getLogger(__name__)

_SETTLES = re.compile(r"^[a-z]+ ([A-Za-z]+/[0-9]+@[0-9]+): ")
"""How the runtime's notes on retried and discarded records name the record."""
_KINDS = {
    "ReportFiled": "kind",
    "Assigned": "ruling",
    "Resolved": "outcome",
    "Evaluated": "verdict",
    "Progressed": "step",
}
"""Topic -> the field that tells its facts apart."""
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
SELECT index, source, event_id FROM log l
 WHERE event_id = ANY($1::text[]) AND duplicate_of IS NULL AND l.counts
 ORDER BY index DESC
"""
_RETRIED = "SELECT settles FROM log WHERE settles = ANY($1::text[]) AND kind = 'retried'"
_COLUMNS = (
    *("index", "topic", "partition", "offset", "key", "headers", "body", "valid", "reason", "source", "event_id"),
    *(
        "case_id",
        "type",
        "kind",
        "time",
        "recorded_time",
        "sequence",
        "causation_id",
        "actor",
        "settles",
        "duplicate_of",
    ),
)
_OF_CASES = """
SELECT index, topic, case_id, body FROM log l
 WHERE case_id = ANY($1::text[]) AND time IS NOT NULL AND duplicate_of IS NULL AND l.counts
 ORDER BY case_id, index
"""


@dataclass(slots=True)
class Finding:
    """A record, and what could be read from it. `event` may be there although `reason` says that it is not valid."""

    record: Record
    event: Event[Any] | None
    reason: str | None
    settles: str | None = None


def find(record: Record, admit: Admit) -> Finding:
    """Reads a record as the services do."""
    try:
        event = read(record)
    except Invalid as finding:
        return Finding(record, _overlooking_headers(record), str(finding))
    if event.source.startswith("/partners/"):
        return Finding(record, event, admit(event))
    return Finding(record, event, None, _settled(event.data))


def _settled(data: Any) -> str | None:
    """The parked record that a service's step speaks of, where it is about one."""
    if isinstance(data, Progressed) and data.step in ("retried", "discarded"):
        named = _SETTLES.match(data.note or "")
        return named[1] if named else None
    return None


def _overlooking_headers(record: Record) -> Event[Any] | None:
    """The event in a record that an operator could retry although its headers are wrong."""
    try:
        return read(record, lenient=True)
    except Invalid:
        return None


class Log:
    """Takes records in for ever. Any number of these, in any processes, write one gapless log."""

    def __init__(self, database: Database, admit: Admit) -> None:
        self._database = database
        self._admit = admit
        self._memory = Memory()

    async def process(self, records: Sequence[Record]) -> None:
        """Stores a batch. Returns when it is durable. Raises one of `PASSING` where nothing could be done now."""
        try:
            await self._store([find(record, self._admit) for record in records])
        except LASTING:
            raise
        except Exception as fault:  # of one of them, or of ours with one of them: it must not cost the others
            log.warning("a batch of %d records failed, taking them one by one: %r", len(records), fault)
            for record in records:
                await self._store_alone(record)

    async def _store_alone(self, record: Record) -> None:
        try:
            await self._store([find(record, self._admit)])
        except LASTING:
            raise
        except Exception as fault:
            log.exception("%s is stored as bytes only", record.coordinates)
            await self._store([Finding(record, None, f"cannot be taken in: {type(fault).__name__}: {fault}")])

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
    since = index = await connection.fetchval(_NEXT)
    if not fresh:
        return _Written(since, since, {})
    firsts = await _firsts(connection, fresh)
    rows: list[tuple[Any, ...]] = []
    new: list[tuple[Event[Any], int]] = []
    anew: set[str] = set()
    loose: dict[str, str] = {}
    for finding in fresh:
        event, duplicate_of = finding.event, None
        if event is not None and finding.reason is None:
            duplicate_of = firsts.setdefault((event.source, event.id), index)
            if duplicate_of == index:
                duplicate_of = None
                new.append((event, index))
        elif event is not None:
            loose[finding.record.coordinates] = event.subject
        if event is not None and finding.settles is not None and event.data.step == "retried":
            anew.add(event.subject)
        rows.append(_row(index, finding, duplicate_of))
        index += 1
    await connection.copy_records_to_table("log", records=rows, columns=_COLUMNS)
    if loose:
        retried = await connection.fetch(_RETRIED, list(loose))
        anew |= {loose[row["settles"]] for row in retried}
    return _Written(since, index, await _bring_up_to_date(connection, new, anew, memory.at(since)))


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


async def _firsts(connection: Connection, fresh: Iterable[Finding]) -> dict[tuple[str, str], int]:
    ids = [finding.event.id for finding in fresh if finding.event is not None and finding.reason is None]
    rows = await connection.fetch(_FIRSTS, ids) if ids else []
    return {(row["source"], row["event_id"]): row["index"] for row in rows}


def _row(index: int, finding: Finding, duplicate_of: int | None) -> tuple[Any, ...]:
    record, event = finding.record, finding.event
    coordinates = (index, record.topic, record.partition, record.offset, record.key, _headers(record), record.value)
    reason = None if finding.reason is None else (plain(finding.reason) or "")[:2000]
    if event is None:
        source, event_id = (identity(record.value) if record.value else None) or (None, None)
        said = (source, event_id, record.stream_id, *(None,) * 9)
        return (*coordinates, False, reason, *said)
    return (
        *coordinates,
        reason is None,
        reason,
        event.source,
        event.id,
        event.subject,
        event.type,
        getattr(event.data, _KINDS[record.topic]),
        event.time,
        event.recordedtime,
        int(event.sequence),
        event.causationid,
        plain(event.actor),
        finding.settles,
        duplicate_of,
    )


def _headers(record: Record) -> str:
    named = [(name, value.hex() if value is not None else None) for name, value in record.headers]
    return orjson.dumps(named).decode()


async def _bring_up_to_date(
    connection: Connection, new: Sequence[tuple[Event[Any], int]], anew: set[str], remembered: Mapping[str, Case]
) -> Mapping[str, Case | None]:
    touched = {event.subject for event, _ in new} - anew
    cases: dict[str, Case | None] = {case_id: remembered[case_id] for case_id in touched & remembered.keys()}
    if unknown := touched - cases.keys():
        cases |= await states(connection, unknown)
    for event, index in new:
        if event.subject in touched:
            cases[event.subject] = evolve(cases.get(event.subject), event, index)
    if anew:
        cases |= await _folded_anew(connection, list(anew))
    await write(connection, cases.items())
    return cases


async def _folded_anew(connection: Connection, case_ids: Sequence[str]) -> dict[str, Case | None]:
    """Cases folded from the log alone: every event that counts, once, in the log's order."""
    events: dict[str, list[tuple[Event[Any], int]]] = {}
    seen: set[tuple[str, str]] = set()
    for row in await connection.fetch(_OF_CASES, case_ids):
        event = parse(row["topic"], row["body"])
        if (event.source, event.id) not in seen:
            seen.add((event.source, event.id))
            events.setdefault(row["case_id"], []).append((event, row["index"]))
    return {case_id: fold(found) for case_id, found in events.items()}
