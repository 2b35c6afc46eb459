"""How an event reaches other cases: a bounded number in its own transaction, the rest in batches of the timers.

A pending propagation is a row: this case is still to be reached by that event of another case. It is written with the
event and deleted with what follows from it, so a process that dies in between leaves neither a gap nor a repetition.
"""

from collections.abc import Sequence
from typing import Any

from chassis.clock import Clock
from chassis.engine.model import Model
from chassis.engine.unit_of_work import UnitOfWork, begin
from chassis.kafka.records import REASON, writable
from chassis.store.database import Database, Row
from chassis.store.transaction import Transaction, Write
from chassis.telemetry import About
from contracts.fields import FROM
from contracts.wire import reread

AT_ONCE = 50
"""The most other cases that one event reaches in its own transaction, and that a batch of pending ones reaches."""

_ADD = """
INSERT INTO propagations (stream_id, event_stream, event_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING
"""
PENDING = "SELECT position FROM propagations WHERE fault IS NULL"
"""SQL: the positions of the pending ones."""
_NEXT = f"{PENDING} ORDER BY position LIMIT $1"
_TAKE = """
DELETE FROM propagations WHERE position IN (
    SELECT position FROM propagations WHERE position = ANY($1::bigint[]) ORDER BY position FOR UPDATE SKIP LOCKED)
RETURNING stream_id, event_stream, event_id, position
"""
# Partners' requests are left out: a partner chooses their ids, and could choose the id of another event.
_EVENTS = f"""
SELECT stream_id, event_id, topic, body FROM events
 WHERE stream_id = ANY($1::text[]) AND event_id = ANY($2::text[]) AND topic NOT LIKE '{FROM}%'
"""

Propagations = Sequence[tuple[Any, str]]
"""Pairs of an event and a case that it is to reach."""


def split(pairs: Propagations) -> tuple[Propagations, Propagations]:
    """Those that are made now, and those for later: of each event the first `AT_ONCE` now."""
    now: list[tuple[Any, str]] = []
    later: list[tuple[Any, str]] = []
    counts: dict[str, int] = {}
    for event, other in pairs:
        counts[event.id] = counts.get(event.id, 0) + 1
        (now if counts[event.id] <= AT_ONCE else later).append((event, other))
    return now, later


def propagate(model: Model, work: UnitOfWork[Any], event: Any, other: str) -> list[tuple[Any, str]]:
    """Appends what another case's event means to this case, which is open in the journal; returns whom that reaches."""
    journal, stream, inputs = work.journal, work.journal.streams[other], work.inputs(other)
    facts = model.decider.on_propagated(event, stream.state, inputs)
    with About(other, event.traceparent):
        appended = journal.append(other, facts, at=journal.now, cause=event)
    return [pair for fact in appended for pair in model.decider.propagates_to(fact, stream.state, inputs)]


def add(transaction: Transaction, pairs: Propagations) -> None:
    """Writes down which cases are still to be reached by which events."""
    transaction.write(Write(_ADD, [(other, event.subject, event.id) for event, other in pairs]))


async def pending(database: Database) -> list[int]:
    """The positions of the next batch."""
    return [row["position"] for row in await database.fetch(_NEXT, AT_ONCE)]


async def set_aside(database: Database, position: int, fault: str) -> None:
    """Leaves one that fails until a worker starts again: the defect may be mended by then."""
    await database.fetch("UPDATE propagations SET fault = $2 WHERE position = $1", position, writable(fault, REASON))


async def retry_all(database: Database) -> None:
    """Makes those that were set aside pending again."""
    await database.fetch("UPDATE propagations SET fault = NULL WHERE fault IS NOT NULL")


async def carry_out(model: Model, database: Database, clock: Clock, positions: Sequence[int]) -> list[str]:
    """Makes these propagations; returns the cases reached. Several workers may do so at once."""

    async def run(transaction: Transaction) -> list[str]:
        connection = await transaction.begin()
        rows: list[Row] = await connection.fetch(_TAKE, positions)
        if not rows:
            return []
        rows.sort(key=_position)
        streams = [row["stream_id"] for row in rows]
        stored = await connection.fetch(
            _EVENTS, [row["event_stream"] for row in rows], [row["event_id"] for row in rows]
        )
        events = {(row["stream_id"], row["event_id"]): reread(row["topic"], row["body"]) for row in stored}
        work = await begin(model, transaction, clock(), streams)
        further: list[tuple[Any, str]] = []
        for row in rows:
            further += propagate(model, work, events[row["event_stream"], row["event_id"]], row["stream_id"])
        work.journal.write(transaction)
        add(transaction, further)
        return streams

    return await database.decide(run)


def _position(row: Row) -> int:
    return row["position"]
