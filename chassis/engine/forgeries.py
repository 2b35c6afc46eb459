"""Forgeries: records that bear a service's own name, but were not published by it. Each is named once, as a step.

A record is genuine if the service's own store has that event, in that case, for that topic, in exactly these bytes. A
fact is committed before it is sent, so what is genuine is there; a true duplicate of the relay is genuine, too. The
record is not validated: whether it takes effect with a reader is not asked here. Naming it has no other effect.

After a backup was restored, what the service has published and its store lacks is taken back first
(chassis.engine.returning), so that it is genuine here; so are the steps of this module.

Rows of `forgeries` are written with the steps, and so make sure of "once", whatever is read again. The positions in
`tail` follow.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import orjson

from chassis.clock import Clock
from chassis.engine.model import Model
from chassis.ids import uuid7
from chassis.kafka.records import Record
from chassis.kafka.tail import Positions
from chassis.retry import NotNow
from chassis.store.database import TRANSIENT_ERRORS, Connection, Database
from chassis.store.journal import Journal
from chassis.store.streams import Cache
from chassis.store.transaction import Conflict, Transaction
from chassis.telemetry import About
from contracts.fields import CASE_ID, is_object
from contracts.progress import Forged
from contracts.wire import identity

log = logging.getLogger(__name__)

_TRIES = 5
_AT_ONCE = 200
"""The most forgeries that one transaction names."""
_IN_A_CASE = 100
"""The most that are named in one case, because every step is loaded with it. Those beyond stand alone."""
_LINES = 10
"""The most log lines about one batch."""

# One row for each record that is not genuine; `known` says whether the id is.
_NOT_GENUINE = """
SELECT u.place - 1 AS place, e.genuine IS NOT NULL AS known
  FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) WITH ORDINALITY
       AS u (stream_id, event_id, topic, digest, place)
  LEFT JOIN LATERAL (
       SELECT bool_or(topic = u.topic AND sha256(body) = u.digest) AS genuine
         FROM events WHERE stream_id = u.stream_id AND event_id = u.event_id AND own) e ON true
 WHERE e.genuine IS NOT TRUE
"""
_MOVE = """
INSERT INTO tail (topic, partition, next) SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[])
ON CONFLICT (topic, partition) DO UPDATE SET next = excluded.next
"""
_POSITIONS = "SELECT topic, partition, next FROM tail"
_COUNT = "SELECT count(*) AS found FROM forgeries"
_IN_CASES = "SELECT stream_id, count(*) FROM forgeries WHERE stream_id = ANY($1::text[]) GROUP BY stream_id"
_RETURNED = """
SELECT topic, partition, "offset" FROM forgeries
 WHERE digest = '' AND (topic, partition, "offset") IN (SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[]))
"""
_CLAIM = """
INSERT INTO forgeries (topic, partition, "offset", digest, stream_id)
SELECT * FROM unnest($1::text[], $2::integer[], $3::bigint[], $4::bytea[], $5::text[])
ON CONFLICT DO NOTHING RETURNING topic, partition, "offset"
"""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A record that bears the service's name, with the id that it claims where it is one."""

    record: Record
    event_id: str | None
    digest: bytes


@dataclass(frozen=True, slots=True)
class _Forgery:
    """A claim that is false, why, and the case that the step about it belongs to."""

    claim: _Claim
    because: Literal["unknown", "altered"]
    stream_id: str


class Judge:
    """Judges the records of a service's own topics. Several at once neither miss nor double anything."""

    def __init__(self, model: Model, database: Database, clock: Clock, cache: Cache[Any]) -> None:
        self._model = model
        self._database = database
        self._clock = clock
        self._cache = cache
        self.found: int | None = None
        """The number of forgeries ever found; None where another process looks for them."""

    async def positions(self) -> Positions:
        """Where to read on; a partition that is not in it has not been read yet."""
        self.found = (await self._database.fetch(_COUNT))[0]["found"]
        rows = await self._database.fetch(_POSITIONS)
        return {(row["topic"], row["partition"]): row["next"] for row in rows}

    async def process(self, records: Sequence[Record]) -> None:
        """Names the forgeries of a batch, and moves the positions behind it. Raises one of `TRANSIENT_ERRORS` if it
        cannot now; then the batch is to be given again.
        """
        ends = {(one.topic, one.partition): one.next_offset for one in records}
        suspects = await self._not_genuine([claim for one in records if (claim := self._claim(one)) is not None])
        for begin in range(0, len(suspects), _AT_ONCE):
            await self._name(suspects[begin : begin + _AT_ONCE])
        await self._database.fetch(_MOVE, *zip(*((*place, end) for place, end in sorted(ends.items())), strict=True))

    def _claim(self, record: Record) -> _Claim | None:
        """What a record claims, if it bears the service's name."""
        raw = record.value or b""
        if (known := identity(raw)) is not None:
            source, event_id = known
        else:  # not as any service writes; but a reader may take it
            try:
                value = orjson.loads(raw)
            except orjson.JSONDecodeError:
                return None
            source, event_id = (value.get("source"), value.get("id")) if is_object(value) else (None, None)
        if source != self._model.source:
            return None
        named = isinstance(event_id, str) and CASE_ID.fullmatch(event_id) is not None
        return _Claim(record, event_id if named else None, sha256(raw).digest())

    async def _not_genuine(self, claims: Sequence[_Claim]) -> list[tuple[_Claim, bool]]:
        """The claims that are false, with whether the case has an event of this id.

        They come in one order, so that two workers that name the same ones do not deadlock.
        """
        if not claims:
            return []
        rows = await self._database.fetch(
            _NOT_GENUINE,
            [claim.record.stream_id for claim in claims],
            [claim.event_id for claim in claims],
            [claim.record.topic for claim in claims],
            [claim.digest for claim in claims],
        )
        found: list[tuple[_Claim, bool]] = [(claims[row["place"]], row["known"]) for row in rows]
        return sorted(found, key=lambda one: _place(one[0].record))

    async def _name(self, suspects: Sequence[tuple[_Claim, bool]]) -> None:
        try:
            named = await self._once(suspects, in_cases=True)
        except TRANSIENT_ERRORS:
            raise
        except Exception as fault:
            log.exception("forged records are named apart from their cases", exc_info=fault)
            named = await self._once(suspects, in_cases=False)
        self._cache.forget(one.stream_id for one in named)
        self.found = (self.found or 0) + len(named)
        _tell(named)

    async def _once(self, suspects: Sequence[tuple[_Claim, bool]], *, in_cases: bool) -> list[_Forgery]:
        """Names those that have not been named before, in one transaction with the rows that say so."""

        async def run(transaction: Transaction) -> list[_Forgery]:
            forgeries = await self._new(await transaction.begin(), suspects, in_cases=in_cases)
            if forgeries:
                await self._append(transaction, forgeries)
            return forgeries

        for _ in range(_TRIES):
            try:
                return await self._database.decide(run)
            except Conflict:
                continue
        raise NotNow("the cases of forged records keep being changed by others; they are named later")

    async def _new(
        self, connection: Connection, suspects: Sequence[tuple[_Claim, bool]], *, in_cases: bool
    ) -> list[_Forgery]:
        """The forgeries that have not been named before, in the order of their records."""
        places = zip(*(_place(claim.record) for claim, _ in suspects), strict=True)
        returned = {tuple(row) for row in await connection.fetch(_RETURNED, *places)}
        suspects = [one for one in suspects if _place(one[0].record) not in returned]
        if not suspects:
            return []
        subjects = [claim.record.stream_id or "" for claim, _ in suspects]
        rows = await connection.fetch(_IN_CASES, sorted(set(subjects)))
        counts = Counter({row["stream_id"]: row["count"] for row in rows})
        forgeries: list[_Forgery] = []
        for (claim, known), subject in zip(suspects, subjects, strict=True):
            usable = in_cases and CASE_ID.fullmatch(subject) is not None and counts[subject] < _IN_A_CASE
            counts[subject] += 1
            stream_id = subject if usable else uuid7(self._clock())
            forgeries.append(_Forgery(claim, "altered" if known else "unknown", stream_id))
        fresh = {tuple(row) for row in await connection.fetch(_CLAIM, *_columns(forgeries))}
        return [one for one in forgeries if _place(one.claim.record) in fresh]

    async def _append(self, transaction: Transaction, forgeries: Sequence[_Forgery]) -> None:
        model = self._model
        journal = Journal(model.source, model.decider, model.views, self._clock(), model.announces)
        await journal.open(transaction.connection, {one.stream_id for one in forgeries})
        for one in forgeries:
            topic, partition, offset = _place(one.claim.record)
            step = Forged(
                forged_topic=topic,
                partition=partition,
                offset=offset,
                event_id=one.claim.event_id,
                because=one.because,
            )
            journal.append(one.stream_id, [step], at=journal.now, actor=model.name)
        journal.write(transaction)


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset


def _columns(forgeries: Sequence[_Forgery]) -> tuple[Sequence[Any], ...]:
    return tuple(zip(*((*_place(one.claim.record), one.claim.digest, one.stream_id) for one in forgeries), strict=True))


def _tell(forgeries: Sequence[_Forgery]) -> None:
    for one in forgeries[:_LINES]:
        record = one.claim.record
        with About(one.stream_id, None, record.header("traceparent")):
            log.warning("%s of case %s is forged: %s", record.coordinates, record.stream_id, one.because)
    if len(forgeries) > _LINES:
        log.warning("%d more records are forged", len(forgeries) - _LINES)
